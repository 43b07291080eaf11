//! Dead letters, for ops: see, retry, drop.

use crate::queue::{Error, ItemId, Letter, Queue};

/// The dead letters of a queue.
#[derive(Clone, Debug)]
pub struct DeadLetters<Q> {
    queue: Q,
}

impl<Q: Queue> DeadLetters<Q> {
    /// Those of a queue.
    pub const fn new(queue: Q) -> Self {
        Self { queue }
    }

    /// All of them, the oldest first.
    pub async fn list(&self) -> Result<Vec<Letter>, Error> {
        self.queue.letters().await
    }

    /// One of them.
    pub async fn get(&self, id: ItemId) -> Result<Letter, Error> {
        let letters = self.queue.letters().await?;
        letters.into_iter().find(|letter| letter.item.id() == id).ok_or(Error::NoLetter(id))
    }

    /// Has one tried again from the beginning. [`Error::NoLetter`] if there is none of this id, [`Error::Leased`] while it
    /// is being tried.
    pub async fn retry(&self, id: ItemId) -> Result<(), Error> {
        tracing::info!(item = %id, "ops retry a dead letter");
        self.queue.retry(id).await
    }

    /// Drops one. While the engine still waits for its answer, the sweeper brings the work back as a new item: nothing is
    /// lost silently. [`Error::NoLetter`] if there is none of this id, [`Error::Leased`] while it is being tried.
    pub async fn discard(&self, id: ItemId) -> Result<(), Error> {
        tracing::warn!(item = %id, "ops drop a dead letter");
        self.queue.discard(id).await
    }
}
