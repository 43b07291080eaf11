//! What can go wrong with the views.

use std::{io, path::PathBuf};

use florin_engine::ids::Position;
use thiserror::Error;

/// Errors of opening, reading and following. None of them can touch the journal.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process has these views open.
    #[error("{path} is locked by another process: stop it first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("i/o failed while {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The store failed. The views are marked, and the next opening rebuilds them from the journal.
    #[error("the view store failed: restart to rebuild the views from the journal")]
    Store(#[from] sled::Error),
    /// A stored row is not what was written. The views are marked, and the next opening rebuilds them.
    #[error("a row of {table} is damaged: restart to rebuild the views from the journal")]
    Damaged {
        /// Of which kind.
        table: &'static str,
        /// The cause.
        #[source]
        source: postcard::Error,
    },
    /// A row that another one speaks of is not there. The views are marked, and the next opening rebuilds them.
    #[error(
        "{table} lacks a row that the entry at {position} of partition {partition} speaks of: restart to rebuild the views"
    )]
    Missing {
        /// Of which kind.
        table: &'static str,
        /// In which partition.
        partition: u16,
        /// The entry that was being applied.
        position: Position,
    },
    /// The journal ends before what the views have seen. Rebuilding would hide the loss, so nothing was changed.
    #[error(
        "the journal of partition {partition} ends before record {index}, which the views have seen: restore the journal; \
         only if the loss is accepted, delete the views' directory and start again"
    )]
    JournalShorter {
        /// Which partition.
        partition: u16,
        /// The record the views have seen last.
        index: u64,
    },
    /// Two cannot write the rows of one partition, and after one that could not store what it had shown only the next start knows
    /// where to go on.
    #[error(
        "partition {partition} is followed already, or what its last follower showed could not be stored: restart to go on from \
         what is stored"
    )]
    Followed {
        /// Which partition.
        partition: u16,
    },
    /// The journal gave another record than the next one.
    #[error("partition {partition} gave record {found} where {expected} comes next")]
    OutOfOrder {
        /// Which partition.
        partition: u16,
        /// The index that comes next.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// An entry cannot be read by this version of Florin.
    #[error(
        "the entry at {position} of partition {partition} cannot be read: use the version of Florin that wrote it, or a later one"
    )]
    Entry {
        /// In which partition.
        partition: u16,
        /// Where.
        position: Position,
        /// The cause.
        #[source]
        source: florin_engine::codec::Error,
    },
    /// The journal failed.
    #[error("the journal cannot be followed")]
    Journal(#[from] florin_journal::Error),
    /// No thread could be started.
    #[error("no thread could be started")]
    Thread(#[source] io::Error),
    /// A task of the follower ended by a panic.
    #[error("a follower ended by a panic")]
    Panicked,
}

impl Error {
    /// Whether deleting the views and reading the journal again is the cure.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Damaged { .. } | Self::Missing { .. })
    }
}

/// A read that named a position was not answered in time: the views have not come that far. Answer 503, never stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the views of partition {partition} are at {applied}, not yet at {wanted}")]
pub struct Late {
    /// Which partition.
    pub partition: u16,
    /// What was asked for.
    pub wanted: Position,
    /// How far the views are.
    pub applied: Position,
}
