//! The handle's remote side: commands and questions as NATS requests.
//!
//! A request that finds nobody, is told that the partition moves, or gets no answer in time is sent again, the very same
//! with the same key, until the total time is over; the idempotency key sees to it that it happens once. What became of it
//! when the time is over is unknown, as if a processor had died: the caller gets *busy*, and asks again with the same key.
//!
//! Bounds: requests in flight are counted; beyond that the answer is *busy* at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::{Request, RequestErrorKind};
use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Message};
use florin_engine::{
    agenda::{Due, Work},
    codec::Outcome,
    command::{Class, Command, Envelope},
    ids::CardId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::Error;
use crate::handle::{BATCH_COMMANDS_MAX, Reply, Status, route};
use crate::reversal::Reversal;
use crate::wire::fault::Fault;
use crate::wire::query::{self, ASKED_MAX, Ask, AskWork};
use crate::wire::{BINARY, CONTENT_TYPE, What, command};

/// Settings of a remote handle.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a request is tried in all (default 10 s).
    pub total: Duration,
    /// How long the first try waits for its answer, each further one twice as long (default 2 s).
    pub attempt: Duration,
    /// Requests in flight, beyond which the answer is *busy* (default 16,384).
    pub in_flight: usize,
    /// How long a reversal is tried, of an approval whose caller has given up (default 10 min).
    pub reversal: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(10),
            attempt: Duration::from_secs(2),
            in_flight: 16_384,
            reversal: Duration::from_mins(10),
        }
    }
}

/// First and longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// What a caller is told to wait after the total time.
const RETRY_AFTER_MS: u64 = 1_000;

/// Reversals under way, beyond which one is only logged: the network reverses by itself in the end.
const REVERSALS_MAX: usize = 65_536;

/// The remote side of a handle; cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Inner>);

struct Inner {
    client: Client,
    ledger: String,
    partitions: u16,
    options: Options,
    in_flight: Semaphore,
    reversals: Arc<Semaphore>,
}

impl Remote {
    pub(crate) fn new(client: Client, ledger: &str, partitions: u16, options: Options) -> Self {
        let in_flight = Semaphore::new(options.in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let reversals = Arc::new(Semaphore::new(REVERSALS_MAX));
        Self(Arc::new(Inner { client, ledger: ledger.to_owned(), partitions, options, in_flight, reversals }))
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.0.partitions
    }

    pub(crate) async fn single(&self, envelope: Envelope, deadline: Option<Instant>) -> Result<Reply, Error> {
        let partition = route(&envelope);
        let class = envelope.class;
        // As in process: who stops waiting for an approval has it reversed.
        let mut waiting =
            (class == Class::Network).then(|| Abandoned { remote: self.clone(), of: Some(envelope.clone()) });
        let most = self.most();
        let until = Instant::now() + self.0.options.total;
        let payload = |left: Option<Duration>| {
            let left = left.map(|left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1));
            let mut payload = command::begin(class, left);
            command::push(&mut payload, &envelope, most).then_some(payload).ok_or(Error::CommandTooLarge)
        };
        let answered = self.tried(What::Command(class), partition, until, deadline, payload).await;
        // What the service said of itself is certain; what it did not come to say leaves the approval to be reversed.
        let uncertain = matches!(answered, Err(Failed::Over { .. } | Failed::Told(Error::Stopped { .. })));
        let told = match answered {
            Ok(answer) => {
                let replies = command::read_answer(&answer.payload).map_err(|error| unreadable(&error))?;
                // One that this side cannot read may be an approval: nobody has heard it then.
                Ok(replies.into_iter().next().ok_or_else(|| unreadable(&"it is empty"))?)
            }
            Err(failed) => Err(failed.into()),
        };
        if let Some(waiting) = waiting.as_mut().filter(|_| !uncertain) {
            waiting.of = None;
        }
        told
    }

    pub(crate) async fn batch(&self, partition: u16, envelopes: Vec<Envelope>) -> Result<Vec<Reply>, Error> {
        self.known(partition)?;
        if envelopes.len() > BATCH_COMMANDS_MAX {
            return Err(Error::BatchTooLarge { max: BATCH_COMMANDS_MAX, found: envelopes.len() });
        }
        if let Some(astray) = envelopes.iter().map(route).find(|to| *to != partition) {
            return Err(Error::Misrouted(florin_journal::PartitionId(astray)));
        }
        let most = self.most();
        let mut replies = Vec::with_capacity(envelopes.len());
        while let Some(first) = envelopes.get(replies.len()) {
            // A request has one class: its subject's.
            let class = first.class;
            let mut payload = command::begin(class, None);
            let rest = envelopes.iter().skip(replies.len()).take_while(|envelope| envelope.class == class);
            let alone = class == Class::Network;
            let sent = rest.take(if alone { 1 } else { BATCH_COMMANDS_MAX });
            let sent = sent.take_while(|envelope| command::push(&mut payload, envelope, most)).count();
            if sent == 0 {
                return Err(Error::CommandTooLarge);
            }
            let until = Instant::now() + self.0.options.total;
            let payload = bytes::Bytes::from(payload);
            let answer = self.tried(What::Command(class), partition, until, None, |_| Ok(payload.clone())).await?;
            let told = command::read_answer(&answer.payload).map_err(|error| unreadable(&error))?;
            if told.is_empty() || told.len() > sent {
                return Err(unreadable(&"it tells of none, or of more commands than were sent"));
            }
            replies.extend(told);
        }
        Ok(replies)
    }

    pub(crate) async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        let items: Vec<query::DueItem> = self.asked(What::Due, partition, &ask(max)).await?;
        Ok(items.into_iter().take(max).map(Due::from).collect())
    }

    pub(crate) async fn work(&self, partition: u16, max: usize) -> Result<Vec<Work>, Error> {
        let asking = AskWork { max: ask(max).max, card: None };
        let items: Vec<query::WorkItem> = self.asked(What::Work, partition, &asking).await?;
        Ok(items.into_iter().take(max).map(Work::from).collect())
    }

    pub(crate) async fn work_of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        let asking = AskWork { max: 1, card: Some(card) };
        let items: Vec<query::WorkItem> = self.asked(What::Work, card.partition(), &asking).await?;
        Ok(items.into_iter().map(Work::from).find(|work| work.card == card))
    }

    pub(crate) async fn status(&self, partition: u16) -> Result<Status, Error> {
        let status: query::Status = self.asked(What::Status, partition, &()).await?;
        Ok(status.into())
    }

    pub(crate) async fn confirm_clock(&self, partition: u16) -> Result<(), Error> {
        let _: bool = self.asked(What::ConfirmClock, partition, &()).await?;
        Ok(())
    }

    pub(crate) fn give_up(&self, authorize: &Envelope) -> Result<(), Error> {
        self.known(route(authorize))?;
        self.reverse(authorize.clone());
        Ok(())
    }

    pub(crate) async fn reversals_handed_over(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        // Not by taking all there are: one that is given up meanwhile would find none.
        while self.0.reversals.available_permits() < REVERSALS_MAX {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(PAUSE.0).await;
        }
        true
    }

    pub(crate) async fn taken_back(&self, asked: &Envelope) -> Result<bool, Error> {
        let payload = self.one(asked)?;
        let until = Instant::now() + self.0.options.total;
        let answer = self.tried(What::TakenBack, route(asked), until, None, |_| Ok(payload.clone())).await?;
        postcard::from_bytes(&answer.payload).map_err(|error| unreadable(&error))
    }

    /// The authorization or increment alone, as a request.
    fn one(&self, envelope: &Envelope) -> Result<bytes::Bytes, Error> {
        let mut payload = command::begin(Class::Network, None);
        command::push(&mut payload, envelope, self.most()).then(|| payload.into()).ok_or(Error::CommandTooLarge)
    }

    /// Sees to it, beside the caller, that what was or will be approved is taken back.
    fn reverse(&self, envelope: Envelope) {
        let Ok(running) = tokio::runtime::Handle::try_current() else {
            return tracing::error!("an abandoned approval is not reversed: there is no runtime any more");
        };
        let Ok(permit) = Arc::clone(&self.0.reversals).try_acquire_owned() else {
            return tracing::error!("an abandoned approval is not reversed: too many are being reversed");
        };
        let remote = self.clone();
        running.spawn(async move {
            let until = Instant::now() + remote.0.options.reversal;
            while let Err(error) = remote.reversed(&envelope, until).await {
                // Where nothing is admitted for now, callers give up most: that must not be the end of it.
                let passing = matches!(error, Error::Busy { .. } | Error::ClockRefused { .. } | Error::Stopped { .. });
                if !passing || Instant::now() >= until {
                    tracing::error!(%error, "an abandoned approval is not reversed");
                    break;
                }
                tokio::time::sleep(PAUSE.1).await;
            }
            drop(permit);
        });
    }

    async fn reversed(&self, envelope: &Envelope, until: Instant) -> Result<(), Error> {
        let partition = route(envelope);
        let payload = self.one(envelope)?;
        match &envelope.command {
            // Dead before it comes, or taken back.
            Command::Authorize(_) => {
                self.tried(What::GiveUp, partition, until, None, |_| Ok(payload.clone())).await?;
            }
            // What it added can only be taken back once it is known to have been added.
            Command::Increment(_) => {
                let what = What::Command(Class::Network);
                let answer = self.tried(what, partition, until, None, |_| Ok(payload.clone())).await?;
                let replies = command::read_answer(&answer.payload).map_err(|error| unreadable(&error))?;
                if let Some(Reply { outcome: Outcome::Accepted(events), account, .. }) = replies.first()
                    && let Some(reversal) = Reversal::of(&Envelope { account: *account, ..envelope.clone() }, events)
                {
                    let payload = self.one(&reversal.envelope())?;
                    self.tried(what, partition, until, None, |_| Ok(payload.clone())).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn asked<T: DeserializeOwned>(
        &self,
        what: What,
        partition: u16,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        let payload = bytes::Bytes::from(postcard::to_allocvec(question).map_err(|error| unreadable(&error))?);
        let until = Instant::now() + self.0.options.total;
        let answer = self.tried(what, partition, until, None, |_| Ok(payload.clone())).await?;
        postcard::from_bytes(&answer.payload).map_err(|error| unreadable(&error))
    }

    fn known(&self, partition: u16) -> Result<(), Error> {
        let known = partition < self.0.partitions;
        known.then_some(()).ok_or(Error::Misrouted(florin_journal::PartitionId(partition)))
    }

    /// Bytes that a request may have: a message's, less what its headers need.
    fn most(&self) -> usize {
        self.0.client.server_info().max_payload.max(64 * 1_024) - 4 * 1_024
    }

    /// Sends until there is an answer. `payload` is told how long it is to the deadline.
    async fn tried<B: Into<bytes::Bytes>>(
        &self,
        what: What,
        partition: u16,
        until: Instant,
        deadline: Option<Instant>,
        payload: impl Fn(Option<Duration>) -> Result<B, Error>,
    ) -> Result<Message, Failed> {
        self.known(partition)?;
        let Ok(_permit) = self.0.in_flight.try_acquire() else {
            return Err(Failed::Told(Error::Busy { retry_after_ms: 100 }));
        };
        let subject = what.subject(&self.0.ledger, partition);
        let over = Failed::Over { deadline: deadline.is_some() };
        let end = deadline.map_or(until, |deadline| deadline.min(until));
        let (mut pause, mut attempt, mut doubted) = (PAUSE.0, self.0.options.attempt, false);
        loop {
            let now = Instant::now();
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                return Err(over);
            }
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, BINARY);
            let to_deadline = deadline.map(|deadline| deadline.saturating_duration_since(now));
            let within = left.min(attempt);
            let request = Request::new().payload(payload(to_deadline)?.into()).headers(headers).timeout(Some(within));
            // What is handed to a connection that is away waits there, unbounded in time, and is sent once it is back: long
            // after who asked was told to come again.
            let answered = if self.0.client.connection_state() == State::Connected {
                let sending = self.0.client.send_request(subject.clone(), request);
                // Handing it over may itself have to wait, which the request's own time does not count.
                let timed_out = |_| Err(RequestErrorKind::TimedOut.into());
                tokio::time::timeout(within, sending).await.unwrap_or_else(timed_out)
            } else {
                Err(RequestErrorKind::NoResponders.into())
            };
            match answered {
                Ok(answer) => match answer.headers.as_ref().and_then(Fault::of) {
                    None => return Ok(answer),
                    Some(Fault::Malformed(what)) => {
                        return Err(Failed::Told(Error::Stopped {
                            reason: format!("it did not understand the request: {what}"),
                        }));
                    }
                    // Where it is tried again, somebody else may own it.
                    Some(Fault::Moved | Fault::Error(Error::Stopped { .. })) => doubted = true,
                    // Not admitted now says nothing of an earlier try that was not answered.
                    Some(Fault::Error(Error::Busy { .. } | Error::DeadlinePassed | Error::ClockRefused { .. }))
                        if doubted =>
                    {
                        return Err(over);
                    }
                    Some(Fault::Error(error)) => return Err(error.into()),
                },
                Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                    return Err(Failed::Told(Error::CommandTooLarge));
                }
                Err(error) => {
                    if error.kind() == RequestErrorKind::TimedOut {
                        // What only is slow must not be asked again and again.
                        attempt *= 2;
                    }
                    doubted |= error.kind() != RequestErrorKind::NoResponders;
                    tracing::debug!(subject, %error, "a request is sent again");
                }
            }
            tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// Why there is no answer.
enum Failed {
    /// The service, or this side of it, said so.
    Told(Error),
    /// Nobody answered in time: what became of it is not known.
    Over {
        /// Whether it was the caller's deadline.
        deadline: bool,
    },
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Told(error) => error,
            Failed::Over { deadline: true } => Self::DeadlinePassed,
            Failed::Over { deadline: false } => Self::Busy { retry_after_ms: RETRY_AFTER_MS },
        }
    }
}

/// A network command whose caller waits. Dropped before it was answered, what it approved is reversed.
struct Abandoned {
    remote: Remote,
    of: Option<Envelope>,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let approving = |command: &Command| matches!(command, Command::Authorize(_) | Command::Increment(_));
        if let Some(envelope) = self.of.take_if(|envelope| approving(&envelope.command)) {
            self.remote.reverse(envelope);
        }
    }
}

fn ask(max: usize) -> Ask {
    Ask { max: u32::try_from(max).unwrap_or(u32::MAX).clamp(1, ASKED_MAX) }
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::Stopped { reason: format!("its answer cannot be read: {error}") }
}
