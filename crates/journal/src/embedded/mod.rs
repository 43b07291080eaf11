//! The provider for one process: append-only segment files that hold record bytes and nothing else.
//!
//! An exclusive lock on the directory; a committer thread per writer; one `fdatasync` per group of records, before any
//! of them is acknowledged. Segments are filled with zeros ahead of the log, a busy log's next one before it has its name; zeros
//! up to the end of a file are its end, not damage.
//!
//! Bounds: a segment is at most about [`Options::segment_bytes`], and one of 64 MiB may be in preparation; recent records in memory take at most
//! [`Options::ring_bytes`] per partition; 8 bytes are kept per 64 records that were read.
//!
//! One ambiguity is left: a last record that was acknowledged and then damaged on disk looks like one that was torn
//! and never acknowledged. Signed heads (checked at every opening), followers' checkpoints
//! ([`confirm`](crate::Provider::confirm)) and the `durable` field of later records tell it apart.

mod ahead;
mod disk;
mod heads;
mod layout;
mod partition;
mod reader;
mod recover;
mod restore;
mod ring;
mod segment;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;

use crate::genesis::genesis;
use crate::{Error, Hash, Head, Ledger, LedgerId, PartitionId, Provider, Record, SignedHead, patiently};
pub use disk::{Disk, Os};
use heads::Heads;
use partition::Partition;
pub use reader::EmbeddedReader;
pub use restore::EmbeddedRestore;
use segment::Segment;
pub use writer::EmbeddedWriter;

/// Sizes, and the disk.
#[derive(Clone)]
pub struct Options {
    /// A record that would make a segment larger goes into the next one.
    pub segment_bytes: u64,
    /// Memory for recent records, per partition.
    pub ring_bytes: usize,
    /// What writes.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, ring_bytes: 8 << 20, disk: Arc::new(Os) }
    }
}

/// A ledger's journal in a directory. Clones share it; the lock lasts until the last clone, writer and reader is gone.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Ledger,
    partitions: Vec<Arc<Partition>>,
    /// Absent if read-only.
    publishing: Option<Publishing>,
}

struct Publishing {
    key: SigningKey,
    heads: Mutex<Heads>,
    _lock: File,
}

impl Embedded {
    /// Writes genesis to every partition, partition 0 first, in `dir`, which is made if need be. Refuses a directory
    /// that already holds anything.
    pub fn create(dir: &Path, partitions: u16, signing: SigningKey) -> Result<Ledger, Error> {
        if partitions == 0 {
            return Err(Error::NoPartitions);
        }
        let mut restore = EmbeddedRestore::start(dir, signing)?;
        let mut id = LedgerId([0; 16]);
        getrandom::fill(&mut id.0)?;
        let mut first = Hash::ZERO;
        for partition in (0..partitions).map(PartitionId) {
            let record = genesis(id, partition, partitions, first);
            let record = record.map_err(|reason| Error::corrupt(partition, 0, reason))?;
            if partition.0 == 0 {
                first = record.hash();
            }
            restore.record(record)?;
        }
        restore.done()
    }

    /// Opens a ledger as its only process, and checks it against the heads it signed.
    pub fn open(dir: &Path, signing: SigningKey) -> Result<Self, Error> {
        Self::open_with(dir, signing, &Options::default())
    }

    /// [`open`](Self::open) with other sizes.
    pub fn open_with(dir: &Path, signing: SigningKey, options: &Options) -> Result<Self, Error> {
        let lock = lock(dir, false)?;
        let ledger = ledger(dir)?;
        let (heads, signed) = Heads::open(dir, &ledger)?;
        let partitions = partitions(dir, &ledger, &signed, options, true)?;
        let publishing = Publishing { key: signing, heads: Mutex::new(heads), _lock: lock };
        Ok(Self { shared: Arc::new(Shared { ledger, partitions, publishing: Some(publishing) }) })
    }

    /// Opens without a lock and without writing anything, for auditors: shows the journal as it is at this moment;
    /// [`claim`](Provider::claim) is refused.
    pub fn open_read_only(dir: &Path) -> Result<Self, Error> {
        let ledger = ledger(dir)?;
        let signed = Heads::read(dir, &ledger)?;
        let partitions = partitions(dir, &ledger, &signed, &Options::default(), false)?;
        Ok(Self { shared: Arc::new(Shared { ledger, partitions, publishing: None }) })
    }

    fn partition(&self, partition: PartitionId) -> Result<&Arc<Partition>, Error> {
        self.shared.partitions.get(usize::from(partition.0)).ok_or(Error::UnknownPartition(partition))
    }
}

impl Shared {
    fn sign(&self, partition: PartitionId, head: Head) -> Result<SignedHead, Error> {
        let publishing = self.publishing.as_ref().ok_or(Error::ReadOnly)?;
        let signed = SignedHead::sign(self.ledger.id, partition, head, &publishing.key);
        publishing.heads.lock().unwrap_or_else(PoisonError::into_inner).publish(&signed)?;
        Ok(signed)
    }
}

impl Provider for Embedded {
    type Writer = EmbeddedWriter;
    type Reader = EmbeddedReader;

    fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    async fn claim(&self, partition: PartitionId) -> Result<EmbeddedWriter, Error> {
        if self.shared.publishing.is_none() {
            return Err(Error::ReadOnly);
        }
        EmbeddedWriter::start(self.shared.clone(), self.partition(partition)?.clone())
    }

    async fn reader(&self, partition: PartitionId, from: u64) -> Result<EmbeddedReader, Error> {
        EmbeddedReader::start(self.shared.clone(), self.partition(partition)?.clone(), from)
    }

    async fn read(&self, partition: PartitionId, index: u64) -> Result<Record, Error> {
        self.partition(partition)?.read(index)
    }

    async fn head(&self, partition: PartitionId) -> Result<Head, Error> {
        Ok(self.partition(partition)?.head())
    }

    async fn confirm(&self, partition: PartitionId, index: u64, hash: Hash) -> Result<(), Error> {
        if self.partition(partition)?.hash(index)? == hash { Ok(()) } else { Err(Error::Mismatch { partition, index }) }
    }
}

fn lock(dir: &Path, create: bool) -> Result<File, Error> {
    let path = layout::lock(dir);
    let file = match File::options().write(true).create_new(create).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing {
                path,
                advice: "this is not a ledger directory; check the path, or create one",
            });
        }
        Err(error) => return Err(Error::io("opening the lock", error)),
    };
    match patiently(|| file.try_lock(), |refused| matches!(refused, TryLockError::WouldBlock)) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path }),
        Err(TryLockError::Error(error)) => Err(Error::io("locking the ledger", error)),
    }
}

/// Reads what the ledger is from partition 0's genesis.
fn ledger(dir: &Path) -> Result<Ledger, Error> {
    let first = PartitionId(0);
    let place = layout::partition(dir, first);
    layout::segments(&place)?;
    let genesis = Segment::open(first, 0, &layout::segment(&place, 0), false)?.record(0, 0)?;
    Ledger::from_genesis(&genesis).map_err(|reason| Error::corrupt(first, 0, reason))
}

fn partitions(
    dir: &Path,
    ledger: &Ledger,
    signed: &[SignedHead],
    options: &Options,
    write: bool,
) -> Result<Vec<Arc<Partition>>, Error> {
    let open = |id| Partition::open(ledger, id, layout::partition(dir, id), options.clone(), write).map(Arc::new);
    let partitions = ledger.partitions().map(open).collect::<Result<Vec<_>, _>>()?;
    for SignedHead { partition, head, .. } in signed {
        if partitions[usize::from(partition.0)].hash(head.index)? != head.hash {
            return Err(Error::Mismatch { partition: *partition, index: head.index });
        }
    }
    Ok(partitions)
}
