//! Rows as they are now: what changed a moment ago is in memory, everything else in the store.
//!
//! The store pays for each write, however often the same row is written, and the row of a busy card changes with each top-up. So
//! what a partition's batches change is put down here first, where every read finds it at once, and `behind.rs` brings it to the
//! store from time to time: each row once, as it then is.
//!
//! Each key has one writer, its partition's thread. It takes a row out of memory only once the store has it, so a reader that looks
//! here first and in the store after that misses nothing.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_skiplist::SkipMap;
use sled::IVec;

use crate::{Error, key::Key};

/// A key with its value.
type Pair = (IVec, IVec);

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
    pub(crate) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = Result<Pair, Error>> + use<> {
        // The store is read after memory: what leaves memory meanwhile is there.
        let recent: Vec<_> = self.recent.range::<[u8], _>((from, to)).map(|entry| changed(&entry)).collect();
        merged(recent, self.stored.range::<&[u8], _>((from, to)), false)
    }

    /// Rows whose keys begin with `prefix`, in order.
    pub(crate) fn prefix(&self, prefix: Key) -> impl Iterator<Item = Result<Pair, Error>> + use<> {
        merged(self.recent_under(prefix), self.stored.scan_prefix(prefix), false)
    }

    /// The same, the last one first.
    pub(crate) fn prefix_back(&self, prefix: Key) -> impl Iterator<Item = Result<Pair, Error>> + use<> {
        let mut recent = self.recent_under(prefix);
        recent.reverse();
        merged(recent, self.stored.scan_prefix(prefix).rev(), true)
    }

    fn recent_under(&self, prefix: Key) -> Vec<(Key, Option<IVec>)> {
        let from = (Bound::Included(prefix.as_slice()), Bound::Unbounded);
        let under = self
            .recent
            .range::<[u8], _>(from)
            .take_while(|entry| entry.key().as_slice().starts_with(prefix.as_slice()));
        under.map(|entry| changed(&entry)).collect()
    }

    /// Changes a row in a round of its writer, to be written later; says whether it is the first change of that round.
    pub(crate) fn change(&self, key: Key, value: Option<IVec>, round: u64) -> bool {
        let Some(entry) = self.recent.get(&key) else {
            self.recent.insert(key, Mutex::new(Changed { value, round }));
            return true;
        };
        let mut changed = held(entry.value());
        let first = changed.round != round;
        *changed = Changed { value, round };
        first
    }

    /// Forgets a row that is in the store as it was in `round`, unless it changed again.
    pub(crate) fn forget(&self, key: Key, round: u64) {
        if let Some(entry) = self.recent.get(&key)
            && held(entry.value()).round == round
        {
            entry.remove();
        }
    }
}

fn changed(entry: &crossbeam_skiplist::map::Entry<'_, Key, Mutex<Changed>>) -> (Key, Option<IVec>) {
    (*entry.key(), held(entry.value()).value.clone())
}

/// Rows of the store, with those of memory in place of and among them; both in the same order.
fn merged(
    recent: Vec<(Key, Option<IVec>)>,
    stored: impl Iterator<Item = sled::Result<Pair>>,
    backwards: bool,
) -> impl Iterator<Item = Result<Pair, Error>> {
    let (mut recent, mut stored) = (recent.into_iter().peekable(), stored.peekable());
    std::iter::from_fn(move || {
        loop {
            let order = match (recent.peek(), stored.peek()) {
                (None, _) | (_, Some(Err(_))) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((key, _)), Some(Ok((other, _)))) if backwards => other.as_ref().cmp(key.as_slice()),
                (Some((key, _)), Some(Ok((other, _)))) => key.as_slice().cmp(other.as_ref()),
            };
            if order == Ordering::Greater {
                return stored.next().map(|pair| pair.map_err(Error::from));
            }
            if order == Ordering::Equal {
                stored.next();
            }
            if let Some((key, Some(value))) = recent.next() {
                return Some(Ok((IVec::from(key.as_slice()), value)));
            }
        }
    })
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
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
            let (from, to) = (key(table, 3), key(table, 17));
            let between = model.range(from.as_slice().to_vec()..to.as_slice().to_vec());
            let between: Vec<_> = between.map(|(key, n)| (key.clone(), *n)).collect();
            let (from, to) = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
            assert_eq!(pairs(&mut store.range(from, to)), between);
            for n in 0..20 {
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
                    let key = key(tables[usize::try_from(roll(3)).expect("small")], roll(20));
                    let new = (roll(3) > 0).then(|| roll(1_000));
                    match new {
                        Some(n) => model.insert(key.as_slice().to_vec(), n),
                        None => model.remove(key.as_slice()),
                    };
                    if store.change(key, new.map(value), round) {
                        changed.push(key);
                    }
                }
            };
            change(&mut model, 15);
            // The round before is in the store by now, whatever has changed again since.
            for key in before.drain(..) {
                store.forget(key, round - 1);
            }
            is(&store, &model);
            change(&mut model, 5);
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
        assert!(model.len() > 20, "{}", model.len());
    }

    /// A writer that changes all rows again and again and brings them to the store: a reader beside it misses none, and sees none older
    /// than what was there when it began to read.
    #[test]
    fn a_reader_misses_nothing_while_rows_move() {
        let (store, written, ended) = (store(), AtomicU64::new(0), AtomicBool::new(false));
        let all: Vec<Key> = (0..40).map(|n| key(Table::Card, n)).collect();
        for key in &all {
            store.stored.insert(key, value(0)).expect("stored");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=400 {
                    for key in &all {
                        store.change(*key, Some(value(round)), round);
                    }
                    written.store(round, SeqCst);
                    for key in &all {
                        store.stored.insert(key, value(round)).expect("stored");
                    }
                    for key in &all {
                        store.forget(*key, round);
                    }
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
