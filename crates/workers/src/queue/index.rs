//! What the embedded queue knows in memory: who may take which item when. Pure: time is given.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use florin_engine::ids::CardId;
use tokio::time::Instant;

use super::item::Stored;
use super::{Depth, Error, ItemId, Lease};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To be taken from this time on; in order of arrival.
    Waiting { at: Instant, turn: u64 },
    /// Worked on, until this time at the latest.
    Leased { token: u64, until: Instant },
    /// A dead letter that is not tried again.
    Still,
}

#[derive(Clone, Debug)]
struct Slot {
    stored: Stored,
    place: Place,
}

/// The items of one card that are not still.
#[derive(Debug, Default)]
struct Line {
    leased: bool,
    waiting: BTreeMap<(u32, ItemId), Instant>,
}

/// What `take` found.
pub(super) enum Taken {
    /// An item.
    Lease(Lease),
    /// Nothing before this time, unless something changes.
    Nothing(Option<Instant>),
}

#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<ItemId, Slot>,
    waiting: BTreeSet<(Instant, u64, ItemId)>,
    leases: BTreeSet<(Instant, ItemId)>,
    lines: HashMap<CardId, Line>,
    depth: Depth,
    /// Turns and tokens handed out.
    count: u64,
}

impl Index {
    pub(super) fn contains(&self, id: &ItemId) -> bool {
        self.slots.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn depth(&self) -> Depth {
        Depth { leased: self.leases.len(), ..self.depth }
    }

    pub(super) fn letters(&self) -> impl Iterator<Item = &Stored> {
        self.slots.values().map(|slot| &slot.stored).filter(|stored| stored.death.is_some())
    }

    /// Adds an item, or gives it another place: to be taken from `at` on, or `None`: lying still.
    pub(super) fn place(&mut self, stored: Stored, at: Option<Instant>) {
        let id = stored.item.id();
        self.remove(&id);
        let place = match at {
            None => Place::Still,
            Some(at) => {
                self.count += 1;
                self.waiting.insert((at, self.count, id));
                let line = self.lines.entry(stored.item.card).or_default();
                line.waiting.insert((stored.item.change, id), at);
                Place::Waiting { at, turn: self.count }
            }
        };
        match stored.death {
            Some(_) => self.depth.dead += 1,
            None => self.depth.waiting += 1,
        }
        self.slots.insert(id, Slot { stored, place });
    }

    pub(super) fn remove(&mut self, id: &ItemId) -> Option<Stored> {
        let slot = self.slots.remove(id)?;
        let (card, change) = (slot.stored.item.card, slot.stored.item.change);
        match slot.place {
            Place::Waiting { at, turn } => {
                self.waiting.remove(&(at, turn, *id));
                self.leave(card, |line| {
                    line.waiting.remove(&(change, *id));
                });
            }
            Place::Leased { until, .. } => {
                self.leases.remove(&(until, *id));
                self.leave(card, |line| line.leased = false);
            }
            Place::Still => {}
        }
        let leased = matches!(slot.place, Place::Leased { .. });
        match slot.stored.death {
            Some(_) => self.depth.dead -= 1,
            None if !leased => self.depth.waiting -= 1,
            None => {}
        }
        Some(slot.stored)
    }

    fn leave(&mut self, card: CardId, leave: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&card) {
            leave(line);
            if !line.leased && line.waiting.is_empty() {
                self.lines.remove(&card);
            }
        }
    }

    /// The stored item of a lease that holds.
    pub(super) fn held(&self, lease: &Lease) -> Result<&Stored, Error> {
        let id = lease.item.id();
        match self.slots.get(&id) {
            Some(Slot { stored, place: Place::Leased { token, .. } }) if *token == lease.token => Ok(stored),
            _ => Err(Error::LeaseLost(id)),
        }
    }

    pub(super) fn letter(&self, id: ItemId) -> Result<&Stored, Error> {
        let stored = self.slots.get(&id).map(|slot| &slot.stored);
        stored.filter(|stored| stored.death.is_some()).ok_or(Error::NoLetter(id))
    }

    /// Lays a dead letter aside, so that nobody takes it until it has a new place. Not one that is being tried.
    pub(super) fn aside(&mut self, id: ItemId) -> Result<Stored, Error> {
        let stored = self.letter(id)?.clone();
        if self.slots.get(&id).is_some_and(|slot| matches!(slot.place, Place::Leased { .. })) {
            return Err(Error::Leased(id));
        }
        self.place(stored.clone(), None);
        Ok(stored)
    }

    pub(super) fn extend(&mut self, lease: &Lease, until: Instant) -> Result<(), Error> {
        self.held(lease)?;
        let id = lease.item.id();
        if let Some(Slot { place: Place::Leased { until: before, .. }, .. }) = self.slots.get_mut(&id) {
            self.leases.remove(&(*before, id));
            self.leases.insert((until, id));
            *before = until;
        }
        Ok(())
    }

    /// Leases the item that has been ready longest and whose card is free; of that card, the lowest change that is ready.
    pub(super) fn take(&mut self, now: Instant, lease: Duration) -> Taken {
        self.expire(now);
        let ready = self.waiting.iter().take_while(|(at, ..)| *at <= now);
        let lines = &self.lines;
        let free = ready.filter_map(|(.., id)| self.slots.get(id)).map(|slot| slot.stored.item.card);
        let card = free.into_iter().find(|card| lines.get(card).is_some_and(|line| !line.leased));
        let first = card
            .and_then(|card| lines.get(&card))
            .and_then(|line| line.waiting.iter().find(|(_, at)| **at <= now).map(|((_, id), _)| *id));
        let Some(id) = first else {
            return Taken::Nothing(self.next(now));
        };
        let Some(stored) = self.remove(&id) else {
            return Taken::Nothing(Some(now));
        };
        self.count += 1;
        let (item, token, until) = (stored.item, self.count, now + lease);
        let lease = Lease { item, tries: stored.tries, dead: stored.death.is_some(), token };
        self.leases.insert((until, id));
        self.lines.entry(item.card).or_default().leased = true;
        self.depth.dead += usize::from(stored.death.is_some());
        self.slots.insert(id, Slot { stored, place: Place::Leased { token, until } });
        Taken::Lease(lease)
    }

    /// When something becomes ready by itself: a delay or a lease that is over.
    fn next(&self, now: Instant) -> Option<Instant> {
        let later = self.waiting.range((now, u64::MAX, ItemId::LAST)..).next().map(|(at, ..)| *at);
        later.into_iter().chain(self.leases.first().map(|(until, _)| *until)).min()
    }

    /// Leases that are over: their items may be taken at once. It counts as a try, as whoever had it may have asked.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, id)) = self.leases.first().copied().filter(|(until, _)| *until <= now) {
            if let Some(mut stored) = self.remove(&id) {
                stored.tries = stored.tries.saturating_add(1);
                self.place(stored, Some(now));
            }
        }
    }
}
