//! A partition's entries in order, verified on the way: what the commands other than `verify` read.
//!
//! A record that does not verify ends the command. A torn end does not: what is before it is whole, so that it is shown,
//! and said to be incomplete, and the command fails after all unless a running server may still be writing there.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use florin_engine::{codec::Entry, ids::Position};
use florin_journal::{Chain, Kind, Ledger, PartitionId, Record};

use super::exported::Records;
use super::progress::Meter;
use super::source::Source;
use super::walk::Step;
use crate::failure::{Exit, Failure};

/// Bytes looked at together where a file's zeros are passed over.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads partitions, and remembers which of them end as they should not.
pub(super) struct Replay<'a> {
    source: &'a Source,
    pub(super) ledger: Ledger,
    /// Whether a process writes the journal now.
    live: bool,
    meter: Meter,
    torn: Vec<String>,
}

impl<'a> Replay<'a> {
    /// Finds out of which ledger the records are.
    pub(super) fn open(source: &'a Source) -> Result<Self, Failure> {
        if let Some((partition, from)) = source.file().and_then(later) {
            return Err(Failure::new(
                Exit::Usage,
                format!("the export has partition {partition} from record {from} on only"),
            )
            .advise("what was before decides too: take the ledger itself, or an export from its beginning"));
        }
        let found = source.ledger().map_err(|cause| unreadable(0).because(cause))?;
        let ledger = found.ok_or_else(|| broken(0, 0, "there is no genesis that says which ledger this is"))?;
        Ok(Self { source, ledger, live: source.live(), meter: Meter::new("reading"), torn: Vec::new() })
    }

    /// Draws no bar: for a command that writes as it reads, to the same terminal.
    pub(super) fn silent(&self) {
        self.meter.hide();
    }

    /// Says which partitions are going to be read, so that the time left can be told.
    pub(super) fn expect(&self, partitions: &[u16]) {
        let bytes = partitions.iter().map(|partition| match self.source.journal() {
            Some(journal) => of_partition(journal, *partition).unwrap_or(0),
            None => self.source.bytes(PartitionId(*partition)),
        });
        self.meter.expect(bytes.sum());
    }

    /// Calls `each` with every entry of a partition, until it breaks or there are no more.
    pub(super) fn entries(
        &mut self,
        partition: u16,
        mut each: impl FnMut(Position, Entry) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        self.records(partition, |record| {
            if record.kind() != Kind::Entries {
                return Ok(ControlFlow::Continue(()));
            }
            let index = record.index();
            for (n, bytes) in (0..).zip(record.entries()) {
                let entry = Entry::decode(bytes).map_err(|reason| broken(partition, index, reason))?;
                if each(Position::new(index, n), entry).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The same with every record.
    pub(super) fn records(
        &mut self,
        partition: u16,
        mut each: impl FnMut(&Record) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let failed = |cause: io::Error| unreadable(partition).because(cause);
        if partition >= self.ledger.partitions {
            return Err(Failure::new(Exit::Usage, format!("the ledger has no partition {partition}"))
                .advise(format!("it has {} partition(s), from 0", self.ledger.partitions)));
        }
        let mut walk = self.source.walk(PartitionId(partition)).map_err(failed)?.live(self.live);
        let mut chain = Chain::new(self.ledger.id, PartitionId(partition));
        loop {
            let index = chain.next_index();
            let loose = match walk.next(index).map_err(failed)? {
                Step::Record(loose) => loose,
                Step::Damage(reason) => return Err(broken(partition, index, reason)),
                Step::End | Step::Torn { .. } if index == 0 => return Err(broken(partition, 0, "it is missing")),
                Step::End => return Ok(()),
                Step::Torn { bytes, reason } => {
                    self.torn.push(format!(
                        "partition {partition}: {bytes} bytes where record {index} would be do not verify ({reason}): \
                         a write that was cut off before it was acknowledged, or a damaged record"
                    ));
                    return Ok(());
                }
            };
            let record = chain.push(loose).map_err(|reason| broken(partition, index, reason))?;
            self.meter.advance(record.bytes().len() as u64);
            if each(&record)?.is_break() {
                return Ok(());
            }
        }
    }

    /// Ends the reading, and takes the bar off the screen.
    pub(super) fn end(self) -> End {
        self.meter.finish();
        End { incomplete: self.torn, live: self.live }
    }
}

/// How a reading ended.
pub(super) struct End {
    /// What could not be read, in words: what is shown is without it.
    pub(super) incomplete: Vec<String>,
    live: bool,
}

impl End {
    /// Ends the command, which fails if something was left out: whoever only looks at the exit code is told too.
    pub(super) fn close(self) -> Result<(), Failure> {
        if self.incomplete.is_empty() {
            return Ok(());
        }
        let what = format!("incomplete: {}", self.incomplete.join("; "));
        if self.live {
            // The server will finish or cut it.
            eprintln!("florin: {what}");
            return Ok(());
        }
        Err(Failure::new(Exit::Ledger, what)
            .advise("run `florin audit verify --trusted-head` on it: only a kept head tells which of the two it is"))
    }
}

/// The first partition that an export does not have from its beginning on, and where it begins.
fn later(records: &Records) -> Option<(u16, u64)> {
    let partitions = 0..records.ledger()?.partitions;
    let begins = partitions.filter_map(|partition| Some((partition, records.span(PartitionId(partition))?.from)));
    begins.filter(|(_, from)| *from > 0).min()
}

/// Bytes of a partition's segments, without the zeros ahead of the log.
fn of_partition(journal: &Path, partition: u16) -> io::Result<u64> {
    let mut segments: Vec<_> = fs::read_dir(journal.join(format!("p{partition:05}")))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    segments.sort();
    let last = segments.pop().map_or(Ok(0), |last| filled(&last))?;
    segments.iter().try_fold(last, |sum, path| Ok(sum + fs::metadata(path)?.len()))
}

/// Length of a file without the zeros at its end.
fn filled(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK_BYTES];
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let read = &mut chunk[..usize::try_from(end - start).unwrap_or(CHUNK_BYTES)];
        file.read_exact_at(read, start)?;
        if let Some(last) = read.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn unreadable(partition: u16) -> Failure {
    Failure::new(Exit::Disk, format!("partition {partition} cannot be read"))
        .advise("check the path and its permissions")
}

fn broken(partition: u16, index: u64, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Ledger, format!("partition {partition} does not verify at record {index}: {reason}"))
        .advise("run `florin audit verify` on it, which names everything that does not fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bar's length is taken from: segments are made long before they are full.
    #[test]
    fn zeros_at_the_end_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        for (used, zeros) in [(0, 0), (0, 3 << 20), (5, 0), (1 << 20, 1 << 20), (7, (2 << 20) + 3)] {
            fs::write(&path, [vec![1; used], vec![0; zeros]].concat()).unwrap();
            assert_eq!(filled(&path).unwrap(), used as u64, "{used} bytes and {zeros} zeros");
        }
    }
}
