//! Findings, and what kept an audit from being complete. Shared by all its threads.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use florin_journal::Corruption;
use serde::Serialize;

/// Findings that are kept and shown. All are counted.
pub(super) const SHOWN_MAX: usize = 100;

/// Longest text of what was expected or found, in bytes.
const TEXT_MAX: usize = 600;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Where: partition, record, entry; as much as applies.
    pub(super) partition: Option<u16>,
    pub(super) index: Option<u64>,
    pub(super) entry: Option<u32>,
    /// Which rule, as one stable word; the README lists them.
    pub(super) kind: &'static str,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Finding {
    pub(super) fn new(kind: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        let short = |text: String| match text.char_indices().nth(TEXT_MAX) {
            Some((end, _)) => format!("{} …", &text[..end]),
            None => text,
        };
        let (expected, found) = (short(expected.to_string()), short(found.to_string()));
        Self { partition: None, index: None, entry: None, kind, expected, found }
    }

    pub(super) fn at(self, partition: u16, index: u64) -> Self {
        Self { partition: Some(partition), index: Some(index), ..self }
    }

    pub(super) fn entry(self, entry: u32) -> Self {
        Self { entry: Some(entry), ..self }
    }

    /// What a record that is not in its place breaks.
    pub(super) fn corrupt(reason: &Corruption) -> Self {
        let (kind, expected) = match reason {
            Corruption::Short { .. } | Corruption::Long(_) => ("length", "a record of the length its header says"),
            Corruption::Magic => ("magic", "a record, or zeros to the end of the file"),
            Corruption::Format(_) => ("format", "a known format version"),
            Corruption::Checksum => ("checksum", "a header that hashes to its checksum"),
            Corruption::Kind(_) => ("kind", "a known kind of record"),
            Corruption::Header(_) => ("header", "header fields that fit each other"),
            Corruption::Body => ("body", "entries that fill the body"),
            Corruption::Root => ("merkle-root", "entries with the Merkle root of the header"),
            Corruption::Ledger(_) => ("ledger", "a record of this ledger"),
            Corruption::Partition(_) => ("partition", "a record of this partition"),
            Corruption::Index { expected, found } => {
                return Self::new("index", format!("record {expected}"), format!("record {found}"));
            }
            Corruption::Previous { expected, found } => return Self::new("previous-hash", expected, found),
            Corruption::Range => ("range-root", "the root of the mountain range over the records before"),
            Corruption::Term { .. } => ("term", "the term of the last claim, or a claim with a higher one"),
            Corruption::Nonce => ("nonce", "the claimant's nonce"),
            Corruption::Time { .. } => ("time", "a time not before the last record's"),
            Corruption::Gap { expected, found } => {
                return Self::new("stream-gap", format!("message {expected}"), format!("message {found}"));
            }
            Corruption::Closed(_) => ("closed-term", "a higher claim, for the term was closed"),
            Corruption::Genesis => ("genesis", "the genesis of this ledger's partition"),
            Corruption::Proof => ("proof", "a path that leads to the root"),
        };
        Self::new(kind, expected, reason)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if let Some(partition) = self.partition {
            write!(f, " at partition {partition}")?;
        }
        if let Some(index) = self.index {
            write!(f, ", record {index}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        write!(f, "\n    expected  {}\n    found     {}", self.expected, self.found)
    }
}

/// Where the threads put what they find.
#[derive(Debug, Default)]
pub(super) struct Sink {
    kept: Mutex<Vec<Finding>>,
    total: AtomicU64,
    gaps: Mutex<Vec<String>>,
}

impl Sink {
    pub(super) fn find(&self, finding: Finding) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SHOWN_MAX {
            kept.push(finding);
        }
    }

    /// Notes something that could not be checked: the audit is incomplete.
    pub(super) fn gap(&self, what: impl Into<String>) {
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        let what = what.into();
        if gaps.len() < SHOWN_MAX && !gaps.contains(&what) {
            gaps.push(what);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Findings kept, in order of place, and the gaps.
    pub(super) fn take(&self) -> (Vec<Finding>, Vec<String>) {
        let mut kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        // Stable: within one entry the cause was told before what follows from it.
        kept.sort_by_key(|finding| (finding.partition, finding.index, finding.entry));
        (kept, std::mem::take(&mut *self.gaps.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
