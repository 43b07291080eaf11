//! What the workers need of the processor, so that tests can stand in for it.

use std::future::Future;

use florin_engine::{
    agenda::{Due, Work},
    command::Envelope,
    ids::CardId,
};
use florin_processor::{Error, Handle, Reply};

/// The processor, as workers see it: questions about what is to be done, and commands.
pub trait Engine: Clone + Send + Sync + 'static {
    /// Partitions of the ledger.
    fn partitions(&self) -> u16;

    /// Decides one command; resolves once its outcome is durable.
    fn submit(&self, envelope: Envelope) -> impl Future<Output = Result<Reply, Error>> + Send;

    /// What is to be brought to the issuer, oldest first, at most `max`; names only what is durable.
    fn work(&self, partition: u16, max: usize) -> impl Future<Output = Result<Vec<Work>, Error>> + Send;

    /// What is to be brought to the issuer for a card; names only what is durable.
    fn work_of_card(&self, card: CardId) -> impl Future<Output = Result<Option<Work>, Error>> + Send;

    /// What has fallen due, at most `max`.
    fn due(&self, partition: u16, max: usize) -> impl Future<Output = Result<Vec<Due>, Error>> + Send;
}

impl Engine for Handle {
    fn partitions(&self) -> u16 {
        Handle::partitions(self)
    }

    async fn submit(&self, envelope: Envelope) -> Result<Reply, Error> {
        Handle::submit(self, envelope).await
    }

    async fn work(&self, partition: u16, max: usize) -> Result<Vec<Work>, Error> {
        Handle::work(self, partition, max).await
    }

    async fn work_of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        Handle::work_of_card(self, card).await
    }

    async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        Handle::due(self, partition, max).await
    }
}
