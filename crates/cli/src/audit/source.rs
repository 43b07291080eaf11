//! What is audited: a data directory, a journal's directory or a copy of it, or one file of records.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use florin_journal::{Hash, Kind, Ledger, PartitionId};

use super::exported::Records;
use super::segments::{self, Segment};
use super::walk::{Piece, Step, Walk};
use crate::failure::{Exit, Failure};

/// Records and where they are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A directory of partitions; `root` is the data directory around it, if that was named.
    Directory { journal: PathBuf, root: Option<PathBuf> },
    /// Records one after another, of one or more partitions; an export, or each partition's from genesis on.
    File(Arc<Records>),
}

impl Source {
    /// Finds the journal at, or in, `path`.
    pub(super) fn find(path: &Path) -> Result<Self, Failure> {
        let kind = fs::metadata(path).map_err(|cause| Failure::io("read", path, cause))?;
        if kind.is_file() {
            return Ok(Self::File(Arc::new(Records::read(path, None)?)));
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
    pub(super) fn file(&self) -> Option<&Records> {
        match self {
            Self::File(records) => Some(records),
            Self::Directory { .. } => None,
        }
    }

    /// What it is, in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "directory",
            Self::File(records) if records.ledger().is_some() => "export",
            Self::File(_) => "records",
        }
    }

    /// The heads that the ledger published of itself. A file that somebody else made has none; a copy of streams has them
    /// beside it.
    pub(super) fn published(&self) -> Option<PathBuf> {
        match self {
            Self::Directory { journal, .. } => Some(journal.join("heads.jsonl")),
            Self::File(records) => records.beside().map(|dir| dir.join("heads.jsonl")),
        }
    }

    /// The records of a partition, in order.
    pub(super) fn walk(&self, partition: PartitionId) -> std::io::Result<Walk> {
        match self {
            Self::Directory { journal, .. } => {
                let segments = segments::of(journal, partition)?;
                let piece = |segment: Segment| Piece { path: segment.path.into(), from: 0, to: u64::MAX };
                Ok(Walk::new(segments.into_iter().map(piece).collect(), partition))
            }
            Self::File(records) => Ok(records.walk(partition)),
        }
    }

    /// Bytes of a partition's files, zeros at their ends among them.
    pub(super) fn bytes(&self, partition: PartitionId) -> u64 {
        match self {
            Self::Directory { journal, .. } => {
                let segments = segments::of(journal, partition).unwrap_or_default();
                segments.iter().filter_map(|segment| Some(fs::metadata(&segment.path).ok()?.len())).sum()
            }
            Self::File(records) => records.bytes(partition),
        }
    }

    /// Partitions that there are records of.
    pub(super) fn partitions(&self) -> std::io::Result<Vec<u16>> {
        let mut found: Vec<u16> = match self {
            Self::Directory { journal, .. } => fs::read_dir(journal)?
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix('p')?.parse().ok())
                .collect(),
            Self::File(records) => records.partitions().collect(),
        };
        found.sort_unstable();
        Ok(found)
    }

    /// Whether a process owns the journal now, so that its end may still be growing.
    pub(super) fn live(&self) -> bool {
        let lock = self.journal().and_then(|journal| File::open(journal.join("lock")).ok());
        lock.is_some_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The ledger, from the first genesis that can be read: partition 0's, or one that quotes it. If there is none, as an
    /// export's trailer says.
    pub(super) fn ledger(&self) -> std::io::Result<Option<Ledger>> {
        for partition in self.partitions()? {
            let first = self.walk(PartitionId(partition)).and_then(|mut walk| walk.next(0));
            if let Ok(Step::Record(first)) = first
                && let Some(ledger) = quoted(&first)
            {
                return Ok(Some(ledger));
            }
        }
        Ok(self.file().and_then(Records::ledger).cloned())
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
