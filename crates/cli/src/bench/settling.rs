//! Settlement beside the load: the worker as a server runs it, with the sandbox as issuer, and a count of what it settles.
//!
//! The queue is a file of the run wherever the journal is. What the worker sends goes through [`Watched`], so that clients
//! and the end of the run know which changes are settled: a card takes one change at a time.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use florin_engine::{
    agenda::{Due, Work},
    codec::Outcome,
    command::{Command, Envelope, Issued},
    ids::{CardId, request_id},
    terms::expiry_of,
};
use florin_issuer::sandbox::Sandbox;
use florin_issuer::{Answer, IssueRequest, Issuer as _, Kind, Limits};
use florin_journal::Provider;
use florin_processor::{Error, Handle, Reply};
use florin_workers::queue::{Embedded, Settings};
use florin_workers::{Engine, Settlement, settlement};
use indicatif::ProgressBar;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::bed::{Bed, DRAIN_MAX};
use super::people::User;
use super::script::{Does, Meant, Script};
use crate::causes;
use crate::failure::{Exit, Failure};

/// Which changes are settled.
pub(super) struct Changes {
    /// Of each card.
    cards: HashMap<CardId, AtomicU32>,
    settled: AtomicU64,
    /// Why nothing will be settled any more.
    ended: OnceLock<String>,
    moved: Notify,
}

impl Changes {
    fn new(script: &Script) -> Self {
        let cards = script.users.iter().flatten().flat_map(|user| (0..script.cards).map(|number| user.card(number)));
        Self {
            cards: cards.map(|card| (card, AtomicU32::new(0))).collect(),
            settled: AtomicU64::new(0),
            ended: OnceLock::new(),
            moved: Notify::new(),
        }
    }

    fn settle(&self, card: CardId) {
        if let Some(turns) = self.cards.get(&card) {
            turns.fetch_add(1, Ordering::AcqRel);
            self.settled.fetch_add(1, Ordering::AcqRel);
            self.moved.notify_waiters();
        }
    }

    /// How many are settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Waits until the changes before those among these commands are settled; how long that was.
    pub(super) async fn ready(&self, script: &Script, commands: Range<u64>) -> Result<Duration, Failure> {
        let mut waited = Duration::ZERO;
        for n in commands {
            if let Meant { card, does: Does::Change(turn), .. } = script.meant(n) {
                let settled = || self.cards.get(&card).map_or(0, |turns| turns.load(Ordering::Acquire));
                let late = || format!("change {turn} of card {card} is not settled");
                waited += self.until(|| settled() >= turn, late).await?;
            }
        }
        Ok(waited)
    }

    async fn until(&self, reached: impl Fn() -> bool, late: impl Fn() -> String) -> Result<Duration, Failure> {
        let wait = async {
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                // Enabled before the look, so that what happens in between is not missed.
                moved.as_mut().enable();
                if reached() {
                    return Ok(());
                }
                if let Some(cause) = self.ended.get() {
                    return Err(Failure::new(Exit::Stopped, "settlement ended before its work").because(cause.as_str()));
                }
                moved.await;
            }
        };
        if reached() {
            return Ok(Duration::ZERO);
        }
        let begun = Instant::now();
        let waited = tokio::time::timeout(DRAIN_MAX, wait).await.map(|waited| waited.map(|()| begun.elapsed()));
        waited.unwrap_or_else(|_| Err(Failure::new(Exit::Stopped, format!("{} after {DRAIN_MAX:?}", late()))))
    }
}

/// The processor as the worker has it, with somebody who counts.
#[derive(Clone)]
struct Watched {
    handle: Handle,
    changes: Arc<Changes>,
}

impl Engine for Watched {
    fn partitions(&self) -> u16 {
        Engine::partitions(&self.handle)
    }

    async fn submit(&self, envelope: Envelope) -> Result<Reply, Error> {
        let card = match &envelope.command {
            Command::Settle(settle) => Some(settle.card),
            _ => None,
        };
        let reply = Engine::submit(&self.handle, envelope).await?;
        if let (Some(card), Outcome::Accepted(_), false) = (card, &reply.outcome, reply.replayed) {
            self.changes.settle(card);
        }
        Ok(reply)
    }

    async fn work(&self, partition: u16, max: usize) -> Result<Vec<Work>, Error> {
        Engine::work(&self.handle, partition, max).await
    }

    async fn work_of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        Engine::work_of_card(&self.handle, card).await
    }

    async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        Engine::due(&self.handle, partition, max).await
    }
}

/// The worker as it runs.
pub(super) struct Settling {
    pub(super) changes: Arc<Changes>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), settlement::Error>>,
}

impl Settling {
    /// Starts it on what is asked from now on.
    pub(super) fn start<P: Provider>(
        dir: &Path,
        bed: &Bed<P>,
        script: &Script,
        issuer: Arc<Sandbox>,
    ) -> Result<Self, Failure> {
        let queue = Embedded::open(&dir.join("queue.redb"), bed.journal.ledger().id, Settings::default());
        let queue = queue.map_err(causes::queue)?;
        let changes = Arc::new(Changes::new(script));
        let engine = Watched { handle: bed.handle.clone(), changes: Arc::clone(&changes) };
        let (stop, mut told) = watch::channel(false);
        let (journal, of) = (bed.journal.clone(), Arc::clone(&changes));
        let running = tokio::spawn(async move {
            let stopped = async move {
                let _ = told.wait_for(|stop| *stop).await;
            };
            let options = settlement::Options::default();
            let ended = Settlement::run(engine, journal, issuer, queue, options, stopped).await;
            let why = ended.as_ref().err().map_or_else(|| "it was stopped".to_owned(), ToString::to_string);
            let _ = of.ended.set(why);
            of.moved.notify_waiters();
            ended
        });
        Ok(Self { changes, stop, running })
    }

    /// Waits until so many changes are settled.
    pub(super) async fn drain(&self, changes: u64, bar: &ProgressBar) -> Result<(), Failure> {
        let reached = || {
            bar.set_position(self.changes.settled());
            self.changes.settled() >= changes
        };
        let late = || format!("{} of {changes} changes are settled", self.changes.settled());
        self.changes.until(reached, late).await.map(drop)
    }

    /// Ends it.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let panicked = |cause| Failure::new(Exit::Stopped, "settlement panicked").because(cause);
        self.running.await.map_err(panicked)?.map_err(causes::settlement)
    }
}

/// Has the issuer make the cards of these users.
pub(super) async fn issue(
    issuer: &Arc<Sandbox>,
    users: &[User],
    cards: u8,
) -> Result<HashMap<CardId, Issued>, Failure> {
    let failed = |why: &str| Failure::new(Exit::Other, "the sandbox issuer makes no card").because(why);
    let mut asked = JoinSet::new();
    for user in users {
        for card in (0..cards).map(|number| user.card(number)) {
            let (issuer, account) = (Arc::clone(issuer), user.account.0);
            asked.spawn(async move {
                let request = IssueRequest {
                    request_id: request_id(card, 1).uuid(),
                    card_id: card.uuid(),
                    account,
                    kind: Kind::Virtual,
                    currency: "USD".to_owned(),
                    sealed_profile: None,
                    limits: Limits::default(),
                };
                (card, issuer.issue(request).await)
            });
        }
    }
    let mut made = HashMap::with_capacity(asked.len());
    while let Some(answer) = asked.join_next().await {
        let (card, answer) = answer.map_err(|cause| failed(&cause.to_string()))?;
        let issued = match answer.map_err(|cause| failed(&cause.to_string()))? {
            Answer::Done(issued) => issued,
            Answer::Refused(refusal) => return Err(failed(&refusal.to_string())),
        };
        let expiry =
            expiry_of(issued.expiry.year, issued.expiry.month).ok_or_else(|| failed("its expiry is no month"))?;
        let (first4, last4) = (issued.first4, issued.last4);
        made.insert(card, Issued { issuer_card: issued.issuer_card_id, first4, last4, expiry });
    }
    Ok(made)
}
