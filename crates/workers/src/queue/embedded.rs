//! The work queue of one process: a redb file, and an index in memory of who may take what when.
//!
//! The file has what must survive: items, dead letters, positions. Leases and delays are of the process: after a restart
//! every item is ready. Enqueueing and burying are synced; acknowledgements and tries go out with the next sync, and if
//! a crash forgets one, the item is taken again and found to be done.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use florin_journal::{Hash, LedgerId};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::index::{Index, Taken};
use super::item::Stored;
use super::{Checkpoint, Death, Depth, Error, Item, ItemId, Lease, Letter, Queue, shortened};

/// Item id → [`Stored`].
const ITEMS: TableDefinition<'_, [u8; 17], &[u8]> = TableDefinition::new("items");
/// Partition → record index (u64 little-endian), record hash [32].
const REACHED: TableDefinition<'_, u16, [u8; 40]> = TableDefinition::new("reached");
/// One row: the ledger's id.
const LEDGER: TableDefinition<'_, (), [u8; 16]> = TableDefinition::new("ledger");

/// Settings of an embedded queue.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a lease holds unless it is extended [30 s].
    pub lease: Duration,
    /// Most items, dead letters included [1,000,000; about 300 bytes each in memory].
    pub capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), capacity: 1_000_000 }
    }
}

/// The embedded queue. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    file: Database,
    index: Mutex<Index>,
    changed: Notify,
    settings: Settings,
}

impl Embedded {
    /// Opens the queue, or makes it. A file of another ledger is emptied, a damaged one is put aside as `….damaged`: the
    /// sweeper brings back what is still to be done.
    pub fn open(path: &Path, ledger: LedgerId, settings: Settings) -> Result<Self, Error> {
        let file = match open(path) {
            Err(Opening::Damaged(reason)) => {
                let aside = PathBuf::from(format!("{}.damaged", path.display()));
                tracing::warn!(path = %path.display(), aside = %aside.display(), %reason, "the work queue is damaged and begun anew");
                std::fs::rename(path, &aside).map_err(storage("putting a damaged file aside"))?;
                open(path)
            }
            opened => opened,
        };
        let file = file.map_err(|error| match error {
            Opening::Locked => Error::Locked { path: path.to_owned() },
            Opening::Damaged(reason) => storage("opening it")(reason),
            Opening::Failed(error) => storage("opening it")(error),
        })?;
        let index = load(&file, ledger).map_err(storage("reading it"))?;
        Ok(Self { inner: Arc::new(Inner { file, index: Mutex::new(index), changed: Notify::new(), settings }) })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.inner.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to the file off the runtime's threads.
    async fn write(
        &self,
        doing: &'static str,
        durability: Durability,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let written = tokio::task::spawn_blocking(move || -> Result<(), redb::Error> {
            let mut transaction = inner.file.begin_write()?;
            transaction.set_durability(durability)?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        });
        written.await.map_err(storage(doing))?.map_err(storage(doing))
    }

    async fn store(&self, doing: &'static str, durability: Durability, stored: &Stored) -> Result<(), Error> {
        let (id, bytes) = (stored.item.id().bytes(), stored.encode());
        self.write(doing, durability, move |transaction| {
            transaction.open_table(ITEMS)?.insert(id, bytes.as_slice())?;
            Ok(())
        })
        .await
    }

    /// A dead letter that nobody can take until it has a new place.
    fn aside(&self, id: ItemId) -> Result<Stored, Error> {
        // One whose lease is over is nobody's, though no `take` has noticed yet.
        let mut index = self.index();
        index.expire(Instant::now());
        index.aside(id)
    }

    /// Puts a letter that was laid aside where it may be tried again, if it is to be.
    fn restore(&self, letter: Stored) {
        let again = letter.death.as_ref().is_some_and(|death| death.again);
        self.index().place(letter, again.then(Instant::now));
        self.inner.changed.notify_waiters();
    }

    fn held(&self, lease: &Lease) -> Result<Stored, Error> {
        self.index().held(lease).cloned()
    }

    /// Gives a leased item its new place, unless the lease was over meanwhile.
    fn put_back(&self, lease: &Lease, stored: Stored, at: Option<Instant>) -> Result<(), Error> {
        let mut index = self.index();
        index.held(lease)?;
        index.place(stored, at);
        drop(index);
        self.inner.changed.notify_waiters();
        Ok(())
    }
}

impl Queue for Embedded {
    async fn enqueue(&self, items: Vec<Item>, reached: Option<(u16, Checkpoint)>) -> Result<usize, Error> {
        let new: Vec<Stored> = {
            let index = self.index();
            let new: Vec<Stored> = items
                .into_iter()
                .filter(|item| !index.contains(&item.id()))
                .map(|item| Stored { item, tries: 0, death: None })
                .collect();
            if index.len() + new.len() > self.inner.settings.capacity {
                return Err(Error::Full { max: self.inner.settings.capacity });
            }
            new
        };
        if new.is_empty() && reached.is_none() {
            return Ok(0);
        }
        let rows: Vec<_> = new.iter().map(|stored| (stored.item.id().bytes(), stored.encode())).collect();
        self.write("adding items", Durability::Immediate, move |transaction| {
            let mut table = transaction.open_table(ITEMS)?;
            for (id, bytes) in &rows {
                if table.get(id)?.is_none() {
                    table.insert(id, bytes.as_slice())?;
                }
            }
            if let Some((partition, checkpoint)) = reached {
                transaction.open_table(REACHED)?.insert(partition, checkpoint_bytes(checkpoint))?;
            }
            Ok(())
        })
        .await?;
        let now = Instant::now();
        let mut index = self.index();
        let mut added = 0;
        for stored in new {
            if !index.contains(&stored.item.id()) {
                index.place(stored, Some(now));
                added += 1;
            }
        }
        drop(index);
        self.inner.changed.notify_waiters();
        Ok(added)
    }

    async fn reached(&self, partition: u16) -> Result<Option<Checkpoint>, Error> {
        let read = || -> Result<Option<[u8; 40]>, redb::Error> {
            let table = self.inner.file.begin_read()?.open_table(REACHED)?;
            Ok(table.get(partition)?.map(|row| row.value()))
        };
        Ok(read().map_err(storage("reading a position"))?.map(checkpoint_of))
    }

    async fn take(&self) -> Result<Lease, Error> {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            let taken = self.index().take(Instant::now(), self.inner.settings.lease);
            match taken {
                Taken::Lease(lease) => return Ok(lease),
                Taken::Nothing(None) => changed.await,
                Taken::Nothing(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    async fn in_progress(&self, lease: &Lease) -> Result<(), Error> {
        self.index().extend(lease, Instant::now() + self.inner.settings.lease)
    }

    async fn ack(&self, lease: Lease) -> Result<(), Error> {
        self.held(&lease)?;
        let id = lease.item.id();
        self.write("taking an item away", Durability::None, move |transaction| {
            transaction.open_table(ITEMS)?.remove(id.bytes())?;
            Ok(())
        })
        .await?;
        // The item is done, whoever holds the lease by now.
        self.index().remove(&id);
        self.inner.changed.notify_waiters();
        Ok(())
    }

    async fn nak(&self, lease: Lease, delay: Duration, failed: bool) -> Result<(), Error> {
        let mut stored = self.held(&lease)?;
        if failed {
            stored.tries = stored.tries.saturating_add(1);
            self.store("giving an item back", Durability::None, &stored).await?;
        }
        self.put_back(&lease, stored, Some(Instant::now() + delay))
    }

    async fn bury(&self, lease: Lease, death: Death, again: Option<Duration>) -> Result<(), Error> {
        let mut stored = self.held(&lease)?;
        let died_ms = stored.death.as_ref().map_or(death.died_ms, |earlier| earlier.died_ms);
        let reason = shortened(&death.reason).to_owned();
        stored.tries = stored.tries.saturating_add(1);
        stored.death = Some(Death { died_ms, reason, again: again.is_some() });
        self.store("burying an item", Durability::Immediate, &stored).await?;
        self.put_back(&lease, stored, again.map(|again| Instant::now() + again))
    }

    async fn letters(&self) -> Result<Vec<Letter>, Error> {
        let mut letters: Vec<Letter> = self.index().letters().filter_map(letter).collect();
        letters.sort_by_key(|letter| (letter.death.died_ms, letter.item.id()));
        Ok(letters)
    }

    async fn retry(&self, id: ItemId) -> Result<(), Error> {
        let letter = self.aside(id)?;
        let stored = Stored { tries: 0, death: None, ..letter.clone() };
        if let Err(error) = self.store("retrying a dead letter", Durability::Immediate, &stored).await {
            self.restore(letter);
            return Err(error);
        }
        let mut index = self.index();
        index.letter(id)?;
        index.place(stored, Some(Instant::now()));
        drop(index);
        self.inner.changed.notify_waiters();
        Ok(())
    }

    async fn discard(&self, id: ItemId) -> Result<(), Error> {
        let letter = self.aside(id)?;
        let dropped = self.write("dropping a dead letter", Durability::Immediate, move |transaction| {
            transaction.open_table(ITEMS)?.remove(id.bytes())?;
            Ok(())
        });
        if let Err(error) = dropped.await {
            self.restore(letter);
            return Err(error);
        }
        let mut index = self.index();
        index.letter(id)?;
        index.remove(&id);
        drop(index);
        self.inner.changed.notify_waiters();
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, Error> {
        Ok(self.index().depth())
    }
}

enum Opening {
    Locked,
    Damaged(String),
    Failed(redb::DatabaseError),
}

fn open(path: &Path) -> Result<Database, Opening> {
    Database::create(path).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => Opening::Locked,
        redb::DatabaseError::RepairAborted | redb::DatabaseError::UpgradeRequired(_) => {
            Opening::Damaged(error.to_string())
        }
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(reason)) => Opening::Damaged(reason),
        redb::DatabaseError::Storage(redb::StorageError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => {
            Opening::Damaged(io.to_string())
        }
        other => Opening::Failed(other),
    })
}

/// Reads all items; makes the tables, and empties them if they are another ledger's.
fn load(file: &Database, ledger: LedgerId) -> Result<Index, redb::Error> {
    let mut index = Index::default();
    let now = Instant::now();
    let transaction = file.begin_write()?;
    {
        let mut items = transaction.open_table(ITEMS)?;
        let mut reached = transaction.open_table(REACHED)?;
        let mut ledgers = transaction.open_table(LEDGER)?;
        let before = ledgers.insert((), ledger.0)?.map(|row| row.value());
        if before.is_some_and(|before| before != ledger.0) {
            tracing::warn!("the work queue is another ledger's and is emptied");
            items.retain(|_, _| false)?;
            reached.retain(|_, _| false)?;
        }
        items.retain(|id, bytes| {
            let stored = Stored::decode(bytes).filter(|stored| stored.item.id().bytes() == id);
            let Some(stored) = stored else {
                tracing::warn!("an item of the work queue cannot be read; the sweeper brings it back");
                return false;
            };
            let still = stored.death.as_ref().is_some_and(|death| !death.again);
            index.place(stored, (!still).then_some(now));
            true
        })?;
    }
    transaction.commit()?;
    Ok(index)
}

fn letter(stored: &Stored) -> Option<Letter> {
    let death = stored.death.clone()?;
    Some(Letter { item: stored.item, tries: stored.tries, death })
}

pub(super) fn checkpoint_bytes(checkpoint: Checkpoint) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&checkpoint.index.to_le_bytes());
    bytes[8..].copy_from_slice(&checkpoint.hash.0);
    bytes
}

pub(super) fn checkpoint_of(bytes: [u8; 40]) -> Checkpoint {
    let (mut index, mut hash) = ([0; 8], [0; 32]);
    index.copy_from_slice(&bytes[..8]);
    hash.copy_from_slice(&bytes[8..]);
    Checkpoint { index: u64::from_le_bytes(index), hash: Hash(hash) }
}

fn storage<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> Error {
    move |source| Error::Storage { doing, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_position_is_what_it_always_was() {
        let checkpoint = Checkpoint { index: 0x0102, hash: Hash([7; 32]) };
        let golden = [&[2, 1, 0, 0, 0, 0, 0, 0][..], &[7; 32]].concat();
        assert_eq!(checkpoint_bytes(checkpoint).as_slice(), golden);
        assert_eq!(checkpoint_of(checkpoint_bytes(checkpoint)), checkpoint);
    }
}
