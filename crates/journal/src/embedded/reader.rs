//! The reader: from memory what is recent, else from disk, verified either way.

use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use super::partition::Partition;
use super::recover;
use super::segment::Segment;
use crate::record::Loose;
use crate::{Chain, Error, Head, Reader, Record};

/// Reader of the embedded provider. Reads files on the caller's thread, one record at a time.
pub struct EmbeddedReader {
    partition: Arc<Partition>,
    chain: Chain,
    durable: watch::Receiver<Head>,
    /// Where the next record is, if the last one came from disk.
    next: Option<(Arc<Segment>, u64)>,
    _shared: Arc<Shared>,
}

impl EmbeddedReader {
    pub(super) fn start(shared: Arc<Shared>, partition: Arc<Partition>, from: u64) -> Result<Self, Error> {
        let chain = match from.checked_sub(1) {
            None => Chain::new(partition.ledger.id, partition.id),
            Some(last) => {
                partition.exists(last)?;
                recover::chain_after(partition.id, &partition.segments(), last)?.0
            }
        };
        Ok(Self { durable: partition.watch(), partition, chain, next: None, _shared: shared })
    }

    fn ready(&mut self) -> Result<Option<Record>, Error> {
        let index = self.chain.next_index();
        if index > self.durable.borrow_and_update().index {
            return Ok(None);
        }
        let loose = if let Some(record) = self.partition.recent(index) {
            self.next = None;
            Loose::clone(&record)
        } else {
            self.read_disk(index)?
        };
        let place = |reason| Error::corrupt(self.partition.id, index, reason);
        if index == 0 {
            self.partition.ledger.check_genesis(&loose).map_err(place)?;
        }
        self.chain.push(loose).map(Some).map_err(place)
    }

    fn read_disk(&mut self, index: u64) -> Result<Loose, Error> {
        let (segment, offset) = match self.next.take() {
            // At the end of its segment the next record is at the start of another.
            Some((segment, offset)) if !self.partition.segments_start(index) => (segment, offset),
            _ => self.partition.locate(index)?,
        };
        let loose = segment.record(index, offset)?;
        self.next = Some((segment, offset + loose.bytes().len() as u64));
        Ok(loose)
    }
}

impl Reader for EmbeddedReader {
    async fn next(&mut self) -> Result<Record, Error> {
        loop {
            if let Some(record) = self.ready()? {
                return Ok(record);
            }
            // The partition, which this reader holds, owns the sender: it cannot be gone.
            if self.durable.changed().await.is_err() {
                return Err(Error::Dead("the journal is closed".into()));
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Record>, Error> {
        self.ready()
    }
}
