//! Why a command has no outcome.

use florin_journal::PartitionId;

/// What a caller gets instead of a reply. A reject is not an error: it is an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The lane is full. Not admitted; the same with the same key may be tried again.
    #[error("the queue of the partition is full: retry after {retry_after_ms} ms")]
    Busy {
        /// When there should be room, ms from now, 1 to 1,000.
        retry_after_ms: u64,
    },
    /// The deadline passed. Either the command was not decided, or its caller gave up on it: then an approved
    /// authorization or increment is reversed, and any other command's outcome is told to who asks again with its key.
    #[error("the deadline has passed")]
    DeadlinePassed,
    /// The clock cannot be trusted. Not admitted; may be tried again once ops have confirmed the clock.
    #[error(
        "the clock of partition {partition} is refused: it reads {wall_ms} ms, {off_ms} ms off; check it, then confirm it"
    )]
    ClockRefused {
        /// Where.
        partition: PartitionId,
        /// What the wall clock read, ms since 1970.
        wall_ms: u64,
        /// How far it is off against the monotonic clock, or at start behind the last record (then negative).
        off_ms: i64,
    },
    /// The partition's loop has stopped, or its journal cannot be read. The fate of a command that was admitted is
    /// unknown until it is asked for again with its key.
    #[error("the processor of the partition has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// The command belongs to another partition than the one it was sent to, or to one that is not run here. Not
    /// admitted.
    #[error("the command belongs to partition {0}, which is not the one asked or is not run here")]
    Misrouted(PartitionId),
    /// A client's batch is over the bound. Not admitted.
    #[error("a batch has at most {max} commands, this one has {found}")]
    BatchTooLarge {
        /// The bound.
        max: usize,
        /// How many there were.
        found: usize,
    },
    /// The command and its outcome do not fit into a record. Not decided.
    #[error("the command does not fit into a record of the journal")]
    CommandTooLarge,
}

/// An error with its causes, for those who only get a sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
