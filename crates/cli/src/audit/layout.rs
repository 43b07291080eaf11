//! Where in a file of records each partition's lie, found in one pass over the headers, so that each partition is then read
//! by itself.
//!
//! Bytes between records that are none belong to the partition whose run they lie in: what is missing behind them says
//! whether they were its last record or the next one's first. Zeros belong to nobody: they end a segment.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use florin_journal::export::TRAILER;
use florin_journal::header::Header;

use super::progress::Meter;
use super::window::Window;

/// Stretches of a file, by partition.
#[derive(Debug, Default)]
pub(super) struct Layout {
    stretches: BTreeMap<u16, Vec<Stretch>>,
    /// Where bytes look like the beginning of an export's trailer, which are none.
    pub(super) marks: Vec<u64>,
}

/// Bytes of one partition, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Layout {
    /// Looks a file over, up to `end`. `next` is the first index of each partition, 0 if it is not named.
    pub(super) fn scan(path: &Path, end: u64, mut next: BTreeMap<u16, u64>, meter: &Meter) -> io::Result<Self> {
        let mut window = Window::open(path, end)?;
        let mut layout = Self::default();
        let (mut offset, mut last) = (0, None);
        meter.expect(end);
        while offset < end {
            if let Some(header) = window.header(offset)? {
                let (partition, to) = (header.partition.0, offset + header.record_bytes() as u64);
                layout.add(partition, offset, to);
                next.insert(partition, header.index.saturating_add(1));
                meter.advance(to - offset);
                (offset, last) = (to, Some(partition));
                continue;
            }
            let behind = window.resync(offset)?;
            let to = behind.unwrap_or(end);
            if let Some(from) = window.not_zero(offset, to)? {
                // A trailer is JSON; a record whose magic was changed is not.
                if window.at(from, TRAILER.len() + 1)? == [&TRAILER[..], b"{"].concat() {
                    layout.marks.push(from);
                } else {
                    let after = window.at(to, florin_journal::HEADER_BYTES)?;
                    let after = Header::decode(after).ok().map(|(header, _)| header);
                    layout.add(owner(last, after.as_ref(), &next), from, to);
                }
            }
            meter.advance(to - offset);
            offset = to;
        }
        Ok(layout)
    }

    /// Partitions that have bytes in the file.
    pub(super) fn partitions(&self) -> impl Iterator<Item = u16> {
        self.stretches.keys().copied()
    }

    /// Stretches of a partition, in the file's order.
    pub(super) fn of(&self, partition: u16) -> &[Stretch] {
        self.stretches.get(&partition).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, partition: u16, from: u64, to: u64) {
        let stretches = self.stretches.entry(partition).or_default();
        match stretches.last_mut() {
            Some(last) if last.to == from => last.to = to,
            _ => stretches.push(Stretch { from, to }),
        }
    }
}

/// Whose bytes lie between a record of partition `last` and the header `after`.
fn owner(last: Option<u16>, after: Option<&Header>, next: &BTreeMap<u16, u64>) -> u16 {
    let beginning = after.map(|header| {
        let lost = header.index > next.get(&header.partition.0).copied().unwrap_or(0);
        (header.partition.0, lost)
    });
    match (last, beginning) {
        (_, Some((partition, true))) | (None, Some((partition, _))) | (Some(partition), _) => partition,
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::fixture::Small;

    #[test]
    fn each_partition_has_its_stretch_and_zeros_are_nobodys() {
        let small = Small::new();
        let (dir, first, second) = (tempfile::tempdir().unwrap(), small.bytes(0), small.bytes(1));
        let path = dir.path().join("file");
        fs::write(&path, [&first[..], &[0; 100], &second, &[0; 7]].concat()).unwrap();
        let end = fs::metadata(&path).unwrap().len();
        let layout = Layout::scan(&path, end, BTreeMap::new(), &Meter::new("testing")).unwrap();
        let length = first.len() as u64;
        assert_eq!(layout.of(0), [Stretch { from: 0, to: length }]);
        assert_eq!(layout.of(1), [Stretch { from: length + 100, to: length + 100 + second.len() as u64 }]);
        assert_eq!(layout.partitions().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn damage_between_two_partitions_is_whose_record_is_missing() {
        let small = Small::new();
        let (dir, first, second) = (tempfile::tempdir().unwrap(), small.bytes(0), small.bytes(1));
        let path = dir.path().join("file");
        let (length, whole) = (first.len() as u64, [first, second].concat());
        let scan = |changed: u64| {
            let mut bytes = whole.clone();
            bytes[usize::try_from(changed).unwrap()] ^= 1;
            fs::write(&path, &bytes).unwrap();
            Layout::scan(&path, bytes.len() as u64, BTreeMap::new(), &Meter::new("testing")).unwrap()
        };
        // The last header of partition 0, and the first of partition 1
        let last = small.offsets(0).last().copied().unwrap();
        for changed in [last + 20, length + 20] {
            let layout = scan(changed);
            assert_eq!(layout.of(0), [Stretch { from: 0, to: length }], "byte {changed}");
            assert_eq!(layout.of(1), [Stretch { from: length, to: whole.len() as u64 }], "byte {changed}");
        }
    }
}
