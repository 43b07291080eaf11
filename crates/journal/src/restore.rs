//! Filling an empty ledger with the records of another place, bytes and hashes unchanged.

use std::future::Future;

use crate::record::Loose;
use crate::{Chain, Error, Head, Ledger, PartitionId, Record};

/// An empty ledger that takes given records. Until [`finish`](Self::finish) it is not a ledger and does not open.
pub trait Restore: Send {
    /// Takes the next record of its partition: genesis of partition 0 first of all, then each partition's records in
    /// order, partitions one after another or interleaved. Verifies that it extends what was taken.
    fn push(&mut self, record: Loose) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes everything durable, signs the heads, and makes it a ledger. Every partition must have begun.
    fn finish(self) -> impl Future<Output = Result<Ledger, Error>> + Send;
}

/// Verifies records on their way into a target.
#[derive(Default)]
pub(crate) struct Verifier {
    ledger: Option<Ledger>,
    chains: Vec<Option<(Chain, Head)>>,
}

impl Verifier {
    /// Places the next record.
    pub(crate) fn push(&mut self, record: Loose) -> Result<Record, Error> {
        let (partition, index) = (record.partition(), record.index());
        let corrupt = |reason| Error::corrupt(partition, index, reason);
        let ledger = if let Some(ledger) = &self.ledger {
            ledger
        } else {
            let ledger = Ledger::from_genesis(&record).map_err(corrupt)?;
            self.chains = (0..ledger.partitions).map(|_| None).collect();
            self.ledger.insert(ledger)
        };
        let slot = self.chains.get_mut(usize::from(partition.0)).ok_or(Error::UnknownPartition(partition))?;
        if index == 0 {
            ledger.check_genesis(&record).map_err(corrupt)?;
        }
        let mut chain = slot.take().map_or_else(|| Chain::new(ledger.id, partition), |(chain, _)| chain);
        let record = chain.push(record).map_err(corrupt)?;
        *slot = Some((chain, record.head()));
        Ok(record)
    }

    /// The ledger and the head of every partition.
    pub(crate) fn finish(self) -> Result<(Ledger, Vec<Head>), Error> {
        let ledger = self.ledger.ok_or(Error::Unrestored(PartitionId(0)))?;
        let heads = ledger
            .partitions()
            .zip(self.chains)
            .map(|(partition, chain)| chain.map(|(_, head)| head).ok_or(Error::Unrestored(partition)));
        let heads = heads.collect::<Result<_, _>>()?;
        Ok((ledger, heads))
    }
}
