//! `florin audit verify`: every partition through reader and judge, then the views, then the verdict.
//!
//! A partition is two threads: one reads and verifies records, one decides what is in them again, which is most of the work. At
//! most a few megabytes are between them. As many partitions run at once as there are cores.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use florin_engine::money::Asset;
use florin_journal::export::Span;
use florin_journal::{Ledger, PartitionId, SignedHead};

use super::alone::Alone;
use super::anchors::{self, Anchor};
use super::args::Verify;
use super::books::Sums;
use super::chain::{Chained, Links};
use super::exported::Records;
use super::finding::{Finding, Sink};
use super::progress::Meter;
use super::redecide::{Decided, Judge};
use super::report::{Balance, Partition, Report, Verdict};
use super::scout::{self, Ahead};
use super::segments;
use super::source::Source;
use super::walk::Step;
use super::{tell, views};
use crate::failure::Failure;

/// Batches of records between the two threads of a partition.
const BETWEEN: usize = 8;

/// Runs it; exit code 0 clean, 1 findings, 2 incomplete.
pub(super) fn run(args: &Verify) -> ExitCode {
    let report = audit(args).unwrap_or_else(|failure| {
        // Nothing was audited, so nothing is said to be clean.
        tell(&failure);
        let mut report = Report { incomplete: vec![failure.to_string()], ..Report::default() };
        report.conclude();
        report
    });
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else if report.source.is_some() {
        print!("{}", report.text());
    }
    match report.verdict {
        Verdict::Clean => ExitCode::SUCCESS,
        Verdict::Findings => ExitCode::from(1),
        Verdict::Incomplete => ExitCode::from(2),
    }
}

fn audit(args: &Verify) -> Result<Report, Failure> {
    let key = args.public_key.as_deref().map(anchors::public_key).transpose()?;
    let trusted = args.trusted_head.as_deref().map(anchors::read).transpose()?.unwrap_or_default();
    anchors::check_signatures(&trusted, key.as_ref())?;
    Ok(examine(&args.place.records()?, trusted, args.views))
}

/// Audits what there is. `views` compares them too.
pub(super) fn examine(source: &Source, trusted: Vec<SignedHead>, views: bool) -> Report {
    let begun = Instant::now();
    let sink = Sink::default();
    let mut report = Report { source: Some(source.word()), views_asked: views, ..Report::default() };
    for flaw in source.file().map_or(&[][..], Records::flaws) {
        sink.find(flaw.clone());
    }
    match source.ledger() {
        Ok(Some(ledger)) => {
            if let Some(said) = source.file().and_then(Records::ledger).filter(|said| **said != ledger) {
                sink.find(Finding::new("export", format!("{said:?}, by the trailer"), format!("{ledger:?}")));
            }
            astray(source, &ledger, &sink);
            partitions(source, &ledger, trusted, &sink, &mut report);
            if views {
                report.views_rows = views::compare(source, &sink);
            }
        }
        Ok(None) => {
            let finding = Finding::new("genesis", "a genesis that says which ledger this is", "none that can be read");
            sink.find(finding.at(0, 0));
        }
        Err(error) => sink.gap(format!("the journal cannot be read: {error}")),
    }
    report.findings_total = sink.total();
    (report.findings, report.incomplete) = sink.take();
    report.conclude();
    report.seconds = begun.elapsed().as_secs_f64();
    report
}

/// Tells records of partitions that the ledger does not have: nobody else would look at them.
fn astray(source: &Source, ledger: &Ledger, sink: &Sink) {
    let astray = |id: &u16| *id >= ledger.partitions && source.bytes(PartitionId(*id)) > 0;
    for partition in source.partitions().unwrap_or_default().into_iter().filter(astray) {
        let first = source.walk(PartitionId(partition)).and_then(|mut walk| walk.next(0));
        let index = if let Ok(Step::Record(record)) = &first { record.index() } else { 0 };
        let expected = format!("records of the {} partition(s) that the ledger has", ledger.partitions);
        let found = format!("{} bytes of partition {partition}", source.bytes(PartitionId(partition)));
        sink.find(Finding::new("partition", expected, found).at(partition, index));
    }
}

fn partitions(source: &Source, ledger: &Ledger, trusted: Vec<SignedHead>, sink: &Sink, report: &mut Report) {
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
    meter.expect(ledger.partitions().map(|partition| source.bytes(partition)).sum());
    let whole = Whole { source, ledger, heads: &heads, live, sink, meter: &meter };
    let ahead = whole.each(|partition| whole.look(partition));
    meter.expect(ahead.values().map(|ahead| ahead.bytes).sum());
    meter.doing("auditing");
    let nothing = Ahead::default();
    let done = whole.each(|partition| whole.partition(partition, ahead.get(&partition).unwrap_or(&nothing)));
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
    /// Does `work` for every partition, as many at once as there are cores.
    fn each<T: Send>(&self, work: impl Fn(u16) -> T + Sync) -> BTreeMap<u16, T> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let todo: Mutex<VecDeque<u16>> = Mutex::new((0..self.ledger.partitions).collect());
        let done = Mutex::new(BTreeMap::new());
        let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        thread::scope(|scope| {
            for _ in 0..cores.min(usize::from(self.ledger.partitions)) {
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
        if let Some(journal) = self.source.journal()
            && let Err(error) = segments::check(journal, PartitionId(partition), self.sink)
        {
            self.sink.gap(format!("the segments of partition {partition} cannot be read: {error}"));
        }
        let look = |walk| scout::look(walk, self.meter);
        let ahead = self.source.walk(PartitionId(partition)).and_then(look).unwrap_or_else(|error| {
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
        let span = self.source.file().and_then(|records| records.span(id));
        let later = span.filter(|span| span.from > 0);
        if let Some(Span { from, .. }) = later {
            self.sink.gap(format!(
                "partition {partition} begins at record {from}: its decisions were not made again, as the state before is \
                 not known; audit it behind what comes before it"
            ));
        }
        let links = Links {
            ledger: self.ledger,
            partition: id,
            anchors: self.heads.get(&partition).map_or(&[], Vec::as_slice),
            span,
            live: self.live,
            sink: self.sink,
            meter: self.meter,
        };
        let (out, records) = sync_channel(BETWEEN);
        thread::scope(|scope| {
            let reading = scope.spawn(|| links.follow(self.source.walk(id), out));
            let decided = match later {
                Some(_) => Alone::new(id, self.sink).hear(&records),
                None => Judge::new(self.ledger, id, &ahead.named, self.sink).hear(&records),
            };
            // A reader with nobody to hand to goes on to the end of the chain.
            drop(records);
            let chained = reading.join().unwrap_or_else(|_| {
                self.sink.gap(format!("partition {partition}: the reader failed"));
                Chained::default()
            });
            if !chained.whole && later.is_none() {
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
        report.anchored &= chained.trusted.is_some() && chained.behind.records == 0;
        report.unanchored_records += chained.behind.records;
        report.unanchored_commands += chained.behind.commands;
        report.commands += decided.again;
        report.accepted += decided.accepted;
        report.rejected += decided.rejected;
        report.events += decided.events;
        report.accounts += decided.accounts;
        report.cards += decided.cards;
        report.checkpoints += decided.checkpoints;
        for ((asset, _), of_kind) in &decided.books.sums() {
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
                (Some(_), _) => "trusted-head",
                (None, Some(_)) => "published-head",
                (None, None) => "unanchored",
            },
            anchored_index: chained.trusted.map(|head| head.index),
            anchored_time_ms: chained.trusted.map(|head| head.time_ms),
            unanchored_records: chained.behind.records,
            unanchored_commands: chained.behind.commands,
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
