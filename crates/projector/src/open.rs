//! Opening the views: they must be of this ledger, of this schema, and at a record that the journal has. If not, they are deleted and
//! built again from the journal. Only a journal that lost records is fatal.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, RwLock, atomic::AtomicBool},
    time::Duration,
};

use florin_journal::{Hash, PartitionId, Provider, patiently};

use crate::{
    Error, Views,
    checkpoint::{self, Checkpoint, Meta, SCHEMA},
    key::{Key, Table},
    policies::{Policies, PolicyRow},
    redo::Redo,
    row,
    store::Store,
    views::{Followed, Inner},
};

/// How the views are kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most bytes of the store's cache [64 MiB].
    pub cache_bytes: u64,
    /// Rows at which a batch is written, over all partitions [4096]; a partition's share is at least 512 of them, or all if they are fewer. The
    /// rows of one entry always go together. All of them are in memory.
    pub batch_rows_max: usize,
    /// How far apart records are applied while nobody waits for them and they come one after the other [60 ms].
    pub gather: Duration,
    /// How long changed rows are kept in memory, for the next changes of the same, before they are brought to the store [1 s].
    pub behind: Duration,
    /// Bytes of rows that are kept so at most, over all partitions; as many more while they are being brought there [32 MiB].
    pub behind_bytes: usize,
    /// Whether it is noted what companies are to be told by webhooks [yes].
    pub due: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            batch_rows_max: 4096,
            gather: Duration::from_millis(60),
            behind: Duration::from_secs(1),
            behind_bytes: 32 << 20,
            due: true,
        }
    }
}

/// Why views were deleted and are being built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// It was asked for, or damage was found while they were in use.
    Marked,
    /// The store or a row in it could not be read.
    Damaged,
    /// They are of another schema.
    Schema,
    /// They are of another ledger.
    Ledger,
    /// The journal has another record where they stopped.
    OtherHistory,
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marked => "marked for a rebuild",
            Self::Damaged => "damaged",
            Self::Schema => "of another schema",
            Self::Ledger => "of another ledger",
            Self::OtherHistory => "of another history than the journal's",
        })
    }
}

impl Views {
    /// Opens the views in `dir`, which is theirs alone; creates it. Blocks while the store recovers, and for up to four
    /// seconds while somebody else has it.
    ///
    /// The second value says why they are being built from the beginning, if they had to be.
    pub async fn open<P: Provider>(
        dir: &Path,
        provider: &P,
        options: Options,
    ) -> Result<(Self, Option<Rebuild>), Error> {
        let place = Place::take(dir)?;
        let ledger = provider.ledger();
        let meta = Meta { schema: SCHEMA, ledger: ledger.id.0, partitions: ledger.partitions };
        let mut why = place.marker.exists().then_some(Rebuild::Marked);
        if why.is_none() {
            match Opened::open(&place, options).and_then(|store| Ok((store.check(meta)?, store))) {
                Ok((Ok(kept), store)) => match confirm(provider, &kept.checkpoints).await? {
                    None => return Ok((store.into_views(place, meta, options, kept), None)),
                    other => why = other,
                },
                Ok((Err(other), _)) => why = Some(other),
                Err(locked @ Error::Locked { .. }) => return Err(locked),
                Err(error) => {
                    tracing::warn!(%error, "the views cannot be read");
                    why = Some(Rebuild::Damaged);
                }
            }
        }
        if let Some(why) = why {
            tracing::warn!(dir = %dir.display(), "the views are {why}: deleting them and reading the journal again");
            metrics::counter!("florin_views_rebuilds_total").increment(1);
        }
        place.clear()?;
        let store = Opened::open(&place, options)?;
        store.tree.insert(checkpoint::meta_key(), row::encode(&meta)?)?;
        Ok((store.into_views(place, meta, options, Kept::default()), why))
    }

    /// Deletes the views in `dir`, so that the next opening builds them again; refuses while another process has them open.
    pub fn discard(dir: &Path) -> Result<(), Error> {
        Place::take(dir)?.clear()
    }

    /// Brings to disk what is in the store. Without it the store does so every half second; a crash costs only work.
    pub fn flush(&self) -> Result<(), Error> {
        self.sound(self.0.db.flush().map_err(Error::from))?;
        Ok(())
    }
}

/// The journal must have the records that the views have seen.
async fn confirm<P: Provider>(provider: &P, checkpoints: &[Checkpoint]) -> Result<Option<Rebuild>, Error> {
    for seen in checkpoints {
        let partition = PartitionId(seen.partition);
        match provider.confirm(partition, seen.index, Hash(seen.hash)).await {
            Ok(()) => {}
            Err(florin_journal::Error::Mismatch { .. }) => return Ok(Some(Rebuild::OtherHistory)),
            Err(florin_journal::Error::Shorter { .. }) => {
                return Err(Error::JournalShorter { partition: seen.partition, index: seen.index });
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(None)
}

/// The views' directory, locked.
struct Place {
    store: PathBuf,
    marker: PathBuf,
    lock: fs::File,
}

impl Place {
    fn take(dir: &Path) -> Result<Self, Error> {
        let io = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { doing, path, source }
        };
        fs::create_dir_all(dir).map_err(io("creating", dir))?;
        let path = dir.join("lock");
        let lock = fs::File::create(&path).map_err(io("creating", &path))?;
        match patiently(|| lock.try_lock(), |refused| matches!(refused, fs::TryLockError::WouldBlock)) {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Locked { path }),
            Err(fs::TryLockError::Error(source)) => return Err(io("locking", &path)(source)),
        }
        Ok(Self { store: dir.join("rows"), marker: dir.join("rebuild"), lock })
    }

    /// Deletes the rows, and only then the marker that asked for it.
    fn clear(&self) -> Result<(), Error> {
        let gone = |result: std::io::Result<()>, path: &Path| match result {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { doing: "deleting", path: path.to_path_buf(), source })
            }
            _ => Ok(()),
        };
        gone(fs::write(&self.marker, b"deleting\n"), &self.marker)?;
        gone(fs::remove_dir_all(&self.store), &self.store)?;
        gone(fs::remove_file(&self.marker), &self.marker)
    }
}

/// A partition's share of a batch is not smaller than this.
const SHARE_MIN: usize = 512;

/// A partition's rows of a batch: the fewer the more partitions there are, as each has that much less to do and less room.
fn share(rows: usize, partitions: u16) -> usize {
    (rows / usize::from(partitions.max(1))).max(rows.min(SHARE_MIN)).max(1)
}

/// Whether somebody else has the store, which says so in no other way. Whoever has the views' own lock should be alone; a process that
/// was killed lets go of one after the other.
fn taken(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

/// What views that are good remember beside their rows.
#[derive(Default)]
struct Kept {
    checkpoints: Vec<Checkpoint>,
    policies: Policies,
}

struct Opened {
    db: sled::Db,
    tree: sled::Tree,
    batches: sled::Tree,
}

/// Views of no journal, in one partition.
#[cfg(test)]
pub(crate) fn alone(dir: &Path, options: Options) -> Views {
    let place = Place::take(dir).expect("a place");
    let store = Opened::open(&place, options).expect("a store");
    store.into_views(place, Meta { schema: SCHEMA, ledger: [0; 16], partitions: 1 }, options, Kept::default())
}

impl Opened {
    fn open(place: &Place, options: Options) -> Result<Self, Error> {
        let config =
            sled::Config::new().path(&place.store).cache_capacity(options.cache_bytes).mode(sled::Mode::HighThroughput);
        let db = patiently(|| config.open(), taken).map_err(|error| match error {
            error if taken(&error) => Error::Locked { path: place.store.clone() },
            error => error.into(),
        })?;
        let (tree, batches) = (db.open_tree("views")?, db.open_tree("batches")?);
        Ok(Self { db, tree, batches })
    }

    /// Where each partition stopped, or why the views are of no use.
    fn check(&self, meta: Meta) -> Result<Result<Kept, Rebuild>, Error> {
        let Some(stored) = self.tree.get(checkpoint::meta_key())? else {
            let fresh = self.tree.is_empty();
            if fresh {
                self.tree.insert(checkpoint::meta_key(), row::encode(&meta)?)?;
            }
            return Ok(if fresh { Ok(Kept::default()) } else { Err(Rebuild::Damaged) });
        };
        let stored: Meta = row::decode(&stored)?;
        if stored.schema != meta.schema {
            return Ok(Err(Rebuild::Schema));
        }
        if stored != meta {
            return Ok(Err(Rebuild::Ledger));
        }
        let mut kept = Kept::default();
        for partition in 0..meta.partitions {
            Redo::new(self.tree.clone(), self.batches.clone(), partition).recover()?;
            let Some(value) = self.tree.get(checkpoint::key(partition))? else {
                continue;
            };
            let seen: Checkpoint = row::decode(&value)?;
            if seen.ledger != meta.ledger || seen.schema != meta.schema {
                return Ok(Err(Rebuild::Ledger));
            }
            kept.checkpoints.push(seen);
        }
        for pair in self.tree.scan_prefix(Key::of(Table::Policy)) {
            let (key, value) = pair?;
            if let [_, high, low, ..] = *key.as_ref() {
                let policy = row::decode::<PolicyRow>(&value)?;
                kept.policies.add(u16::from_be_bytes([high, low]), policy);
            }
        }
        Ok(Ok(kept))
    }

    fn into_views(self, place: Place, meta: Meta, options: Options, kept: Kept) -> Views {
        let views = Views(Arc::new(Inner {
            store: Store::new(self.tree),
            batches: self.batches,
            db: self.db,
            meta,
            batch_rows_max: share(options.batch_rows_max, meta.partitions),
            gather: options.gather,
            behind: (options.behind, options.behind_bytes / usize::from(meta.partitions.max(1))),
            due: options.due,
            due_keep: RwLock::default(),
            partitions: (0..meta.partitions).map(|_| Followed::new()).collect(),
            policies: RwLock::new(kept.policies),
            marker: place.marker,
            damaged: AtomicBool::new(false),
            _lock: place.lock,
        }));
        for seen in &kept.checkpoints {
            views.publish(seen.partition, seen);
        }
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_a_batch_as_far_as_it_goes() {
        let shares = [(4096, 1), (4096, 4), (4096, 64), (24, 1), (24, 64), (0, 1), (4096, 0)];
        let rows = shares.map(|(rows, partitions)| share(rows, partitions));
        assert_eq!(rows, [4096, 1024, 512, 24, 24, 1, 4096]);
    }
}
