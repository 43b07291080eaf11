//! The stream of signed heads: what the writers signed and where it is in their streams, so that opening need not read
//! a partition from its beginning.

use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;

use super::stream::Stream;
use crate::{Error, Ledger, PartitionId, SignedHead};

/// How many messages that are nobody's heads are passed over to find the last one.
const NOISE_MAX: usize = 64;
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
        let (sequence, text) = (sequence.to_string(), Bytes::from(head.to_json()));
        let message = || PublishMessage::build().header(SEQUENCE, sequence.as_str()).payload(text.clone());
        let stored = self.stream.publish_heard(&self.subject(head.partition), message).await;
        stored.map_err(|error| Error::nats("publishing a signed head", error))?;
        Ok(())
    }

    /// The last head of a partition that a writer signed, and the sequence of its record. Others may have put messages
    /// there as they may in a journal's stream: they are passed over. `None` is never an error: the partition is read
    /// from its beginning.
    pub(super) async fn last(
        &self,
        ledger: &Ledger,
        partition: PartitionId,
        keys: &[VerifyingKey],
    ) -> Result<Option<(SignedHead, u64)>, Error> {
        let subject = self.subject(partition);
        let mut found = self.stream.last_of(&subject).await?;
        for _ in 0..NOISE_MAX {
            let Some(message) = found else { return Ok(None) };
            if let Some(head) = read(&message, ledger, partition, keys).filter(|_| message.subject.as_str() == subject)
            {
                return Ok(Some(head));
            }
            found = match message.sequence {
                0 | 1 => None,
                sequence => self.stream.raw(sequence - 1).await?,
            };
        }
        let stream = &self.stream.name;
        tracing::warn!(partition = partition.0, stream, "no signed head among the last messages: reading everything");
        Ok(None)
    }
}

fn read(
    message: &StreamMessage,
    ledger: &Ledger,
    partition: PartitionId,
    keys: &[VerifyingKey],
) -> Option<(SignedHead, u64)> {
    let head = SignedHead::from_json(std::str::from_utf8(&message.payload).ok()?)?;
    let ours = head.ledger == ledger.id && head.partition == partition && keys.iter().any(|key| head.verify(key));
    let sequence = message.headers.get(SEQUENCE)?.as_str().parse().ok()?;
    ours.then_some((head, sequence))
}
