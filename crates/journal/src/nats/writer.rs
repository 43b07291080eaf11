//! The writer: a task that seals, publishes several records ahead, and releases acknowledgements in order.

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use ed25519_dalek::SigningKey;
use tokio::sync::{Semaphore, mpsc};

use super::Shared;
use super::partition::Partition;
use super::pipeline::{Answer, Pipeline, Publish};
use super::rule::{Origin, Rule};
use crate::fate::Fate;
use crate::{Batch, Corruption, Error, Head, IN_FLIGHT_MAX, SignedHead, Writer};

/// Larger batches are hashed outside the runtime's threads: about 20 µs of work, and as much for signing.
const SEAL_INLINE_BYTES: usize = 16 << 10;
/// How often a writer with records in flight looks whether its connection was replaced.
const LOOK: Duration = Duration::from_millis(100);

/// Writer of the NATS provider. Dropping it stops sealing; what was published may or may not be stored.
pub struct NatsWriter {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    head: Head,
    /// Index and sequence of the claim.
    claim: (u64, u64),
    /// Sequence of any later record, less its index: void messages may lie right behind the claim.
    offset: u64,
    next_index: u64,
    time_ms: u64,
    work: mpsc::UnboundedSender<Batch>,
    acks: mpsc::UnboundedReceiver<Result<Head, Error>>,
    in_flight: Arc<Semaphore>,
    fate: Arc<OnceLock<Fate>>,
}

impl NatsWriter {
    pub(super) async fn start(shared: Arc<Shared>, partition: Arc<Partition>) -> Result<Self, Error> {
        let key = shared.signing.clone().ok_or(Error::ReadOnly)?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let (pipeline, rule) = partition.claim(nonce, &key).await?;
        let head = pipeline.head();
        let (work, todo) = mpsc::unbounded_channel();
        let (done, acks) = mpsc::unbounded_channel();
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let fate = Arc::new(OnceLock::new());
        let claim = (head.index, rule.valid_sequence());
        let offset = rule.sequence() - head.index;
        let task = Task {
            connects: shared.connects(),
            shared: shared.clone(),
            ended: false,
            partition: partition.clone(),
            key,
            pipeline: Some(pipeline),
            rule,
            todo,
            done,
            in_flight: in_flight.clone(),
            fate: fate.clone(),
            answers: VecDeque::new(),
        };
        tokio::spawn(task.run());
        let (next_index, time_ms) = (head.index + 1, head.time_ms);
        let mut writer =
            Self { shared, partition, head, claim, offset, next_index, time_ms, work, acks, in_flight, fate };
        // A place to begin for whoever opens next: no more than this term has to be read.
        writer.sign_head().await?;
        Ok(writer)
    }

    fn finished(&self) -> Error {
        self.fate.get().map_or_else(|| Error::Dead("the writer's task has ended".into()), Fate::error)
    }
}

impl Writer for NatsWriter {
    fn head(&self) -> Head {
        self.head
    }

    fn next_index(&self) -> u64 {
        self.next_index
    }

    async fn submit(&mut self, batch: Batch) -> Result<u64, Error> {
        if batch.is_empty() {
            return Err(Error::EmptyBatch);
        }
        if batch.first_time_ms < self.time_ms {
            return Err(Error::TimeBack { last: self.time_ms, found: batch.first_time_ms });
        }
        let permit = self.in_flight.acquire().await.map_err(|_| self.finished())?;
        let time_ms = batch.last_time_ms;
        if self.work.send(batch).is_err() {
            return Err(self.finished());
        }
        // The task gives the permit back when the record is durable.
        permit.forget();
        self.time_ms = time_ms;
        self.next_index += 1;
        Ok(self.next_index - 1)
    }

    async fn acked(&mut self) -> Result<Head, Error> {
        match self.acks.recv().await {
            Some(Ok(head)) => {
                self.head = head;
                Ok(head)
            }
            Some(Err(error)) => Err(error),
            None => Err(self.finished()),
        }
    }

    async fn sign_head(&mut self) -> Result<SignedHead, Error> {
        if self.fate.get().is_some() {
            return Err(self.finished());
        }
        let (index, place) = self.claim;
        let sequence = if self.head.index == index { place } else { self.offset + self.head.index };
        self.shared.publish_head(self.partition.id, self.head, sequence).await
    }
}

type AckFuture = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

struct Task {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    /// Signs what is published.
    key: SigningKey,
    /// Away while a large batch is sealed elsewhere.
    pipeline: Option<Pipeline>,
    /// The writer is gone: nothing more will be submitted.
    ended: bool,
    /// As of the last acknowledged record.
    rule: Rule,
    todo: mpsc::UnboundedReceiver<Batch>,
    done: mpsc::UnboundedSender<Result<Head, Error>>,
    in_flight: Arc<Semaphore>,
    fate: Arc<OnceLock<Fate>>,
    /// Published and not yet released, oldest first.
    answers: VecDeque<(Publish, AckFuture)>,
    /// How often the client had connected when this writer claimed.
    connects: u64,
}

impl Task {
    async fn run(mut self) {
        if let Err(doubt) = self.write().await {
            self.end(doubt).await;
        }
    }

    /// Until the writer is dropped, or until the first doubt.
    async fn write(&mut self) -> Result<(), Error> {
        let mut look = tokio::time::interval(LOOK);
        while !self.ended || !self.answers.is_empty() {
            tokio::select! {
                biased;
                answer = oldest(&mut self.answers), if !self.answers.is_empty() => self.release(answer)?,
                batch = self.todo.recv(), if !self.ended && self.answers.len() < IN_FLIGHT_MAX => match batch {
                    Some(batch) => self.publish(batch).await?,
                    None => self.ended = true,
                },
                _ = look.tick(), if !self.answers.is_empty() => {
                    if self.shared.connects() != self.connects {
                        return Err(doubt("the connection was lost with records in flight"));
                    }
                }
            }
        }
        Ok(())
    }

    async fn publish(&mut self, batch: Batch) -> Result<(), Error> {
        // An acknowledgement of an earlier connection may have gone with it, a new one cannot be in order then.
        if self.shared.connects() != self.connects && !self.answers.is_empty() {
            return Err(doubt("the connection was lost with records in flight"));
        }
        let Some(mut pipeline) = self.pipeline.take() else {
            return Err(doubt("sealing a record failed"));
        };
        let (pipeline, sealed) = if batch.bytes() <= SEAL_INLINE_BYTES {
            let sealed = seal(&mut pipeline, batch, &self.partition, &self.key);
            (pipeline, sealed)
        } else {
            let (partition, key) = (self.partition.clone(), self.key.clone());
            let elsewhere = tokio::task::spawn_blocking(move || {
                let sealed = seal(&mut pipeline, batch, &partition, &key);
                (pipeline, sealed)
            });
            elsewhere.await.map_err(|_| doubt("sealing a record failed"))?
        };
        self.pipeline = Some(pipeline);
        let corrupt = |reason: Corruption| Error::corrupt(self.partition.id, self.rule.chain().next_index(), reason);
        let (publish, signature) = sealed.map_err(corrupt)?;
        if self.answers.is_empty() {
            self.connects = self.shared.connects();
        }
        let answer = self.partition.stream.publish(publish.expected, publish.record.shared(), &signature).await?;
        self.answers.push_back((publish, answer.into_future()));
        Ok(())
    }

    /// Takes the oldest answer; an error is the first doubt.
    fn release(&mut self, answer: Result<PublishAck, PublishError>) -> Result<(), Error> {
        let Some((publish, _)) = self.answers.pop_front() else { return Ok(()) };
        let (answer, cause) = match answer {
            Ok(ack) if ack.duplicate => (Answer::Doubt, None),
            Ok(ack) => (Answer::Stored(ack.sequence), None),
            Err(error) => (Answer::Doubt, Some(error)),
        };
        let head = self.pipeline.as_mut().and_then(|pipeline| pipeline.answer(answer));
        let Some(head) = head else {
            return Err(match cause {
                Some(error) => Error::nats("publishing a record", error),
                None => doubt("the server stored a record elsewhere than expected"),
            });
        };
        let origin = Origin::Writer { expected: publish.expected };
        self.rule.push(publish.expected + 1, origin, Ok(publish.record))?;
        self.partition.saw(&self.rule);
        // Nobody left to tell is no failure: the record is durable all the same.
        let _ = self.done.send(Ok(head));
        self.in_flight.add_permits(1);
        Ok(())
    }

    /// Says whether the doubt is a deposition; nothing is published any more.
    async fn end(self, doubt: Error) {
        let partition = self.partition.id;
        let term = self.rule.chain().term();
        let tail = tokio::time::timeout(self.partition.stream.patience, self.partition.refresh()).await;
        let deposed = matches!(&tail, Ok(Ok(tail)) if tail.chain().term() > term);
        let error = if deposed { Error::Deposed(partition) } else { doubt };
        tracing::warn!(partition = partition.0, %error, "journal writer is dead");
        let _ = self.fate.set(Fate::of(&error));
        // Closed first: who has seen the error can submit no more.
        self.in_flight.close();
        let _ = self.done.send(Err(error));
    }
}

/// The next record and its signature.
fn seal(
    pipeline: &mut Pipeline,
    batch: Batch,
    partition: &Partition,
    key: &SigningKey,
) -> Result<(Publish, String), Corruption> {
    let publish = pipeline.seal(batch)?;
    let signature = partition.sign(key, &publish);
    Ok((publish, signature))
}

fn doubt(what: &str) -> Error {
    Error::nats("publishing a record", what)
}

async fn oldest(answers: &mut VecDeque<(Publish, AckFuture)>) -> Result<PublishAck, PublishError> {
    match answers.front_mut() {
        Some((_, answer)) => answer.await,
        None => std::future::pending().await,
    }
}
