//! The stream of signed heads: what the writers signed and where it is in their streams, so that opening need not read
//! a partition from its beginning.

use async_nats::jetstream::message::PublishMessage;

use super::stream::Stream;
use crate::{Error, Ledger, PartitionId, SignedHead};

/// Header with the stream sequence of the signed record. A hint: the record there must have the signed hash.
const SEQUENCE: &str = "Florin-Sequence";

/// The heads' stream of a ledger.
pub(super) struct Heads {
    pub(super) stream: Stream,
    /// `florin.<name>.heads`.
    pub(super) prefix: String,
}

impl Heads {
    fn subject(&self, partition: PartitionId) -> String {
        format!("{}.{:03}", self.prefix, partition.0)
    }

    pub(super) async fn publish(&self, head: &SignedHead, sequence: u64) -> Result<(), Error> {
        let failed = |error| Error::nats("publishing a signed head", error);
        let message =
            PublishMessage::build().header(SEQUENCE, sequence.to_string().as_str()).payload(head.to_json().into());
        let sent = self.stream.context.send_publish(self.subject(head.partition), message).await.map_err(failed)?;
        sent.await.map_err(failed)?;
        Ok(())
    }

    /// The last signed head of a partition, and the sequence of its record.
    pub(super) async fn last(
        &self,
        ledger: &Ledger,
        partition: PartitionId,
    ) -> Result<Option<(SignedHead, u64)>, Error> {
        let subject = self.subject(partition);
        let Some(found) = self.stream.last_of(&subject).await? else { return Ok(None) };
        let line = usize::try_from(found.sequence).unwrap_or(usize::MAX);
        let bad = || Error::Heads { path: format!("stream {}", self.stream.name).into(), line };
        let text = std::str::from_utf8(&found.payload).map_err(|_| bad())?;
        let head = SignedHead::from_json(text)
            .filter(|head| head.ledger == ledger.id && head.partition == partition)
            .ok_or_else(bad)?;
        let sequence = found.headers.get(SEQUENCE).and_then(|at| at.as_str().parse().ok()).ok_or_else(bad)?;
        Ok(Some((head, sequence)))
    }
}
