//! What `verify` says: for people, and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, SHOWN_MAX};
use super::moment;

/// The whole report. Field names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    pub(super) ledger: Option<String>,
    /// Whether every partition is held by a head that the auditor kept.
    pub(super) anchored: bool,
    pub(super) partitions: Vec<Partition>,
    pub(super) commands: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) events: u64,
    pub(super) accounts: usize,
    pub(super) cards: usize,
    pub(super) checkpoints: u64,
    pub(super) balances: Vec<Balance>,
    /// What became of the views.
    pub(super) views: String,
    pub(super) findings_total: u64,
    /// The first hundred.
    pub(super) findings: Vec<Finding>,
    /// What could not be checked.
    pub(super) incomplete: Vec<String>,
    pub(super) seconds: f64,
}

/// The one word that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Clean,
    Findings,
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
}

/// Debits and credits of one asset over everything.
#[derive(Debug, Serialize)]
pub(super) struct Balance {
    pub(super) asset: String,
    pub(super) debits: String,
    pub(super) credits: String,
}

impl Report {
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
            out.push('\n');
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
        let anchor = if self.anchored {
            "anchored in the trusted head"
        } else {
            "unanchored: no trusted head was given for every partition"
        };
        match self.verdict {
            Verdict::Clean => format!("clean ({anchor})"),
            Verdict::Findings => format!("{} finding(s) ({anchor})", self.findings_total),
            Verdict::Incomplete => {
                format!("incomplete: {} thing(s) could not be checked ({anchor})", self.incomplete.len())
            }
        }
    }
}
