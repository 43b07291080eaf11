//! A new ledger in a directory from given records: its genesis records, or all of another ledger.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use super::heads::Heads;
use super::segment::Segment;
use super::{Disk as _, Options, Os, layout, lock};
use crate::record::Loose;
use crate::restore::{Restore, Verifier};
use crate::{Error, Ledger, PartitionId, SignedHead};

/// A ledger in a directory that is being filled. `heads.jsonl` is made last: without it the directory does not open.
pub struct EmbeddedRestore {
    dir: PathBuf,
    signing: SigningKey,
    segment_bytes: u64,
    verifier: Verifier,
    /// Each partition's last segment, and where it ends.
    open: Vec<Option<(Segment, u64)>>,
    _lock: File,
}

impl EmbeddedRestore {
    /// Begins, in a directory that is made if need be. Refuses one that already holds anything.
    pub fn start(dir: &Path, signing: SigningKey) -> Result<Self, Error> {
        let failed = |error| Error::io("creating a ledger", error);
        fs::create_dir_all(dir).map_err(failed)?;
        if fs::read_dir(dir).map_err(failed)?.next().is_some() {
            return Err(Error::NotEmpty { path: dir.to_owned() });
        }
        let owned = lock(dir, true)?;
        let (dir, verifier) = (dir.to_owned(), Verifier::default());
        Ok(Self {
            dir,
            signing,
            segment_bytes: Options::default().segment_bytes,
            verifier,
            open: Vec::new(),
            _lock: owned,
        })
    }

    pub(super) fn record(&mut self, record: Loose) -> Result<(), Error> {
        let partition = record.partition();
        let record = self.verifier.push(record)?;
        let slot = usize::from(partition.0);
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, || None);
        }
        let bytes = record.bytes();
        let full = |end: u64| end + bytes.len() as u64 > self.segment_bytes;
        let (segment, end) = match self.open[slot].take() {
            Some((segment, end)) if !full(end) => (segment, end),
            before => {
                if let Some((segment, _)) = before {
                    sync(&segment)?;
                }
                (self.segment(partition, record.index())?, 0)
            }
        };
        Os.write(&segment.file, bytes, end).map_err(|error| Error::io("restoring a record", error))?;
        self.open[slot] = Some((segment, end + bytes.len() as u64));
        Ok(())
    }

    fn segment(&self, partition: PartitionId, first: u64) -> Result<Segment, Error> {
        let place = layout::partition(&self.dir, partition);
        if first == 0 {
            fs::create_dir(&place).map_err(|error| Error::io("creating a ledger", error))?;
        }
        let segment = Segment::create(partition, first, &layout::segment(&place, first))?;
        layout::sync_dir(&place)?;
        Ok(segment)
    }

    pub(super) fn done(self) -> Result<Ledger, Error> {
        for (segment, _) in self.open.iter().flatten() {
            sync(segment)?;
        }
        let (ledger, last) = self.verifier.finish()?;
        layout::sync_dir(&self.dir)?;
        let mut heads = Heads::create(&self.dir)?;
        for (partition, head) in ledger.partitions().zip(last) {
            heads.publish(&SignedHead::sign(ledger.id, partition, head, &self.signing))?;
        }
        layout::sync_dir(&self.dir)?;
        if let Some(parent) = self.dir.parent().filter(|parent| parent.is_dir()) {
            layout::sync_dir(parent)?;
        }
        Ok(ledger)
    }
}

fn sync(segment: &Segment) -> Result<(), Error> {
    segment.file.sync_all().map_err(|error| Error::io("syncing a segment", error))
}

impl Restore for EmbeddedRestore {
    async fn push(&mut self, record: Loose) -> Result<(), Error> {
        self.record(record)
    }

    async fn finish(self) -> Result<Ledger, Error> {
        self.done()
    }
}
