//! Where webhooks come from: what is due, in order, and the bodies of it.

use std::collections::BTreeSet;
use std::future::Future;

use florin_engine::ids::{AccountId, CardId, Position};

use super::Error;
use super::delivery::{Kind, Mark};
use crate::queue::Checkpoint;

/// Something that is due to a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Where it stands.
    pub mark: Mark,
    /// What it tells.
    pub kind: Kind,
    /// Of whose card.
    pub account: AccountId,
    /// Of which card.
    pub card: CardId,
}

/// How far a source has followed a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The last record.
    pub checkpoint: Checkpoint,
    /// The position up to which everything due is listed.
    pub position: Position,
}

/// What is due, as of each event. Calls may block for a read of a local store.
///
/// Contract: what was listed once is listed again at the same mark with the same body, until it is forgotten; nothing
/// appears at or before a position that was [`reached`](Self::reached).
pub trait Source: Clone + Send + Sync + 'static {
    /// Partitions of the ledger.
    fn partitions(&self) -> u16;

    /// How far a partition is followed; `None`: not at all yet.
    fn reached(&self, partition: u16) -> Result<Option<Reached>, Error>;

    /// What is due to a company in a partition behind `after`, in order; at most `max`.
    fn due_after(&self, partition: u16, company: &str, after: Mark, max: usize) -> Result<Vec<Due>, Error>;

    /// One thing that is due; `None`: there is none there, or it is forgotten.
    fn due(&self, partition: u16, company: &str, mark: Mark) -> Result<Option<Due>, Error>;

    /// The body, whole and the same at every call; `None`: it is forgotten.
    fn body(&self, partition: u16, company: &str, mark: Mark) -> Result<Option<Vec<u8>>, Error>;

    /// Waits until a partition is followed beyond `seen`. Cancel-safe.
    fn moved(&self, partition: u16, seen: Position) -> impl Future<Output = ()> + Send;

    /// Forgets what is before `needed`, older than `since_ms` and not in `except`.
    fn forget(&self, partition: u16, needed: Position, since_ms: u64, except: &BTreeSet<Mark>) -> Result<(), Error>;

    /// Records a partition is behind its journal, as last seen.
    fn lag(&self, partition: u16) -> u64;
}
