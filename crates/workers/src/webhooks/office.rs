//! The office: has a courier for every company with an endpoint, passes on what operators ask, and forgets what is old.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use florin_engine::ids::Position;
use florin_journal::{PartitionId, Provider};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::client::Client;
use super::courier::{Ask, Courier, Shared};
use super::delivery::Mark;
use super::desk::{Asked, EndpointShown, Inbox, Lag, Lags, Order, Reply};
use super::endpoint::{Endpoint, State, apply};
use super::id::MessageId;
use super::order::Task;
use super::source::Source;
use super::store::Store;
use super::{COMPANIES_MAX, Error, Options, now_ms};

/// Orders that may wait for one courier.
const ASKS_MAX: usize = 64;
/// How often the lag is told.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// The webhooks worker.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks;

impl Webhooks {
    /// Finds out whether the journal has what the store remembers of it. Ask before anything is written to the journal.
    ///
    /// [`Error::Journal`] with `Shorter` or `Mismatch`: acknowledged records are lost, though webhooks have told of them.
    pub async fn confirm<P: Provider, T: Store>(provider: &P, store: &T) -> Result<(), Error> {
        for partition in 0..provider.ledger().partitions {
            for (_, cursor) in store.load(partition).await?.cursors {
                let checkpoint = cursor.checkpoint;
                provider.confirm(PartitionId(partition), checkpoint.index, checkpoint.hash).await?;
            }
        }
        Ok(())
    }

    /// The position of a partition behind which somebody has not sent everything yet; the last there can be: nobody waits.
    pub async fn needed<T: Store>(store: &T, partition: u16) -> Result<Position, Error> {
        Ok(store.load(partition).await?.needed())
    }

    /// Runs until `shutdown` resolves; `held` names the partitions that are this process's (`None`: all). Ends earlier only
    /// with an error that a restart may mend.
    pub async fn run<S: Source, T: Store>(
        source: S,
        store: T,
        options: Options,
        inbox: Inbox,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let client = Client::new(&options)?;
        let all = (0..source.partitions()).collect();
        let leased = held.is_some();
        let mut held = held.unwrap_or_else(|| watch::channel(all).1);
        let (stop, stopped) = watch::channel(false);
        let mut office = Office {
            shared: Arc::new(Shared { source, store, options, client }),
            couriers: BTreeMap::new(),
            parts: JoinSet::new(),
            held: BTreeSet::new(),
            leased,
            strays: BTreeMap::new(),
            disobeyed: true,
            moved: watch::channel(0).0,
            lags: inbox.lags,
            stopped,
        };
        let mut orders = inbox.orders.lock().await;
        let ended = office.work(&mut orders, &mut held, shutdown).await;
        stop.send_replace(true);
        let mut outcome = ended;
        while let Some(part) = office.parts.join_next().await {
            let part = part.map_err(Error::from).and_then(|part| part);
            // That a courier has ended says less than why.
            outcome = match (outcome, part) {
                (Err(Error::Stopped), Err(why)) => Err(why),
                (outcome, part) => outcome.and(part),
            };
        }
        outcome
    }
}

struct Office<S, T> {
    shared: Arc<Shared<S, T>>,
    couriers: BTreeMap<String, mpsc::Sender<Ask>>,
    parts: JoinSet<Result<(), Error>>,
    held: BTreeSet<u16>,
    /// Whether others hold partitions too.
    leased: bool,
    /// By partition: what was kept and known to nobody here when it was last looked.
    strays: BTreeMap<u16, BTreeSet<Mark>>,
    /// Whether there are orders that could not be done yet.
    disobeyed: bool,
    /// Told on when a source has moved.
    moved: watch::Sender<u64>,
    lags: Lags,
    stopped: watch::Receiver<bool>,
}

impl<S: Source, T: Store> Office<S, T> {
    async fn work(
        &mut self,
        orders: &mut mpsc::Receiver<Asked>,
        held: &mut watch::Receiver<BTreeSet<u16>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        self.reload().await?;
        for partition in 0..self.shared.source.partitions() {
            self.watch(partition);
        }
        let now = held.borrow_and_update().clone();
        self.hold(now).await?;
        let mut forget = tokio::time::interval(self.shared.options.forget_every);
        let mut lag = tokio::time::interval(LAG_EVERY);
        for ticks in [&mut forget, &mut lag] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let store = self.shared.store.clone();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(part) = self.parts.join_next() => part??,
                Some(asked) = orders.recv() => self.answer(asked).await,
                Ok(()) = held.changed() => {
                    let now = held.borrow_and_update().clone();
                    self.hold(now).await?;
                }
                () = store.changed() => {
                    self.reload().await?;
                    self.obey().await?;
                }
                _ = forget.tick() => self.forget().await?,
                _ = lag.tick() => {
                    self.tell_lag().await;
                    if self.disobeyed {
                        self.obey().await?;
                    }
                }
            }
        }
    }

    /// Wakes the couriers whenever the source has moved.
    fn watch(&mut self, partition: u16) {
        let (shared, moved, mut stopped) = (Arc::clone(&self.shared), self.moved.clone(), self.stopped.clone());
        self.parts.spawn(async move {
            let mut seen = Position(0);
            loop {
                tokio::select! {
                    () = shared.source.moved(partition, seen) => {}
                    () = async { let _ = stopped.wait_for(|stop| *stop).await; } => return Ok(()),
                }
                seen = shared.source.reached(partition)?.map_or(seen, |reached| reached.position);
                moved.send_modify(|count| *count += 1);
            }
        });
    }

    /// Takes over the endpoints as they are stored.
    async fn reload(&mut self) -> Result<(), Error> {
        for (company, bytes) in self.shared.store.endpoints().await? {
            let endpoint = Endpoint::decode(&company, &bytes, &*self.shared.options.seal)?;
            match self.couriers.get(&company) {
                Some(courier) => {
                    let _ = courier.send(Ask::Changed(endpoint)).await;
                }
                None => self.employ(endpoint).await?,
            }
        }
        Ok(())
    }

    /// A courier for an endpoint, with what is kept for it.
    async fn employ(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        let (asks, receive) = mpsc::channel(ASKS_MAX);
        let company = endpoint.company.clone();
        let courier = Courier::new(Arc::clone(&self.shared), endpoint);
        self.parts.spawn(courier.run(receive, self.moved.subscribe(), self.stopped.clone()));
        for partition in self.held.clone() {
            let kept = self.shared.store.load(partition).await?.sound();
            let cursor = kept.cursors.into_iter().find(|(of, _)| *of == company).map(|(_, cursor)| cursor);
            let deliveries = kept.deliveries.into_iter().filter(|delivery| delivery.company == company).collect();
            let _ = asks.send(Ask::Gain(partition, cursor, deliveries)).await;
        }
        self.couriers.insert(company, asks);
        Ok(())
    }

    /// Takes over and gives away partitions.
    async fn hold(&mut self, held: BTreeSet<u16>) -> Result<(), Error> {
        for partition in self.held.difference(&held) {
            for courier in self.couriers.values() {
                let _ = courier.send(Ask::Lose(*partition)).await;
            }
        }
        for partition in held.difference(&self.held) {
            let kept = self.shared.store.load(*partition).await?.sound();
            let cursors: HashMap<String, _> = kept.cursors.into_iter().collect();
            let mut deliveries: HashMap<String, Vec<_>> = HashMap::new();
            for delivery in kept.deliveries {
                deliveries.entry(delivery.company.clone()).or_default().push(delivery);
            }
            for (company, courier) in &self.couriers {
                let undelivered = deliveries.remove(company).unwrap_or_default();
                let _ = courier.send(Ask::Gain(*partition, cursors.get(company).copied(), undelivered)).await;
            }
        }
        self.held = held;
        self.disobeyed = true;
        Ok(())
    }

    async fn answer(&mut self, asked: Asked) {
        // Whoever asked may have gone; that changes nothing.
        match asked {
            Asked::Put(order, reply) => self.put(order, reply).await,
            Asked::List(reply) => {
                let _ = reply.send(self.all(Ask::Show).await);
            }
            Asked::Letters(reply) => {
                let letters = self.all(Ask::Letters).await.map(|letters| {
                    let mut letters = letters.concat();
                    letters.sort_by_key(|letter| letter.died_ms);
                    letters
                });
                let _ = reply.send(letters);
            }
            Asked::Resend(id, reply) => self.resend(id, reply).await,
            Asked::Retry(id, reply) => self.of_letter(id, reply, Ask::Retry).await,
            Asked::Discard(id, reply) => self.of_letter(id, reply, Ask::Discard).await,
            Asked::Replay(company, from, reply) => match self.couriers.get(&company) {
                Some(courier) => {
                    tracing::warn!(company, ?from, "ops replay webhooks");
                    pass(courier, Ask::Replay(from, reply)).await;
                }
                None => {
                    let _ = reply.send(Err(Error::Unknown("endpoint")));
                }
            },
        }
    }

    /// Does what operators ordered in other processes, as far as it concerns what is held here.
    async fn obey(&mut self) -> Result<(), Error> {
        self.disobeyed = false;
        let store = self.shared.store.clone();
        for (name, order) in store.orders().await? {
            if !self.held.contains(&order.partition) {
                continue;
            }
            let (partition, mark, source) = (order.partition, order.mark, &self.shared.source);
            if source.reached(partition)?.is_none_or(|reached| reached.position < mark.position) {
                self.disobeyed = true;
                continue;
            }
            let (reply, done) = oneshot::channel();
            let ask = match order.task {
                Task::Resend => {
                    source.due(partition, &order.company, mark)?.map(|due| Ask::Resend((partition, mark), due, reply))
                }
                Task::Retry => Some(Ask::Retry((partition, mark), reply)),
                Task::Discard => Some(Ask::Discard((partition, mark), reply)),
                Task::Replay => Some(Ask::Replay(vec![(partition, mark.position)], reply)),
            };
            let asked = ask.zip(self.couriers.get(&order.company));
            let passed = asked.is_some();
            if let Some((ask, courier)) = asked {
                pass(courier, ask).await;
            }
            match done.await {
                Err(_) if passed => return Err(Error::Stopped),
                Ok(Err(Error::Bucket(error))) => return Err(error.into()),
                Ok(Ok(())) => tracing::info!(?order, "ops have ordered this, and it is done"),
                Ok(Err(error)) => tracing::warn!(?order, %error, "ops have ordered what cannot be done"),
                Err(_) => tracing::warn!(?order, "ops have ordered what is no longer kept"),
            }
            store.done(&name).await?;
        }
        Ok(())
    }

    async fn put(&mut self, order: Order, reply: Reply<(EndpointShown, Option<SecretString>)>) {
        if let Some(courier) = self.couriers.get(&order.company) {
            return pass(courier, Ask::Put(order, reply)).await;
        }
        let put = self.put_new(order).await;
        let _ = reply.send(put);
    }

    async fn put_new(&mut self, order: Order) -> Result<(EndpointShown, Option<SecretString>), Error> {
        if self.couriers.len() >= COMPANIES_MAX {
            return Err(Error::Full);
        }
        let (shared, company) = (Arc::clone(&self.shared), order.company.clone());
        shared.client.check(&order.url)?;
        let mut endpoint = Endpoint::new(&company);
        let made = apply(&mut endpoint, order, now_ms(), shared.options.rotation)?;
        shared.store.put_endpoint(&company, endpoint.encode(&*shared.options.seal)?).await?;
        tracing::info!(company, url = endpoint.url, state = endpoint.state.word(), "ops set a new webhook endpoint");
        self.employ(endpoint).await?;
        // Answered after what it gained, so that what happens from now on is told.
        let courier = self.couriers.get(&company).ok_or(Error::Stopped)?;
        let (send, shown) = oneshot::channel();
        pass(courier, Ask::Show(send)).await;
        Ok((shown.await.map_err(|_| Error::Stopped)?, made))
    }

    async fn resend(&self, id: MessageId, reply: Reply<()>) {
        if MessageId::new(self.shared.options.ledger, id.partition, id.mark) != id {
            let _ = reply.send(Err(Error::Unknown("webhook")));
            return;
        }
        let mut found = Ok(None);
        for (company, courier) in &self.couriers {
            match self.shared.source.due(id.partition, company, id.mark) {
                Ok(Some(due)) => {
                    found = Ok(Some((courier, due)));
                    break;
                }
                Ok(None) => {}
                Err(error) => found = Err(error),
            }
        }
        match found {
            Ok(Some((courier, due))) => {
                tracing::info!(%id, "ops resend a webhook");
                pass(courier, Ask::Resend((id.partition, id.mark), due, reply)).await;
            }
            Ok(None) => {
                let _ = reply.send(Err(Error::Unknown("webhook")));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    async fn of_letter(&self, id: MessageId, reply: Reply<()>, ask: fn((u16, Mark), Reply<()>) -> Ask) {
        let letters = self.couriers.iter().map(async |(company, courier)| {
            let (send, letters) = oneshot::channel();
            pass(courier, Ask::Letters(send)).await;
            (company, letters.await.unwrap_or_default())
        });
        for letters in letters {
            let (company, letters) = letters.await;
            if letters.iter().any(|letter| letter.id == id.to_string())
                && let Some(courier) = self.couriers.get(company)
            {
                tracing::info!(%id, "ops deal with a dead letter");
                return pass(courier, ask((id.partition, id.mark), reply)).await;
            }
        }
        let _ = reply.send(Err(Error::Unknown("dead letter")));
    }

    /// What every courier answers, by company.
    async fn all<A>(&self, ask: impl Fn(oneshot::Sender<A>) -> Ask) -> Result<Vec<A>, Error> {
        let mut answers = Vec::new();
        for courier in self.couriers.values() {
            let (send, answer) = oneshot::channel();
            pass(courier, ask(send)).await;
            answers.push(answer.await.map_err(|_| Error::Stopped)?);
        }
        Ok(answers)
    }

    /// Has the source forget what is old and sent.
    async fn forget(&mut self) -> Result<(), Error> {
        let mut needs: BTreeMap<u16, (Position, BTreeSet<Mark>)> = BTreeMap::new();
        // Nobody waits for anything in a partition that no courier names.
        let everything = || (Position(u64::MAX), BTreeSet::new());
        for (partition, needed, undelivered) in self.all(Ask::Needs).await?.concat() {
            let need = needs.entry(partition).or_insert_with(everything);
            need.0 = Position(need.0.0.min(needed.0));
            need.1.extend(undelivered);
        }
        let replay_ms = u64::try_from(self.shared.options.replay.as_millis()).unwrap_or(u64::MAX);
        let since_ms = now_ms().saturating_sub(replay_ms);
        for partition in self.held.clone() {
            let (needed, except) = needs.remove(&partition).unwrap_or_else(everything);
            if self.leased {
                self.gather(partition, &except).await?;
            }
            let shared = Arc::clone(&self.shared);
            let forget = move || shared.source.forget(partition, needed, since_ms, &except);
            tokio::task::spawn_blocking(forget).await??;
        }
        // What others hold is listed here too, and goes as they have sent it.
        let enabled = self.all(Ask::Show).await?.into_iter().filter(|shown| shown.state == State::Enabled);
        let enabled: BTreeSet<String> = enabled.map(|shown| shown.company).collect();
        for partition in (0..self.shared.source.partitions()).filter(|partition| !self.held.contains(partition)) {
            let Shared { source, store, options, .. } = &*self.shared;
            forget_stored(source, store, options, partition, &enabled).await?;
        }
        Ok(())
    }

    /// Takes over what is kept of a held partition and nobody here knows, twice in a row: somebody who had lost the partition
    /// without knowing it took it in after it had been sent from here. It is sent once more.
    async fn gather(&mut self, partition: u16, known: &BTreeSet<Mark>) -> Result<(), Error> {
        let kept = self.shared.store.load(partition).await?.sound();
        let stray: Vec<_> = kept.deliveries.into_iter().filter(|delivery| !known.contains(&delivery.mark)).collect();
        let before = self.strays.remove(&partition).unwrap_or_default();
        self.strays.insert(partition, stray.iter().map(|delivery| delivery.mark).collect());
        for delivery in stray.into_iter().filter(|delivery| before.contains(&delivery.mark)) {
            if let Some(courier) = self.couriers.get(&delivery.company) {
                pass(courier, Ask::Stray(delivery)).await;
            }
        }
        Ok(())
    }

    async fn tell_lag(&self) {
        let Ok(shown) = self.all(Ask::Show).await else { return };
        let (waiting, dead) = shown.iter().fold((0, 0), |sum, shown| (sum.0 + shown.waiting, sum.1 + shown.dead));
        metrics::gauge!("florin_webhooks_deliveries", "state" => "waiting").set(waiting as f64);
        metrics::gauge!("florin_webhooks_deliveries", "state" => "dead").set(dead as f64);
        let mut lags = Vec::new();
        for partition in &self.held {
            let Ok(Some(reached)) = self.shared.source.reached(*partition) else { continue };
            let of = |shown: &EndpointShown| shown.positions.iter().find(|(of, _)| of == partition).map(|(_, at)| *at);
            let enabled = shown.iter().filter(|shown| shown.state == State::Enabled);
            let position = enabled.filter_map(of).min().unwrap_or(reached.position).min(reached.position);
            let behind = reached.position.index().saturating_sub(position.index());
            let lag = behind + self.shared.source.lag(*partition);
            lags.push(Lag { partition: *partition, position, behind_records: lag });
            metrics::gauge!("florin_webhooks_lag_records", "partition" => partition.to_string()).set(lag as f64);
        }
        *self.lags.lock().unwrap_or_else(PoisonError::into_inner) = lags;
    }
}

/// Has a source forget what is old and, as the store has it, sent.
pub(super) async fn forget_stored<S: Source, T: Store>(
    source: &S,
    store: &T,
    options: &Options,
    partition: u16,
    enabled: &BTreeSet<String>,
) -> Result<(), Error> {
    let mut kept = store.load(partition).await?;
    // An endpoint that is switched off holds up nothing but what it was to get already.
    kept.cursors.retain(|(company, _)| enabled.contains(company));
    let except = kept.deliveries.iter().map(|delivery| delivery.mark).collect();
    let needed = kept.needed();
    let replay_ms = u64::try_from(options.replay.as_millis()).unwrap_or(u64::MAX);
    let (source, since_ms) = (source.clone(), now_ms().saturating_sub(replay_ms));
    tokio::task::spawn_blocking(move || source.forget(partition, needed, since_ms, &except)).await?
}

async fn pass(courier: &mpsc::Sender<Ask>, ask: Ask) {
    // A courier that has ended ends the office too; its replies are dropped, which the asker is told as stopped.
    let _ = courier.send(ask).await;
}
