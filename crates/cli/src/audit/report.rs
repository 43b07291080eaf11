//! What `verify` says: for people, and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, SHOWN_MAX};
use super::moment;

/// The whole report. Field names are stable.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    /// What was read: `directory`, `export`, or `records`, a file without a trailer, of which nobody can say where it should
    /// end. None if nothing was.
    pub(super) source: Option<&'static str>,
    pub(super) ledger: Option<String>,
    /// Whether a head that the auditor kept answers for every record of every partition.
    pub(super) anchored: bool,
    /// Records, and commands in them, that no such head answers for.
    pub(super) unanchored_records: u64,
    pub(super) unanchored_commands: u64,
    pub(super) partitions: Vec<Partition>,
    pub(super) commands: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) events: u64,
    pub(super) accounts: usize,
    pub(super) cards: usize,
    pub(super) checkpoints: u64,
    pub(super) balances: Vec<Balance>,
    /// What became of the views, in words.
    pub(super) views: String,
    /// Whether they were compared, every row of them.
    pub(super) views_compared: bool,
    #[serde(skip)]
    pub(super) views_asked: bool,
    #[serde(skip)]
    pub(super) views_rows: Option<u64>,
    pub(super) findings_total: u64,
    /// The first hundred.
    pub(super) findings: Vec<Finding>,
    /// What could not be checked.
    pub(super) incomplete: Vec<String>,
    pub(super) seconds: f64,
}

/// The one word that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Clean,
    Findings,
    #[default]
    Incomplete,
}

#[derive(Debug, Serialize)]
pub(super) struct Partition {
    #[serde(rename = "partition")]
    pub(super) id: u16,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) commands: u64,
    /// The last record in its place.
    pub(super) head_index: Option<u64>,
    pub(super) head_hash: Option<String>,
    pub(super) head_time_ms: Option<u64>,
    /// `trusted-head`, `published-head` (of no weight against whoever can write the journal) or `unanchored`.
    pub(super) anchor: &'static str,
    /// The newest record that a head of the auditor's fits, and its time.
    pub(super) anchored_index: Option<u64>,
    pub(super) anchored_time_ms: Option<u64>,
    /// What comes after it: all if there is none.
    pub(super) unanchored_records: u64,
    pub(super) unanchored_commands: u64,
}

/// Debits and credits of one asset over everything.
#[derive(Debug, Serialize)]
pub(super) struct Balance {
    pub(super) asset: String,
    pub(super) debits: String,
    pub(super) credits: String,
}

impl Report {
    /// Draws the verdict from what was found and what was not checked.
    pub(super) fn conclude(&mut self) {
        self.verdict = match (self.findings_total, self.incomplete.is_empty()) {
            (0, true) => Verdict::Clean,
            (0, false) => Verdict::Incomplete,
            _ => Verdict::Findings,
        };
        self.views_compared = self.views_rows.is_some();
        self.views = match self.views_rows {
            Some(rows) => format!("{rows} rows compared with views built anew from the journal"),
            None if self.views_asked => "not compared".into(),
            None => "not compared (--views compares them)".into(),
        };
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let ledger = self.ledger.as_deref().unwrap_or("that could not be identified");
        let _ = writeln!(out, "ledger {ledger}");
        for partition in &self.partitions {
            let _ = write!(
                out,
                "  partition {}: {} records, {} bytes, {} commands, {}",
                partition.id, partition.records, partition.bytes, partition.commands, partition.anchor
            );
            if let (Some(index), Some(hash), Some(time_ms)) =
                (partition.head_index, &partition.head_hash, partition.head_time_ms)
            {
                let _ = write!(out, "\n    head {index} {hash} of {}", moment::show(time_ms));
            }
            if let (Some(index), Some(time_ms)) = (partition.anchored_index, partition.anchored_time_ms)
                && partition.unanchored_records > 0
            {
                let _ = write!(
                    out,
                    "\n    anchored up to record {index} of {}; {} records with {} commands after it are not",
                    moment::show(time_ms),
                    partition.unanchored_records,
                    partition.unanchored_commands
                );
            }
            out.push('\n');
        }
        if self.source == Some("records") {
            let _ = writeln!(out, "a file of records without a trailer: where it should end is not known");
        }
        let _ = writeln!(
            out,
            "decided again: {} commands ({} accepted, {} rejected), {} events, {} accounts, {} cards, {} checkpoints",
            self.commands, self.accepted, self.rejected, self.events, self.accounts, self.cards, self.checkpoints
        );
        for balance in &self.balances {
            let _ = writeln!(out, "  {}: debits {} credits {}", balance.asset, balance.debits, balance.credits);
        }
        let _ = writeln!(out, "views: {}", self.views);
        for finding in &self.findings {
            let _ = writeln!(out, "\n{finding}");
        }
        if self.findings_total > self.findings.len() as u64 {
            let _ = writeln!(
                out,
                "\n… and {} more; the first {SHOWN_MAX} are shown",
                self.findings_total - self.findings.len() as u64
            );
        }
        for gap in &self.incomplete {
            let _ = writeln!(out, "not checked: {gap}");
        }
        let rate = self.commands as f64 / self.seconds.max(0.001);
        let _ = writeln!(out, "\n{:.1} s, {rate:.0} commands/s", self.seconds);
        let _ = writeln!(out, "{}", self.last_line());
        out
    }

    fn last_line(&self) -> String {
        let held = |partition: &Partition| partition.anchored_index.is_some();
        let anchor = if self.anchored {
            "anchored in the trusted head".to_owned()
        } else if !self.partitions.is_empty() && self.partitions.iter().all(held) {
            format!(
                "anchored in the trusted head but for the last {} records with {} commands",
                self.unanchored_records, self.unanchored_commands
            )
        } else {
            "unanchored: no trusted head was given for every partition".to_owned()
        };
        let views = if self.views_compared { "views compared" } else { "views not compared" };
        match self.verdict {
            Verdict::Clean => format!("clean ({anchor}; {views})"),
            Verdict::Findings => format!("{} finding(s) ({anchor}; {views})", self.findings_total),
            Verdict::Incomplete => {
                format!("incomplete: {} thing(s) could not be checked ({anchor}; {views})", self.incomplete.len())
            }
        }
    }
}
