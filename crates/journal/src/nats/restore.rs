//! A new ledger on NATS from given records: its genesis records, or all of another ledger.

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::pin::Pin;

use async_nats::Client;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::Config;
use ed25519_dalek::SigningKey;

use super::{Nats, Place, settings, signature};
use crate::record::Loose;
use crate::restore::{Restore, Verifier};
use crate::{Error, IN_FLIGHT_MAX, Ledger, SignedHead};

type AckFuture = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

/// A ledger on NATS that is being filled. Streams are made as their genesis comes, the heads' stream last: without
/// that one it does not open.
pub struct NatsRestore {
    place: Place,
    signing: SigningKey,
    verifier: Verifier,
    /// Published, by expected sequence, oldest first.
    answers: VecDeque<(u64, AckFuture)>,
}

impl NatsRestore {
    /// Begins. Refuses a name that has streams already.
    pub async fn start(
        client: Client,
        name: &str,
        signing: SigningKey,
        settings: super::Settings,
    ) -> Result<Self, Error> {
        let place = Place::new(client, name, settings).await?;
        for stream in [place.heads().stream, place.partition(crate::PartitionId(0))] {
            if stream.info().await?.is_some() {
                return Err(Error::Exists(stream.name));
            }
        }
        Ok(Self { place, signing, verifier: Verifier::default(), answers: VecDeque::new() })
    }

    pub(super) async fn record(&mut self, record: Loose) -> Result<(), Error> {
        let record = self.verifier.push(record)?;
        let stream = self.place.partition(record.partition());
        let (ledger, partition, expected) = (record.ledger(), record.partition(), record.index());
        let signature = signature::sign(&self.signing, ledger, partition, expected, record.hash());
        if expected == 0 {
            if stream.info().await?.is_some() {
                return Err(Error::Exists(stream.name));
            }
            let keys = [self.signing.verifying_key()];
            let description = Some(signature::description(record.partition(), &keys));
            let config = Config { description, ..self.place.config(&stream) };
            let made = stream.context.create_stream(config).await;
            made.map_err(|error| Error::nats("making a stream", error))?;
            return stored(stream.publish_first(record.shared(), &signature).await, expected);
        }
        let answer = stream.publish(expected, record.shared(), &signature).await?;
        self.answers.push_back((expected, answer.into_future()));
        while self.answers.len() >= IN_FLIGHT_MAX {
            self.settle().await?;
        }
        Ok(())
    }

    /// Waits for the oldest answer.
    async fn settle(&mut self) -> Result<(), Error> {
        let Some((expected, answer)) = self.answers.pop_front() else { return Ok(()) };
        stored(answer.await, expected)
    }

    pub(super) async fn done(mut self) -> Result<Nats, Error> {
        while !self.answers.is_empty() {
            self.settle().await?;
        }
        let (ledger, last) = self.verifier.finish()?;
        let heads = self.place.heads();
        let wanted = settings::stream_config(&heads.stream.name, &heads.stream.subject, self.place.settings.replicas);
        let made = heads.stream.context.create_stream(wanted).await;
        made.map_err(|error| Error::nats("making a stream", error))?;
        for (partition, head) in ledger.partitions().zip(last) {
            let signed = SignedHead::sign(ledger.id, partition, head, &self.signing);
            heads.publish(&signed, head.index + 1).await?;
        }
        let Place { client, name, settings, .. } = self.place;
        // On the heap: it is large.
        Box::pin(Nats::open(client, &name, Some(self.signing), settings)).await
    }
}

/// That a record is where it was to be.
fn stored(answer: Result<PublishAck, PublishError>, expected: u64) -> Result<(), Error> {
    let doing = "restoring a record (delete this ledger's streams and begin again)";
    let ack = answer.map_err(|error| Error::nats(doing, error))?;
    if ack.duplicate || ack.sequence != expected + 1 {
        return Err(Error::nats(doing, "it was stored elsewhere than expected"));
    }
    Ok(())
}

impl Restore for NatsRestore {
    async fn push(&mut self, record: Loose) -> Result<(), Error> {
        self.record(record).await
    }

    async fn finish(self) -> Result<Ledger, Error> {
        Ok(self.done().await?.shared.ledger.clone())
    }
}
