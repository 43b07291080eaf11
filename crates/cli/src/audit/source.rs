//! What is audited: a data directory, a journal's directory or a copy of it, or one file of records.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use florin_journal::{Hash, Kind, Ledger, PartitionId};
use tempfile::TempDir;

use super::walk::{Step, Walk};
use crate::failure::{Exit, Failure};

/// Records and where they are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A directory of partitions; `root` is the data directory around it, if that was named.
    Directory { journal: PathBuf, root: Option<PathBuf> },
    /// Records one after another, of one or more partitions, each partition's from genesis on; maybe a copy that is to be gone
    /// afterwards.
    File(PathBuf, Option<Arc<TempDir>>),
}

impl Source {
    /// Finds the journal at, or in, `path`.
    pub(super) fn find(path: &Path) -> Result<Self, Failure> {
        let kind = fs::metadata(path).map_err(|cause| Failure::io("read", path, cause))?;
        if kind.is_file() {
            return Ok(Self::File(path.to_owned(), None));
        }
        for (journal, root) in [
            (path.join("ledger").join("journal"), Some(path.to_owned())),
            (path.join("journal"), None),
            (path.to_owned(), None),
        ] {
            if journal.join("p00000").is_dir() || journal.join("heads.jsonl").is_file() {
                return Ok(Self::Directory { journal, root });
            }
        }
        Err(Failure::new(Exit::Usage, format!("there is no journal in {}", path.display()))
            .advise("name a data directory, a journal's directory, or a file of records"))
    }

    /// The journal's directory.
    pub(super) fn journal(&self) -> Option<&Path> {
        match self {
            Self::Directory { journal, .. } => Some(journal),
            Self::File(..) => None,
        }
    }

    /// The data directory.
    pub(super) fn root(&self) -> Option<&Path> {
        match self {
            Self::Directory { root, .. } => root.as_deref(),
            Self::File(..) => None,
        }
    }

    /// The file of records.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Directory { .. } => None,
        }
    }

    /// The heads that the ledger published of itself. A file that somebody else made has none; a copy of streams has them
    /// beside it.
    pub(super) fn published(&self) -> Option<PathBuf> {
        match self {
            Self::Directory { journal, .. } => Some(journal.join("heads.jsonl")),
            Self::File(_, copy) => copy.as_ref().map(|dir| dir.path().join("heads.jsonl")),
        }
    }

    /// The records of a partition, in order.
    pub(super) fn walk(&self, partition: PartitionId) -> std::io::Result<Walk> {
        match self {
            Self::Directory { journal, .. } => {
                Ok(Walk::new(segments(&journal.join(format!("p{:05}", partition.0)))?, partition, false))
            }
            Self::File(path, _) => Ok(Walk::new(vec![path.clone()], partition, true)),
        }
    }

    /// Whether a process owns the journal now, so that its end may still be growing.
    pub(super) fn live(&self) -> bool {
        let lock = self.journal().and_then(|journal| File::open(journal.join("lock")).ok());
        lock.is_some_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The ledger, from the first genesis that can be read: partition 0's, or one that quotes it.
    pub(super) fn ledger(&self) -> std::io::Result<Option<Ledger>> {
        match self {
            Self::Directory { journal, .. } => {
                let mut partitions: Vec<u16> = fs::read_dir(journal)?
                    .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix('p')?.parse().ok())
                    .collect();
                partitions.sort_unstable();
                for partition in partitions {
                    let first = self.walk(PartitionId(partition)).and_then(|mut walk| walk.next(0));
                    if let Ok(Step::Record(first)) = first
                        && let Some(ledger) = quoted(&first)
                    {
                        return Ok(Some(ledger));
                    }
                }
                Ok(None)
            }
            Self::File(path, _) => {
                let mut walk = Walk::new(vec![path.clone()], PartitionId(0), false);
                match walk.next(0)? {
                    Step::Record(first) => Ok(quoted(&first)),
                    _ => Ok(None),
                }
            }
        }
    }
}

/// The ledger that a genesis is of. Whether it is right in all else is checked in its place.
fn quoted(genesis: &florin_journal::Loose) -> Option<Ledger> {
    if genesis.kind() != Kind::Genesis {
        return None;
    }
    if genesis.partition().0 == 0 {
        return Ledger::from_genesis(genesis).ok();
    }
    let entry: &[u8; 36] = genesis.entry(0)?.try_into().ok()?;
    let mut first = Hash::ZERO;
    first.0.copy_from_slice(&entry[4..]);
    let ledger = Ledger { id: genesis.ledger(), partitions: u16::from_le_bytes([entry[0], entry[1]]), genesis: first };
    ledger.check_genesis(genesis).is_ok().then_some(ledger)
}

/// Segment files of a partition by their first index; none if there is no such directory.
fn segments(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry?.path();
        let first = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".journal")?.parse::<u64>().ok());
        found.extend(first.map(|first| (first, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
