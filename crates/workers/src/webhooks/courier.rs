//! The courier of one company: takes in what is due, sends what may be sent, keeps what is not delivered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use florin_engine::ids::Position;
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::client::{Answer, Client, Letter};
use super::delivery::{Cursor, Delivery, Mark};
use super::desk::{EndpointShown, Order, Reply, Shown};
use super::endpoint::{Endpoint, State, apply};
use super::id::MessageId;
use super::lines::{Key, Lines, key};
use super::source::{Due, Source};
use super::store::{Change, Store};
use super::{Error, Options, now_ms};

/// Most that is taken in at once.
const BATCH: usize = 512;
/// How long a cursor that passed over nothing may go unstored.
const CURSOR_AFTER: Duration = Duration::from_secs(10);
/// Most undelivered and delivered that are shown.
pub(super) const SHOWN_MAX: (usize, usize) = (100, 20);
/// Longest sleep; a clock that is set is noticed after it.
const SLEEP_MAX: Duration = Duration::from_mins(1);

/// What all couriers work with.
pub(super) struct Shared<S, T> {
    pub(super) source: S,
    pub(super) store: T,
    pub(super) options: Options,
    pub(super) client: Client,
}

/// What the office asks a courier.
pub(super) enum Ask {
    /// The endpoint is to be this.
    Put(Order, Reply<(EndpointShown, Option<SecretString>)>),
    /// The endpoint was changed by another process.
    Changed(Endpoint),
    Show(oneshot::Sender<EndpointShown>),
    Letters(oneshot::Sender<Vec<Shown>>),
    /// What of a partition is still needed: up to which position nothing is, and what before it is.
    Needs(oneshot::Sender<Vec<(u16, Position, Vec<Mark>)>>),
    Resend(Key, Due, Reply<()>),
    Retry(Key, Reply<()>),
    Discard(Key, Reply<()>),
    Replay(Vec<(u16, Position)>, Reply<()>),
    /// A partition is this process's, with what is kept of it.
    Gain(u16, Option<Cursor>, Vec<Delivery>),
    /// Something of a held partition that was kept and not known.
    Stray(Delivery),
    /// A partition is this process's no more.
    Lose(u16),
}

/// What a courier follows in one partition.
struct Lane {
    cursor: Option<Cursor>,
    stored: Instant,
    /// Whether the stored cursor is not this one.
    moved: bool,
    /// Whether there may be more to take in.
    more: bool,
}

type Sent = (Delivery, Answer);

pub(super) struct Courier<S, T> {
    shared: Arc<Shared<S, T>>,
    endpoint: Endpoint,
    lanes: BTreeMap<u16, Lane>,
    lines: Lines,
    underway: JoinSet<Sent>,
    delivered: VecDeque<Shown>,
    delivered_ms: Option<u64>,
    failed: Option<(String, u64)>,
}

impl<S: Source, T: Store> Courier<S, T> {
    pub(super) fn new(shared: Arc<Shared<S, T>>, endpoint: Endpoint) -> Self {
        Self {
            shared,
            endpoint,
            lanes: BTreeMap::new(),
            lines: Lines::default(),
            underway: JoinSet::new(),
            delivered: VecDeque::new(),
            delivered_ms: None,
            failed: None,
        }
    }

    /// Works until told to stop, or until nobody asks any more; then lets what is under way end, within the grace.
    pub(super) async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        mut moved: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        loop {
            self.take_in().await?;
            self.send();
            let nap = self.nap();
            tokio::select! {
                biased;
                () = told(&mut stop) => break,
                Some(sent) = self.underway.join_next(), if !self.underway.is_empty() => self.settle(sent?).await?,
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await?,
                    None => break,
                },
                Ok(()) = moved.changed() => {
                    for lane in self.lanes.values_mut() {
                        lane.more = true;
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
        let until = Instant::now() + self.shared.options.grace;
        while let Ok(Some(sent)) = tokio::time::timeout_at(until, self.underway.join_next()).await {
            self.settle(sent?).await?;
        }
        self.keep_cursors(true).await
    }

    fn nap(&self) -> Duration {
        let busy = self.underway.len() >= self.shared.options.concurrency || self.endpoint.state != State::Enabled;
        let next = self.lines.next_ms().filter(|_| !busy);
        let wait = next.map_or(SLEEP_MAX, |next_ms| Duration::from_millis(next_ms.saturating_sub(now_ms()).max(1)));
        let unstored = self.lanes.values().any(|lane| lane.moved);
        wait.min(if unstored { CURSOR_AFTER } else { SLEEP_MAX })
    }

    /// Takes in what is due, as far as there is room: first it is kept, then the cursor is moved, in one write.
    async fn take_in(&mut self) -> Result<(), Error> {
        if self.endpoint.state != State::Enabled {
            return Ok(());
        }
        for partition in self.lanes.keys().copied().collect::<Vec<_>>() {
            while self.take_in_of(partition).await? {}
        }
        self.keep_cursors(false).await
    }

    async fn take_in_of(&mut self, partition: u16) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let (window, count) = (shared.options.window, self.lines.count(partition));
        let room = if count.dead < window { window.saturating_sub(count.waiting).min(BATCH) } else { 0 };
        let Some(lane) = self.lanes.get_mut(&partition).filter(|lane| lane.more) else {
            return Ok(false);
        };
        // Not one by one as each is delivered: every taking in waits for the disk.
        if room < BATCH.min(window / 2).max(1) {
            return Ok(false);
        }
        let Some(reached) = shared.source.reached(partition)? else {
            lane.more = false;
            return Ok(false);
        };
        let company = self.endpoint.company.clone();
        let end = Mark::end_of(reached.position);
        let Some(cursor) = lane.cursor else {
            // A new endpoint is told what happens from now on.
            let cursor = Cursor { mark: end, checkpoint: reached.checkpoint };
            lane.cursor = Some(cursor);
            shared.store.write(vec![Change::Cursor { partition, company, cursor }], true).await?;
            return Ok(true);
        };
        let due = shared.source.due_after(partition, &company, cursor.mark, room)?;
        let whole = due.len() < room;
        let last = due.last().map_or(cursor.mark, |due| due.mark);
        let mark = if whole { last.max(end) } else { last };
        let cursor = Cursor { mark, checkpoint: reached.checkpoint };
        lane.moved |= lane.cursor != Some(cursor);
        lane.cursor = Some(cursor);
        lane.more = !whole;
        let new: Vec<Delivery> = due
            .iter()
            .filter(|due| self.lines.get(&(partition, due.mark)).is_none())
            .map(|due| Delivery::of(&company, due))
            .collect();
        if !new.is_empty() {
            let puts = new.iter().cloned().map(Change::Put);
            let changes = puts.chain([Change::Cursor { partition, company, cursor }]).collect();
            shared.store.write(changes, true).await?;
            lane.moved = false;
            lane.stored = Instant::now();
            for delivery in new {
                self.lines.put(delivery);
            }
        }
        Ok(!whole)
    }

    /// Stores cursors that have passed over what is nobody's, now and then.
    async fn keep_cursors(&mut self, now: bool) -> Result<(), Error> {
        let mut changes = Vec::new();
        for (partition, lane) in &mut self.lanes {
            if let (true, Some(cursor)) = (lane.moved && (now || lane.stored.elapsed() >= CURSOR_AFTER), lane.cursor) {
                (lane.moved, lane.stored) = (false, Instant::now());
                let (partition, company) = (*partition, self.endpoint.company.clone());
                changes.push(Change::Cursor { partition, company, cursor });
            }
        }
        if changes.is_empty() { Ok(()) } else { self.shared.store.write(changes, now).await }
    }

    /// Sends what may be sent.
    fn send(&mut self) {
        while self.endpoint.state == State::Enabled && self.underway.len() < self.shared.options.concurrency {
            let Some(delivery) = self.lines.take(now_ms()) else { break };
            let (shared, endpoint) = (Arc::clone(&self.shared), self.endpoint.clone());
            let id = MessageId::new(shared.options.ledger, delivery.partition(), delivery.mark).to_string();
            let span = tracing::info_span!(
                "webhook", id, company = endpoint.company, card = %delivery.card, position = %delivery.mark.position
            );
            let send = async move {
                let answer = send(&shared, &endpoint, &delivery, &id).await;
                (delivery, answer)
            };
            self.underway.spawn(send.instrument(span));
        }
    }

    /// What became of a try.
    async fn settle(&mut self, (sent, answer): Sent) -> Result<(), Error> {
        let key = key(&sent);
        // Dropped, or another process's, meanwhile.
        let Some(mut delivery) = self.lines.get(&key).cloned() else {
            self.lines.free(sent.card);
            return Ok(());
        };
        let (now_ms, path) = (now_ms(), delivery.kind.path());
        delivery.tries = delivery.tries.saturating_add(1);
        let id = MessageId::new(self.shared.options.ledger, key.0, key.1);
        let outcome = match &answer {
            Answer::Delivered => "delivered",
            Answer::Gone => "gone",
            Answer::Failed(_) => "failed",
        };
        metrics::counter!("florin_webhooks_tries_total", "path" => path, "outcome" => outcome).increment(1);
        match answer {
            Answer::Delivered => {
                tracing::debug!(%id, company = delivery.company, tries = delivery.tries, "delivered");
                self.delivered_ms = Some(now_ms);
                self.delivered.truncate(SHOWN_MAX.1 - 1);
                let shown =
                    Shown { state: "delivered", next_ms: None, error: String::new(), ..Shown::of(id, &delivery) };
                self.delivered.push_front(shown);
                self.forget(key).await?;
            }
            Answer::Gone => {
                tracing::warn!(company = delivery.company, "the endpoint answered 410 and is disabled");
                self.failed = Some(("it answered 410".to_owned(), now_ms));
                self.endpoint.state = State::Gone;
                self.endpoint.changed_ms = now_ms;
                self.keep_endpoint().await?;
                delivery.error = "it answered 410".into();
                delivery.next_ms = now_ms;
                self.keep(delivery, true).await?;
            }
            Answer::Failed(why) => {
                self.failed = Some((why.clone(), now_ms));
                delivery.error = why;
                if let Some(wait) = self.shared.options.schedule.wait_by_chance(delivery.tries) {
                    delivery.next_ms = now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                    tracing::info!(%id, company = delivery.company, tries = delivery.tries, error = delivery.error, "not delivered");
                    self.keep(delivery, false).await?;
                } else {
                    tracing::error!(%id, company = delivery.company, error = delivery.error, "given up: a dead letter");
                    metrics::counter!("florin_webhooks_dead_total").increment(1);
                    delivery.died_ms = Some(now_ms);
                    self.keep(delivery, true).await?;
                }
            }
        }
        self.lines.free(sent.card);
        Ok(())
    }

    async fn keep(&mut self, delivery: Delivery, durable: bool) -> Result<(), Error> {
        self.shared.store.write(vec![Change::Put(delivery.clone())], durable).await?;
        self.lines.put(delivery);
        Ok(())
    }

    async fn forget(&mut self, (partition, mark): Key) -> Result<(), Error> {
        self.shared.store.write(vec![Change::Remove { partition, mark }], false).await?;
        self.lines.remove(&(partition, mark));
        Ok(())
    }

    async fn keep_endpoint(&self) -> Result<(), Error> {
        let bytes = self.endpoint.encode(&*self.shared.options.seal)?;
        self.shared.store.put_endpoint(&self.endpoint.company, bytes).await
    }

    async fn answer(&mut self, ask: Ask) -> Result<(), Error> {
        // Whoever asked may have gone; that changes nothing.
        match ask {
            Ask::Put(order, reply) => {
                let put = self.put(order).await;
                let _ = reply.send(put);
            }
            Ask::Changed(endpoint) => self.endpoint = endpoint,
            Ask::Show(reply) => {
                let _ = reply.send(self.show());
            }
            Ask::Letters(reply) => {
                let dead = self.lines.all().filter(|delivery| delivery.died_ms.is_some());
                let _ = reply.send(dead.map(|delivery| self.shown(delivery)).collect());
            }
            Ask::Needs(reply) => {
                let _ = reply.send(self.needs());
            }
            Ask::Resend(key, due, reply) => {
                let resent = self.resend(key, &due).await;
                let _ = reply.send(resent);
            }
            Ask::Retry(key, reply) => {
                let retried = match self.letter(&key) {
                    Ok(letter) => self.keep(letter.fresh(), true).await,
                    Err(error) => Err(error),
                };
                let _ = reply.send(retried);
            }
            Ask::Discard(key, reply) => {
                let dropped = match self.letter(&key) {
                    Ok(_) => self.forget(key).await,
                    Err(error) => Err(error),
                };
                let _ = reply.send(dropped);
            }
            Ask::Replay(from, reply) => {
                let replayed = self.replay(from).await;
                let _ = reply.send(replayed);
            }
            Ask::Gain(partition, cursor, deliveries) => {
                let lane = Lane { cursor, stored: Instant::now(), moved: false, more: true };
                self.lanes.insert(partition, lane);
                for delivery in deliveries {
                    self.lines.put(delivery);
                }
            }
            Ask::Stray(delivery) => {
                let key = key(&delivery);
                if self.lanes.contains_key(&key.0) && self.lines.get(&key).is_none() {
                    self.lines.put(delivery);
                }
            }
            Ask::Lose(partition) => {
                self.lanes.remove(&partition);
                self.lines.leave(partition);
            }
        }
        Ok(())
    }

    /// A dead letter. One that is retried is none any more.
    fn letter(&self, key: &Key) -> Result<Delivery, Error> {
        let letter = self.lines.get(key).filter(|delivery| delivery.died_ms.is_some());
        letter.cloned().ok_or(Error::Unknown("dead letter"))
    }

    async fn resend(&mut self, key: Key, due: &Due) -> Result<(), Error> {
        if self.endpoint.state != State::Enabled {
            return Err(Error::Disabled(self.endpoint.company.clone()));
        }
        let known = self.lines.get(&key).cloned();
        let delivery = known.unwrap_or_else(|| Delivery::of(&self.endpoint.company, due));
        self.keep(delivery.fresh(), true).await
    }

    /// Has the cursor stand where it stood before `from`; what is undelivered is not taken in twice.
    async fn replay(&mut self, from: Vec<(u16, Position)>) -> Result<(), Error> {
        if self.endpoint.state != State::Enabled {
            return Err(Error::Disabled(self.endpoint.company.clone()));
        }
        for (partition, position) in from {
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let Some(cursor) = &mut lane.cursor else { continue };
            cursor.mark = cursor.mark.min(Mark::before(position));
            (lane.more, lane.moved) = (true, true);
        }
        self.keep_cursors(true).await
    }

    async fn put(&mut self, order: Order) -> Result<(EndpointShown, Option<SecretString>), Error> {
        let (options, now_ms) = (&self.shared.options, now_ms());
        self.shared.client.check(&order.url)?;
        let mut endpoint = self.endpoint.clone();
        let made = apply(&mut endpoint, order, now_ms, options.rotation)?;
        self.endpoint = endpoint;
        self.keep_endpoint().await?;
        self.take_in().await?;
        tracing::info!(
            company = self.endpoint.company,
            url = self.endpoint.url,
            state = self.endpoint.state.word(),
            new_secret = made.is_some(),
            "ops set a webhook endpoint"
        );
        Ok((self.show(), made))
    }

    fn shown(&self, delivery: &Delivery) -> Shown {
        Shown::of(MessageId::new(self.shared.options.ledger, delivery.partition(), delivery.mark), delivery)
    }

    fn show(&self) -> EndpointShown {
        let count = self.lanes.keys().map(|partition| self.lines.count(*partition));
        let (waiting, dead) = count.fold((0, 0), |sum, count| (sum.0 + count.waiting, sum.1 + count.dead));
        let undelivered = self.lines.all().take(SHOWN_MAX.0).map(|delivery| self.shown(delivery));
        EndpointShown {
            company: self.endpoint.company.clone(),
            url: self.endpoint.url.clone(),
            state: self.endpoint.state,
            secrets: self.endpoint.signing(now_ms()).count(),
            changed_ms: self.endpoint.changed_ms,
            positions: self.positions().collect(),
            waiting,
            dead,
            delivered_ms: self.delivered_ms,
            failed: self.failed.clone(),
            deliveries: undelivered.chain(self.delivered.iter().cloned()).collect(),
        }
    }

    fn positions(&self) -> impl Iterator<Item = (u16, Position)> {
        self.lanes.iter().filter_map(|(partition, lane)| Some((*partition, lane.cursor?.mark.done())))
    }

    fn needs(&self) -> Vec<(u16, Position, Vec<Mark>)> {
        let enabled = self.endpoint.state == State::Enabled;
        let of = |partition: u16, lane: &Lane| {
            let undelivered = self.lines.all().filter(|delivery| delivery.partition() == partition);
            // An endpoint that is switched off holds up nothing but what it was to get already.
            let needed = lane.cursor.filter(|_| enabled).map_or(Position(u64::MAX), |cursor| cursor.mark.done());
            (partition, needed, undelivered.map(|delivery| delivery.mark).collect())
        };
        self.lanes.iter().map(|(partition, lane)| of(*partition, lane)).collect()
    }
}

/// Resolves when the stop is told.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn send<S: Source, T>(shared: &Shared<S, T>, endpoint: &Endpoint, delivery: &Delivery, id: &str) -> Answer {
    // What another process took in may be ahead of what this one has followed.
    loop {
        match shared.source.reached(delivery.partition()) {
            Ok(Some(reached)) if reached.position >= delivery.mark.position => break,
            Ok(reached) => {
                let seen = reached.map_or(Position(0), |reached| reached.position);
                shared.source.moved(delivery.partition(), seen).await;
            }
            Err(error) => {
                tracing::warn!(%error, "how far its source is cannot be read");
                return Answer::Failed("its body cannot be made".into());
            }
        }
    }
    let body = match shared.source.body(delivery.partition(), &endpoint.company, delivery.mark) {
        Ok(Some(body)) => body,
        Ok(None) => return Answer::Failed("what it tells is no longer kept".into()),
        Err(error) => {
            tracing::warn!(%error, "its body cannot be made");
            return Answer::Failed("its body cannot be made".into());
        }
    };
    let now_ms = now_ms();
    let begun = Instant::now();
    let letter = Letter {
        url: &endpoint.url,
        path: delivery.kind.path(),
        id,
        secrets: endpoint.signing(now_ms).collect(),
        body,
        now_ms,
    };
    let answer = shared.client.send(letter).await;
    metrics::histogram!("florin_webhooks_seconds", "path" => delivery.kind.path()).record(begun.elapsed());
    answer
}
