//! One partition: its segments, its durable head, and the only code that writes to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use super::ahead::{Ahead, ZEROS};
use super::recover::{self, Tail};
use super::ring::Ring;
use super::segment::Segment;
use super::{Options, layout};
use crate::record::Loose;
use crate::{Batch, Chain, Corruption, Error, Head, Ledger, PartitionId, Record};

/// Zeros written ahead of the log, in the same file: overwriting them spares a sync the file's growth, which costs more
/// than the data (measured: 1.9 times for 4 KiB, 3.6 times for 256 KiB).
const AHEAD_BYTES_MIN: u64 = 64 << 10;
const AHEAD_BYTES_MAX: u64 = 8 << 20;
/// A segment with so much in it will be followed by another: that one is prepared beside the log, and taken as soon as
/// the zeros of this one are used up.
const PREPARE_AFTER_BYTES: u64 = 8 << 20;
const PREPARED_BYTES: u64 = 64 << 20;
/// What the system's cache reads and writes as one; on some machines a part of it.
const PAGE: usize = 4096;
const PAGE_BYTES: u64 = PAGE as u64;

pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) ledger: Ledger,
    dir: PathBuf,
    options: Options,
    segments: RwLock<Vec<Arc<Segment>>>,
    ring: Mutex<Ring>,
    durable: watch::Sender<Head>,
    log: Mutex<Log>,
}

/// What only the writer needs.
struct Log {
    chain: Chain,
    head: Head,
    end: u64,
    /// The file has zeros from `end` to here.
    zeroed: u64,
    /// The segment after this one.
    next: Option<Ahead>,
    torn: bool,
    owner: Option<[u8; 16]>,
    dead: Option<String>,
}

/// A record written, not yet known durable.
struct Written {
    segment: Arc<Segment>,
    offset: u64,
    record: Record,
}

impl Partition {
    /// Finds the tail. Writes nothing.
    pub(super) fn open(
        ledger: &Ledger,
        id: PartitionId,
        dir: PathBuf,
        options: Options,
        write: bool,
    ) -> Result<Self, Error> {
        let mut segments = Vec::new();
        for first in layout::segments(&dir)? {
            let path = layout::segment(&dir, first);
            segments.push(Arc::new(Segment::open(id, first, &path, write)?));
        }
        let Tail { chain, head, end, torn } = recover::tail(ledger, id, &segments)?;
        let zeroed = segments.last().map_or(Ok(0), |last| last.bytes())?;
        let log = Log { chain, head, end, zeroed, next: None, torn, owner: None, dead: None };
        Ok(Self {
            id,
            ledger: ledger.clone(),
            dir,
            ring: Mutex::new(Ring::new(options.ring_bytes)),
            options,
            segments: RwLock::new(segments),
            durable: watch::Sender::new(head),
            log: Mutex::new(log),
        })
    }

    pub(super) fn head(&self) -> Head {
        *self.durable.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Head> {
        self.durable.subscribe()
    }

    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a segment begins with record `index`.
    pub(super) fn segments_start(&self, index: u64) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.binary_search_by_key(&index, |segment| segment.first).is_ok()
    }

    /// The segment and offset of a durable record.
    pub(super) fn locate(&self, index: u64) -> Result<(Arc<Segment>, u64), Error> {
        let segment = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            recover::segment_of(self.id, &segments, index)?.clone()
        };
        let offset = segment.find(index)?;
        Ok((segment, offset))
    }

    pub(super) fn recent(&self, index: u64) -> Option<Record> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).get(index)
    }

    /// Hash of record `index`; [`Error::Shorter`] if it is not there.
    pub(super) fn hash(&self, index: u64) -> Result<crate::Hash, Error> {
        self.exists(index)?;
        if let Some(record) = self.recent(index) {
            return Ok(record.hash());
        }
        let (segment, offset) = self.locate(index)?;
        Ok(segment.header(index, offset)?.1)
    }

    pub(super) fn exists(&self, index: u64) -> Result<(), Error> {
        let next = self.head().index + 1;
        if index < next { Ok(()) } else { Err(Error::Shorter { partition: self.id, index, next }) }
    }

    /// One record by index.
    pub(super) fn read(&self, index: u64) -> Result<Record, Error> {
        self.exists(index)?;
        if let Some(record) = self.recent(index) {
            return Ok(record);
        }
        let head = self.head();
        let (segment, offset) = self.locate(index)?;
        let loose = segment.record(index, offset)?;
        if loose.ledger() != self.ledger.id {
            return Err(Error::corrupt(self.id, index, Corruption::Ledger(loose.ledger())));
        }
        // The next record, or the head, knows the range up to this one, and names it.
        let (follower, named, range) = if index == head.index {
            (index, head.hash, head.range)
        } else {
            let (segment, offset) = self.locate(index + 1)?;
            let next = segment.header(index + 1, offset)?.0;
            (index + 1, next.previous, next.range)
        };
        if named != loose.hash() {
            let reason = Corruption::Previous { expected: loose.hash(), found: named };
            return Err(Error::corrupt(self.id, follower, reason));
        }
        Ok(Record::placed(loose, range))
    }

    /// Cuts a torn tail, appends a claim, and makes `nonce` the owner.
    pub(super) fn claim(&self, nonce: [u8; 16]) -> Result<Head, Error> {
        let mut log = self.log()?;
        let claimed = self.claim_locked(&mut log, nonce);
        self.bury(&mut log, claimed)
    }

    /// Writes the batches as records, syncs once, publishes them. All or none is acknowledged.
    pub(super) fn commit(&self, nonce: [u8; 16], batches: Vec<Batch>) -> Result<Vec<Head>, Error> {
        let mut log = self.log()?;
        if log.owner != Some(nonce) {
            return Err(Error::Deposed(self.id));
        }
        let committed = self.commit_locked(&mut log, batches);
        self.bury(&mut log, committed)
    }

    fn log(&self) -> Result<MutexGuard<'_, Log>, Error> {
        let log = self.log.lock().map_err(|_| Error::Dead("the committer panicked".into()))?;
        match &log.dead {
            Some(reason) => Err(Error::Dead(reason.clone())),
            None => Ok(log),
        }
    }

    /// After a failure what is on disk is unknown: nothing may be written before the next recovery.
    fn bury<T>(&self, log: &mut Log, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome {
            tracing::error!(partition = self.id.0, %error, "journal writer is dead");
            log.dead = Some(error.to_string());
        }
        outcome
    }

    fn claim_locked(&self, log: &mut Log, nonce: [u8; 16]) -> Result<Head, Error> {
        if log.torn {
            let segment = self.active()?;
            tracing::warn!(partition = self.id.0, next = log.chain.next_index(), "cutting a torn tail");
            let cut = segment.file.set_len(log.end).and_then(|()| segment.file.sync_all());
            cut.map_err(|error| Error::io("cutting a torn tail", error))?;
            (log.torn, log.zeroed) = (false, log.end);
        }
        log.next = None;
        super::ahead::clear(&self.dir).map_err(|error| Error::io("deleting a prepared segment", error))?;
        let claim = self.seal(log.chain.claim(nonce), Batch::new())?;
        let written = self.write(log, claim)?;
        self.sync(&written.segment)?;
        log.owner = Some(nonce);
        self.publish(log, vec![written]);
        Ok(log.head)
    }

    fn commit_locked(&self, log: &mut Log, batches: Vec<Batch>) -> Result<Vec<Head>, Error> {
        let mut group: Vec<Written> = Vec::with_capacity(batches.len());
        for batch in batches {
            let durable = log.head.index + 1;
            let header = log.chain.header(batch.count, batch.first_time_ms, batch.last_time_ms, durable);
            let loose = self.seal(header, batch)?;
            group.push(self.write(log, loose)?);
        }
        if let Some(last) = group.last() {
            self.sync(&last.segment)?;
        }
        let heads = group.iter().map(|written| written.record.head()).collect();
        self.publish(log, group);
        Ok(heads)
    }

    fn seal(&self, header: crate::header::Header, batch: Batch) -> Result<Loose, Error> {
        let index = header.index;
        Loose::seal(header, batch.buffer).map_err(|reason| Error::corrupt(self.id, index, reason))
    }

    fn write(&self, log: &mut Log, loose: Loose) -> Result<Written, Error> {
        let index = loose.index();
        let record = log.chain.push(loose).map_err(|reason| Error::corrupt(self.id, index, reason))?;
        let bytes = record.bytes().len() as u64;
        let prepared = log.next.as_ref().is_some_and(Ahead::is_ready) && log.end + bytes > log.zeroed;
        if log.end > 0 && (prepared || log.end + bytes > self.options.segment_bytes) {
            self.roll(log, index)?;
        }
        let segment = self.active()?;
        let offset = log.end;
        let failed = |error| Error::io("writing a record", error);
        let last_page = (log.end + bytes) / PAGE_BYTES * PAGE_BYTES;
        if last_page >= log.end && last_page < log.end + bytes && last_page + PAGE_BYTES <= log.zeroed {
            // The zeros of a prepared segment are in no cache: a page written as a whole need not be read first.
            self.options.disk.write(&segment.file, &ZEROS[..PAGE], last_page).map_err(failed)?;
        }
        self.options.disk.write(&segment.file, record.bytes(), offset).map_err(failed)?;
        log.end += bytes;
        if log.end > log.zeroed {
            let ahead = log.end.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
            let until = (log.end + ahead).min(self.options.segment_bytes);
            let mut at = log.end;
            while at < until {
                let zeros = usize::try_from(until - at).map_or(&ZEROS[..], |left| &ZEROS[..left.min(ZEROS.len())]);
                self.options.disk.write(&segment.file, zeros, at).map_err(failed)?;
                at += zeros.len() as u64;
            }
            log.zeroed = at;
        }
        match &log.next {
            Some(next) => next.follow(log.end),
            None if log.end >= PREPARE_AFTER_BYTES => {
                let bytes = PREPARED_BYTES.min(self.options.segment_bytes);
                let next = Ahead::start(&self.dir, bytes, log.end, log.zeroed, self.options.disk.clone());
                log.next = Some(next.map_err(|error| Error::io("starting to prepare a segment", error))?);
            }
            None => {}
        }
        Ok(Written { segment, offset, record })
    }

    /// Starts the next segment, the prepared one if there is. The old one is synced first, so that only the last segment
    /// can be torn.
    fn roll(&self, log: &mut Log, first: u64) -> Result<(), Error> {
        self.sync(&*self.active()?)?;
        let path = layout::segment(&self.dir, first);
        let prepared = log.next.take_if(|next| next.is_ready()).map(|next| next.take(&path));
        let segment = match prepared {
            Some(Ok(file)) => Segment::new(self.id, first, file),
            failed => {
                if let Some(Err(error)) = failed {
                    // A full disk, most likely: what the log itself needs will tell.
                    tracing::warn!(partition = self.id.0, %error, "the next segment could not be prepared");
                }
                Segment::create(self.id, first, &path)?
            }
        };
        log.zeroed = segment.bytes()?;
        layout::sync_dir(&self.dir)?;
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(segment));
        log.end = 0;
        Ok(())
    }

    fn sync(&self, segment: &Segment) -> Result<(), Error> {
        self.options.disk.sync(&segment.file).map_err(|error| Error::io("syncing a segment", error))
    }

    fn active(&self) -> Result<Arc<Segment>, Error> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.last().cloned().ok_or_else(|| Error::corrupt(self.id, 0, Corruption::Genesis))
    }

    /// Shows durable records to readers.
    fn publish(&self, log: &mut Log, group: Vec<Written>) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for Written { segment, offset, record } in group {
            segment.note(record.index(), offset, record.bytes().len());
            log.head = record.head();
            ring.push(record);
        }
        drop(ring);
        self.durable.send_replace(log.head);
    }
}
