//! An independent reader of records, written from `crates/journal/FORMAT.md`: whole records one after another, zeros at
//! the end, and a way on after damage.
//!
//! It holds one megabyte and checks what a record shows by itself. What relates records is checked by `chain.rs`. Nothing
//! but a record and zeros is passed over: any other byte is damage, or a torn end.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use florin_journal::header::Header;
use florin_journal::{Corruption, HEADER_BYTES, Kind, Loose, PartitionId};

use super::window::Window;

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

/// A file's bytes of one partition: a segment, or a stretch of a file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) path: Arc<Path>,
    pub(super) from: u64,
    /// Where it ends, or the file's end if that is before.
    pub(super) to: u64,
}

/// Reads the records of one partition.
#[derive(Debug)]
pub(super) struct Walk {
    partition: PartitionId,
    pieces: VecDeque<Piece>,
    window: Option<Window>,
    offset: u64,
    /// Nothing at the end can be torn: either all of it was durable once, or damage there was told already.
    durable: bool,
    /// Looks left at an end that a running process is still writing.
    looks: u32,
}

impl Walk {
    pub(super) fn new(pieces: Vec<Piece>, partition: PartitionId) -> Self {
        Self { partition, pieces: pieces.into(), window: None, offset: 0, durable: false, looks: 0 }
    }

    /// Of records that were all durable when they were copied: their end cannot be a write that was cut off.
    pub(super) fn durable(self, durable: bool) -> Self {
        Self { durable, ..self }
    }

    /// Of a journal that a process writes now: its end may be in the middle of a record.
    pub(super) fn live(self, live: bool) -> Self {
        Self { looks: if live { LOOKS } else { 0 }, ..self }
    }

    /// The next step. `expected` is the index that follows; it decides what may be torn.
    pub(super) fn next(&mut self, expected: u64) -> io::Result<Step> {
        loop {
            let Some(window) = open(&mut self.window, &mut self.pieces, &mut self.offset)? else {
                return Ok(Step::End);
            };
            let at = self.offset;
            let head = window.at(at, HEADER_BYTES)?;
            // Where the walk goes on if the header holds and the body does not.
            let mut behind = None;
            let reason = if head.iter().all(|byte| *byte == 0) {
                if self.looks > 0 && self.pieces.is_empty() || window.not_zero(at, u64::MAX)?.is_none() {
                    self.window = None;
                    continue;
                }
                Corruption::Magic
            } else {
                match Header::decode(head) {
                    Ok((header, _)) => {
                        let need = header.record_bytes();
                        let bytes = window.at(at, need)?;
                        behind = (bytes.len() == need).then_some(at + need as u64);
                        match Loose::decode(bytes.to_vec()) {
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
            let last = self.pieces.is_empty();
            if last && self.looks > 0 {
                self.looks -= 1;
                window.forget();
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            if last && !self.durable && !window.acknowledged(at, self.partition, expected)? {
                let bytes = window.end()?.saturating_sub(at);
                self.window = None;
                return Ok(Step::Torn { bytes, reason });
            }
            self.durable |= last;
            match behind.map_or_else(|| window.resync(at), |behind| Ok(Some(behind)))? {
                Some(next) => self.offset = next,
                None => self.window = None,
            }
            return Ok(Step::Damage(reason));
        }
    }

    /// The next header with its body, without checking the body; passes over what is no record. For a quick look ahead.
    pub(super) fn skim(&mut self) -> io::Result<Option<(Header, &[u8])>> {
        loop {
            let Some(window) = open(&mut self.window, &mut self.pieces, &mut self.offset)? else {
                return Ok(None);
            };
            let at = self.offset;
            if let Ok((header, _)) = Header::decode(window.at(at, HEADER_BYTES)?) {
                self.offset += header.record_bytes() as u64;
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

/// The piece that is being read, or the next one.
fn open<'a>(
    window: &'a mut Option<Window>,
    pieces: &mut VecDeque<Piece>,
    offset: &mut u64,
) -> io::Result<Option<&'a mut Window>> {
    if window.is_none() {
        let Some(piece) = pieces.pop_front() else { return Ok(None) };
        *offset = piece.from;
        *window = Some(Window::open(&piece.path, piece.to)?);
    }
    Ok(window.as_mut())
}
