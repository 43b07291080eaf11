//! What can go wrong with a journal, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::{Corruption, PartitionId};

/// Errors of providers, writers and readers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns the journal.
    #[error("{path} is locked by another process: stop it, or open read-only")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Something a ledger must have is not there. Never a reason to start afresh.
    #[error("{path} is missing or empty: {advice}")]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// A ledger is only created in an empty directory.
    #[error("{path} already holds something: a ledger is only created in an empty directory")]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The journal ends before a record that somebody remembers.
    #[error(
        "partition {partition} ends before record {index}, which is remembered: acknowledged records are lost; restore the journal, do not write to it"
    )]
    Shorter {
        /// Where.
        partition: PartitionId,
        /// The remembered index.
        index: u64,
        /// First index the journal does not have.
        next: u64,
    },
    /// The journal has another record than the one somebody remembers.
    #[error(
        "partition {partition} has another record {index} than the one remembered: this is another history; rebuild the follower, or restore the journal if a signed head disagrees"
    )]
    Mismatch {
        /// Where.
        partition: PartitionId,
        /// The remembered index.
        index: u64,
    },
    /// Stored bytes are not what was written. Nothing is skipped or written over.
    #[error("partition {partition} is corrupt at record {index}: {reason}")]
    Corrupt {
        /// Where.
        partition: PartitionId,
        /// Index of the first record that does not fit.
        index: u64,
        /// Why.
        reason: Corruption,
    },
    /// The ledger has no such partition.
    #[error("no partition {0} in this ledger")]
    UnknownPartition(PartitionId),
    /// The disk is full; the writer is dead.
    #[error("the disk is full while {doing}: free space and restart")]
    DiskFull {
        /// What was being done.
        doing: &'static str,
    },
    /// Input or output failed; if a writer said it, the writer is dead.
    #[error("i/o failed while {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A later claim owns the partition.
    #[error("partition {0} was claimed by another writer")]
    Deposed(PartitionId),
    /// An earlier write or sync failed. A sync is never retried: what reached the disk is unknown.
    #[error("the writer is dead since: {0}; restart the process")]
    Dead(String),
    /// Opened read-only, or without a signing key.
    #[error("the journal is open read-only")]
    ReadOnly,
    /// A batch without entries.
    #[error("an empty batch is not a record")]
    EmptyBatch,
    /// A batch older than the record before it. The writer stays usable.
    #[error("batch begins at {found} ms, before the last record's {last} ms")]
    TimeBack {
        /// Last time in the journal.
        last: u64,
        /// First time of the batch.
        found: u64,
    },
    /// A ledger has 1 to 65,535 partitions.
    #[error("a ledger has at least one partition")]
    NoPartitions,
    /// The published signed heads cannot be read.
    #[error("{path} line {line} is not a signed head of this ledger")]
    Heads {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// NATS did not do what was asked, for as long as the settings are patient; if a writer said it, the writer is dead.
    #[error(
        "nats failed while {doing}: see that its servers run, that the stream has a leader and that this account may use it, then try again"
    )]
    Nats {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server or a stream is not what a ledger needs; every deviation with what to do.
    #[error("{0}")]
    Unfit(String),
    /// A stream holds something already.
    #[error("stream {0} already exists: a ledger is only created under a name without streams")]
    Exists(String),
    /// Not a ledger's name.
    #[error("{0:?} is not a ledger's name: 1 to 32 of a-z, 0-9 and -")]
    Name(String),
    /// A restored journal lacks partitions.
    #[error("partition {0} is not among the restored records: nothing was finished; restore all into an empty target")]
    Unrestored(PartitionId),
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// Wraps an I/O error, telling a full disk apart.
    pub fn io(doing: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { doing },
            _ => Self::Io { doing, source },
        }
    }

    pub(crate) fn nats(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Nats { doing, source: source.into() }
    }

    pub(crate) fn corrupt(partition: PartitionId, index: u64, reason: Corruption) -> Self {
        Self::Corrupt { partition, index, reason }
    }
}
