//! Brings what a partition's batches changed to the store, on a thread behind the one that applies them.
//!
//! In rounds: all rows that changed in one go to the store together, each once, with the checkpoint that they are of; meanwhile
//! the next round gathers. A crash loses what is not in the store, and the journal is followed from the store's checkpoint again.

use std::{
    mem,
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sled::IVec;

use crate::{
    Error, Views,
    applier::lower_priority,
    checkpoint::{self, Checkpoint},
    key::Key,
    redo::{Redo, Writes},
    row,
    store::{Recent, Store},
};

/// A round that is still being written is looked at again after so long.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The rows of a partition that are not in the store yet.
pub(crate) struct Behind {
    store: Store,
    partition: u16,
    /// How long a round takes, and how many rows it may have.
    most: (Duration, usize),
    round: u64,
    begun: Instant,
    /// Rows that changed in this round, and how far it goes.
    changed: Vec<Key>,
    seen: Option<Checkpoint>,
    /// Rows of the round before, while they are being written.
    writing: Vec<Key>,
    rounds: Option<Sender<((u64, u32), Writes)>>,
    written: Receiver<Result<Writes, Error>>,
    /// Used again, as it is large.
    writes: Writes,
    thread: Option<JoinHandle<()>>,
}

impl Behind {
    pub(crate) fn start(views: &Views, partition: u16) -> Result<Self, Error> {
        Self::of(views.0.store.clone(), views.redo(partition), partition, views.0.behind)
    }

    fn of(store: Store, redo: Redo, partition: u16, most: (Duration, usize)) -> Result<Self, Error> {
        if !matches!(store.recent(checkpoint::key(partition)), Recent::Not) {
            // The one before could not bring everything to the store; only the next opening knows where that stands.
            return Err(Error::Panicked);
        }
        let (rounds, todo) = mpsc::channel::<((u64, u32), Writes)>();
        let (done, written) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("store-{partition}")).spawn(move || {
            lower_priority();
            while let Ok((next, mut writes)) = todo.recv() {
                if done.send(redo.apply(next, &mut writes).map(|()| writes)).is_err() {
                    break;
                }
            }
        });
        let thread = Some(thread.map_err(Error::Thread)?);
        let (round, begun) = (1, Instant::now());
        let (changed, writing) = (Vec::new(), Vec::new());
        let (rounds, seen, writes) = (Some(rounds), None, Writes::default());
        Ok(Self { store, partition, most, round, begun, changed, seen, writing, rounds, written, writes, thread })
    }

    /// Takes a batch up to `seen`: from now on readers see it. Waits only if two rounds are full.
    pub(crate) fn take(&mut self, batch: &mut Writes, seen: Checkpoint) -> Result<(), Error> {
        self.collect()?;
        if self.seen.is_none() {
            self.begun = Instant::now();
        }
        for write in batch.iter() {
            let (key, value) = write?;
            self.change(Key::stored(key), value.map(IVec::from));
        }
        batch.clear();
        self.store.change(checkpoint::key(self.partition), Some(row::encode(&seen)?.into()), self.round);
        self.seen = Some(seen);
        if self.changed.len() >= self.most.1 {
            self.wait()?;
            self.write()?;
        }
        self.pause()
    }

    /// When [`pause`](Self::pause) has something to do; `None`: not before the next batch.
    pub(crate) fn pause_in(&self) -> Option<Duration> {
        let open = self.seen.is_some() || !self.writing.is_empty();
        open.then(|| self.most.0.saturating_sub(self.begun.elapsed()).max(PAUSE_MIN))
    }

    /// Ends the round if its time is over.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        self.collect()?;
        if self.writing.is_empty() && self.begun.elapsed() >= self.most.0 {
            self.write()?;
        }
        Ok(())
    }

    /// Brings everything to the store.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.wait()?;
        self.write()?;
        self.wait()
    }

    fn change(&mut self, key: Key, value: Option<IVec>) {
        if self.store.change(key, value, self.round) {
            self.changed.push(key);
        }
    }

    /// Gives the round to the thread.
    fn write(&mut self) -> Result<(), Error> {
        let Some(seen) = self.seen.take() else { return Ok(()) };
        let mut writes = mem::take(&mut self.writes);
        for key in &self.changed {
            match self.store.recent(*key) {
                Recent::Changed(value) => writes.put_stored(*key, &value),
                Recent::Removed | Recent::Not => writes.remove(*key),
            }
        }
        // The last one: whether it is in the store says whether all of them are.
        writes.put(checkpoint::key(self.partition), &seen)?;
        self.writing = mem::take(&mut self.changed);
        self.writing.push(checkpoint::key(self.partition));
        self.round += 1;
        self.begun = Instant::now();
        let rounds = self.rounds.as_ref().ok_or(Error::Panicked)?;
        rounds.send((seen.next(), writes)).map_err(|_| Error::Panicked)
    }

    /// Forgets the round before if it is in the store.
    fn collect(&mut self) -> Result<(), Error> {
        if self.writing.is_empty() {
            return Ok(());
        }
        match self.written.try_recv() {
            Ok(written) => self.forget(written),
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(Error::Panicked),
        }
    }

    /// The same, however long that takes.
    fn wait(&mut self) -> Result<(), Error> {
        if self.writing.is_empty() {
            return Ok(());
        }
        let written = self.written.recv().map_err(|_| Error::Panicked)?;
        self.forget(written)
    }

    fn forget(&mut self, written: Result<Writes, Error>) -> Result<(), Error> {
        self.writes = written?;
        for key in self.writing.drain(..) {
            self.store.forget(key, self.round - 1);
        }
        Ok(())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.rounds = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was told to who waited for it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::SCHEMA;
    use crate::key::Table;

    const LONG: Duration = Duration::from_hours(1);

    fn key(n: u64) -> Key {
        Key::of(Table::History).u64(n)
    }

    fn trees() -> (Store, Redo) {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        let rows = db.open_tree("rows").expect("a tree");
        (Store::new(rows.clone()), Redo::new(rows, db.open_tree("beside").expect("a tree"), 0))
    }

    fn seen(index: u64) -> Checkpoint {
        let (ledger, hash) = ([0; 16], [0; 32]);
        Checkpoint { schema: SCHEMA, ledger, partition: 0, index, hash, entries: 1, whole: true, time_ms: 0 }
    }

    /// Batch `n`: row 0 and row `n` become `n`, row `n - 1` goes.
    fn take(behind: &mut Behind, n: u64) {
        let mut writes = Writes::default();
        writes.put_stored(key(0), &n.to_be_bytes());
        writes.put_stored(key(n), &n.to_be_bytes());
        if n > 1 {
            writes.remove(key(n - 1));
        }
        behind.take(&mut writes, seen(n)).expect("taken");
    }

    /// Up to which batch the rows read so; 0: none of them.
    fn is(get: impl Fn(Key) -> Option<IVec>, until: u64) -> u64 {
        let number = |value: IVec| u64::from_be_bytes(value.as_ref().try_into().expect("a number"));
        let n = get(key(0)).map_or(0, number);
        for other in 1..=until {
            assert_eq!(get(key(other)).map(number), (other == n).then_some(n), "row {other} after batch {n}");
        }
        let position = get(checkpoint::key(0)).map(|value| row::decode::<Checkpoint>(&value).expect("decodes").index);
        assert_eq!(position, (n > 0).then_some(n));
        n
    }

    fn read(store: &Store, until: u64) -> u64 {
        is(|key| store.get(key).expect("a read"), until)
    }

    fn stored(store: &Store, until: u64) -> u64 {
        is(|key| store.stored().get(key).expect("a read"), until)
    }

    #[test]
    fn a_batch_is_read_at_once_and_stored_with_the_others_of_its_round() {
        let (store, redo) = trees();
        let mut behind = Behind::of(store.clone(), redo, 0, (LONG, 100)).expect("started");
        assert_eq!(behind.pause_in(), None, "nothing to do");
        for n in 1..=9 {
            take(&mut behind, n);
            assert_eq!((read(&store, 9), stored(&store, 9)), (n, 0));
        }
        assert!(behind.pause_in().is_some_and(|after| after > LONG / 2));
        behind.end().expect("ended");
        assert_eq!((read(&store, 9), stored(&store, 9)), (9, 9));
        let left =
            (0..=9).map(key).chain([checkpoint::key(0)]).filter(|key| !matches!(store.recent(*key), Recent::Not));
        assert_eq!(left.count(), 0, "nothing is left in memory");
        assert_eq!(behind.pause_in(), None);
    }

    #[test]
    fn memory_holds_two_rounds_at_most() {
        let (store, redo) = trees();
        let mut behind = Behind::of(store.clone(), redo, 0, (LONG, 1)).expect("started");
        for n in 1..=50 {
            take(&mut behind, n);
            assert_eq!(read(&store, 50), n);
            // The store is at the batch before, or between that one and this.
            let before = |key| store.stored().get(key).expect("a read").is_some();
            assert!(n == 1 || before(checkpoint::key(0)));
        }
        behind.end().expect("ended");
        assert_eq!(stored(&store, 50), 50);
    }

    #[test]
    fn a_round_ends_when_its_time_is_over() {
        let (store, redo) = trees();
        let mut behind = Behind::of(store.clone(), redo, 0, (Duration::ZERO, 100)).expect("started");
        take(&mut behind, 1);
        let mut pauses = 0;
        while let Some(after) = behind.pause_in() {
            thread::sleep(after);
            behind.pause().expect("stored");
            pauses += 1;
            assert!(pauses < 3_000, "it is written some time");
        }
        assert_eq!((read(&store, 1), stored(&store, 1)), (1, 1));
    }

    /// Whoever follows after one that could not store what it had shown would begin at the wrong place.
    #[test]
    fn what_was_left_in_memory_is_not_followed_up() {
        let (store, redo) = trees();
        let mut behind = Behind::of(store.clone(), redo.clone(), 0, (LONG, 100)).expect("started");
        take(&mut behind, 1);
        drop(behind);
        assert!(matches!(Behind::of(store, redo, 0, (LONG, 100)), Err(Error::Panicked)));
    }
}
