//! The reader: a task follows the stream through reconnects and changes of leaders; the rule is applied on this side.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::Shared;
use super::partition::{Partition, push};
use super::rule::{Rule, Verdict};
use super::signature::Origined;
use super::stream::{Stream, delivered};
use crate::header::Header;
use crate::{Error, Reader, Record};

/// Messages read ahead of the taker, at most 1 MiB each.
const AHEAD: usize = 16;
/// Pause before a dead consumer is replaced.
const AGAIN: Duration = Duration::from_millis(200);

/// Reader of the NATS provider. It waits for servers that are away, without bound; that their stream was replaced
/// meanwhile is an error.
pub struct NatsReader {
    partition: Arc<Partition>,
    rule: Rule,
    messages: mpsc::Receiver<Result<Origined, Error>>,
    /// Last sequence that the leader had when it was asked.
    durable: u64,
    _shared: Arc<Shared>,
}

impl NatsReader {
    pub(super) async fn start(shared: Arc<Shared>, partition: Arc<Partition>, from: u64) -> Result<Self, Error> {
        let rule = match from.checked_sub(1) {
            None => Rule::new(partition.ledger.clone(), partition.id),
            Some(last) => {
                partition.exists(last).await?;
                let rule = partition.rule();
                let there = rule.head().is_some_and(|head| head.index == last);
                if there { rule } else { partition.rule_after(last).await? }
            }
        };
        let (ahead, messages) = mpsc::channel(AHEAD);
        let follower = Follower {
            stream: partition.stream.clone(),
            partition: partition.clone(),
            next: rule.sequence() + 1,
            last: None,
            ahead,
        };
        tokio::spawn(follower.run());
        let durable = rule.sequence();
        Ok(Self { partition, rule, messages, durable, _shared: shared })
    }

    fn take(&mut self, message: Option<Result<Origined, Error>>) -> Result<Option<Record>, Error> {
        let message = message.ok_or_else(|| Error::Dead("the reader has failed before".into()))??;
        let verdict = push(&mut self.rule, message)?;
        self.partition.saw(&self.rule);
        Ok(match verdict {
            Verdict::Valid(record) => Some(record),
            Verdict::Void(void) => {
                let (partition, sequence) = (self.partition.id.0, self.rule.sequence());
                tracing::debug!(partition, sequence, ?void, "a message that is no record");
                None
            }
        })
    }
}

impl Reader for NatsReader {
    async fn next(&mut self) -> Result<Record, Error> {
        loop {
            let message = self.messages.recv().await;
            if let Some(record) = self.take(message)? {
                return Ok(record);
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let message = match self.messages.try_recv() {
                Ok(message) => Some(message),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    if self.rule.sequence() >= self.durable {
                        self.durable = self.partition.stream.last().await?;
                    }
                    if self.rule.sequence() >= self.durable {
                        return Ok(None);
                    }
                    self.messages.recv().await
                }
            };
            if let Some(record) = self.take(message)? {
                return Ok(Some(record));
            }
        }
    }
}

struct Follower {
    stream: Stream,
    partition: Arc<Partition>,
    next: u64,
    /// Payload of the last message, to know the stream again after an interruption.
    last: Option<Bytes>,
    ahead: mpsc::Sender<Result<Origined, Error>>,
}

impl Follower {
    async fn run(mut self) {
        let ahead = self.ahead.clone();
        tokio::select! {
            error = self.follow() => {
                // Nobody left to tell: the reader is gone.
                let _ = ahead.send(Err(error)).await;
            }
            () = ahead.closed() => {}
        }
    }

    /// Until the reader is gone or the stream is not the one it was.
    async fn follow(&mut self) -> Error {
        loop {
            match self.stream.messages(self.next).await {
                Ok(mut messages) => {
                    let mut first = true;
                    while let Some(Ok(message)) = messages.next().await {
                        let message = match delivered(message) {
                            Ok(message) => message,
                            Err(error) => return error,
                        };
                        // Behind a lost delivery a new consumer begins where it is missing; a gap right at its
                        // beginning is the stream's, and for the rule to judge.
                        if message.sequence > self.next && !first {
                            break;
                        }
                        if message.sequence < self.next {
                            continue;
                        }
                        first = false;
                        let payload = message.payload.clone();
                        let message = match self.partition.examine(message).await {
                            Ok(message) => message,
                            // Whose it is cannot be told just now: it is asked for again.
                            Err(Error::Nats { .. }) => break,
                            Err(error) => return error,
                        };
                        self.next = message.sequence + 1;
                        self.last = Some(payload);
                        if self.ahead.send(Ok(message)).await.is_err() {
                            return Error::Dead("the reader is gone".into());
                        }
                    }
                }
                Err(error @ Error::Missing { .. }) => return error,
                Err(error) => tracing::debug!(stream = self.stream.name, %error, "a stream cannot be followed"),
            }
            tokio::time::sleep(AGAIN).await;
            match self.same().await {
                Ok(()) | Err(Error::Nats { .. }) => {}
                Err(error) => return error,
            }
        }
    }

    /// After an interruption: is the last message still what and where it was?
    async fn same(&self) -> Result<(), Error> {
        let partition = self.partition.id;
        let last = self.stream.last().await?;
        let Some(payload) = self.last.as_ref() else {
            // Nothing was read yet but by whoever told us where to begin.
            return if last + 1 >= self.next {
                Ok(())
            } else {
                Err(Error::Shorter { partition, index: self.next - 1, next: last })
            };
        };
        let index = Header::decode(payload).map_or(self.next - 1, |(header, _)| header.index);
        match self.stream.get(self.next - 1).await? {
            Some(message) if message.payload == *payload => Ok(()),
            Some(_) => Err(Error::Mismatch { partition, index }),
            None => Err(Error::Shorter { partition, index, next: last }),
        }
    }
}
