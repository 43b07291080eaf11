//! A file of records: plain ones, segment files one after another, or an export with a trailer that says what the file
//! holds. A trailer counts only if it stands at the very end and reads as an export writes it; then it is held against
//! the file, here by length and hash, and in `chain.rs` by the head of each partition.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use florin_journal::export::{self, Error, Span, Trailer};
use florin_journal::{Hash, Ledger, PartitionId};
use tempfile::TempDir;

use super::finding::Finding;
use super::layout::{Layout, Stretch};
use super::progress::Meter;
use super::walk::{Piece, Walk};
use crate::failure::Failure;

/// Bytes hashed at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A file of records, looked over once.
#[derive(Debug)]
pub(super) struct Records {
    path: Arc<Path>,
    layout: Layout,
    trailer: Option<Trailer>,
    /// Why the file is not as it was written; partitions are checked all the same.
    flaws: Vec<Finding>,
    /// Where it lies, if it is a copy that is gone with this.
    copy: Option<TempDir>,
}

impl Records {
    /// Looks a file over; maybe a copy that is to be gone afterwards.
    pub(super) fn read(path: &Path, copy: Option<TempDir>) -> Result<Self, Failure> {
        let failed = |cause| Failure::io("read", path, cause);
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut flaws = Vec::new();
        let trailer = match export::trailer(&mut file) {
            Ok(trailer) => Some(trailer),
            // Records without a trailer are a file that others wrote.
            Err(Error::Unfinished) => None,
            Err(Error::Io(cause)) => return Err(failed(cause)),
            Err(error) => {
                flaws.push(Finding::new("export", "a trailer as an export writes it", error));
                None
            }
        };
        let meter = Meter::new("looking over the file");
        let mut next = BTreeMap::new();
        let mut end = size;
        if let Some(trailer) = &trailer {
            end = trailer.at;
            next.extend((0..).zip(trailer.contents.partitions.iter().map(|span| span.from)));
            flaws.extend(changed(&mut file, trailer, &meter).map_err(failed)?);
        }
        meter.doing("looking for the partitions");
        let layout = Layout::scan(path, end, next, &meter).map_err(failed)?;
        meter.finish();
        if let (Some(mark), true) = (layout.marks.first(), flaws.is_empty()) {
            let found =
                format!("the beginning of one at byte {mark}, with {} bytes from there to the end", size - mark);
            flaws.push(Finding::new("export", "a trailer at the end of the file, or none", found));
        }
        Ok(Self { path: path.into(), layout, trailer, flaws, copy })
    }

    /// Why the file is not as it was written.
    pub(super) fn flaws(&self) -> &[Finding] {
        &self.flaws
    }

    /// The ledger, if there is a trailer that says it.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.trailer.as_ref().map(|trailer| &trailer.contents.ledger)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a copy lies, and what was put beside it.
    pub(super) fn beside(&self) -> Option<&Path> {
        self.copy.as_ref().map(TempDir::path)
    }

    /// What the trailer says of a partition.
    pub(super) fn span(&self, partition: PartitionId) -> Option<&Span> {
        self.trailer.as_ref()?.contents.partitions.get(usize::from(partition.0))
    }

    /// Partitions that records in the file name.
    pub(super) fn partitions(&self) -> impl Iterator<Item = u16> {
        self.layout.partitions()
    }

    /// Bytes of a partition.
    pub(super) fn bytes(&self, partition: PartitionId) -> u64 {
        self.layout.of(partition.0).iter().map(|stretch| stretch.to - stretch.from).sum()
    }

    /// The records of a partition.
    pub(super) fn walk(&self, partition: PartitionId) -> Walk {
        let piece = |stretch: &Stretch| Piece { path: Arc::clone(&self.path), from: stretch.from, to: stretch.to };
        let pieces = self.layout.of(partition.0).iter().map(piece).collect();
        // What was exported was durable.
        Walk::new(pieces, partition).durable(self.trailer.is_some())
    }
}

/// How the bytes before a trailer differ from those it is about.
fn changed(file: &mut File, trailer: &Trailer, meter: &Meter) -> io::Result<Option<Finding>> {
    if trailer.bytes != trailer.at {
        let (said, found) = (trailer.bytes, trailer.at);
        return Ok(Some(Finding::new(
            "export",
            format!("{said} bytes of records, by the trailer"),
            format!("{found} bytes before it: some were {}", if found < said { "cut out" } else { "put in" }),
        )));
    }
    meter.expect(trailer.at);
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let (mut chunk, mut left) = (vec![0; CHUNK_BYTES], trailer.at);
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        file.read_exact(&mut chunk[..length])?;
        hasher.update(&chunk[..length]);
        meter.advance(length as u64);
        left -= length as u64;
    }
    let found = Hash(*hasher.finalize().as_bytes());
    Ok((found != trailer.hash).then(|| {
        Finding::new(
            "export",
            format!("records with hash {}, by the trailer", trailer.hash),
            format!("{found}: bytes were changed"),
        )
    }))
}
