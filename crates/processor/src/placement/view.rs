//! What a member knows of its group: the keys as the watch told them, and since when each member has stood still.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::keys::{self, Key};
use super::share::share;

/// A member as seen from here.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: String,
    /// The slots that it sits out.
    pub(super) out: BTreeSet<u16>,
    pub(super) revision: u64,
    /// When this revision was seen first.
    pub(super) at: Instant,
}

/// A slot's key.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) id: String,
    pub(super) revision: u64,
}

/// The group's keys; `None` of a key that was there and is deleted keeps the revision that an update must expect.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) members: BTreeMap<u16, Seen>,
    pub(super) slots: BTreeMap<u16, Holding>,
    /// Revisions of deleted keys.
    gone: BTreeMap<(bool, u16), u64>,
    /// Whether everything there is has been told.
    pub(super) current: bool,
}

impl View {
    /// A key has this value at this revision; `None`: it is deleted. Old news is not taken.
    pub(super) fn told(&mut self, key: Key, value: Option<&str>, revision: u64, now: Instant) {
        if self.revision(key) >= revision {
            return;
        }
        self.gone.remove(&place(key));
        let id = |value: &str| keys::id(value.as_bytes());
        match (key, value) {
            (Key::Member(at), Some(value)) => {
                let seen = Seen { id: id(value), out: keys::out(value), revision, at: now };
                self.members.insert(at, seen);
            }
            (Key::Slot(slot), Some(value)) => drop(self.slots.insert(slot, Holding { id: id(value), revision })),
            (key, None) => {
                match key {
                    Key::Member(at) => drop(self.members.remove(&at)),
                    Key::Slot(slot) => drop(self.slots.remove(&slot)),
                }
                self.gone.insert(place(key), revision);
            }
        }
    }

    /// The revision that a change of the key must expect; 0: it never was there.
    pub(super) fn revision(&self, key: Key) -> u64 {
        let there = match key {
            Key::Member(at) => self.members.get(&at).map(|seen| seen.revision),
            Key::Slot(slot) => self.slots.get(&slot).map(|held| held.revision),
        };
        there.or_else(|| self.gone.get(&place(key)).copied()).unwrap_or(0)
    }

    /// Told anew: who stands still since `before` is as old as it was, and what is newer than anything told is kept.
    pub(super) fn after(mut self, before: &Self) -> Self {
        for (place, seen) in &mut self.members {
            if let Some(was) = before.members.get(place)
                && was.revision == seen.revision
            {
                seen.at = was.at;
            }
        }
        let all = |view: &Self| {
            let slots = view.slots.iter().map(|(slot, held)| (Key::Slot(*slot), held.id.clone(), held.revision));
            let value = |seen: &Seen| keys::beat(&seen.id, 0, "", &seen.out);
            let members = view.members.iter().map(|(at, seen)| (Key::Member(*at), value(seen), seen.revision));
            slots.chain(members).collect::<Vec<_>>()
        };
        let gone = self.gone.values().copied();
        let newest = all(&self).iter().map(|(_, _, revision)| *revision).chain(gone).max().unwrap_or(0);
        for (key, value, revision) in all(before).into_iter().filter(|(_, _, revision)| *revision > newest) {
            self.told(key, Some(&value), revision, Instant::now());
        }
        self
    }

    /// The slot's key was deleted; at which revision, the watch will tell.
    pub(super) fn emptied(&mut self, slot: u16) {
        if let Some(held) = self.slots.get_mut(&slot) {
            held.id.clear();
        }
    }

    /// Ids of the members.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.members.values().map(|seen| seen.id.clone()).collect()
    }

    /// Slots whose key names this member.
    pub(super) fn held_by(&self, id: &str) -> BTreeSet<u16> {
        self.slots.iter().filter(|(_, held)| held.id == id).map(|(slot, _)| *slot).collect()
    }

    /// A member, other than `own`, that has not changed for a whole lease.
    pub(super) fn dead(&self, own: &str, ttl: Duration, now: Instant) -> Option<(u16, Seen)> {
        let dead = |seen: &&Seen| seen.id != own && now.saturating_duration_since(seen.at) > ttl;
        self.members.iter().find(|(_, seen)| dead(seen)).map(|(at, seen)| (*at, seen.clone()))
    }

    /// Slots that `own` should take now: its share of what is free.
    pub(super) fn to_take(&self, own: &str, slots: u16) -> Vec<u16> {
        let ids = self.ids();
        let free = |slot: u16| self.slots.get(&slot).is_none_or(|held| !ids.contains(&held.id));
        self.shares(slots).into_iter().filter(|(slot, id)| id == own && free(*slot)).map(|(slot, _)| slot).collect()
    }

    /// Slots that `own` holds and should let go: somebody else's share.
    pub(super) fn to_let_go(&self, own: &str, slots: u16) -> Vec<u16> {
        let shares = self.shares(slots);
        self.held_by(own).into_iter().filter(|slot| shares.get(slot).is_none_or(|id| id != own)).collect()
    }

    fn shares(&self, slots: u16) -> BTreeMap<u16, String> {
        let held = self.slots.iter().map(|(slot, held)| (*slot, held.id.clone())).collect();
        let out = self.members.values().map(|seen| (seen.id.clone(), seen.out.clone())).collect();
        share(&self.ids(), slots, &held, &out)
    }

    /// The first place that no member has.
    pub(super) fn free_place(&self, most: u16) -> Option<u16> {
        (0..most).find(|place| !self.members.contains_key(place))
    }
}

fn place(key: Key) -> (bool, u16) {
    match key {
        Key::Member(at) => (true, at),
        Key::Slot(slot) => (false, slot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(view: &mut View, key: Key, id: &str, revision: u64) {
        view.told(key, (!id.is_empty()).then_some(id), revision, Instant::now());
    }

    #[test]
    fn a_slot_of_nobody_alive_is_free_and_one_of_the_living_is_not() {
        let mut view = View::default();
        told(&mut view, Key::Member(0), "a", 1);
        told(&mut view, Key::Member(1), "b", 2);
        told(&mut view, Key::Slot(0), "b", 3);
        told(&mut view, Key::Slot(1), "dead", 4);
        assert_eq!(view.to_take("a", 2), [1]);
        assert_eq!(view.to_take("b", 2), [0_u16; 0]);
    }

    #[test]
    fn who_has_too_many_lets_go_and_nobody_takes_before() {
        let mut view = View::default();
        told(&mut view, Key::Member(0), "a", 1);
        told(&mut view, Key::Slot(0), "a", 2);
        told(&mut view, Key::Slot(1), "a", 3);
        told(&mut view, Key::Member(1), "b", 4);
        assert_eq!(view.to_let_go("a", 2), [1]);
        assert_eq!(view.to_take("b", 2), [0_u16; 0]);
        // When it was let go, the other takes it, expecting the deletion's revision.
        told(&mut view, Key::Slot(1), "", 5);
        assert_eq!(view.to_take("b", 2), [1]);
        assert_eq!(view.revision(Key::Slot(1)), 5);
    }

    #[test]
    fn a_slot_that_its_holder_sits_out_is_let_go_and_taken_by_another() {
        let mut view = View::default();
        told(&mut view, Key::Member(0), "a", 1);
        told(&mut view, Key::Slot(0), "a", 2);
        told(&mut view, Key::Member(0), "a 2 host 0", 3);
        // Nobody else could take it: it stays.
        assert_eq!(view.to_let_go("a", 1), [0_u16; 0]);
        told(&mut view, Key::Member(1), "b 1 host", 4);
        assert_eq!((view.to_let_go("a", 1), view.to_take("b", 1)), (vec![0], vec![]));
        told(&mut view, Key::Slot(0), "", 5);
        assert_eq!((view.to_take("a", 1), view.to_take("b", 1)), (vec![], vec![0]));
    }

    #[test]
    fn old_news_changes_nothing() {
        let mut view = View::default();
        told(&mut view, Key::Slot(0), "a", 5);
        told(&mut view, Key::Slot(0), "b", 4);
        told(&mut view, Key::Slot(0), "", 5);
        assert_eq!(view.held_by("a").len(), 1);
    }

    #[test]
    fn a_member_is_dead_when_it_stood_still_for_a_lease_as_seen_from_here() {
        let (mut view, then, ttl) = (View::default(), Instant::now(), Duration::from_secs(5));
        view.told(Key::Member(0), Some("a"), 1, then);
        assert!(view.dead("b", ttl, then + ttl).is_none());
        assert_eq!(view.dead("b", ttl, then + ttl + Duration::from_millis(1)).unwrap().1.revision, 1);
        // Never oneself: that is told by one's own beats.
        assert!(view.dead("a", ttl, then + 2 * ttl).is_none());
        // A beat makes it young again.
        view.told(Key::Member(0), Some("a"), 2, then + ttl);
        assert!(view.dead("b", ttl, then + 2 * ttl).is_none());
    }

    #[test]
    fn a_new_watch_keeps_ages_and_what_is_newer_than_it() {
        let (mut before, then, ttl) = (View::default(), Instant::now(), Duration::from_secs(5));
        before.told(Key::Member(0), Some("a"), 1, then);
        before.told(Key::Slot(0), Some("a"), 3, then);
        // A watch that began before the slot was taken tells of the member only.
        let mut told = View::default();
        told.told(Key::Member(0), Some("a"), 1, then + ttl);
        let now = told.after(&before);
        assert_eq!(now.held_by("a").len(), 1);
        assert!(now.dead("b", ttl, then + 2 * ttl).is_some(), "it stood still under both watches");
        // One that tells of something newer has seen that the slot is no longer there.
        let mut told = View::default();
        told.told(Key::Slot(0), None, 4, then);
        assert_eq!(told.after(&before).held_by("a").len(), 0);
    }
}
