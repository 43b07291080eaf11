//! The record under construction, and what waits for a record to be durable.

use std::time::Instant;

use florin_engine::{
    agenda::{Due, Work},
    money::Asset,
};
use florin_journal::{Batch, RECORD_BYTES_WORKING};
use tokio::sync::oneshot;

use crate::Error;
use crate::lanes::{Answer, Answers, To};
use crate::reversal::Reversal;

/// Bytes at which a record is cut while the network waits for an answer in it: enough that a sync is not spent on a few
/// entries, and an eighth of the time until a record is full.
const RECORD_BYTES_WAITED_FOR: usize = RECORD_BYTES_WORKING / 8;

/// Something that is answered or done once a record is durable.
pub(super) enum Waiting {
    One { answer: Answer, to: To<Answer> },
    Many { answers: Answers, to: To<Answers> },
    Due { due: Vec<Due>, to: oneshot::Sender<Vec<Due>> },
    Work { work: Vec<Work>, to: oneshot::Sender<Vec<Work>> },
    SignHead,
}

impl Waiting {
    /// Answers. Gives back the reversal of an approval that nobody waits for any more.
    pub(super) fn release(self) -> Option<Reversal> {
        match self {
            Self::One { answer, to } => match to.send(Ok(answer)) {
                Err(Ok(Answer::Decided(_, reversal))) => return reversal,
                _ => return None,
            },
            Self::Many { answers, to } => drop(to.send(Ok(answers))),
            Self::Due { due, to } => drop(to.send(due)),
            Self::Work { work, to } => drop(to.send(work)),
            Self::SignHead => {}
        }
        None
    }

    /// Answers that the loop has stopped.
    pub(super) fn fail(self, error: &Error) {
        match self {
            Self::One { to, .. } => drop(to.send(Err(error.clone()))),
            Self::Many { to, .. } => drop(to.send(Err(error.clone()))),
            Self::Due { .. } | Self::Work { .. } | Self::SignHead => {}
        }
    }
}

/// The record under construction.
#[derive(Default)]
pub(super) struct Open {
    pub(super) batch: Batch,
    /// An asset in which some entry's debits and credits differ.
    pub(super) unbalanced: Option<Asset>,
    pub(super) waiting: Vec<Waiting>,
    /// Whether the network waits for an answer in it.
    pub(super) network: bool,
}

impl Open {
    /// Whether nothing more is to be put in.
    pub(super) fn full(&self) -> bool {
        self.batch.bytes() >= RECORD_BYTES_WORKING
    }

    /// Whether it is worth a write of its own beside one that is under way.
    pub(super) fn worth_a_write(&self) -> bool {
        self.full() || self.network && self.batch.bytes() >= RECORD_BYTES_WAITED_FOR
    }
}

/// A record that was submitted and is not yet durable.
pub(super) struct Flight {
    pub(super) entries: u64,
    pub(super) submitted: Instant,
    pub(super) waiting: Vec<Waiting>,
}
