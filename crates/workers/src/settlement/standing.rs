//! Whether a request still stands, asked of the engine after the item was taken.
//!
//! Questions that come while one is under way share the next answer, so that many consumers cost the partition's loop
//! one listing at a time. An answer is only used by those who asked before it was begun.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use florin_engine::{
    agenda::Work,
    ids::{CardId, RequestId},
};
use florin_processor::{Error, wire::query::ASKED_MAX};
use tokio::sync::Mutex;

use crate::engine::Engine;

/// How many pieces of work are asked for at first; doubled while there are more. No more than one answer over NATS tells.
const ASK: usize = ASKED_MAX as usize;

/// What stands in a partition, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) works: Vec<Work>,
    /// Whether that is everything: over NATS no more than the oldest are told.
    pub(crate) whole: bool,
    by_request: HashMap<RequestId, usize>,
}

impl Listing {
    pub(crate) fn of(&self, request: RequestId) -> Option<&Work> {
        self.by_request.get(&request).map(|at| &self.works[*at])
    }
}

#[derive(Default)]
struct Latest {
    begun: u64,
    listing: Arc<Listing>,
}

#[derive(Default)]
struct Partition {
    begun: AtomicU64,
    latest: Mutex<Latest>,
}

/// Asks what stands.
pub(crate) struct Standing<E> {
    engine: E,
    partitions: Vec<Partition>,
}

impl<E: Engine> Standing<E> {
    pub(crate) fn new(engine: E, partitions: u16) -> Self {
        Self { engine, partitions: (0..partitions).map(|_| Partition::default()).collect() }
    }

    /// All that stands in a partition, as of some time after the call.
    pub(crate) async fn all(&self, number: u16) -> Result<Arc<Listing>, Error> {
        let Some(partition) = self.partitions.get(usize::from(number)) else {
            return Err(Error::Misrouted(florin_journal::PartitionId(number)));
        };
        let asked = partition.begun.load(Ordering::SeqCst);
        let mut latest = partition.latest.lock().await;
        if latest.begun > asked {
            return Ok(Arc::clone(&latest.listing));
        }
        let begun = partition.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let (mut max, mut before) = (ASK, 0);
        let (works, whole) = loop {
            let works = self.engine.work(number, max).await?;
            if works.len() < max {
                // As many as of half as many asked: more are not told.
                let whole = before == 0 || works.len() > before;
                break (works, whole);
            }
            (before, max) = (max, max.saturating_mul(2));
        };
        let by_request = works.iter().enumerate().map(|(at, work)| (work.request, at)).collect();
        *latest = Latest { begun, listing: Arc::new(Listing { works, whole, by_request }) };
        Ok(Arc::clone(&latest.listing))
    }

    /// What stands under a request. [`Error::Busy`] if it is not among the oldest, and these are all that is told: then it
    /// waits until some of them are settled, rather than being taken for over.
    pub(crate) async fn of(&self, partition: u16, request: RequestId) -> Result<Option<Work>, Error> {
        let listing = self.all(partition).await?;
        match listing.of(request) {
            None if !listing.whole => Err(Error::Busy { retry_after_ms: 1_000 }),
            found => Ok(found.copied()),
        }
    }

    /// What stands for a card.
    pub(crate) async fn of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        Ok(self.all(card.partition()).await?.works.iter().find(|work| work.card == card).copied())
    }
}
