//! Rows as they are now: what changed a moment ago is in memory, everything else in the store.
//!
//! The store pays for each write, however often the same row is written, and the row of a busy card changes with each top-up. So
//! what a partition's batches change is put down here first, where every read finds it at once, and `behind.rs` brings it to the
//! store from time to time: each row once, as it then is.
//!
//! Each key has one writer, its partition's thread. It takes a row out of memory only once the store has it, so a reader that looks
//! here first and in the store after that misses nothing.
//!
//! No lock is around the map: its writers are of low priority, and one that is preempted while it holds a lock keeps every reader
//! waiting. A row has a lock of its own, held while its value is copied or exchanged. The map's own ranges are not used, as each
//! step of theirs keeps its row for ever (crossbeam issue 1178); an entry's `next` and `prev` do not.

use std::{
    cmp::Ordering,
    mem,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crossbeam_skiplist::SkipMap;
use sled::IVec;

use crate::{Error, key::Key, redo::Write};

/// A key with its value.
type Pair = (IVec, IVec);
/// Two ends of a range of keys.
pub(crate) type Ends = (Bound<Key>, Bound<Key>);

/// Rows of memory that a range looks at in one go.
const PIECE: usize = 64;

/// A row that changed a moment ago; `None`: it was removed.
struct Changed {
    value: Option<IVec>,
    /// The round of its writer in which it last changed.
    round: u64,
}

/// What memory knows of a row.
pub(crate) enum Recent {
    Changed(IVec),
    Removed,
    /// Nothing: it is as the store has it.
    Not,
}

/// The rows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    stored: sled::Tree,
    recent: Arc<SkipMap<Key, Mutex<Changed>>>,
}

fn held(changed: &Mutex<Changed>) -> MutexGuard<'_, Changed> {
    changed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(crate) fn new(stored: sled::Tree) -> Self {
        Self { stored, recent: Arc::default() }
    }

    /// The rows that are in the store.
    pub(crate) const fn stored(&self) -> &sled::Tree {
        &self.stored
    }

    /// A row.
    pub(crate) fn get(&self, key: Key) -> Result<Option<IVec>, Error> {
        match self.recent(key) {
            Recent::Changed(value) => Ok(Some(value)),
            Recent::Removed => Ok(None),
            Recent::Not => Ok(self.stored.get(key)?),
        }
    }

    /// What a row that changed a moment ago has become.
    pub(crate) fn recent(&self, key: Key) -> Recent {
        match self.recent.get(&key).map(|entry| held(entry.value()).value.clone()) {
            Some(Some(value)) => Recent::Changed(value),
            Some(None) => Recent::Removed,
            None => Recent::Not,
        }
    }

    /// Rows between two keys, in order.
    pub(crate) fn range(&self, ends: Ends) -> Range {
        Range { store: self.clone(), left: Some(ends), backwards: false, recent: Vec::new(), stored: None, next: None }
    }

    /// Rows whose keys begin with `prefix`, in order.
    pub(crate) fn prefix(&self, prefix: Key) -> Range {
        self.range((Bound::Included(prefix), prefix.past_prefix()))
    }

    /// The same, the last one first.
    pub(crate) fn prefix_back(&self, prefix: Key) -> Range {
        Range { backwards: true, ..self.prefix(prefix) }
    }

    /// Changes rows in a round of their writer, in their order; `first` gets each that had not changed in it before, and its length.
    pub(crate) fn put<'a>(
        &self,
        round: u64,
        writes: impl Iterator<Item = Result<Write<'a>, Error>>,
        mut first: impl FnMut(Key, usize),
    ) -> Result<(), Error> {
        for write in writes {
            let (key, value) = write?;
            let (key, bytes) = (Key::stored(key), value.map_or(0, <[u8]>::len));
            let changed = Changed { value: value.map(IVec::from), round };
            let before = if let Some(entry) = self.recent.get(&key) {
                Some(mem::replace(&mut *held(entry.value()), changed))
            } else {
                self.recent.insert(key, Mutex::new(changed));
                None
            };
            if before.is_none_or(|before| before.round != round) {
                first(key, bytes);
            }
        }
        Ok(())
    }

    /// Forgets rows that are in the store as they were in `round`, but those that changed again.
    pub(crate) fn forget(&self, keys: &[Key], round: u64) {
        for key in keys {
            if let Some(entry) = self.recent.get(key)
                && held(entry.value()).round == round
            {
                entry.remove();
            }
        }
    }
}

/// Rows of a range, in pieces of those in memory: of each piece memory is looked at first and the store after that, as what leaves
/// memory meanwhile is there.
pub(crate) struct Range {
    store: Store,
    /// What no piece has been made of yet.
    left: Option<Ends>,
    backwards: bool,
    /// The piece at hand, the next row last.
    recent: Vec<(Key, Option<IVec>)>,
    stored: Option<sled::Iter>,
    /// The next row of the store.
    next: Option<Pair>,
}

impl Range {
    /// Begins the next piece; says whether there is one.
    fn piece(&mut self) -> bool {
        let Some((from, to)) = self.left.take() else { return false };
        let empty = match (&from, &to) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to) | Bound::Included(to)) => from >= to,
            _ => false,
        };
        if empty {
            return false;
        }
        let (recent, backwards) = (&self.store.recent, self.backwards);
        let begin = if backwards { recent.upper_bound(to.as_ref()) } else { recent.lower_bound(from.as_ref()) };
        let rows = std::iter::successors(begin, |entry| if backwards { entry.prev() } else { entry.next() });
        let rows = rows.take_while(|entry| (from, to).contains(entry.key())).take(PIECE);
        self.recent = rows.map(|entry| (*entry.key(), held(entry.value()).value.clone())).collect();
        let mut ends = (from, to);
        if self.recent.len() == PIECE
            && let Some((last, _)) = self.recent.last()
        {
            // There may be more in memory: of the store no more than this piece spans.
            (ends, self.left) = if self.backwards {
                ((Bound::Included(*last), to), Some((from, Bound::Excluded(*last))))
            } else {
                ((from, Bound::Included(*last)), Some((Bound::Excluded(*last), to)))
            };
        }
        self.recent.reverse();
        self.stored = Some(self.store.stored.range::<Key, _>(ends));
        true
    }

    fn of_store(&mut self) -> Result<Option<Pair>, Error> {
        if self.next.is_none()
            && let Some(stored) = &mut self.stored
        {
            self.next = if self.backwards { stored.next_back() } else { stored.next() }.transpose()?;
            if self.next.is_none() {
                self.stored = None;
            }
        }
        Ok(self.next.take())
    }

    fn row(&mut self) -> Result<Option<Pair>, Error> {
        loop {
            let stored = self.of_store()?;
            if stored.is_none() && self.recent.is_empty() {
                if self.piece() {
                    continue;
                }
                return Ok(None);
            }
            let order = match (self.recent.last(), &stored) {
                (None, None) => return Ok(None),
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((key, _)), Some((other, _))) if self.backwards => other.as_ref().cmp(key.as_slice()),
                (Some((key, _)), Some((other, _))) => key.as_slice().cmp(other.as_ref()),
            };
            match order {
                Ordering::Greater => return Ok(stored),
                Ordering::Less => self.next = stored,
                // The store's is the older one.
                Ordering::Equal => {}
            }
            if let Some((key, Some(value))) = self.recent.pop() {
                return Ok(Some((IVec::from(key.as_slice()), value)));
            }
        }
    }
}

impl Iterator for Range {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

    use super::*;
    use crate::key::Table;

    fn key(table: Table, n: u64) -> Key {
        Key::of(table).u64(n)
    }

    fn store() -> Store {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        Store::new(db.open_tree("rows").expect("a tree"))
    }

    fn number(value: &IVec) -> u64 {
        u64::from_be_bytes(value.as_ref().try_into().expect("a number"))
    }

    fn value(n: u64) -> IVec {
        IVec::from(&n.to_be_bytes())
    }

    fn put(store: &Store, round: u64, key: Key, new: Option<u64>, mut first: impl FnMut(Key)) {
        let bytes = new.map(u64::to_be_bytes);
        let write = (key.as_slice(), bytes.as_ref().map(<[u8; 8]>::as_slice));
        store.put(round, std::iter::once(Ok(write)), |key, _| first(key)).expect("put");
    }

    type Model = BTreeMap<Vec<u8>, u64>;

    fn is(store: &Store, model: &Model) {
        let pairs = |rows: &mut dyn Iterator<Item = Result<Pair, Error>>| -> Vec<(Vec<u8>, u64)> {
            rows.map(|pair| pair.map(|(key, value)| (key.to_vec(), number(&value))).expect("a row")).collect()
        };
        for table in [Table::Card, Table::OfCard, Table::Due] {
            let prefix = Key::of(table);
            let of_table: Vec<_> =
                model.iter().filter(|(key, _)| key[0] == table as u8).map(|(key, n)| (key.clone(), *n)).collect();
            assert_eq!(pairs(&mut store.prefix(prefix)), of_table);
            assert_eq!(pairs(&mut store.prefix_back(prefix)), of_table.into_iter().rev().collect::<Vec<_>>());
            let (from, to) = (key(table, 30), key(table, 250));
            let between = model.range(from.as_slice().to_vec()..to.as_slice().to_vec());
            let between: Vec<_> = between.map(|(key, n)| (key.clone(), *n)).collect();
            assert_eq!(pairs(&mut store.range((Bound::Included(from), Bound::Excluded(to)))), between);
            for n in 0..300 {
                let key = key(table, n);
                assert_eq!(store.get(key).expect("a read").as_ref().map(number), model.get(key.as_slice()).copied());
            }
        }
    }

    /// Rows that are changed and removed, and brought to the store in rounds, read as those of a plain sorted map: before, while
    /// some of a round are in the store, and after, whether or not they changed again meanwhile.
    #[test]
    fn rows_read_alike_wherever_they_are() {
        let (store, mut model, mut dice) = (store(), Model::new(), 1_u64);
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut before: Vec<Key> = Vec::new();
        for round in 1..=60 {
            let mut changed = Vec::new();
            let mut change = |model: &mut Model, times: usize| {
                for _ in 0..times {
                    let tables = [Table::Card, Table::OfCard, Table::Due];
                    let key = key(tables[usize::try_from(roll(3)).expect("small")], roll(300));
                    let new = (roll(3) > 0).then(|| roll(1_000));
                    match new {
                        Some(n) => model.insert(key.as_slice().to_vec(), n),
                        None => model.remove(key.as_slice()),
                    };
                    put(&store, round, key, new, |key| changed.push(key));
                }
            };
            change(&mut model, 600);
            // The round before is in the store by now, whatever has changed again since.
            store.forget(&before, round - 1);
            is(&store, &model);
            change(&mut model, 200);
            for (n, key) in changed.iter().enumerate() {
                match store.recent(*key) {
                    Recent::Changed(value) => drop(store.stored.insert(key, value).expect("stored")),
                    Recent::Removed => drop(store.stored.remove(key).expect("removed")),
                    Recent::Not => panic!("it changed in this round"),
                }
                if n == changed.len() / 2 {
                    is(&store, &model);
                }
            }
            is(&store, &model);
            before = changed;
        }
        assert!(model.len() > 300, "{}", model.len());
    }

    /// A writer that changes all rows again and again and brings them to the store: a reader beside it misses none, and sees none older
    /// than what was there when it began to read.
    #[test]
    fn a_reader_misses_nothing_while_rows_move() {
        let (store, written, ended) = (store(), AtomicU64::new(0), AtomicBool::new(false));
        let all: Vec<Key> = (0..200).map(|n| key(Table::Card, n)).collect();
        for key in &all {
            store.stored.insert(key, value(0)).expect("stored");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=150 {
                    for key in &all {
                        put(&store, round, *key, Some(round), drop);
                    }
                    written.store(round, SeqCst);
                    for key in &all {
                        store.stored.insert(key, value(round)).expect("stored");
                    }
                    store.forget(&all, round);
                }
                ended.store(true, SeqCst);
            });
            let rows = |rows: &mut dyn Iterator<Item = Result<Pair, Error>>| -> Vec<u64> {
                rows.map(|pair| number(&pair.expect("a row").1)).collect()
            };
            let mut last = false;
            while !last {
                last = ended.load(SeqCst);
                let from = written.load(SeqCst);
                let found = rows(&mut store.prefix(Key::of(Table::Card)));
                let back = rows(&mut store.prefix_back(Key::of(Table::Card)));
                assert_eq!((found.len(), back.len()), (all.len(), all.len()));
                let one = number(&store.get(all[7]).expect("a read").expect("a row"));
                assert!(
                    found.iter().chain(&back).chain([&one]).all(|n| *n >= from),
                    "{found:?} {back:?} {one} < {from}"
                );
            }
        });
    }
}
