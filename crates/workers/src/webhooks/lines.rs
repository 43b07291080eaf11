//! The undelivered webhooks of one company, in memory: who may be sent when. Pure: time is given.
//!
//! Each card has a line; only its head may be sent, and only while nothing of the card is under way. Dead letters stand in
//! no line.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use florin_engine::ids::CardId;

use super::delivery::{Delivery, Mark};

/// A delivery's key: its partition, and where it stands there.
pub(super) type Key = (u16, Mark);

#[derive(Debug, Default)]
struct Line {
    busy: bool,
    waiting: BTreeSet<Key>,
    /// Its head as it stands among the ready.
    listed: Option<(u64, Key)>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) waiting: usize,
    pub(super) dead: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    deliveries: BTreeMap<Key, Delivery>,
    cards: HashMap<CardId, Line>,
    ready: BTreeSet<(u64, Key)>,
    counts: HashMap<u16, Count>,
}

pub(super) fn key(delivery: &Delivery) -> Key {
    (delivery.partition(), delivery.mark)
}

impl Lines {
    pub(super) fn get(&self, key: &Key) -> Option<&Delivery> {
        self.deliveries.get(key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values()
    }

    pub(super) fn count(&self, partition: u16) -> Count {
        self.counts.get(&partition).copied().unwrap_or_default()
    }

    /// Adds a delivery, or gives it as it now is. Its card is as busy as it was.
    pub(super) fn put(&mut self, delivery: Delivery) {
        let (key, card, dead) = (key(&delivery), delivery.card, delivery.died_ms.is_some());
        self.uncount(&key);
        let count = self.counts.entry(key.0).or_default();
        if dead {
            count.dead += 1;
        } else {
            count.waiting += 1;
        }
        self.deliveries.insert(key, delivery);
        let line = self.cards.entry(card).or_default();
        if dead {
            line.waiting.remove(&key);
        } else {
            line.waiting.insert(key);
        }
        self.refresh(card);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Delivery> {
        self.uncount(key);
        let delivery = self.deliveries.remove(key)?;
        if let Some(line) = self.cards.get_mut(&delivery.card) {
            line.waiting.remove(key);
        }
        self.refresh(delivery.card);
        Some(delivery)
    }

    /// What of a partition there is goes: it is somebody else's.
    pub(super) fn leave(&mut self, partition: u16) {
        let keys: Vec<Key> = self.deliveries.keys().filter(|key| key.0 == partition).copied().collect();
        for key in keys {
            if let Some(delivery) = self.remove(&key) {
                self.free(delivery.card);
            }
        }
    }

    /// The delivery that has been ready longest; its card is busy from now on.
    pub(super) fn take(&mut self, now_ms: u64) -> Option<Delivery> {
        let (_, key) = self.ready.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms)?;
        let delivery = self.deliveries.get(&key)?.clone();
        self.cards.entry(delivery.card).or_default().busy = true;
        self.refresh(delivery.card);
        Some(delivery)
    }

    /// Nothing of the card is under way any more.
    pub(super) fn free(&mut self, card: CardId) {
        if let Some(line) = self.cards.get_mut(&card) {
            line.busy = false;
        }
        self.refresh(card);
    }

    /// When the next is ready, ms since 1970.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.ready.first().map(|(at_ms, _)| *at_ms)
    }

    fn uncount(&mut self, key: &Key) {
        if let (Some(before), Some(count)) = (self.deliveries.get(key), self.counts.get_mut(&key.0)) {
            if before.died_ms.is_some() {
                count.dead -= 1;
            } else {
                count.waiting -= 1;
            }
        }
    }

    /// Has the card's head stand among the ready, if it may be sent.
    fn refresh(&mut self, card: CardId) {
        let Some(line) = self.cards.get_mut(&card) else { return };
        if let Some(listed) = line.listed.take() {
            self.ready.remove(&listed);
        }
        if line.waiting.is_empty() && !line.busy {
            self.cards.remove(&card);
            return;
        }
        if !line.busy
            && let Some(head) = line.waiting.first()
            && let Some(delivery) = self.deliveries.get(head)
        {
            let listed = (delivery.next_ms, *head);
            self.ready.insert(listed);
            line.listed = Some(listed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::Kind;
    use florin_engine::ids::{AccountId, Position};

    fn delivery(card: u8, position: u64) -> Delivery {
        Delivery {
            mark: Mark { position: Position(position), number: 0 },
            kind: Kind::Card,
            company: "demo".into(),
            account: AccountId::of_partition(0),
            card: CardId([card; 16]),
            tries: 0,
            next_ms: 0,
            died_ms: None,
            error: String::new(),
        }
    }

    fn lines(of: &[(u8, u64)]) -> Lines {
        let mut lines = Lines::default();
        for (card, position) in of {
            lines.put(delivery(*card, *position));
        }
        lines
    }

    fn taken(lines: &mut Lines, now_ms: u64) -> Vec<u64> {
        std::iter::from_fn(|| lines.take(now_ms)).map(|delivery| delivery.mark.position.0).collect()
    }

    #[test]
    fn of_a_card_one_is_under_way_and_the_oldest_goes_first() {
        // Given two cards, their webhooks come in no order
        let mut lines = lines(&[(1, 30), (1, 10), (2, 20), (1, 40)]);
        // Then only the oldest of each is taken
        assert_eq!(taken(&mut lines, 0), [10, 20]);
        // And the next of a card when that is done
        lines.remove(&(0, delivery(1, 10).mark));
        lines.free(CardId([1; 16]));
        assert_eq!(taken(&mut lines, 0), [30]);
    }

    #[test]
    fn while_one_fails_its_card_waits_and_others_go_on() {
        let mut lines = lines(&[(1, 10), (1, 11), (2, 12), (2, 13)]);
        assert_eq!(taken(&mut lines, 0), [10, 12]);
        // When the first fails until 500
        lines.put(Delivery { tries: 1, next_ms: 500, ..delivery(1, 10) });
        lines.free(CardId([1; 16]));
        lines.remove(&(0, delivery(2, 12).mark));
        lines.free(CardId([2; 16]));
        assert_eq!(taken(&mut lines, 499), [13], "only the other card goes on");
        assert_eq!(lines.next_ms(), Some(500));
        assert_eq!(taken(&mut lines, 500), [10], "and then the failed one, before what came after it");
    }

    #[test]
    fn a_dead_letter_lets_its_card_go_on_and_comes_first_when_it_is_retried() {
        let mut lines = lines(&[(1, 10), (1, 11), (1, 12)]);
        assert_eq!(taken(&mut lines, 0), [10]);
        lines.put(Delivery { died_ms: Some(9), ..delivery(1, 10) });
        lines.free(CardId([1; 16]));
        assert_eq!(lines.count(0), Count { waiting: 2, dead: 1 });
        assert_eq!(taken(&mut lines, 9), [11]);
        // When ops retry it while the next is under way, then it is the one after that
        lines.put(delivery(1, 10));
        assert_eq!(taken(&mut lines, 9), [] as [u64; 0]);
        lines.remove(&(0, delivery(1, 11).mark));
        lines.free(CardId([1; 16]));
        assert_eq!(taken(&mut lines, 9), [10]);
    }

    #[test]
    fn a_partition_that_is_given_away_leaves_nothing() {
        let mut lines = lines(&[(1, 10), (1, 11), (2, 12)]);
        assert_eq!(taken(&mut lines, 0), [10, 12]);
        lines.leave(0);
        assert_eq!((lines.all().count(), lines.count(0), lines.next_ms()), (0, Count::default(), None));
        assert!(lines.cards.is_empty());
    }
}
