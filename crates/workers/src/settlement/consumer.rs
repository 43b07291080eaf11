//! A consumer: takes an item, asks whether its request still stands, calls the issuer, settles.
//!
//! Every step can happen twice: the issuer knows the request by its id, the engine the answer by its key. What is unknown
//! is never settled: the item comes again, and then the issuer is first asked what became of the request.

use std::sync::Arc;

use florin_engine::{
    agenda::{Task, Work},
    codec::{Entry, Outcome as Decided},
    command::{Envelope, Outcome},
    event::{CardRequested, Event},
    limits::Limits,
    money::Minor,
    terms::{RefusalCode, Status},
};
use florin_issuer::{
    Answer, CardStatus, Error as IssuerError, Issued, Issuer, LimitsRequest, Refusal, RequestState, StatusRequest,
};
use florin_journal::{PartitionId, Provider};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::Instrument;
use uuid::Uuid;

use super::accounts::Accounts;
use super::standing::Standing;
use super::submit::{Submitted, confirm, settle, submit};
use super::{Error, Options};
use crate::derive::assertion_id;
use crate::engine::Engine;
use crate::queue::{Death, Error as QueueError, Lease, Queue};
use crate::translate;

/// How an item's turn ended, short of success.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// Nothing was asked of the issuer, or its answer could not be delivered: soon again, not counted as a try.
    Wait(String),
    /// The issuer gave no definite answer: again with backoff, and at last a dead letter.
    Failed(String),
    /// No try will help: a dead letter at once.
    Hopeless(String),
}

/// How an item's turn ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Settled or confirmed.
    Settled,
    /// The request stands no longer.
    Dropped,
}

pub(crate) struct Consumer<E, P, Q> {
    pub(crate) engine: E,
    pub(crate) provider: P,
    pub(crate) issuer: Arc<dyn Issuer>,
    pub(crate) queue: Q,
    pub(crate) standing: Arc<Standing<E>>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) options: Options,
}

impl<E: Engine, P: Provider, Q: Queue> Consumer<E, P, Q> {
    /// Works until told to stop; then finishes what it is at, or gives it back after the grace.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        loop {
            let lease = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                lease = self.queue.take() => lease?,
            };
            let item = lease.item;
            let span =
                tracing::info_span!("settle", request = %item.request, card = %item.card, task = item.kind.word());
            self.turn(lease, &mut stop).instrument(span).await?;
        }
    }

    async fn turn(&self, lease: Lease, stop: &mut watch::Receiver<bool>) -> Result<(), Error> {
        self.accounts.note(lease.item.card, lease.item.account);
        let grace = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(self.options.grace).await;
        };
        let ended = tokio::select! {
            ended = self.work(&lease) => ended,
            () = self.keep(&lease) => {
                tracing::warn!("the lease is over: somebody else goes on");
                return Ok(());
            }
            () = grace => Err(Stop::Wait("shutting down".into())),
        };
        let kind = lease.item.kind.word();
        let outcome = match &ended {
            Ok(Ended::Settled) => "settled",
            Ok(Ended::Dropped) => "dropped",
            Err(Stop::Wait(_)) => "waits",
            Err(Stop::Failed(_)) => "failed",
            Err(Stop::Hopeless(_)) => "hopeless",
        };
        metrics::counter!("florin_settlement_turns_total", "task" => kind, "outcome" => outcome).increment(1);
        let done = match ended {
            Ok(ended) => {
                tracing::debug!(?ended, tries = lease.tries, "done");
                self.queue.ack(lease).await
            }
            Err(Stop::Wait(reason)) => {
                tracing::debug!(reason, "waits");
                self.queue.nak(lease, self.options.pause, false).await
            }
            Err(Stop::Failed(reason)) if lease.tries + 1 < self.options.tries_max => {
                let wait = self.options.backoff.wait_by_chance(lease.tries);
                tracing::info!(reason, tries = lease.tries + 1, ?wait, "no definite answer");
                self.queue.nak(lease, wait, true).await
            }
            Err(Stop::Failed(reason) | Stop::Hopeless(reason)) => self.bury(lease, reason).await,
        };
        match done {
            // Somebody else has it: what was done is done, and will be found to be.
            Err(QueueError::LeaseLost(_)) => Ok(()),
            done => Ok(done?),
        }
    }

    async fn bury(&self, lease: Lease, reason: String) -> Result<(), QueueError> {
        // Asked again, as it may be over; if that is not known, better tried once too often.
        let stands = self.standing.of(lease.item.card, lease.item.request).await;
        let again = match stands {
            Ok(None) => return self.queue.ack(lease).await,
            Ok(Some(work)) => must_arrive(&work.task),
            Err(_) => true,
        };
        if !lease.dead {
            tracing::error!(reason, again, "a dead letter");
            metrics::counter!("florin_settlement_dead_letters_total").increment(1);
        }
        let death = Death { died_ms: self.now_ms(), reason, again };
        self.queue.bury(lease, death, again.then_some(self.options.slow)).await
    }

    /// Extends the lease; ends when it is lost.
    async fn keep(&self, lease: &Lease) {
        let mut ticks = tokio::time::interval(self.options.extend_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.queue.in_progress(lease).await.is_err() {
                return;
            }
        }
    }

    async fn work(&self, lease: &Lease) -> Result<Ended, Stop> {
        let item = &lease.item;
        let stands = self.standing.of(item.card, item.request).await.map_err(|error| Stop::Wait(error.to_string()))?;
        let Some(work) = stands.filter(|work| item.is(work)) else {
            return Ok(Ended::Dropped);
        };
        let asked_before = lease.tries > 0;
        let outcome = match work.task {
            Task::Issue => self.issue(item.partition, &work, asked_before).await?,
            Task::Abandon => {
                let abandoned =
                    self.call("abandon", self.issuer.abandon(work.request.uuid(), work.card.uuid())).await?;
                tracing::info!(?abandoned, "the issuance is given up");
                Outcome::Refused(RefusalCode::Abandoned)
            }
            Task::SetStatus(status) => self.set_status(&work, status, asked_before).await?,
            Task::SetLimits { limits, no_pin } => self.set_limits(&work, &limits, no_pin, asked_before).await?,
            Task::Assert { status, limits, no_pin } => {
                return self.assert(&work, status, &limits, no_pin).await;
            }
        };
        self.send(settle(work.account, work.card, work.request, outcome, self.now_ms())).await
    }

    async fn send(&self, envelope: Envelope) -> Result<Ended, Stop> {
        match submit(&self.engine, envelope).await {
            Submitted::Settled => Ok(Ended::Settled),
            Submitted::Later(reason) => Err(Stop::Wait(reason)),
            Submitted::Refused(reject) => Err(Stop::Hopeless(format!("the engine refuses the answer: {reject}"))),
        }
    }

    async fn issue(&self, partition: u16, work: &Work, asked_before: bool) -> Result<Outcome, Stop> {
        let known = if asked_before { self.ask(work).await? } else { None };
        let answer = match known {
            Some(Answer::Done(Some(issued))) => Answer::Done(issued),
            Some(Answer::Done(None)) => return Err(Stop::Hopeless("the issuer says done, and names no card".into())),
            Some(Answer::Refused(refusal)) => Answer::Refused(refusal),
            None => {
                let event = self.requested(partition, work).await?;
                self.call("issue", self.issuer.issue(translate::issue(work, &event))).await?
            }
        };
        match answer {
            Answer::Done(issued) => {
                translate::issued(&issued).map(Outcome::Issued).map_err(|reason| Stop::Hopeless(reason.into()))
            }
            // There is a card of this id, or another request: giving the money back could leave it at the issuer.
            Answer::Refused(Refusal::Conflict) => Err(Stop::Hopeless(Refusal::Conflict.to_string())),
            Answer::Refused(refusal) => Ok(Outcome::Refused(translate::refusal(refusal))),
        }
    }

    async fn set_status(&self, work: &Work, status: Status, asked_before: bool) -> Result<Outcome, Stop> {
        let target = translate::status(status);
        let answer = match if asked_before { self.ask(work).await? } else { None } {
            Some(answer) => nothing(&answer),
            None => {
                self.call("set_status", self.issuer.set_status(status_request(work.request.uuid(), work, target)))
                    .await?
            }
        };
        Ok(match answer {
            Answer::Done(()) => Outcome::Done,
            Answer::Refused(refusal) if over(refusal, target) => Outcome::Done,
            Answer::Refused(refusal) => Outcome::Refused(translate::refusal(refusal)),
        })
    }

    async fn set_limits(
        &self,
        work: &Work,
        limits: &Limits,
        no_pin: Option<Minor>,
        asked_before: bool,
    ) -> Result<Outcome, Stop> {
        let limits = translate::limits(limits, no_pin);
        let request = |request_id| LimitsRequest { request_id, card_id: work.card.uuid(), change: work.change, limits };
        let mut answer = match if asked_before { self.ask(work).await? } else { None } {
            Some(answer) => nothing(&answer),
            None => self.call("set_limits", self.issuer.set_limits(request(work.request.uuid()))).await?,
        };
        if answer == Answer::Refused(Refusal::Conflict) {
            // The no-PIN amount was set between two tries, so that the same change is another request.
            let id = self.assertion_id(work, &translate::content(None, Some(&limits)));
            answer = self.call("set_limits", self.issuer.set_limits(request(id))).await?;
        }
        Ok(match answer {
            Answer::Done(()) => Outcome::Done,
            Answer::Refused(refusal) => Outcome::Refused(translate::refusal(refusal)),
        })
    }

    /// Asserts the status and, unless the card is closed, the limits; then confirms.
    async fn assert(&self, work: &Work, status: Status, limits: &Limits, no_pin: Option<Minor>) -> Result<Ended, Stop> {
        let target = translate::status(status);
        let id = self.assertion_id(work, &translate::content(Some(target), None));
        let answer = self.call("set_status", self.issuer.set_status(status_request(id, work, target))).await?;
        match answer {
            Answer::Done(()) => {}
            Answer::Refused(refusal) if over(refusal, target) => {}
            Answer::Refused(refusal) => return self.assertion_refused(work, refusal).await,
        }
        if target != CardStatus::Terminated {
            let limits = translate::limits(limits, no_pin);
            let request_id = self.assertion_id(work, &translate::content(None, Some(&limits)));
            let request = LimitsRequest { request_id, card_id: work.card.uuid(), change: work.change, limits };
            if let Answer::Refused(refusal) = self.call("set_limits", self.issuer.set_limits(request)).await? {
                return self.assertion_refused(work, refusal).await;
            }
        }
        self.send(confirm(work.account, work.card, work.change, self.now_ms())).await
    }

    /// A newer change may have been faster; then this assertion stands no longer.
    async fn assertion_refused(&self, work: &Work, refusal: Refusal) -> Result<Ended, Stop> {
        let stands = self.standing.of(work.card, work.request).await.map_err(|error| Stop::Wait(error.to_string()))?;
        match (stands, refusal) {
            (None, _) => Ok(Ended::Dropped),
            (Some(_), Refusal::Stale) => Err(Stop::Failed(refusal.to_string())),
            (Some(_), _) => Err(Stop::Hopeless(format!("the issuer refuses the card's state: {refusal}"))),
        }
    }

    /// What became of a request that was sent before; `None`: the issuer never saw it.
    async fn ask(&self, work: &Work) -> Result<Option<Answer<Option<Issued>>>, Stop> {
        match self.call("request", self.issuer.request(work.request.uuid())).await? {
            RequestState::NotFound => Ok(None),
            RequestState::InProgress => Err(Stop::Failed("the issuer is still at it".into())),
            RequestState::Done(issued) => Ok(Some(Answer::Done(issued))),
            RequestState::Refused(refusal) => Ok(Some(Answer::Refused(refusal))),
        }
    }

    /// The event that asked for the card, read back from the journal.
    async fn requested(&self, partition: u16, work: &Work) -> Result<CardRequested, Stop> {
        let record = self.provider.read(PartitionId(partition), work.position.index()).await;
        let record = record.map_err(|error| Stop::Wait(error.to_string()))?;
        let entry = record.entry(work.position.entry()).and_then(|bytes| Entry::decode(bytes).ok());
        let events = match entry.map(|entry| entry.outcome) {
            Some(Decided::Accepted(events)) => events,
            _ => Vec::new(),
        };
        let event = events.into_iter().find_map(|event| match event {
            Event::CardRequested(event) if event.card == work.card => Some(*event),
            _ => None,
        });
        event.ok_or_else(|| Stop::Hopeless(format!("the journal holds no request for this card at {}", work.position)))
    }

    /// One call of the issuer, within its time.
    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, IssuerError>> + Send,
    ) -> Result<T, Stop> {
        let begun = tokio::time::Instant::now();
        let answer = match tokio::time::timeout(self.options.call_timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(IssuerError::TimedOut),
        };
        let result = if answer.is_ok() { "definite" } else { "unknown" };
        metrics::histogram!("florin_issuer_call_seconds", "call" => name, "result" => result).record(begun.elapsed());
        answer.map_err(|error| Stop::Failed(chain(&error)))
    }

    fn assertion_id(&self, work: &Work, content: &[u8]) -> Uuid {
        assertion_id(work.request.0, content, self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        self.options.clock.wall_ms()
    }
}

/// Whether the work has to arrive some day, however long it takes: all but what the engine itself gives up at its deadline.
const fn must_arrive(task: &Task) -> bool {
    match task {
        Task::Issue | Task::SetStatus(Status::Active | Status::NotActivated) => false,
        // A lower limit must arrive; a higher one is given up by the engine, and then stands no longer.
        Task::Abandon | Task::SetStatus(_) | Task::SetLimits { .. } | Task::Assert { .. } => true,
    }
}

/// Whether a refusal says that there is nothing left to close.
fn over(refusal: Refusal, target: CardStatus) -> bool {
    target == CardStatus::Terminated && matches!(refusal, Refusal::Terminated | Refusal::UnknownCard)
}

fn status_request(request_id: Uuid, work: &Work, status: CardStatus) -> StatusRequest {
    StatusRequest { request_id, card_id: work.card.uuid(), change: work.change, status }
}

fn nothing(answer: &Answer<Option<Issued>>) -> Answer<()> {
    match answer {
        Answer::Done(_) => Answer::Done(()),
        Answer::Refused(refusal) => Answer::Refused(*refusal),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
