//! Findings, and what kept an audit from being complete. Shared by all its threads.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use florin_journal::Corruption;
use serde::Serialize;

/// Findings that are kept and shown. All are counted.
pub(super) const SHOWN_MAX: usize = 100;

/// Longest text of what was expected or found, in characters.
const TEXT_MAX: usize = 600;

/// Characters that are shown before the first difference, where texts are cut.
const BEFORE: usize = 100;

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
        let (expected, found) = cut(expected.to_string(), found.to_string());
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

/// Cuts two texts that are too long around their first difference, so that it is seen.
fn cut(expected: String, found: String) -> (String, String) {
    let same = expected.chars().zip(found.chars()).take_while(|(one, other)| one == other).count();
    let longest = expected.chars().count().max(found.chars().count());
    let from = same.saturating_sub(BEFORE).min(longest.saturating_sub(TEXT_MAX));
    let short = |text: String| {
        let mut chars = text.chars().skip(from);
        let shown: String = chars.by_ref().take(TEXT_MAX).collect();
        let (before, after) = (if from > 0 { "… " } else { "" }, if chars.next().is_some() { " …" } else { "" });
        format!("{before}{shown}{after}")
    };
    (short(expected), short(found))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_far_into_long_texts_is_shown() {
        // Given two rows that differ near their end only
        let row = |last: char| format!("wallet {}{last}{}", "é0".repeat(5_000), "ff".repeat(700));
        let finding = Finding::new("view", row('1'), row('2'));
        // Then what is told of them differs, and says that it is cut
        assert_ne!(finding.expected, finding.found);
        assert!(finding.expected.starts_with("… ") && finding.expected.ends_with(" …"), "{finding}");
        assert!(finding.expected.chars().count() <= TEXT_MAX + 4);
        // At the very end too, and where one is the beginning of the other
        let long = "x".repeat(3_000);
        for (expected, found) in [(format!("{long}1"), format!("{long}2")), (long.clone(), format!("{long}more"))] {
            let finding = Finding::new("view", expected, found);
            assert_ne!(finding.expected, finding.found, "{finding}");
        }
    }

    #[test]
    fn short_texts_are_told_as_they_are() {
        let finding = Finding::new("index", "record 9", "record 10");
        assert_eq!((&*finding.expected, &*finding.found), ("record 9", "record 10"));
    }
}
