//! The contracts of a journal, for every provider. [`crate::conformance`] is the same text as tests.

use std::future::Future;

use crate::{Batch, Error, Hash, Head, Ledger, PartitionId, Record, SignedHead};

/// A ledger's journal.
///
/// A record is acknowledged only when it is durable. Records of a partition are in order, without gaps. A deposed
/// writer can never append a record that counts. A reader sees exactly the durable valid records, in order, from any
/// index. A torn tail that was never acknowledged is cut by the next claim; anything else that does not fit is
/// [`Error::Corrupt`]: nothing is skipped and nothing written over. A partition that is missing or shorter than
/// remembered is an error with advice, never a fresh start.
pub trait Provider: Clone + Send + Sync + 'static {
    /// Appends to one partition.
    type Writer: Writer;
    /// Follows one partition.
    type Reader: Reader;

    /// The ledger.
    fn ledger(&self) -> &Ledger;

    /// Claims the partition: recovers the tail, appends a claim record with the next term and a random nonce, and
    /// returns the only writer. An earlier writer is deposed: what it submits from then on is refused with
    /// [`Error::Deposed`], and what it had not been acknowledged for is either before the claim or nowhere.
    fn claim(&self, partition: PartitionId) -> impl Future<Output = Result<Self::Writer, Error>> + Send;

    /// Reads from record `from` on (0 is genesis). `from` is at most the next index, else [`Error::Shorter`].
    fn reader(&self, partition: PartitionId, from: u64) -> impl Future<Output = Result<Self::Reader, Error>> + Send;

    /// One durable record by index, without a scan from genesis; else [`Error::Shorter`].
    fn read(&self, partition: PartitionId, index: u64) -> impl Future<Output = Result<Record, Error>> + Send;

    /// The durable head.
    fn head(&self, partition: PartitionId) -> impl Future<Output = Result<Head, Error>> + Send;

    /// Compares somebody's checkpoint with the journal: [`Error::Shorter`] if the record is not there,
    /// [`Error::Mismatch`] if another one is.
    fn confirm(&self, partition: PartitionId, index: u64, hash: Hash)
    -> impl Future<Output = Result<(), Error>> + Send;
}

/// The only writer of a partition, until deposed.
///
/// Every error but [`Error::EmptyBatch`] and [`Error::TimeBack`] is final: the writer is dead, and what became of
/// unacknowledged records is unknown until the partition is claimed again.
pub trait Writer: Send + 'static {
    /// Head of the last acknowledgement taken from [`acked`](Self::acked); the claim before that.
    fn head(&self) -> Head;

    /// Index that the next submitted record will get.
    fn next_index(&self) -> u64;

    /// Hands a batch over and returns its index. Hashing, writing and syncing happen elsewhere. Waits only while
    /// [`IN_FLIGHT_MAX`](crate::IN_FLIGHT_MAX) records are not yet durable. Take acknowledgements as they come:
    /// those not taken are kept.
    fn submit(&mut self, batch: Batch) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Next acknowledgement, in order, one per submitted record; waits for one. Cancel-safe.
    fn acked(&mut self) -> impl Future<Output = Result<Head, Error>> + Send;

    /// Signs [`head`](Self::head) and publishes the signature where an auditor finds it.
    fn sign_head(&mut self) -> impl Future<Output = Result<SignedHead, Error>> + Send;
}

/// Follows a partition.
pub trait Reader: Send + 'static {
    /// Next record; waits until one is durable. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<Record, Error>> + Send;

    /// Next record if it is already durable. Cancel-safe.
    fn try_next(&mut self) -> impl Future<Output = Result<Option<Record>, Error>> + Send;
}
