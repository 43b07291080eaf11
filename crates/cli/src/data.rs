//! The data directory: what lies where, one process at a time, and whether a ledger is, was or never was there.
//!
//! ```text
//! ledger/journal/       the truth; with the vault, what a backup must hold
//! ledger/vault.redb     who the accounts are and the keys of their data (and ledger/vault.redb.shreds)
//! views/ snapshots/     made from the journal, may be deleted
//! settlement.redb       dead letters and tries of the settlement
//! issuer.redb           the sandbox issuer's own state
//! master.key signing.key demo.json florin.lock
//! ```

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use florin_journal::patiently;

use crate::failure::{Exit, Failure};

const LEDGER: &str = "ledger";
const LEDGER_UNFINISHED: &str = "ledger.unfinished";
const JOURNAL: &str = "journal";
const VAULT: &str = "vault.redb";
const LOCK: &str = "florin.lock";
const MASTER_KEY: &str = "master.key";
const SIGNING_KEY: &str = "signing.key";

/// What only a ledger leaves behind. Such a file without a ledger means that the ledger was lost.
const TRACES: [&str; 7] =
    ["snapshots", "views", "issuer.redb", "settlement.redb", "webhooks.redb", "mail.redb", "demo.json"];

/// What may lie in a directory that counts as empty: keys put there beforehand, and what is not Florin's doing.
const HARMLESS: [&str; 5] = [LOCK, LEDGER_UNFINISHED, MASTER_KEY, SIGNING_KEY, "lost+found"];

/// The data directory, locked for this process until dropped.
#[derive(Debug)]
pub(crate) struct Data {
    root: PathBuf,
    _lock: File,
}

/// What a data directory holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing: a ledger may be created.
    Nothing,
    /// A ledger.
    Ledger,
}

impl Data {
    /// Makes the directory if need be, takes the lock, and proves that it can be written.
    pub(crate) fn lock(root: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|cause| Failure::io("make the data directory", root, cause))?;
        let path = root.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|cause| Failure::io("write to the data directory", root, cause))?;
        match patiently(|| lock.try_lock(), |refused| matches!(refused, TryLockError::WouldBlock)) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    Exit::Locked,
                    format!("another process uses the data directory {}", root.display()),
                )
                .advise("stop that process, or name another directory with --data"));
            }
            Err(TryLockError::Error(cause)) => return Err(Failure::io("lock", &path, cause)),
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Whether a ledger is here. One that was here and lost its journal is a failure, as is a directory of something else.
    pub(crate) fn content(&self) -> Result<Content, Failure> {
        let listing = |cause| Failure::io("list", &self.root, cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(listing)? {
            names.push(entry.map_err(listing)?.file_name().to_string_lossy().into_owned());
        }
        let root = self.root.display();
        let trace = names.iter().find(|name| TRACES.contains(&name.as_str()));
        let present = names.iter().any(|name| name == LEDGER);
        let lost = match trace {
            _ if present && !self.journal().exists() => Some(JOURNAL),
            _ if present && !self.vault().exists() => Some(VAULT),
            Some(_) if !present => Some(""),
            _ => None,
        };
        if let Some(part) = lost {
            return Err(Failure::new(
                Exit::Ledger,
                format!(
                    "the {} is missing: a ledger was in {root}, but {} is not there",
                    if part == VAULT { "vault" } else { "journal" },
                    self.root.join(LEDGER).join(part).display()
                ),
            )
            .advise(
                "put it back from a backup, or mount it; nothing was changed. For a new ledger name an empty directory",
            ));
        }
        if present {
            return Ok(Content::Ledger);
        }
        match names.iter().find(|name| !HARMLESS.contains(&name.as_str())) {
            None => Ok(Content::Nothing),
            Some(foreign) => {
                Err(Failure::new(Exit::Ledger, format!("{root} is not empty ({foreign}) and holds no ledger"))
                    .advise("name an empty directory with --data"))
            }
        }
    }

    /// Runs `create` on a scratch directory that becomes the ledger only when it is whole: a crash in the middle leaves
    /// no half of a ledger behind.
    pub(crate) fn create<T>(&self, create: impl FnOnce(&Scratch) -> Result<T, Failure>) -> Result<T, Failure> {
        let scratch = self.scratch()?;
        let made = create(&scratch)?;
        self.finish(scratch)?;
        Ok(made)
    }

    /// An empty directory for a ledger that is being made, see [`finish`](Self::finish).
    pub(crate) fn scratch(&self) -> Result<Scratch, Failure> {
        let scratch = self.root.join(LEDGER_UNFINISHED);
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(|cause| Failure::io("clear", &scratch, cause))?;
        }
        fs::create_dir(&scratch).map_err(|cause| Failure::io("make", &scratch, cause))?;
        Ok(Scratch(scratch))
    }

    /// What was made becomes the ledger.
    pub(crate) fn finish(&self, scratch: Scratch) -> Result<(), Failure> {
        let Scratch(scratch) = scratch;
        File::open(&scratch)
            .and_then(|directory| directory.sync_all())
            .and_then(|()| fs::rename(&scratch, self.root.join(LEDGER)))
            .and_then(|()| File::open(&self.root)?.sync_all())
            .map_err(|cause| Failure::io("finish the ledger in", &self.root, cause))
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join(LEDGER).join(JOURNAL)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.root.join(LEDGER).join(VAULT)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn views(&self) -> PathBuf {
        self.root.join("views")
    }

    pub(crate) fn sandbox(&self) -> PathBuf {
        self.root.join("issuer.redb")
    }

    pub(crate) fn settlement(&self) -> PathBuf {
        self.root.join("settlement.redb")
    }

    pub(crate) fn webhooks(&self) -> PathBuf {
        self.root.join("webhooks.redb")
    }

    pub(crate) fn mail(&self) -> PathBuf {
        self.root.join("mail.redb")
    }

    pub(crate) fn demo(&self) -> PathBuf {
        self.root.join("demo.json")
    }

    pub(crate) fn master_key(&self) -> PathBuf {
        self.root.join(MASTER_KEY)
    }

    pub(crate) fn signing_key(&self) -> PathBuf {
        self.root.join(SIGNING_KEY)
    }
}

/// Where a ledger is being made.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join(JOURNAL)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.0.join(VAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> (tempfile::TempDir, Data) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let data = Data::lock(dir.path()).unwrap();
        (dir, data)
    }

    #[test]
    fn an_empty_directory_and_one_with_keys_may_get_a_ledger() {
        for names in [&[][..], &["master.key", "lost+found", "ledger.unfinished"]] {
            assert_eq!(directory(names).1.content().unwrap(), Content::Nothing);
        }
        let whole = directory(&["ledger/journal", "ledger/vault.redb", "views"]);
        assert_eq!(whole.1.content().unwrap(), Content::Ledger);
    }

    #[test]
    fn every_trace_of_a_ledger_without_its_journal_or_vault_is_refused() {
        let halves = [&["ledger"][..], &["ledger/journal"], &["ledger/vault.redb"]];
        for names in TRACES.map(|trace| vec![trace]).iter().map(Vec::as_slice).chain(halves) {
            let failure = directory(names).1.content().unwrap_err().to_string();
            assert!(failure.contains("is missing"), "{names:?}: {failure}");
        }
    }

    #[test]
    fn a_directory_of_something_else_is_refused() {
        let failure = directory(&["photos"]).1.content().unwrap_err().to_string();
        assert!(failure.contains("is not empty (photos) and holds no ledger"), "{failure}");
    }

    #[test]
    fn a_crash_while_the_ledger_is_made_leaves_no_half_of_it() {
        // Given a creation that got half way
        let (_dir, data) = directory(&[]);
        let crash = data.create(|scratch| -> Result<(), Failure> {
            fs::create_dir(scratch.journal()).unwrap();
            Err(Failure::new(Exit::Other, "crash"))
        });
        assert!(crash.is_err());
        // Then the directory still counts as empty, and the next creation starts clean
        assert_eq!(data.content().unwrap(), Content::Nothing);
        data.create(|scratch| {
            assert!(!scratch.journal().exists());
            fs::create_dir(scratch.journal()).unwrap();
            fs::write(scratch.vault(), b"").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(data.content().unwrap(), Content::Ledger);
    }

    #[test]
    fn the_second_process_is_told_so() {
        let (dir, _data) = directory(&[]);
        let failure = Data::lock(dir.path()).unwrap_err().to_string();
        assert!(failure.contains("another process uses"), "{failure}");
    }
}
