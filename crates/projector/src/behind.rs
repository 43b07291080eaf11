//! Brings what a partition's batches changed to the store, on a thread behind the one that applies them.
//!
//! In rounds: all rows that changed in one go to the store together, each once, with the checkpoint that they are of; meanwhile
//! the next round gathers. A crash loses what is not in the store, and the journal is followed from the store's checkpoint again.

use std::{
    mem,
    sync::{
        atomic::Ordering,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Error, Views,
    applier::lower_priority,
    checkpoint::{self, Checkpoint},
    key::Key,
    pace::Pace,
    redo::Writes,
    row,
    store::Recent,
};

/// A round that is being written is looked after again after so long.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// What a row takes in memory beside its value, about.
const ROW_BYTES: usize = 200;

/// A round on its way to the store: its writes, and what follows the entries they are of.
type Round = ((u64, u32), Writes);

/// The rows of a partition that are not in the store yet.
pub(crate) struct Behind {
    views: Views,
    partition: u16,
    round: u64,
    begun: Instant,
    /// Rows that changed in this round, about how many bytes they are, and how far it goes.
    changed: Vec<Key>,
    bytes: usize,
    seen: Option<Checkpoint>,
    /// Rows of the round before, while they are being written.
    writing: Vec<Key>,
    /// `None` once it has failed: a later round would hide that an earlier one is missing.
    rounds: Option<Sender<Round>>,
    written: Receiver<Result<Writes, Error>>,
    pace: Pace,
    /// Used again, as it is large.
    writes: Writes,
    thread: Option<JoinHandle<()>>,
}

impl Behind {
    pub(crate) fn start(views: &Views, partition: u16) -> Result<Self, Error> {
        let followed = views.followed(partition).ok_or(Error::Followed { partition })?;
        if followed.taken.swap(true, Ordering::AcqRel) {
            return Err(Error::Followed { partition });
        }
        let redo = views.redo(partition);
        let pace = Pace::over(views.0.behind.0 / 2);
        let kept = pace.clone();
        let (rounds, todo) = mpsc::channel::<Round>();
        let (done, written) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("store-{partition}")).spawn(move || {
            lower_priority();
            while let Ok((next, mut writes)) = todo.recv() {
                let stored = redo.apply(next, &mut writes, &kept).map(|()| writes);
                if done.send(stored).is_err() {
                    break;
                }
            }
        });
        let thread = thread.map_err(|error| {
            followed.taken.store(false, Ordering::Release);
            Error::Thread(error)
        })?;
        Ok(Self {
            views: views.clone(),
            partition,
            round: 1,
            begun: Instant::now(),
            changed: Vec::new(),
            bytes: 0,
            seen: None,
            writing: Vec::new(),
            rounds: Some(rounds),
            written,
            pace,
            writes: Writes::default(),
            thread: Some(thread),
        })
    }

    /// Takes a batch up to `seen`: from now on readers see it.
    pub(crate) fn take(&mut self, batch: &mut Writes, seen: Checkpoint) -> Result<(), Error> {
        if self.rounds.is_none() {
            return Err(Error::Followed { partition: self.partition });
        }
        if self.seen.is_none() {
            self.begun = Instant::now();
        }
        let (changed, bytes) = (&mut self.changed, &mut self.bytes);
        let first = |key: Key, length: usize| {
            changed.push(key);
            *bytes += ROW_BYTES + length;
        };
        let (key, value) = (checkpoint::key(self.partition), row::encode(&seen)?);
        let last = std::iter::once(Ok((key.as_slice(), Some(value.as_slice()))));
        let store = &self.views.0.store;
        let put = store.put(self.round, batch.iter(), first).and_then(|()| store.put(self.round, last, |_, _| {}));
        if let Err(error) = put {
            // A part of it is among the rows, and no checkpoint says so.
            return self.fail(error);
        }
        self.seen = Some(seen);
        batch.clear();
        Ok(())
    }

    /// When [`pause`](Self::pause) has something to do; `None`: not before the next batch.
    pub(crate) fn pause_in(&self) -> Option<Duration> {
        let open = self.rounds.is_some() && (self.seen.is_some() || !self.writing.is_empty());
        open.then(|| self.views.0.behind.0.saturating_sub(self.begun.elapsed()).max(PAUSE_MIN))
    }

    /// Between two batches: ends the round if its time or its room is over. Waits only where two rounds are full.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        let (time, room) = self.views.0.behind;
        self.collect()?;
        if self.bytes > room / 2 {
            // There will soon be no room to wait in.
            self.pace.hurry(true);
        }
        if self.bytes > room {
            self.wait()?;
        } else if !self.writing.is_empty() || self.begun.elapsed() < time {
            return Ok(());
        }
        self.write()
    }

    /// Brings everything to the store.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.wait()?;
        self.write()?;
        self.wait()
    }

    /// Gives the round to the thread.
    fn write(&mut self) -> Result<(), Error> {
        let Some(seen) = self.seen.take() else { return Ok(()) };
        let mut writes = mem::take(&mut self.writes);
        // Neighbours lie on one page of the store, which then is in the processor's cache.
        self.changed.sort_unstable();
        for key in &self.changed {
            match self.views.0.store.recent(*key) {
                Recent::Changed(value) => writes.put_stored(*key, &value),
                Recent::Removed | Recent::Not => writes.remove(*key),
            }
        }
        // The last one: whether it is in the store says whether all of them are.
        writes.put(checkpoint::key(self.partition), &seen)?;
        mem::swap(&mut self.writing, &mut self.changed);
        self.writing.push(checkpoint::key(self.partition));
        (self.round, self.begun, self.bytes) = (self.round + 1, Instant::now(), 0);
        self.pace.hurry(false);
        let given = self.rounds.as_ref().is_some_and(|rounds| rounds.send((seen.next(), writes)).is_ok());
        if given { Ok(()) } else { self.fail(Error::Followed { partition: self.partition }) }
    }

    /// Forgets the round before if it is in the store.
    fn collect(&mut self) -> Result<(), Error> {
        if self.writing.is_empty() || self.rounds.is_none() {
            return Ok(());
        }
        match self.written.try_recv() {
            Ok(written) => self.forget(written),
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => self.fail(Error::Panicked),
        }
    }

    /// The same, however long that takes.
    fn wait(&mut self) -> Result<(), Error> {
        if self.rounds.is_none() {
            return Err(Error::Followed { partition: self.partition });
        }
        if self.writing.is_empty() {
            return Ok(());
        }
        self.pace.hurry(true);
        match self.written.recv() {
            Ok(written) => self.forget(written),
            Err(_) => self.fail(Error::Panicked),
        }
    }

    fn forget(&mut self, written: Result<Writes, Error>) -> Result<(), Error> {
        match written {
            Ok(writes) => self.writes = writes,
            Err(error) => return self.fail(error),
        }
        self.views.0.store.forget(&self.writing, self.round - 1);
        self.writing.clear();
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Result<(), Error> {
        self.rounds = None;
        Err(error)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let stored = self.rounds.take().is_some() && self.seen.is_none() && self.writing.is_empty();
        self.pace.hurry(true);
        if let Some(thread) = self.thread.take() {
            // Its panic was told to who waited for it.
            let _ = thread.join();
        }
        if stored && let Some(followed) = self.views.followed(self.partition) {
            followed.taken.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use sled::IVec;
    use tempfile::TempDir;

    use super::*;
    use crate::{Options, checkpoint::SCHEMA, key::Table, open};

    const LONG: Duration = Duration::from_hours(1);

    fn key(n: u64) -> Key {
        Key::of(Table::History).u64(n)
    }

    fn views(behind: Duration, behind_bytes: usize) -> (Views, TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        (open::alone(dir.path(), Options { behind, behind_bytes, ..Options::default() }), dir)
    }

    fn seen(index: u64) -> Checkpoint {
        let (ledger, hash) = ([0; 16], [0; 32]);
        Checkpoint { schema: SCHEMA, ledger, partition: 0, index, hash, entries: 1, whole: true, time_ms: 0 }
    }

    /// Batch `n`: row 0 and row `n` become `n`, row `n - 1` goes.
    fn take(behind: &mut Behind, n: u64) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.put_stored(key(0), &n.to_be_bytes());
        writes.put_stored(key(n), &n.to_be_bytes());
        if n > 1 {
            writes.remove(key(n - 1));
        }
        behind.take(&mut writes, seen(n))
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

    fn read(views: &Views, until: u64) -> u64 {
        is(|key| views.0.store.get(key).expect("a read"), until)
    }

    fn stored(views: &Views, until: u64) -> u64 {
        is(|key| views.0.store.stored().get(key).expect("a read"), until)
    }

    #[test]
    fn a_batch_is_read_at_once_and_stored_with_the_others_of_its_round() {
        let (views, _dir) = views(LONG, 1 << 20);
        let mut behind = Behind::start(&views, 0).expect("started");
        assert_eq!(behind.pause_in(), None, "nothing to do");
        for n in 1..=9 {
            take(&mut behind, n).and_then(|()| behind.pause()).expect("taken");
            assert_eq!((read(&views, 9), stored(&views, 9)), (n, 0));
        }
        assert!(behind.pause_in().is_some_and(|after| after > LONG / 2));
        behind.end().expect("ended");
        assert_eq!((read(&views, 9), stored(&views, 9)), (9, 9));
        let mut keys = (0..=9).map(key).chain([checkpoint::key(0)]);
        assert!(keys.all(|key| matches!(views.0.store.recent(key), Recent::Not)), "nothing is left in memory");
        assert_eq!(behind.pause_in(), None);
    }

    /// With half an hour for it.
    #[test]
    fn a_round_takes_its_time_until_somebody_waits_for_it() {
        let (views, _dir) = views(LONG, 1 << 20);
        let mut behind = Behind::start(&views, 0).expect("started");
        take(&mut behind, 1).and_then(|()| behind.write()).expect("given to the thread");
        thread::sleep(Duration::from_millis(100));
        let stored_as_far = || views.0.store.stored().get(checkpoint::key(0)).expect("a read");
        assert_eq!((stored_as_far(), read(&views, 1)), (None, 1));
        behind.end().expect("stored at once");
        assert_eq!(stored(&views, 1), 1);
    }

    #[test]
    fn memory_holds_two_rounds_at_most() {
        let (views, _dir) = views(LONG, 0);
        let mut behind = Behind::start(&views, 0).expect("started");
        for n in 1..=50 {
            take(&mut behind, n).expect("taken");
            assert_eq!(read(&views, 50), n);
            behind.pause().expect("given to the thread, once it has stored the one before");
            let there = views.0.store.stored().get(checkpoint::key(0)).expect("a read");
            let there = there.map_or(0, |value| row::decode::<Checkpoint>(&value).expect("decodes").index);
            assert!((n - 1..=n).contains(&there), "{there} is stored after batch {n}");
        }
        behind.end().expect("ended");
        assert_eq!(stored(&views, 50), 50);
    }

    #[test]
    fn a_round_ends_when_its_time_is_over() {
        let (views, _dir) = views(Duration::ZERO, 1 << 20);
        let mut behind = Behind::start(&views, 0).expect("started");
        take(&mut behind, 1).expect("taken");
        let mut pauses = 0;
        while let Some(after) = behind.pause_in() {
            thread::sleep(after);
            behind.pause().expect("stored");
            pauses += 1;
            assert!(pauses < 3_000, "it is written some time");
        }
        assert_eq!((read(&views, 1), stored(&views, 1)), (1, 1));
    }

    /// Whoever wrote beside another, or after one that could not store what it had shown, would store what does not belong together.
    #[test]
    fn a_partition_has_one_follower_and_none_after_one_that_left_rows_in_memory() {
        let (views, _dir) = views(LONG, 1 << 20);
        let mut first = Behind::start(&views, 0).expect("started");
        take(&mut first, 1).expect("taken");
        assert!(matches!(Behind::start(&views, 0), Err(Error::Followed { partition: 0 })));
        first.end().expect("stored");
        drop(first);
        let mut second = Behind::start(&views, 0).expect("nobody follows any more");
        take(&mut second, 2).expect("taken");
        drop(second);
        assert!(matches!(Behind::start(&views, 0), Err(Error::Followed { partition: 0 })));
    }

    #[test]
    fn a_store_that_fails_ends_it_and_no_later_round_is_stored() {
        let (views, _dir) = views(LONG, 0);
        let mut behind = Behind::start(&views, 0).expect("started");
        take(&mut behind, 1).and_then(|()| behind.end()).expect("stored");
        // A store that takes no more:
        assert!(views.0.db.drop_tree("batches").expect("dropped"));
        take(&mut behind, 2).expect("taken");
        assert!(matches!(behind.end(), Err(Error::Store(_))), "who brings it there is told,");
        for _ in 0..3 {
            assert!(
                take(&mut behind, 3).is_err() && behind.end().is_err(),
                "and after that nothing is taken or waited for"
            );
        }
        assert_eq!((read(&views, 3), stored(&views, 3), behind.pause_in()), (2, 1, None));
    }
}
