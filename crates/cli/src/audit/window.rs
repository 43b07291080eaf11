//! A stretch of a file, about a megabyte of it in memory at a time, and the search for records in it.
//!
//! Searching reads every byte once, whatever the bytes are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use florin_journal::header::{Header, MAGIC};
use florin_journal::{HEADER_BYTES, Loose, PartitionId};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// Bytes of a file from its beginning to `limit`.
#[derive(Debug)]
pub(super) struct Window {
    file: File,
    limit: u64,
    start: u64,
    buffer: Vec<u8>,
    /// The buffer reaches to the end of the stretch.
    last: bool,
}

impl Window {
    pub(super) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, limit, start: 0, buffer: Vec::new(), last: false })
    }

    /// Where the stretch ends.
    pub(super) fn end(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().min(self.limit))
    }

    /// `length` bytes at `offset`, fewer where the stretch ends.
    pub(super) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let rest = self.rest(offset, length)?;
        Ok(&rest[..length.min(rest.len())])
    }

    /// What is in memory from `offset` on: at least `length` bytes, fewer where the stretch ends.
    fn rest(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let inside = offset.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let from = match inside {
            Some(from) if self.last || from.saturating_add(length) <= self.buffer.len() => from,
            _ => {
                self.fill(offset, length.max(WINDOW_BYTES))?;
                0
            }
        };
        Ok(&self.buffer[from.min(self.buffer.len())..])
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<()> {
        let left = usize::try_from(self.end()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.start = offset;
        self.buffer.resize(length.min(left), 0);
        let mut have = 0;
        while have < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(have);
        self.last = have < length;
        Ok(())
    }

    /// Forgets what was read: somebody may have written meanwhile.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
        self.last = false;
    }

    /// The first byte from `offset` on that is not zero, if there is one before `to`.
    pub(super) fn not_zero(&mut self, mut offset: u64, to: u64) -> io::Result<Option<u64>> {
        while offset < to {
            let chunk = self.rest(offset, 1)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            match chunk.iter().position(|byte| *byte != 0) {
                Some(at) => return Ok(Some(offset + at as u64).filter(|at| *at < to)),
                None => offset += chunk.len() as u64,
            }
        }
        Ok(None)
    }

    /// The header of a record at `offset` that the stretch has all bytes of.
    pub(super) fn header(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let Ok((header, _)) = Header::decode(self.at(offset, HEADER_BYTES)?) else { return Ok(None) };
        let whole = self.at(offset, header.record_bytes())?.len() == header.record_bytes();
        Ok(whole.then_some(header))
    }

    /// Where the next thing after `offset` is that has a record's header.
    pub(super) fn resync(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut from = offset + 1;
        loop {
            let chunk = self.rest(from, HEADER_BYTES)?;
            if chunk.len() < HEADER_BYTES {
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
    pub(super) fn acknowledged(&mut self, offset: u64, partition: PartitionId, expected: u64) -> io::Result<bool> {
        let mut from = offset;
        while let Some(next) = self.resync(from)? {
            from = next;
            if let Some(header) = self.header(next)? {
                let bytes = self.at(next, header.record_bytes())?;
                if header.partition == partition && header.durable > expected && Loose::decode(bytes.to_vec()).is_ok() {
                    return Ok(true);
                }
                // Its bytes are its own: the search goes on behind it.
                from = next + header.record_bytes() as u64 - 1;
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn window(bytes: &[u8]) -> (tempfile::TempDir, Window) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, bytes).unwrap();
        let window = Window::open(&path, u64::MAX).unwrap();
        (dir, window)
    }

    #[test]
    fn a_file_full_of_magics_is_read_once() {
        // Given four megabytes of places where a record might begin
        let (_dir, mut window) = window(&MAGIC.repeat(4 * WINDOW_BYTES / MAGIC.len()));
        // When the next record is looked for
        let mut fills = 0;
        let (mut from, mut start) = (0, u64::MAX);
        while from < 4 * WINDOW_BYTES as u64 {
            window.rest(from, HEADER_BYTES).unwrap();
            fills += u32::from(window.start != start);
            (from, start) = (from + MAGIC.len() as u64, window.start);
        }
        // Then the disk is asked a few times, not once for each of them
        assert!(fills <= 5, "{fills} reads");
        assert_eq!(window.resync(0).unwrap(), None);
    }

    #[test]
    fn a_stretch_ends_at_its_limit() {
        let (dir, _) = window(b"0123456789");
        let mut window = Window::open(&dir.path().join("file"), 4).unwrap();
        assert_eq!(window.at(2, 10).unwrap(), b"23");
        assert_eq!(window.end().unwrap(), 4);
        assert_eq!(window.at(7, 1).unwrap(), b"");
        assert_eq!(window.at(0, 3).unwrap(), b"012");
    }

    #[test]
    fn zeros_end_where_something_else_begins() {
        let (_dir, mut window) = window(&[&[0; 3000][..], &[7], &[0; 10]].concat());
        assert_eq!(window.not_zero(0, u64::MAX).unwrap(), Some(3000));
        assert_eq!(window.not_zero(0, 3000).unwrap(), None);
        assert_eq!(window.not_zero(3001, u64::MAX).unwrap(), None);
    }
}
