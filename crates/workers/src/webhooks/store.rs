//! Where endpoints, cursors and undelivered webhooks are kept: a contract that a key-value store of a broker can keep too.

use std::future::Future;

use super::Error;
use super::delivery::{Cursor, Delivery, Mark};
use super::order::Standing;

/// One change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// How far a company's webhooks of a partition are taken in.
    Cursor {
        /// The partition.
        partition: u16,
        /// The company.
        company: String,
        /// How far.
        cursor: Cursor,
    },
    /// A delivery as it now is.
    Put(Delivery),
    /// A delivery that is done or dropped.
    Remove {
        /// Its partition.
        partition: u16,
        /// Where it stood.
        mark: Mark,
    },
}

/// What is kept of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Cursors by company.
    pub cursors: Vec<(String, Cursor)>,
    /// Deliveries, dead letters included, in order.
    pub deliveries: Vec<Delivery>,
}

impl Kept {
    /// Without what stands behind its company's cursor: a crash left it there before the cursor, and perhaps without what
    /// comes before it. It is taken in again.
    #[must_use]
    pub fn sound(mut self) -> Self {
        let cursors = &self.cursors;
        let cursor = |of: &str| cursors.iter().find(|(company, _)| company == of).map(|(_, cursor)| cursor.mark);
        self.deliveries.retain(|delivery| cursor(&delivery.company).is_none_or(|mark| delivery.mark <= mark));
        self
    }

    /// The position behind which somebody has not sent everything yet; the last there can be where nobody waits.
    pub fn needed(&self) -> florin_engine::ids::Position {
        let taken = self.cursors.iter().map(|(_, cursor)| cursor.mark);
        let waiting = self.deliveries.iter().map(|delivery| Mark::before(delivery.mark.position));
        let first = taken.chain(waiting).map(Mark::done).min_by_key(|position| position.0);
        first.unwrap_or(florin_engine::ids::Position(u64::MAX))
    }
}

impl Mark {
    /// The last position of which nothing is behind this mark.
    pub const fn done(self) -> florin_engine::ids::Position {
        if self.number == u32::MAX { self.position } else { Self::before(self.position).position }
    }
}

/// A store.
///
/// Contract: a cursor of one `write` is kept no earlier than everything before it there; of other changes of one write, which
/// concern different rows, a crash may leave any. A durable write is kept when it returns; another may be forgotten until the next durable one, which means that something is sent twice.
pub trait Store: Clone + Send + Sync + 'static {
    /// All endpoints in their stored form, by company.
    fn endpoints(&self) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>, Error>> + Send;

    /// Keeps an endpoint; durable on return.
    fn put_endpoint(&self, company: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Resolves when another process may have changed an endpoint or ordered something; never where there is none.
    /// Cancel-safe.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Orders of other processes that are not done yet, each with its name.
    fn orders(&self) -> impl Future<Output = Result<Vec<(String, Standing)>, Error>> + Send {
        async { Ok(Vec::new()) }
    }

    /// An order is done.
    fn done(&self, _order: &str) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// All that is kept of a partition.
    fn load(&self, partition: u16) -> impl Future<Output = Result<Kept, Error>> + Send;

    /// Makes changes.
    fn write(&self, changes: Vec<Change>, durable: bool) -> impl Future<Output = Result<(), Error>> + Send;
}
