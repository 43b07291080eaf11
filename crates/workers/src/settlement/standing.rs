//! Whether a request still stands, asked of the engine after the item was taken.
//!
//! A request is asked about by its card, so that no amount of older work hides it. All that stands is only listed to find
//! what has no item; over NATS no more than the oldest are told.

use florin_engine::{
    agenda::Work,
    ids::{CardId, RequestId},
};
use florin_processor::{Error, wire::query::ASKED_MAX};

use crate::engine::Engine;

/// How many pieces of work are asked for at first; doubled while there are more. No more than one answer over NATS tells.
const ASK: usize = ASKED_MAX as usize;

/// What stands in a partition, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) works: Vec<Work>,
    /// Whether that is everything: over NATS no more than the oldest are told.
    pub(crate) whole: bool,
}

/// Asks what stands.
pub(crate) struct Standing<E> {
    engine: E,
}

impl<E: Engine> Standing<E> {
    pub(crate) fn new(engine: E) -> Self {
        Self { engine }
    }

    /// All that stands in a partition, or as much of it as is told.
    pub(crate) async fn all(&self, partition: u16) -> Result<Listing, Error> {
        let (mut max, mut before) = (ASK, 0);
        loop {
            let works = self.engine.work(partition, max).await?;
            if works.len() < max {
                // As many as of half as many asked: more are not told.
                let whole = before == 0 || works.len() > before;
                return Ok(Listing { works, whole });
            }
            (before, max) = (max, max.saturating_mul(2));
        }
    }

    /// What stands under a request of a card.
    pub(crate) async fn of(&self, card: CardId, request: RequestId) -> Result<Option<Work>, Error> {
        Ok(self.engine.work_of_card(card).await?.filter(|work| work.request == request))
    }
}
