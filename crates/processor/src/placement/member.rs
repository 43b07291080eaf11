//! A member's task: beats, watches, takes, lets go. What it knows comes from the watch and from acknowledgements; what it
//! tried without an answer, the watch tells sooner or later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::time::Instant;

use async_nats::jetstream::kv::{Entry, Operation, Store, Watch, WatchError};
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::keys::{self, Key};
use super::view::View;
use super::{Belief, MEMBERS_MAX, Order, SAT_OUT, Settings};

/// Beats remembered until the watch has shown them.
const BEATS_MAX: usize = 64;

/// Changes of the bucket made between two looks at the watch.
const CHANGES_MAX: usize = 16;

pub(super) struct Member {
    client: async_nats::Client,
    store: Store,
    settings: Settings,
    held: watch::Sender<BTreeSet<u16>>,
    orders: mpsc::UnboundedReceiver<Order>,
    belief: Belief,
    /// This incarnation's id; another one after every death.
    id: String,
    place: Option<u16>,
    beat: u64,
    next_beat: Instant,
    /// When each beat was sent; gone once it extended the belief.
    sent: VecDeque<(u64, Instant)>,
    /// When each acknowledged beat was acknowledged; gone once the watch showed it.
    unseen: VecDeque<(u64, Instant)>,
    view: View,
    /// What a new watch has told so far.
    filling: View,
    watch: Option<Watch>,
    opening: Option<JoinHandle<Result<Watch, WatchError>>>,
    next_watch: Instant,
    /// Slots on their way to others, and until when they wait to be released here.
    releasing: BTreeMap<u16, Instant>,
    /// Slots that were ever told to be held, and not released since: nobody runs another.
    lent: BTreeSet<u16>,
    /// Slots that cannot be run here, and until when others are to have them.
    out: BTreeMap<u16, Instant>,
    leaving: Option<Leaving>,
    turned: Instant,
}

struct Leaving {
    told: oneshot::Sender<()>,
    until: Instant,
}

/// What woke the task.
enum Woken {
    Order(Option<Order>),
    Told(Option<Result<Entry, String>>),
    Opened(Result<Watch, String>),
    Tick,
}

impl Member {
    pub(super) fn new(
        client: async_nats::Client,
        store: Store,
        settings: Settings,
        held: watch::Sender<BTreeSet<u16>>,
        orders: mpsc::UnboundedReceiver<Order>,
        belief: Belief,
    ) -> Self {
        let now = Instant::now();
        let id = new_id(&client);
        Self {
            client,
            store,
            settings,
            held,
            orders,
            belief,
            id,
            place: None,
            beat: 0,
            next_beat: now,
            sent: VecDeque::new(),
            unseen: VecDeque::new(),
            view: View::default(),
            filling: View::default(),
            watch: None,
            opening: None,
            next_watch: now,
            releasing: BTreeMap::new(),
            lent: BTreeSet::new(),
            out: BTreeMap::new(),
            leaving: None,
            turned: now,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.woken().await {
                Woken::Order(Some(Order::Leave(told))) => {
                    let until = Instant::now() + 3 * self.settings.ttl;
                    self.leaving = Some(Leaving { told, until });
                    self.let_go();
                }
                Woken::Order(Some(Order::Released(slot))) => {
                    if let Some(until) = self.releasing.get_mut(&slot) {
                        *until = Instant::now();
                        self.lent.remove(&slot);
                    }
                }
                Woken::Order(Some(Order::SitOut(slot))) => {
                    // Others learn of it by a beat.
                    self.next_beat = Instant::now();
                    self.out.insert(slot, self.next_beat + SAT_OUT * self.settings.ttl);
                }
                Woken::Order(None) => return,
                Woken::Told(entry) => self.told(entry),
                Woken::Opened(opened) => self.opened(opened),
                Woken::Tick => {}
            }
            self.notice_a_pause();
            self.keep_watching();
            self.beat().await;
            self.tell();
            self.act().await;
            self.tell();
            if self.left().await {
                return;
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let tick = Instant::now() + self.settings.ttl / 20;
        let watching = async {
            match &mut self.watch {
                Some(watch) => watch.next().await.map(|told| told.map_err(|error| error.to_string())),
                None => pending().await,
            }
        };
        let opening = async {
            match &mut self.opening {
                Some(opening) => match opening.await {
                    Ok(opened) => opened.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                },
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            order = self.orders.recv() => Woken::Order(order),
            told = watching => Woken::Told(told),
            opened = opening => Woken::Opened(opened),
            () = sleep_until(tick.into()) => Woken::Tick,
        }
    }

    /// After this process stood still, what it saw of others is no measure of their age.
    fn notice_a_pause(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.turned) > self.settings.ttl / 2 {
            for seen in self.view.members.values_mut() {
                seen.at = now;
            }
        }
        self.turned = now;
    }

    fn told(&mut self, entry: Option<Result<Entry, String>>) {
        let entry = match entry {
            Some(Ok(entry)) => entry,
            Some(Err(reason)) => return self.watch_anew(&reason),
            None => return self.watch_anew("it ended"),
        };
        let now = Instant::now();
        if let Some(key) = Key::parse(&entry.key, &self.settings.group) {
            let value = String::from_utf8_lossy(&entry.value);
            let value = (entry.operation == Operation::Put).then_some(&*value);
            if let (Key::Member(_), Some(beat)) = (key, keys::beat_of(&entry.value))
                && value.is_some_and(|value| keys::id(value.as_bytes()) == self.id)
            {
                self.believe(beat);
                self.unseen.retain(|(unseen, _)| *unseen > beat);
            }
            if self.filling.current {
                self.view.told(key, value, entry.revision, now);
            } else {
                self.filling.told(key, value, entry.revision, now);
            }
        }
        if !self.filling.current && entry.delta == 0 {
            self.filling.current = true;
            let mut rest = View::default();
            rest.current = true;
            let filled = std::mem::replace(&mut self.filling, rest);
            self.view = filled.after(&self.view);
        }
    }

    /// A beat was acknowledged: the belief lasts for two thirds of the lease after it was sent.
    fn believe(&mut self, beat: u64) {
        if let Some((_, sent)) = self.sent.iter().find(|(sent, _)| *sent == beat) {
            if !self.belief.lives() {
                // Servers that did not hear this one's beats did not show those of others either: who could not beat is
                // not dead, and is not to lose what it held to whoever is the first to be heard again.
                let now = Instant::now();
                self.view.members.values_mut().for_each(|seen| seen.at = now);
            }
            let until = *sent + self.settings.ttl * 2 / 3;
            if until > self.belief.ends() {
                self.belief.until(until);
            }
        }
        self.sent.retain(|(sent, _)| *sent > beat);
    }

    fn watch_anew(&mut self, reason: &str) {
        let group = &self.settings.group;
        tracing::debug!(group, reason, "the watch of the placement begins anew");
        self.watch = None;
        self.unseen.clear();
        self.next_watch = Instant::now() + self.settings.ttl / 10;
    }

    fn keep_watching(&mut self) {
        let now = Instant::now();
        let stale = |(_, acked): &(u64, Instant)| now.saturating_duration_since(*acked) > self.settings.ttl / 2;
        if self.watch.is_some() && self.unseen.front().is_some_and(stale) {
            self.watch_anew("it does not show own beats");
        }
        if self.watch.is_none() && self.opening.is_none() && now >= self.next_watch {
            self.filling = View::default();
            let store = self.store.clone();
            let group = self.settings.group.clone();
            self.opening = Some(tokio::spawn(async move {
                // So that there is something to be told: an empty watch does not say that it is.
                let _ = store.put(format!("{group}.watched"), Vec::new().into()).await;
                store.watch_with_history(format!("{group}.>")).await
            }));
        }
    }

    fn opened(&mut self, opened: Result<Watch, String>) {
        self.opening = None;
        match opened {
            Ok(watch) => self.watch = Some(watch),
            Err(reason) => self.watch_anew(&reason),
        }
    }

    /// Finds out whether it is still a member; becomes one; beats when it is time.
    async fn beat(&mut self) {
        if !self.view.current {
            return;
        }
        let own = self.view.members.iter().find(|(_, seen)| seen.id == self.id).map(|(place, _)| *place);
        if own.is_none() && self.place.is_some() {
            // Taken for dead, rightly or not.
            let group = &self.settings.group;
            tracing::warn!(group, id = self.id, "the lease of this process was lost");
            self.belief.end();
            self.id = new_id(&self.client);
            self.releasing.clear();
            self.sent.clear();
            self.unseen.clear();
            self.next_beat = Instant::now();
        }
        self.place = own;
        let now = Instant::now();
        if now < self.next_beat || (self.leaving.is_some() && self.place.is_none()) {
            return;
        }
        let Some(place) = self.place.or_else(|| self.view.free_place(MEMBERS_MAX)) else {
            tracing::warn!(group = self.settings.group, "the group has as many members as it may have");
            self.next_beat = now + self.settings.ttl;
            return;
        };
        self.next_beat = now + self.settings.ttl / 5;
        self.beat += 1;
        if self.sent.len() == BEATS_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((self.beat, now));
        self.out.retain(|_, until| *until > now);
        let out = self.out.keys().copied().collect();
        let value = keys::beat(&self.id, self.beat, &label(&self.settings.label), &out);
        if self.change(Key::Member(place), Some(value)).await {
            self.believe(self.beat);
            self.place = Some(place);
            if self.unseen.len() < BEATS_MAX {
                self.unseen.push_back((self.beat, Instant::now()));
            }
        } else if self.place.is_none() {
            // Most likely somebody else took that place.
            self.next_beat = now + self.settings.ttl / 20;
        }
    }

    /// Changes or deletes a key, if it is as it was seen; says whether that is certain.
    async fn change(&mut self, key: Key, value: Option<String>) -> bool {
        let text = key.text(&self.settings.group);
        let expected = self.view.revision(key);
        let patience = self.settings.ttl / 8;
        let changed = match value {
            Some(value) => timeout(patience, self.store.update(text, value.clone().into(), expected))
                .await
                .map_err(|_| "no answer".to_owned())
                .and_then(|changed| changed.map(|revision| Some((revision, value))).map_err(|error| error.to_string())),
            None => timeout(patience, self.store.delete_expect_revision(text, Some(expected)))
                .await
                .map_err(|_| "no answer".to_owned())
                .and_then(|deleted| deleted.map(|()| None).map_err(|error| error.to_string())),
        };
        match changed {
            Ok(Some((revision, value))) => {
                self.view.told(key, Some(&value), revision, Instant::now());
                true
            }
            // Which revision the deletion has, only the watch tells.
            Ok(None) => true,
            Err(reason) => {
                tracing::debug!(group = self.settings.group, ?key, reason, "a placement could not be changed");
                false
            }
        }
    }

    /// Puts what is somebody else's share, or everything when leaving, on its way.
    fn let_go(&mut self) {
        let wait = if self.settings.confirmed { 2 * self.settings.ttl } else { self.settings.ttl / 5 };
        let until = Instant::now() + wait;
        let slots = if self.leaving.is_some() {
            self.view.held_by(&self.id).into_iter().collect()
        } else {
            self.view.to_let_go(&self.id, self.settings.slots)
        };
        for slot in slots {
            let until = if self.lent.contains(&slot) { until } else { Instant::now() };
            self.releasing.entry(slot).or_insert(until);
        }
    }

    async fn act(&mut self) {
        if !self.view.current || self.place.is_none() || !self.belief.lives() || self.leaving.is_some() {
            return;
        }
        let now = Instant::now();
        if let Some((place, seen)) = self.view.dead(&self.id, self.settings.ttl, now) {
            let group = &self.settings.group;
            tracing::info!(group, id = seen.id, "a member is dead: what it held is shared out");
            // If that fails it has beaten, or somebody else was faster. The watch will say; until then it is not tried again.
            let _ = self.change(Key::Member(place), None).await;
            self.view.members.entry(place).and_modify(|seen| seen.at = Instant::now());
            return;
        }
        self.let_go();
        let own = self.view.held_by(&self.id);
        self.releasing.retain(|slot, _| own.contains(slot));
        self.tell();
        let released = self.releasing.iter().filter(|(_, until)| **until <= now).map(|(slot, _)| *slot);
        let let_go = released.map(|slot| (slot, None));
        let taken = self.view.to_take(&self.id, self.settings.slots).into_iter();
        let taken = taken.map(|slot| (slot, Some(self.id.clone())));
        let changes: Vec<_> = let_go.chain(taken).take(CHANGES_MAX).collect();
        for (slot, value) in changes {
            let gone = value.is_none();
            if !self.change(Key::Slot(slot), value).await || !self.belief.lives() {
                return;
            }
            if gone {
                self.view.emptied(slot);
                self.releasing.remove(&slot);
            }
            if Instant::now() >= self.next_beat {
                return;
            }
        }
    }

    /// Publishes what is held.
    fn tell(&mut self) {
        let held = if self.belief.lives() && self.leaving.is_none() {
            let own = self.view.held_by(&self.id).into_iter();
            own.filter(|slot| *slot < self.settings.slots && !self.releasing.contains_key(slot)).collect()
        } else {
            BTreeSet::new()
        };
        self.lent.extend(&held);
        self.held.send_if_modified(|before| {
            let changed = *before != held;
            *before = held;
            changed
        });
    }

    /// When leaving: once all is released here, deletes the member's key, which frees all its slots; says when it is done.
    async fn left(&mut self) -> bool {
        let Some(leaving) = &self.leaving else { return false };
        let (now, until) = (Instant::now(), leaving.until);
        if now < until && self.releasing.values().any(|until| *until > now) {
            return false;
        }
        let gone = match self.place {
            Some(place) => self.change(Key::Member(place), None).await,
            None => true,
        };
        if !gone && now < until {
            return false;
        }
        self.belief.end();
        if let Some(leaving) = self.leaving.take() {
            // Who asked may have stopped waiting.
            let _ = leaving.told.send(());
        }
        true
    }
}

/// A new random id: the random part of an inbox's name.
fn new_id(client: &async_nats::Client) -> String {
    let inbox = client.new_inbox();
    inbox.rsplit('.').next().unwrap_or(&inbox).to_owned()
}

fn label(label: &str) -> String {
    label.chars().filter(|c| !c.is_control() && *c != ' ').take(64).collect()
}
