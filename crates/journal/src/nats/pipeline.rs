//! A writer without its I/O: the claim it begins with, the records it seals ahead of their acknowledgements, and which
//! acknowledgement may be released when.

use std::collections::VecDeque;

use super::rule::Rule;
use crate::record::Loose;
use crate::{Batch, Chain, Corruption, Head};

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Sequence that the stream must end with, else the server refuses.
    pub expected: u64,
    /// What to store.
    pub record: Loose,
}

/// What became of a published message, as far as the writer can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored at this sequence.
    Stored(u64),
    /// Refused, called a duplicate, or not answered in time.
    Doubt,
}

/// What a claimant finds when it has read the stream again after an uncertain claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Its own claim is the last record.
    Won,
    /// Another claim came in between: step down.
    Lost,
    /// Nobody claimed: try again with what is there now.
    Open,
}

/// The claim that follows everything in `tail`, which was read to the stream's end.
pub fn claim(tail: &Rule, nonce: [u8; 16]) -> Result<Publish, Corruption> {
    let record = Loose::seal(tail.chain().claim(nonce), Batch::new().buffer)?;
    Ok(Publish { expected: tail.sequence(), record })
}

/// Judges a claim with `nonce`, first tried when the partition was in `term`, by the stream as it is now.
pub fn claimed(tail: &Rule, nonce: [u8; 16], term: u64) -> Claimed {
    if tail.chain().nonce() == nonce {
        Claimed::Won
    } else if tail.chain().term() != term {
        Claimed::Lost
    } else {
        Claimed::Open
    }
}

/// Records of one term, from its claim on.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// As of the last sealed record.
    ahead: Chain,
    /// Of the last sealed record.
    sequence: u64,
    /// As of the last released record.
    head: Head,
    waiting: VecDeque<(u64, Head)>,
}

impl Pipeline {
    /// After the claim, which is the stream's last message and its last record.
    pub fn after_claim(tail: &Rule, head: Head) -> Self {
        Self { ahead: tail.chain().clone(), sequence: tail.sequence(), head, waiting: VecDeque::new() }
    }

    /// Head of the last released record; the claim before that.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Records sealed and not released.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Seals the next record, to be stored right behind the one before.
    pub fn seal(&mut self, batch: Batch) -> Result<Publish, Corruption> {
        let durable = self.head.index + 1;
        let header = self.ahead.header(batch.count, batch.first_time_ms, batch.last_time_ms, durable);
        let record = Loose::seal(header, batch.buffer)?;
        let head = self.ahead.push(record.clone())?.head();
        let expected = self.sequence;
        self.sequence += 1;
        self.waiting.push_back((self.sequence, head));
        Ok(Publish { expected, record })
    }

    /// Takes the answer to the oldest waiting record. `None`: the writer is dead, and no later answer means anything.
    pub fn answer(&mut self, answer: Answer) -> Option<Head> {
        let (sequence, head) = self.waiting.pop_front()?;
        if answer != Answer::Stored(sequence) {
            self.waiting.clear();
            return None;
        }
        self.head = head;
        Some(head)
    }
}
