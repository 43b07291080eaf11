//! Entries of an export that begins later than genesis, each by itself: the state before them is not known, so nothing is
//! decided again, but form, times, accounts and double entry need none.

use std::sync::mpsc::Receiver;

use florin_engine::codec::{Entry, Outcome, encode};
use florin_engine::postings::{Posting, postings};
use florin_journal::{Kind, PartitionId, Record};

use super::books::double_entry;
use super::finding::{Finding, Sink};
use super::redecide::{Decided, plain, spelled};

/// Reads a partition's entries.
pub(super) struct Alone<'a> {
    partition: u16,
    sink: &'a Sink,
    done: Decided,
    last_ms: u64,
    all: Vec<Posting>,
    bytes: Vec<u8>,
}

impl<'a> Alone<'a> {
    pub(super) fn new(partition: PartitionId, sink: &'a Sink) -> Self {
        let done = Decided::default();
        Self { partition: partition.0, sink, done, last_ms: 0, all: Vec::new(), bytes: Vec::new() }
    }

    /// Takes records until there are no more.
    pub(super) fn hear(mut self, records: &Receiver<Vec<Record>>) -> Decided {
        for record in records.iter().flatten().filter(|record| record.kind() == Kind::Entries) {
            self.record(&record);
        }
        self.done
    }

    fn record(&mut self, record: &Record) {
        let sink = self.sink;
        let at = |n: u32, finding: Finding| sink.find(finding.at(self.partition, record.index()).entry(n));
        for (n, stored) in (0..).zip(record.entries()) {
            let entry = match Entry::decode(stored) {
                Ok(entry) => entry,
                Err(error) => return at(n, Finding::new("entry", "an entry of a known type and version", error)),
            };
            for finding in plain(record, n, &entry, &mut self.last_ms) {
                at(n, finding);
            }
            let recorded = match &entry.outcome {
                Outcome::Accepted(events) => Ok(events.as_slice()),
                Outcome::Rejected(reject) => Err(reject),
            };
            self.bytes.clear();
            encode(&entry.admitted, recorded, &mut self.bytes);
            if self.bytes != stored {
                at(n, spelled());
            }
            self.done.entries += 1;
            self.all.clear();
            for event in recorded.unwrap_or_default() {
                postings(entry.admitted.envelope.account, event, &mut self.all);
            }
            double_entry(&self.all, &mut |finding| at(n, finding));
        }
    }
}
