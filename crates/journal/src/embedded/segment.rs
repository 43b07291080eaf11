//! One segment file, and where records are in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::header::Header;
use crate::record::Loose;
use crate::{Corruption, Error, HEADER_BYTES, Hash, PartitionId};

/// Every how many records an offset is kept: 8 bytes per 64 records, and at most 63 headers to hop over.
const SPARSE: u64 = 64;

pub(super) struct Segment {
    pub(super) partition: PartitionId,
    pub(super) first: u64,
    pub(super) file: File,
    offsets: Mutex<Offsets>,
}

/// Known offsets: of every `SPARSE`th record from the first, and of the first record not yet walked over.
struct Offsets {
    sparse: Vec<u64>,
    next_index: u64,
    next_offset: u64,
}

impl Segment {
    pub(super) fn open(partition: PartitionId, first: u64, path: &Path, write: bool) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(write)
            .open(path)
            .map_err(|error| Error::io("opening a segment", error))?;
        Ok(Self::new(partition, first, file))
    }

    pub(super) fn create(partition: PartitionId, first: u64, path: &Path) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| Error::io("creating a segment", error))?;
        Ok(Self::new(partition, first, file))
    }

    pub(super) fn new(partition: PartitionId, first: u64, file: File) -> Self {
        let offsets = Mutex::new(Offsets { sparse: Vec::new(), next_index: first, next_offset: 0 });
        Self { partition, first, file, offsets }
    }

    pub(super) fn bytes(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().map_err(|error| Error::io("sizing a segment", error))?.len())
    }

    /// Remembers that record `index` is at `offset` and `bytes` long; records come in order.
    pub(super) fn note(&self, index: u64, offset: u64, bytes: usize) {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).note(self.first, index, offset, bytes);
    }

    /// Offset of record `index`, which the caller knows to be in this segment.
    pub(super) fn find(&self, index: u64) -> Result<u64, Error> {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        while offsets.next_index <= index {
            let (at, offset) = (offsets.next_index, offsets.next_offset);
            let (header, _) = self.header(at, offset)?;
            offsets.note(self.first, at, offset, header.record_bytes());
        }
        let nearest = (index - self.first) / SPARSE;
        let mut at = self.first + nearest * SPARSE;
        let mut offset = usize::try_from(nearest).ok().and_then(|nearest| offsets.sparse.get(nearest)).copied();
        drop(offsets);
        while let Some(known) = offset.filter(|_| at < index) {
            offset = Some(known + self.header(at, known)?.0.record_bytes() as u64);
            at += 1;
        }
        offset.ok_or_else(|| Error::corrupt(self.partition, index, Corruption::Magic))
    }

    /// Header of record `index` at `offset`, and the record's hash.
    pub(super) fn header(&self, index: u64, offset: u64) -> Result<(Header, Hash), Error> {
        let mut bytes = [0; HEADER_BYTES];
        let have = self.read(&mut bytes, offset)?;
        let corrupt = |reason| Error::corrupt(self.partition, index, reason);
        let (header, hash) = Header::decode(&bytes[..have]).map_err(corrupt)?;
        if header.partition != self.partition {
            return Err(corrupt(Corruption::Partition(header.partition)));
        }
        if header.index != index {
            return Err(corrupt(Corruption::Index { expected: index, found: header.index }));
        }
        Ok((header, hash))
    }

    /// Record `index` at `offset`, whole in itself.
    pub(super) fn record(&self, index: u64, offset: u64) -> Result<Loose, Error> {
        let (header, _) = self.header(index, offset)?;
        let mut bytes = vec![0; header.record_bytes()];
        let have = self.read(&mut bytes, offset)?;
        bytes.truncate(have);
        Loose::decode(bytes).map_err(|reason| Error::corrupt(self.partition, index, reason))
    }

    /// Everything from `offset` on, or nothing if that is zeros only.
    pub(super) fn rest(&self, offset: u64) -> Result<Vec<u8>, Error> {
        let mut piece = vec![0; 1 << 20];
        let mut at = offset;
        loop {
            let have = self.read(&mut piece, at)?;
            if have == 0 {
                return Ok(Vec::new());
            }
            if piece[..have].iter().any(|&byte| byte != 0) {
                break;
            }
            at += have as u64;
        }
        let bytes = self.bytes()?.saturating_sub(offset);
        let mut rest = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        let have = self.read(&mut rest, offset)?;
        rest.truncate(have);
        Ok(rest)
    }

    /// Fills `bytes` from `offset` on, less where the file ends; returns how much.
    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<usize, Error> {
        let mut have = 0;
        while have < bytes.len() {
            match self.file.read_at(&mut bytes[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("reading a segment", error)),
            }
        }
        Ok(have)
    }
}

impl Offsets {
    fn note(&mut self, first: u64, index: u64, offset: u64, bytes: usize) {
        if index == self.next_index {
            if (index - first).is_multiple_of(SPARSE) {
                self.sparse.push(offset);
            }
            self.next_index += 1;
            self.next_offset = offset + bytes as u64;
        }
    }
}
