//! The work queue on NATS JetStream, shared by any number of processes.
//!
//! Shape: items are messages of a work-queue stream, one subject each, so that the stream itself refuses a second one of the
//! same id; one shared pull consumer hands them out with explicit acknowledgement, puts off what is given back, and hands out
//! again what nobody ends in its time. What it cannot do is keep to one item of a card at a time: for that there is a record
//! for each card that is being worked on (`card.rs`), written against its last sequence. A consumer may work on an item when
//! it has written its lease there (`take.rs`), and loses the item when another has. Dead letters are messages of a stream of
//! their own. `names.rs` has the subjects, `streams.rs` the settings.
//!
//! A lease is taken over at once by a later delivery of the same item, which only happens when the time of the earlier one was
//! over; by anything else when it was seen not to move for a whole lease. No clock of another machine is relied on.
//!
//! Absent on purpose: JetStream's window of duplicates, which forgets; and any state here that a restart would miss.

pub(crate) mod broker;
mod card;
mod names;
mod streams;
mod take;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use florin_engine::ids::CardId;
use florin_journal::LedgerId;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::broker::{Broker, Put};
use self::card::Card;
use self::names::{CONSUMER, Names};
use self::streams::Shape;
use super::embedded::{checkpoint_bytes, checkpoint_of};
use super::item::Stored;
use super::{Checkpoint, Death, Depth, Error, Item, ItemId, Lease, Letter, Queue, shortened};

/// Most writes under way at once while items are added.
const WRITES: usize = 64;
/// How long an item waits that ought to be a dead letter when there is no room for one.
const NO_ROOM: Duration = Duration::from_mins(5);
/// How often a write is tried against a record that others write too.
const RACES_MAX: usize = 16;

/// Settings of a shared queue.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a lease holds unless it is extended [30 s]. The same in all processes.
    pub lease: Duration,
    /// Most items, and most dead letters [1,000,000]. What the stream was made with counts.
    pub capacity: usize,
    /// On how many servers it is kept [1; 3 in production].
    pub replicas: usize,
    /// How long the servers may be away before a call fails with [`Error::Unreachable`] [10 s].
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), capacity: 1_000_000, replicas: 1, patience: Duration::from_secs(10) }
    }
}

/// The shared queue. Cheap to clone.
#[derive(Clone)]
pub struct JetStream {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Broker,
    names: Names,
    shape: Shape,
    /// Leases of this process, by their token.
    held: Mutex<HashMap<u64, Held>>,
    /// Records of cards that stood in the way, and since when they have not moved.
    seen: Mutex<HashMap<CardId, (u64, Instant)>>,
}

/// What a lease rests on.
#[derive(Clone, Debug)]
struct Held {
    /// The sequence of the card's record.
    revision: u64,
    card: Card,
    nonce: u64,
    /// Where to tell about the delivery.
    reply: String,
    /// The letter, if it is one.
    death: Option<Death>,
    since: Instant,
}

impl JetStream {
    /// Opens the queue of a ledger, and makes what is missing of it.
    ///
    /// # Errors
    /// [`Error::Foreign`] when a stream is another ledger's or has other settings, [`Error::Unreachable`] after the patience,
    /// [`Error::Name`].
    pub async fn open(
        client: async_nats::Client,
        name: &str,
        ledger: LedgerId,
        settings: Settings,
    ) -> Result<Self, Error> {
        let names = Names::of(name).ok_or_else(|| Error::Name(name.to_owned()))?;
        let broker = Broker::new(client, settings.patience);
        let Settings { lease, capacity, replicas, .. } = settings;
        let shape = Shape { ledger, lease, capacity, replicas };
        streams::ensure(&broker, &names, shape).await?;
        let inner = Inner { broker, names, shape, held: Mutex::default(), seen: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self, lease: &Lease) -> Result<Held, Error> {
        self.held().get(&lease.token).cloned().ok_or(Error::LeaseLost(lease.item.id()))
    }

    /// Keeps what a new lease rests on, and forgets those that were left lying.
    fn keep(&self, token: u64, new: Held) {
        let mut held = self.held();
        let long = self.shape.lease * 4;
        held.retain(|_, held| held.since.elapsed() < long);
        held.insert(token, new);
    }

    /// Writes a message, and makes the streams again if somebody deleted them.
    async fn put(&self, doing: &'static str, subject: &str, body: &[u8], last: Option<u64>) -> Result<Put, Error> {
        for _ in 0..RACES_MAX {
            match self.broker.put(doing, subject, body, last).await? {
                Put::Nowhere => streams::ensure(&self.broker, &self.names, self.shape).await?,
                put => return Ok(put),
            }
        }
        Err(Error::Unreachable { doing, source: "no stream takes it".into() })
    }

    /// The record of a card with its sequence, 0 if there is none.
    async fn card(&self, card: CardId) -> Result<(u64, Card), Error> {
        let subject = self.names.card(card);
        let Some(stored) = self.broker.last("reading a card's leases", &self.names.state, &subject).await? else {
            return Ok((0, Card::default()));
        };
        // One that cannot be read holds up nothing; what was leased is found to be done.
        Ok((stored.sequence, Card::decode(&stored.body).unwrap_or_default()))
    }

    /// Changes the record under a lease, or takes it away when nothing is left in it. [`Error::LeaseLost`] when the lease is
    /// another's.
    async fn change(&self, lease: &Lease, held: &Held, change: impl Fn(&mut Card)) -> Result<(u64, Card), Error> {
        let (mut revision, mut card) = (held.revision, held.card.clone());
        for _ in 0..RACES_MAX {
            change(&mut card);
            let written = if card.is_empty() {
                self.broker.delete("ending a lease", &self.names.state, revision).await?.then_some(0)
            } else {
                let subject = self.names.card(lease.item.card);
                match self.put("writing a lease", &subject, &card.encode(), Some(revision)).await? {
                    Put::Stored(revision) => Some(revision),
                    Put::Conflict => None,
                    Put::Full | Put::Nowhere => return Err(Error::Full { max: self.shape.capacity }),
                }
            };
            if let Some(revision) = written {
                return Ok((revision, card));
            }
            // An earlier write of this very lease may have come through unheard.
            (revision, card) = self.card(lease.item.card).await?;
            if card.holder.is_none_or(|holder| holder.nonce != held.nonce) {
                break;
            }
        }
        self.held().remove(&lease.token);
        Err(Error::LeaseLost(lease.item.id()))
    }

    /// Ends a lease, and leaves the item's tries behind, if any.
    async fn release(&self, lease: &Lease, held: &Held, tried: Option<(u32, u64)>) -> Result<(), Error> {
        let id = lease.item.id();
        let released = self.change(lease, held, |card| {
            card.holder = None;
            card.set(id, tried);
        });
        match released.await {
            Ok(_) => {
                self.held().remove(&lease.token);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn put_off(&self, held: &Held, delay: Duration) -> Result<(), Error> {
        self.broker.tell("giving an item back", &held.reply, &nak(delay)).await
    }

    /// Adds one item; whether it was new.
    async fn add(&self, item: Item) -> Result<bool, Error> {
        let body = Stored { item, tries: 0, death: None }.encode();
        match self.put("adding items", &self.names.item(&item), &body, Some(0)).await? {
            Put::Stored(_) => Ok(true),
            Put::Conflict => Ok(false),
            Put::Full | Put::Nowhere => Err(Error::Full { max: self.shape.capacity }),
        }
    }

    /// The stored letter of an item with its sequence.
    async fn letter(&self, id: ItemId) -> Result<Option<(u64, Stored)>, Error> {
        let subject = self.names.letter(id);
        let found = self.broker.last("reading a dead letter", &self.names.dead, &subject).await?;
        Ok(found.and_then(|found| Some((found.sequence, Stored::decode(&found.body)?))))
    }

    /// Whether there is any dead letter.
    async fn any_dead(&self) -> Result<bool, Error> {
        let all = self.names.all_dead();
        Ok(self.broker.next("looking for dead letters", &self.names.dead, &all, 1).await?.is_some())
    }

    /// A letter that ops may deal with: not one that is being tried.
    async fn free_letter(&self, id: ItemId) -> Result<(u64, Stored), Error> {
        let letter = self.letter(id).await?.ok_or(Error::NoLetter(id))?;
        let (_, card) = self.card(letter.1.item.card).await?;
        if card.holder.is_some_and(|holder| holder.id == id) {
            return Err(Error::Leased(id));
        }
        Ok(letter)
    }

    /// Takes the message of an item off the queue, if it is there.
    async fn remove_item(&self, item: &Item) -> Result<(), Error> {
        let subject = self.names.item(item);
        if let Some(found) = self.broker.last("finding an item", &self.names.items, &subject).await? {
            self.broker.delete("taking an item away", &self.names.items, found.sequence).await?;
        }
        Ok(())
    }

    async fn remove_letter(&self, id: ItemId) -> Result<(), Error> {
        if let Some((sequence, _)) = self.letter(id).await? {
            self.broker.delete("taking a dead letter away", &self.names.dead, sequence).await?;
        }
        Ok(())
    }
}

impl Queue for JetStream {
    async fn enqueue(&self, items: Vec<Item>, reached: Option<(u16, Checkpoint)>) -> Result<usize, Error> {
        let mut added = 0;
        let look = !items.is_empty() && self.inner.any_dead().await?;
        for items in items.chunks(WRITES) {
            let mut writes = JoinSet::new();
            for item in items.iter().copied() {
                let inner = Arc::clone(&self.inner);
                writes.spawn(async move {
                    if look && inner.letter(item.id()).await?.is_some() {
                        return Ok(false);
                    }
                    inner.add(item).await
                });
            }
            while let Some(written) = writes.join_next().await {
                let written =
                    written.map_err(|error| Error::Storage { doing: "adding items", source: error.into() })?;
                added += usize::from(written?);
            }
        }
        if let Some((partition, checkpoint)) = reached {
            let (subject, body) = (self.inner.names.reached(partition), checkpoint_bytes(checkpoint));
            match self.inner.put("storing a position", &subject, &body, None).await? {
                Put::Stored(_) => {}
                Put::Conflict | Put::Full | Put::Nowhere => return Err(Error::Full { max: self.inner.shape.capacity }),
            }
        }
        Ok(added)
    }

    async fn reached(&self, partition: u16) -> Result<Option<Checkpoint>, Error> {
        let names = &self.inner.names;
        let stored = self.inner.broker.last("reading a position", &names.state, &names.reached(partition)).await?;
        Ok(stored.and_then(|stored| stored.body.try_into().ok()).map(checkpoint_of))
    }

    async fn take(&self) -> Result<Lease, Error> {
        // On a task of its own: whoever no longer waits must not take a delivery with it.
        let (mut wanted, given) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            if let Some(found) = take::next(&inner, &mut wanted).await
                && let Err(Ok(lease)) = wanted.send(found)
                && let Err(error) = (JetStream { inner }).nak(lease, Duration::ZERO, false).await
            {
                tracing::debug!(%error, "an item that nobody waited for comes again when its lease is over");
            }
        });
        let gone = |error| Error::Storage { doing: "taking an item", source: Box::new(error) };
        given.await.map_err(gone)?
    }

    async fn in_progress(&self, lease: &Lease) -> Result<(), Error> {
        let held = self.inner.lease(lease)?;
        let (revision, card) = self.inner.change(lease, &held, |_| {}).await?;
        if let Some(held) = self.inner.held().get_mut(&lease.token) {
            (held.revision, held.card, held.since) = (revision, card, Instant::now());
        }
        self.inner.broker.tell("extending a lease", &held.reply, "+WPI").await
    }

    async fn ack(&self, lease: Lease) -> Result<(), Error> {
        let held = self.inner.lease(&lease)?;
        self.inner.release(&lease, &held, None).await?;
        if held.death.is_some() {
            self.inner.remove_letter(lease.item.id()).await?;
        }
        self.inner.broker.tell("acknowledging an item", &held.reply, "+ACK").await
    }

    async fn nak(&self, lease: Lease, delay: Duration, failed: bool) -> Result<(), Error> {
        let held = self.inner.lease(&lease)?;
        let tries = lease.tries.saturating_add(u32::from(failed));
        let waits = !delay.is_zero() || tries > 0;
        self.inner.release(&lease, &held, waits.then(|| (tries, now_ms() + millis(delay)))).await?;
        self.inner.put_off(&held, delay).await
    }

    async fn bury(&self, lease: Lease, death: Death, again: Option<Duration>) -> Result<(), Error> {
        let mut held = self.inner.lease(&lease)?;
        // First that the lease holds: a letter is not to appear of what another has by now.
        (held.revision, held.card) = self.inner.change(&lease, &held, |_| {}).await?;
        let tries = lease.tries.saturating_add(1);
        let died_ms = held.death.as_ref().map_or(death.died_ms, |earlier| earlier.died_ms);
        let death = Death { died_ms, reason: shortened(&death.reason).to_owned(), again: again.is_some() };
        let (id, letter) = (lease.item.id(), Stored { item: lease.item, tries, death: Some(death) });
        let subject = self.inner.names.letter(id);
        let buried = match self.inner.put("burying an item", &subject, &letter.encode(), None).await? {
            Put::Stored(_) => true,
            Put::Conflict | Put::Full | Put::Nowhere => {
                tracing::error!(item = %id, "no room for another dead letter: the item is tried again later");
                false
            }
        };
        let again = if buried { again } else { Some(again.unwrap_or(NO_ROOM)) };
        self.inner.release(&lease, &held, again.map(|delay| (tries, now_ms() + millis(delay)))).await?;
        match again {
            Some(delay) => self.inner.put_off(&held, delay).await,
            None => self.inner.broker.tell("burying an item", &held.reply, "+ACK").await,
        }
    }

    async fn letters(&self) -> Result<Vec<Letter>, Error> {
        let names = &self.inner.names;
        let (mut letters, mut from) = (Vec::new(), 1);
        while let Some(found) =
            self.inner.broker.next("listing dead letters", &names.dead, &names.all_dead(), from).await?
        {
            from = found.sequence + 1;
            if let Some(Stored { item, tries, death: Some(death) }) = Stored::decode(&found.body) {
                letters.push(Letter { item, tries, death });
            }
        }
        letters.sort_by_key(|letter| (letter.death.died_ms, letter.item.id()));
        Ok(letters)
    }

    async fn retry(&self, id: ItemId) -> Result<(), Error> {
        let (sequence, letter) = self.inner.free_letter(id).await?;
        // Off the queue, where it may wait for its next try, and on it as new. If this breaks off in between, it is neither
        // and the sweeper brings it back.
        self.inner.remove_item(&letter.item).await?;
        self.forget_tries(&letter.item).await?;
        if !self.inner.broker.delete("retrying a dead letter", &self.inner.names.dead, sequence).await? {
            return Err(Error::NoLetter(id));
        }
        self.inner.add(letter.item).await?;
        Ok(())
    }

    async fn discard(&self, id: ItemId) -> Result<(), Error> {
        let (sequence, letter) = self.inner.free_letter(id).await?;
        self.inner.remove_item(&letter.item).await?;
        self.forget_tries(&letter.item).await?;
        match self.inner.broker.delete("dropping a dead letter", &self.inner.names.dead, sequence).await? {
            true => Ok(()),
            false => Err(Error::NoLetter(id)),
        }
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let count = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
        let (names, broker) = (&self.inner.names, &self.inner.broker);
        let info = async |call: String| broker.api("counting items", &call, &json!({})).await;
        let items = info(format!("STREAM.INFO.{}", names.items)).await?.unwrap_or_default();
        let dead = info(format!("STREAM.INFO.{}", names.dead)).await?.unwrap_or_default();
        let consumer = info(format!("CONSUMER.INFO.{}.{CONSUMER}", names.items)).await?.unwrap_or_default();
        let (all, leased) = (count(&items["state"]["messages"]), count(&consumer["num_ack_pending"]));
        let leased = leased.min(all);
        Ok(Depth { waiting: all - leased, leased, dead: count(&dead["state"]["messages"]) })
    }
}

impl JetStream {
    /// Forgets how often an item was tried. Given up where others write the card's record all the time: tries may be wrong.
    async fn forget_tries(&self, item: &Item) -> Result<(), Error> {
        for _ in 0..RACES_MAX {
            let (revision, mut card) = self.inner.card(item.card).await?;
            if card.tries(item.id()).is_none() {
                break;
            }
            card.set(item.id(), None);
            let broker = &self.inner.broker;
            let done = if card.is_empty() {
                broker.delete("forgetting tries", &self.inner.names.state, revision).await?
            } else {
                let subject = self.inner.names.card(item.card);
                let put = self.inner.put("forgetting tries", &subject, &card.encode(), Some(revision)).await?;
                matches!(put, Put::Stored(_))
            };
            if done {
                break;
            }
        }
        Ok(())
    }
}

fn nak(delay: Duration) -> String {
    if delay.is_zero() {
        return "-NAK".to_owned();
    }
    format!("-NAK {}", json!({ "delay": u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX) }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock, which only orders the items of a card.
fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, millis)
}
