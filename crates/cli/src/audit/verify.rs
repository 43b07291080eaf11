//! `florin audit verify`: every partition through reader and judge, then the views, then the verdict.
//!
//! A partition is two threads: one reads and verifies records and decodes entries, one decides them again. At most a few
//! megabytes are between them. As many partitions run at once as there are pairs of cores.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use florin_engine::money::Asset;
use florin_journal::{Ledger, PartitionId};

use super::anchors::{self, Anchor};
use super::args::Verify;
use super::books::Sums;
use super::chain::{Chained, Links};
use super::exported::{self, Exported};
use super::finding::{Finding, Sink};
use super::progress::Meter;
use super::redecide::{Decided, Judge};
use super::report::{Balance, Partition, Report, Verdict};
use super::scout::{self, Ahead};
use super::source::Source;
use super::{tell, views};
use crate::failure::Failure;

/// Batches of records between the two threads of a partition.
const BETWEEN: usize = 8;

/// Runs it; exit code 0 clean, 1 findings, 2 incomplete.
pub(super) fn run(args: &Verify) -> ExitCode {
    match audit(args) {
        Ok(report) => {
            if args.json {
                println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
            } else {
                print!("{}", report.text());
            }
            match report.verdict {
                Verdict::Clean => ExitCode::SUCCESS,
                Verdict::Findings => ExitCode::from(1),
                Verdict::Incomplete => ExitCode::from(2),
            }
        }
        // Nothing was audited, so nothing is said to be clean.
        Err(failure) => {
            tell(&failure);
            ExitCode::from(2)
        }
    }
}

fn audit(args: &Verify) -> Result<Report, Failure> {
    let begun = Instant::now();
    let source = args.place.source()?;
    let key = args.public_key.as_deref().map(anchors::public_key).transpose()?;
    let trusted = args.trusted_head.as_deref().map(anchors::read).transpose()?.unwrap_or_default();
    anchors::check_signatures(&trusted, key.as_ref())?;
    let sink = Sink::default();
    let mut report = Report {
        verdict: Verdict::Incomplete,
        ledger: None,
        anchored: false,
        partitions: Vec::new(),
        commands: 0,
        accepted: 0,
        rejected: 0,
        events: 0,
        accounts: 0,
        cards: 0,
        checkpoints: 0,
        balances: Vec::new(),
        views: "not compared (--views compares them)".into(),
        findings_total: 0,
        findings: Vec::new(),
        incomplete: Vec::new(),
        seconds: 0.0,
    };
    let part = match source.file().map(|file| exported::check(file, &sink)) {
        Some(Exported::Part(contents)) => Some(contents),
        Some(Exported::History) | None => None,
    };
    match source.ledger() {
        _ if part.is_some() => {
            report.ledger = part.as_ref().map(|contents| contents.ledger.id.to_string());
            report.partitions = part.iter().flat_map(exported::partitions).collect();
        }
        Ok(Some(ledger)) => partitions(args, &source, &ledger, trusted, &sink, &mut report),
        Ok(None) => {
            let finding = Finding::new("genesis", "a genesis that says which ledger this is", "none that can be read");
            sink.find(finding.at(0, 0));
        }
        Err(error) => sink.gap(format!("the journal cannot be read: {error}")),
    }
    report.findings_total = sink.total();
    (report.findings, report.incomplete) = sink.take();
    report.verdict = match (report.findings_total, report.incomplete.is_empty()) {
        (0, true) => Verdict::Clean,
        (0, false) => Verdict::Incomplete,
        _ => Verdict::Findings,
    };
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

fn partitions(
    args: &Verify,
    source: &Source,
    ledger: &Ledger,
    trusted: Vec<florin_journal::SignedHead>,
    sink: &Sink,
    report: &mut Report,
) {
    report.ledger = Some(ledger.id.to_string());
    // Before any record is read, so that what a running server signs meanwhile is not missed at the end.
    let live = source.live();
    let mut heads: BTreeMap<u16, Vec<Anchor>> = BTreeMap::new();
    for head in anchors::published(source, ledger, sink) {
        heads.entry(head.partition.0).or_default().push(Anchor { head, trusted: false });
    }
    for head in trusted {
        if head.ledger != ledger.id || head.partition.0 >= ledger.partitions {
            let finding =
                Finding::new("trusted-head", format!("ledger {}", head.ledger), format!("ledger {}", ledger.id));
            sink.find(finding.at(head.partition.0, head.head.index));
        } else {
            heads.entry(head.partition.0).or_default().push(Anchor { head, trusted: true });
        }
    }
    for anchors in heads.values_mut() {
        anchors.sort_by_key(|anchor| anchor.head.head.index);
    }
    let meter = Meter::new("looking ahead");
    let whole = Whole { source, ledger, heads: &heads, live, sink, meter: &meter };
    let ahead = whole.each(|partition| whole.look(partition));
    meter.expect(ahead.values().map(|ahead| ahead.bytes).sum());
    meter.doing("auditing");
    let nothing = Ahead::default();
    let done = whole.each(|partition| whole.partition(partition, ahead.get(&partition).unwrap_or(&nothing)));
    if args.views {
        meter.doing("rebuilding the views");
        report.views = views::compare(source, sink);
    }
    meter.finish();
    summarise(report, ledger, done);
}

/// What the threads share.
struct Whole<'a> {
    source: &'a Source,
    ledger: &'a Ledger,
    heads: &'a BTreeMap<u16, Vec<Anchor>>,
    live: bool,
    sink: &'a Sink,
    meter: &'a Meter,
}

impl Whole<'_> {
    /// Does `work` for every partition, as many at once as there are pairs of cores.
    fn each<T: Send>(&self, work: impl Fn(u16) -> T + Sync) -> BTreeMap<u16, T> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let todo: Mutex<VecDeque<u16>> = Mutex::new((0..self.ledger.partitions).collect());
        let done = Mutex::new(BTreeMap::new());
        let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        thread::scope(|scope| {
            for _ in 0..cores.div_ceil(2).min(usize::from(self.ledger.partitions)) {
                scope.spawn(|| {
                    while let Some(partition) = next() {
                        let made = work(partition);
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, made);
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, partition: u16) -> Ahead {
        let ahead = self.source.walk(PartitionId(partition)).and_then(scout::look).unwrap_or_else(|error| {
            self.sink.gap(format!("partition {partition} cannot be read: {error}"));
            Ahead::default()
        });
        if ahead.too_many {
            self.sink.gap(format!("partition {partition} has more checkpoints than are compared"));
        }
        ahead
    }

    fn partition(&self, partition: u16, ahead: &Ahead) -> (Chained, Decided) {
        let id = PartitionId(partition);
        let links = Links {
            ledger: self.ledger,
            partition: id,
            anchors: self.heads.get(&partition).map_or(&[], Vec::as_slice),
            live: self.live,
            sink: self.sink,
            meter: self.meter,
        };
        let judge = Judge::new(self.ledger, id, &ahead.named, self.sink);
        let (out, records) = sync_channel(BETWEEN);
        thread::scope(|scope| {
            let reading = scope.spawn(|| links.follow(self.source.walk(id), out));
            let decided = judge.hear(&records);
            // A reader with nobody to hand to goes on to the end of the chain.
            drop(records);
            let chained = reading.join().unwrap_or_else(|_| {
                self.sink.gap(format!("partition {partition}: the reader failed"));
                Chained::default()
            });
            if !chained.whole {
                self.sink.gap(format!(
                    "partition {partition}: what follows its first break is not decided again, as the state is not known"
                ));
            }
            (chained, decided)
        })
    }
}

fn summarise(report: &mut Report, ledger: &Ledger, done: BTreeMap<u16, (Chained, Decided)>) {
    let mut sums: BTreeMap<Asset, Sums> = BTreeMap::new();
    report.anchored = done.len() == usize::from(ledger.partitions);
    for (partition, (chained, decided)) in done {
        report.anchored &= chained.trusted > 0;
        report.commands += decided.entries;
        report.accepted += decided.accepted;
        report.rejected += decided.rejected;
        report.events += decided.events;
        report.accounts += decided.accounts;
        report.cards += decided.cards;
        report.checkpoints += decided.checkpoints;
        for ((asset, _), of_kind) in decided.books.sums() {
            let sum = sums.entry(*asset).or_default();
            sum.debits += of_kind.debits;
            sum.credits += of_kind.credits;
        }
        report.partitions.push(Partition {
            id: partition,
            records: chained.records,
            bytes: chained.bytes,
            commands: decided.entries,
            head_index: chained.head.map(|head| head.index),
            head_hash: chained.head.map(|head| head.hash.to_string()),
            head_time_ms: chained.head.map(|head| head.time_ms),
            anchor: match (chained.trusted, chained.published) {
                (1.., _) => "trusted-head",
                (0, 1..) => "published-head",
                (0, 0) => "unanchored",
            },
        });
    }
    report.balances = sums
        .into_iter()
        .map(|(asset, sum)| Balance {
            asset: asset.to_string(),
            debits: sum.debits.to_string(),
            credits: sum.credits.to_string(),
        })
        .collect();
}
