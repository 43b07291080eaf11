//! One stream of a ledger: what is asked of the server, with bounded patience.

use std::time::{Duration, Instant};

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SEQUENCE};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, GetStreamErrorKind};
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::signature;
use crate::Error;
use crate::hash::unhex;

/// Server's code for a sequence without a message.
const NO_MESSAGE: u64 = 10037;
/// Up to how many messages are asked for one by one, from the leader, rather than through a consumer.
const SINGLY_MAX: u64 = 16;
/// Messages of one pull; the next is asked for at half.
const PULL: usize = 64;
/// After two of these without a sign the consumer is taken for dead.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A stored message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) sequence: u64,
    /// The expected last sequence that it was published with.
    pub(super) expected: Option<u64>,
    /// The signature that came with it, of whomever.
    pub(super) signature: Option<[u8; 64]>,
    pub(super) payload: Bytes,
}

/// A stream by name.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) context: Context,
    pub(super) name: String,
    pub(super) subject: String,
    /// How long one question is repeated.
    pub(super) patience: Duration,
}

impl Stream {
    /// The leader's view of configuration and state; `None` if there is no such stream.
    pub(super) async fn info(&self) -> Result<Option<Info>, Error> {
        let until = Instant::now() + self.patience;
        loop {
            let error = match self.context.get_stream(&self.name).await {
                Ok(stream) => return Ok(Some(stream.cached_info().clone())),
                Err(error) => error,
            };
            if let GetStreamErrorKind::JetStream(cause) = error.kind()
                && cause.error_code() == ErrorCode::STREAM_NOT_FOUND
            {
                return Ok(None);
            }
            pause(until).await.ok_or_else(|| Error::nats("asking for a stream", error))?;
        }
    }

    /// Last sequence at the leader; an error if the stream is gone.
    pub(super) async fn last(&self) -> Result<u64, Error> {
        Ok(self.present().await?.state.last_sequence)
    }

    /// [`info`](Self::info); an error if the stream is gone.
    pub(super) async fn present(&self) -> Result<Info, Error> {
        self.info().await?.ok_or_else(|| self.missing())
    }

    pub(super) fn missing(&self) -> Error {
        Error::Missing {
            path: format!("stream {}", self.name).into(),
            advice: "restore it from a backup or import the ledger under another name; only `create` makes streams \
                     (if `create` was interrupted, delete this ledger's streams and create again)",
        }
    }

    /// One message by sequence, from the leader.
    pub(super) async fn get(&self, sequence: u64) -> Result<Option<Message>, Error> {
        let found = self.ask(None, sequence).await?;
        Ok(found.map(|found| message(found.sequence, Some(&found.headers), found.payload)))
    }

    /// One message by sequence with all that is stored, from the leader.
    pub(super) async fn raw(&self, sequence: u64) -> Result<Option<StreamMessage>, Error> {
        self.ask(None, sequence).await
    }

    /// Last message of a subject, from the leader.
    pub(super) async fn last_of(&self, subject: &str) -> Result<Option<StreamMessage>, Error> {
        self.ask(Some(subject), 0).await
    }

    async fn ask(&self, subject: Option<&str>, sequence: u64) -> Result<Option<StreamMessage>, Error> {
        let doing = "reading a message";
        let until = Instant::now() + self.patience;
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(|error| Error::nats(doing, error))?;
        loop {
            let found = match subject {
                Some(subject) => stream.get_last_raw_message_by_subject(subject).await,
                None => stream.get_raw_message(sequence).await,
            };
            let error = match found {
                Ok(found) => return Ok(Some(found)),
                Err(error) => error,
            };
            match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                LastRawMessageErrorKind::JetStream(cause) if cause.error_code().0 == NO_MESSAGE => return Ok(None),
                LastRawMessageErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    return Err(self.missing());
                }
                _ => pause(until).await.ok_or_else(|| Error::nats(doing, error))?,
            }
        }
    }

    /// Hands every message from `from` to `to` over, in order. Gaps are the taker's to see.
    pub(super) async fn range(
        &self,
        from: u64,
        to: u64,
        mut take: impl FnMut(Message) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut next = from;
        if to.saturating_sub(from) < SINGLY_MAX {
            while next <= to {
                if let Some(message) = self.get(next).await? {
                    take(message)?;
                }
                next += 1;
            }
            return Ok(());
        }
        let until = Instant::now() + self.patience;
        while next <= to {
            let before = next;
            let mut messages = self.messages(next).await?;
            while next <= to {
                let Some(Ok(message)) = messages.next().await else { break };
                let message = delivered(message)?;
                if message.sequence > to {
                    return Ok(());
                }
                next = message.sequence + 1;
                take(message)?;
            }
            if next == before {
                pause(until).await.ok_or_else(|| Error::nats("reading a stream", "no message came"))?;
            }
        }
        Ok(())
    }

    /// Messages from a sequence on, pulled ahead, until the consumer dies.
    pub(super) async fn messages(&self, from: u64) -> Result<pull::Stream, Error> {
        let until = Instant::now() + self.patience;
        loop {
            match self.consume(from).await {
                Ok(messages) => return Ok(messages),
                Err(error) => {
                    if self.info().await?.is_none() {
                        return Err(self.missing());
                    }
                    pause(until).await.ok_or_else(|| Error::nats("following a stream", error))?;
                }
            }
        }
    }

    async fn consume(&self, from: u64) -> Result<pull::Stream, Box<dyn std::error::Error + Send + Sync>> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_mins(1),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, self.name.as_str()).await?;
        let pulls = consumer.stream().max_messages_per_batch(PULL).heartbeat(HEARTBEAT);
        Ok(pulls.expires(Duration::from_secs(20)).messages().await?)
    }

    /// Hands a message over to be stored if the stream ends with `expected`.
    pub(super) async fn publish(
        &self,
        expected: u64,
        payload: Bytes,
        signature: &str,
    ) -> Result<PublishAckFuture, Error> {
        let sent = self.context.send_publish(self.subject.clone(), record(expected, payload, signature)).await;
        sent.map_err(|error| Error::nats("publishing a record", error))
    }

    /// Stores the first message of a stream that was just made.
    pub(super) async fn publish_first(&self, payload: Bytes, signature: &str) -> Result<PublishAck, PublishError> {
        self.publish_heard(&self.subject, || record(0, payload.clone(), signature)).await
    }

    /// Publishes until some server hears it. A stream that was just made, or whose leader is gone, listens nowhere for
    /// a moment; what nobody heard was not stored and can be said again.
    pub(super) async fn publish_heard(
        &self,
        subject: &str,
        message: impl Fn() -> PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let until = Instant::now() + self.patience;
        loop {
            let error = match self.context.send_publish(subject.to_owned(), message()).await?.await {
                Ok(ack) => return Ok(ack),
                Err(error) => error,
            };
            if error.kind() != PublishErrorKind::StreamNotFound || pause(until).await.is_none() {
                return Err(error);
            }
        }
    }
}

fn record(expected: u64, payload: Bytes, signature: &str) -> PublishMessage {
    let message = PublishMessage::build().payload(payload).expected_last_sequence(expected);
    message.header(signature::HEADER, signature)
}

/// A message as a consumer delivers it.
pub(super) fn delivered(delivered: async_nats::jetstream::Message) -> Result<Message, Error> {
    let doing = "reading a delivered message";
    let sequence = delivered.info().map_err(|error| Error::nats(doing, error))?.stream_sequence;
    let raw = delivered.message;
    Ok(message(sequence, raw.headers.as_ref(), raw.payload))
}

fn message(sequence: u64, headers: Option<&HeaderMap>, payload: Bytes) -> Message {
    let expected = headers.and_then(|headers| headers.get(NATS_EXPECTED_LAST_SEQUENCE));
    let expected = expected.and_then(|expected| expected.as_str().parse().ok());
    let signature = headers.and_then(|headers| headers.get(signature::HEADER));
    let signature = signature.and_then(|signature| unhex(signature.as_str()));
    Message { sequence, expected, signature, payload }
}

/// Waits a little; `None` once patience is over.
pub(super) async fn pause(until: Instant) -> Option<()> {
    if Instant::now() >= until {
        return None;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Some(())
}
