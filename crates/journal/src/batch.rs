//! The body of one record under construction.

use crate::{HEADER_BYTES, RECORD_BYTES_MAX};

/// The entry does not fit: submit the batch and push again into a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry does not fit into a record of at most {RECORD_BYTES_MAX} bytes")]
pub struct Full;

/// Entries on their way into one record. Bounded by [`RECORD_BYTES_MAX`]; reusable by [`Batch::clear`].
///
/// The buffer leaves room for the header in front, so that a record is sealed in place and written in one piece.
#[derive(Debug)]
pub struct Batch {
    pub(crate) buffer: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) first_time_ms: u64,
    pub(crate) last_time_ms: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty batch with room for a record of `bytes`, at most [`RECORD_BYTES_MAX`], before its buffer grows.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes.clamp(HEADER_BYTES, RECORD_BYTES_MAX));
        buffer.resize(HEADER_BYTES, 0);
        Self { buffer, count: 0, first_time_ms: 0, last_time_ms: 0 }
    }

    /// Appends an entry. Times must not go back within a batch; a time earlier than the last one counts as the last.
    pub fn push(&mut self, time_ms: u64, entry: &[u8]) -> Result<(), Full> {
        if entry.len() > RECORD_BYTES_MAX || self.buffer.len() + 4 + entry.len() > RECORD_BYTES_MAX {
            return Err(Full);
        }
        let length = u32::try_from(entry.len()).map_err(|_| Full)?;
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(entry);
        if self.count == 0 {
            self.first_time_ms = time_ms;
        }
        self.last_time_ms = self.last_time_ms.max(time_ms);
        self.count += 1;
        Ok(())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the record this would become.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Forgets the entries, keeps the buffer.
    pub fn clear(&mut self) {
        self.buffer.truncate(HEADER_BYTES);
        self.count = 0;
        self.first_time_ms = 0;
        self.last_time_ms = 0;
    }
}
