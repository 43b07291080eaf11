//! The work queue between the journal and the issuer: one contract, kept by the [`Embedded`] queue of one process and by the
//! [`JetStream`] queue that any number of processes share.
//!
//! The queue is disposable: whatever it loses, the sweeper brings back from the engine's own list. What it must never do is
//! forget an item that it has acknowledged *and* whose position in the journal it has stored.

mod embedded;
mod index;
mod item;
pub(crate) mod jetstream;

use std::future::Future;
use std::time::Duration;

use florin_journal::Hash;

pub use embedded::{Embedded, Settings};
pub(crate) use item::shortened;
pub use item::{Death, Item, ItemId, Kind, NotAnId};
pub use jetstream::{JetStream, Settings as SharedSettings};

/// How far a follower has come: the last record it has done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The record's index.
    pub index: u64,
    /// The record's hash.
    pub hash: Hash,
}

/// The right to work on an item, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an item that is neither acknowledged nor given back comes again when its lease is over"]
pub struct Lease {
    /// The item.
    pub item: Item,
    /// How often it was given back as failed.
    pub tries: u32,
    /// Whether it is a dead letter that is tried once more.
    pub dead: bool,
    pub(crate) token: u64,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The item.
    pub item: Item,
    /// How often it was tried.
    pub tries: u32,
    /// Why and since when it is one.
    pub death: Death,
}

/// How many items there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not leased and not dead.
    pub waiting: usize,
    /// Being worked on, dead letters that are tried again included. A shared queue cannot tell them from those that wait for
    /// their next try, and counts both here.
    pub leased: usize,
    /// Dead letters.
    pub dead: usize,
}

/// What goes wrong with a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It holds as many items as it may.
    #[error("the work queue is full: {max} items")]
    Full {
        /// The bound.
        max: usize,
    },
    /// The lease is over, or the item is gone; whoever has it now goes on.
    #[error("the lease of {0} is over")]
    LeaseLost(ItemId),
    /// There is no such dead letter.
    #[error("no dead letter {0}")]
    NoLetter(ItemId),
    /// The dead letter is being tried right now: wait for what becomes of it.
    #[error("dead letter {0} is being tried right now: wait until that has ended")]
    Leased(ItemId),
    /// Another process has the file open.
    #[error("{path} is open in another process: stop it first")]
    Locked {
        /// The file.
        path: std::path::PathBuf,
    },
    /// A shared queue's servers did not answer for as long as the queue is patient. Nothing is lost: what was asked may have
    /// been done or not, and may be asked again.
    #[error(
        "the work queue cannot be reached while {doing}: are the NATS servers up, with JetStream, and may this user use the queue?"
    )]
    Unreachable {
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A shared queue's servers refused.
    #[error("the NATS servers refuse {doing}: {reason}")]
    Refused {
        /// What.
        doing: &'static str,
        /// Why, in the server's words.
        reason: String,
    },
    /// A stream of this name is there and is not this queue.
    #[error(
        "the stream {stream} is not this ledger's work queue: {reason}; look at it, and delete it if nothing needs it: the sweeper brings back what is still to be done"
    )]
    Foreign {
        /// The stream.
        stream: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A ledger's name that cannot be part of a subject.
    #[error("the ledger's name {0:?} is not 1 to 32 of a-z, 0-9 and -")]
    Name(String),
    /// The storage failed while doing something.
    #[error("the work queue's storage failed while {doing}")]
    Storage {
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A work queue. Any number of consumers share it; each item is worked on by one of them at a time.
///
/// Contract:
///
/// - *Enqueue* is idempotent by [`ItemId`] and returns when the items are durable. A follower's position is stored no
///   earlier than the items before it.
/// - *At least once.* An item stays until it is acknowledged. A lease that is neither ended nor extended in its time is
///   over, and the item is taken by another; whoever had it gets [`Error::LeaseLost`].
/// - *Order per card.* No item of a card is taken while another of the same card is leased; of those that may be taken, the
///   lowest change goes first. An item that waits for its next try, or is dead, holds up no other.
///   Between processes this is no fence: a consumer that stood still for longer than its lease may still finish a call that it
///   had begun. That is why the issuer refuses lower change numbers and knows requests by id.
/// - *Bounded.* Beyond its capacity it answers [`Error::Full`], and may have added a part; the caller waits, the journal keeps
///   the rest.
/// - Tries may be forgotten in a crash, items and dead letters not.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Adds what is not there yet (waiting, leased or dead), then stores how far the follower of a partition has come.
    /// Returns how many were new.
    fn enqueue(
        &self,
        items: Vec<Item>,
        reached: Option<(u16, Checkpoint)>,
    ) -> impl Future<Output = Result<usize, Error>> + Send;

    /// How far the follower of a partition has come; `None`: never began, or the queue was lost.
    fn reached(&self, partition: u16) -> impl Future<Output = Result<Option<Checkpoint>, Error>> + Send;

    /// The next item; waits for one. Cancel-safe.
    fn take(&self) -> impl Future<Output = Result<Lease, Error>> + Send;

    /// Still at work: the lease begins anew.
    fn in_progress(&self, lease: &Lease) -> impl Future<Output = Result<(), Error>> + Send;

    /// Done: the item goes.
    fn ack(&self, lease: Lease) -> impl Future<Output = Result<(), Error>> + Send;

    /// Not done: the item comes again after `delay`. `failed` counts as a try.
    fn nak(&self, lease: Lease, delay: Duration, failed: bool) -> impl Future<Output = Result<(), Error>> + Send;

    /// Not done after the last try: the item becomes a dead letter. `again` after which it is tried nevertheless, if it
    /// must arrive some day; `death.again` is set accordingly.
    fn bury(
        &self,
        lease: Lease,
        death: Death,
        again: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// All dead letters, the oldest death first.
    fn letters(&self) -> impl Future<Output = Result<Vec<Letter>, Error>> + Send;

    /// Brings a dead letter back to life, with no tries. [`Error::Leased`] while it is being tried: a second item of the
    /// card would be taken meanwhile.
    fn retry(&self, id: ItemId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes a dead letter away. If the engine still lists its work, the sweeper brings it back as a new item.
    /// [`Error::Leased`] while it is being tried.
    fn discard(&self, id: ItemId) -> impl Future<Output = Result<(), Error>> + Send;

    /// How many items there are.
    fn depth(&self) -> impl Future<Output = Result<Depth, Error>> + Send;
}

impl Error {
    /// Whether asking again later may help, with nothing to be done here.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Full { .. })
    }
}
