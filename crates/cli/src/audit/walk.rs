//! An independent reader of segment files, written from `crates/journal/FORMAT.md`: whole records one after another,
//! zeros at the end, and a way on after damage.
//!
//! It holds one megabyte and checks what a record shows by itself. What relates records is checked by `chain.rs`.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use florin_journal::export::TRAILER;
use florin_journal::header::{Header, MAGIC};
use florin_journal::{Corruption, HEADER_BYTES, Kind, Loose, PartitionId};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// How often, and how long apart, the end of a live journal is looked at again.
const LOOKS: u32 = 40;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What comes next in the files.
#[derive(Debug)]
pub(super) enum Step {
    /// A record that is whole in itself.
    Record(Loose),
    /// Bytes that are no record, and why; the walk goes on behind them.
    Damage(Corruption),
    /// Bytes at the end that are no record, and that no later record proves to have been acknowledged.
    Torn { bytes: u64, reason: Corruption },
    /// The end.
    End,
}

/// Reads the records of one partition.
#[derive(Debug)]
pub(super) struct Walk {
    partition: PartitionId,
    /// Whether records of other partitions lie between.
    mixed: bool,
    files: VecDeque<PathBuf>,
    window: Option<Window>,
    offset: u64,
    /// Damage in the last file was already told: what follows is not torn.
    damaged: bool,
    /// Looks left at an end that a running process is still writing.
    looks: u32,
}

impl Walk {
    pub(super) fn new(files: Vec<PathBuf>, partition: PartitionId, mixed: bool) -> Self {
        Self { partition, mixed, files: files.into(), window: None, offset: 0, damaged: false, looks: 0 }
    }

    /// Of a journal that a process writes now: its end may be in the middle of a record.
    pub(super) fn live(self, live: bool) -> Self {
        Self { looks: if live { LOOKS } else { 0 }, ..self }
    }

    /// The next step. `expected` is the index that follows; it decides what may be torn.
    pub(super) fn next(&mut self, expected: u64) -> io::Result<Step> {
        loop {
            let Some(window) = open(&mut self.window, &mut self.files, &mut self.offset)? else {
                return Ok(Step::End);
            };
            let head = window.at(self.offset, HEADER_BYTES)?;
            if head.starts_with(&TRAILER) {
                // What an export says of itself; its own reader compares it.
                self.window = None;
                continue;
            }
            let reason = if head.iter().all(|byte| *byte == 0) {
                if self.looks > 0 && self.files.is_empty() || window.zeros_from(self.offset)? {
                    self.window = None;
                    continue;
                }
                Corruption::Magic
            } else {
                match Header::decode(head) {
                    Ok((header, _)) if self.mixed && header.partition != self.partition => {
                        self.offset += header.record_bytes() as u64;
                        continue;
                    }
                    Ok((header, _)) => {
                        let need = header.record_bytes();
                        match Loose::decode(window.at(self.offset, need)?.to_vec()) {
                            Ok(record) => {
                                self.offset += need as u64;
                                return Ok(Step::Record(record));
                            }
                            Err(reason) => reason,
                        }
                    }
                    Err(reason) => reason,
                }
            };
            let at = self.offset;
            let last = self.files.is_empty() && !self.damaged;
            if last && self.looks > 0 {
                self.looks -= 1;
                window.buffer.clear();
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            if last && !window.acknowledged(at, self.partition, expected)? {
                let bytes = window.bytes()?.saturating_sub(at);
                self.window = None;
                return Ok(Step::Torn { bytes, reason });
            }
            self.damaged |= last;
            match window.resync(at)? {
                Some(next) => self.offset = next,
                None => self.window = None,
            }
            // Between partitions damage has no owner: the first tells it.
            if !self.mixed || self.partition.0 == 0 {
                return Ok(Step::Damage(reason));
            }
        }
    }

    /// The next header with its body, without checking the body; passes over what is no record. For a quick look ahead.
    pub(super) fn skim(&mut self) -> io::Result<Option<(Header, &[u8])>> {
        loop {
            let Some(window) = open(&mut self.window, &mut self.files, &mut self.offset)? else {
                return Ok(None);
            };
            let at = self.offset;
            if let Ok((header, _)) = Header::decode(window.at(at, HEADER_BYTES)?) {
                self.offset += header.record_bytes() as u64;
                if self.mixed && header.partition != self.partition {
                    continue;
                }
                // Entries alone are looked into.
                let body = if header.kind == Kind::Entries { header.body_bytes as usize } else { 0 };
                let window = self.window.as_mut().ok_or(io::ErrorKind::Other)?;
                return Ok(Some((header, window.at(at + HEADER_BYTES as u64, body)?)));
            }
            match window.resync(at)? {
                Some(next) => self.offset = next,
                None => self.window = None,
            }
        }
    }
}

/// The file that is being read, or the next one.
fn open<'a>(
    window: &'a mut Option<Window>,
    files: &mut VecDeque<PathBuf>,
    offset: &mut u64,
) -> io::Result<Option<&'a mut Window>> {
    if window.is_none() {
        let Some(path) = files.pop_front() else { return Ok(None) };
        *offset = 0;
        *window = Some(Window { file: File::open(path)?, start: 0, buffer: Vec::new() });
    }
    Ok(window.as_mut())
}

/// A file, a megabyte at a time.
#[derive(Debug)]
struct Window {
    file: File,
    start: u64,
    buffer: Vec<u8>,
}

impl Window {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// `length` bytes at `offset`, fewer where the file ends.
    fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let inside = |start: u64, have: usize| {
            usize::try_from(offset.checked_sub(start)?).ok().filter(|from| from + length <= have)
        };
        let from = if let Some(from) = inside(self.start, self.buffer.len()) {
            from
        } else {
            self.fill(offset, length.max(WINDOW_BYTES))?;
            0
        };
        let end = (from + length).min(self.buffer.len());
        Ok(&self.buffer[from..end])
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<()> {
        self.start = offset;
        self.buffer.resize(length, 0);
        let mut have = 0;
        while have < length {
            match self.file.read_at(&mut self.buffer[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(have);
        Ok(())
    }

    fn zeros_from(&mut self, mut offset: u64) -> io::Result<bool> {
        loop {
            let chunk = self.at(offset, WINDOW_BYTES)?;
            if chunk.is_empty() {
                return Ok(true);
            }
            if chunk.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += chunk.len() as u64;
        }
    }

    /// Where the next thing after `offset` is that has a record's header.
    fn resync(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut from = offset + 1;
        loop {
            let chunk = self.at(from, WINDOW_BYTES)?;
            if chunk.len() < MAGIC.len() {
                return Ok(None);
            }
            let Some(hit) = chunk.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) else {
                from += (chunk.len() + 1 - MAGIC.len()) as u64;
                continue;
            };
            from += hit as u64;
            if Header::decode(self.at(from, HEADER_BYTES)?).is_ok() {
                return Ok(Some(from));
            }
            from += 1;
        }
    }

    /// Whether a whole record after `offset` was sealed when record `expected` was known durable.
    fn acknowledged(&mut self, offset: u64, partition: PartitionId, expected: u64) -> io::Result<bool> {
        let mut from = offset;
        while let Some(next) = self.resync(from)? {
            if let Ok((header, _)) = Header::decode(self.at(next, HEADER_BYTES)?)
                && header.partition == partition
                && header.durable > expected
                && Loose::decode(self.at(next, header.record_bytes())?.to_vec()).is_ok()
            {
                return Ok(true);
            }
            from = next;
        }
        Ok(false)
    }
}
