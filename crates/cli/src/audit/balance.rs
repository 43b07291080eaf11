//! `florin audit balance`: the trial balance from the postings alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use florin_engine::{codec::Outcome, ids::Position, money::Asset};
use serde::Serialize;

use super::args::Balance;
use super::books::{Books, Kind, Sums};
use super::replay::Replay;
use super::{moment, words};
use crate::failure::{Exit, Failure};

/// One line: a kind of ledger account in one asset, in the asset's decimals.
#[derive(Debug, Serialize)]
struct Row {
    asset: String,
    account: &'static str,
    debits: String,
    credits: String,
    /// Credits less debits.
    balance: String,
}

#[derive(Debug, Serialize)]
struct Trial {
    ledger: String,
    as_of: Option<String>,
    rows: Vec<Row>,
    /// By asset: what wallets and cards below zero owe, a part of their rows.
    receivable: BTreeMap<String, String>,
    /// By asset: what is held for authorizations.
    held: BTreeMap<String, String>,
    balanced: bool,
    /// What could not be read, and is not in the figures.
    incomplete: Vec<String>,
}

/// Until when.
#[derive(Clone, Copy)]
enum AsOf {
    End,
    Time(u64),
    Position(u16, Position),
}

/// Prints it.
pub(super) fn run(args: &Balance) -> Result<(), Failure> {
    let source = args.place.source()?;
    let mut as_of = match args.as_of.as_deref() {
        None => AsOf::End,
        Some(text) => match moment::position(text) {
            Some((partition, position)) => AsOf::Position(partition, position),
            None => AsOf::Time(moment::parse(text)?),
        },
    };
    let mut replay = Replay::open(&source)?;
    let (id, partitions) = (replay.ledger.id, replay.ledger.partitions);
    replay.expect(&(0..partitions).collect::<Vec<_>>());
    let mut all = Vec::new();
    if let AsOf::Position(partition, position) = as_of {
        let (books, reached) = fold(&mut replay, partition, as_of)?;
        let Some(time_ms) = reached.filter(|(last, _)| *last == position).map(|(_, time_ms)| time_ms) else {
            return Err(Failure::new(Exit::Usage, format!("partition {partition} has no entry at {position}"))
                .advise("a position is partition.record.entry"));
        };
        all.push((partition, books));
        as_of = AsOf::Time(time_ms);
    }
    for partition in 0..partitions {
        if all.iter().all(|(done, _)| *done != partition) {
            all.push((partition, fold(&mut replay, partition, as_of)?.0));
        }
    }
    let mut trial = add_up(&id.to_string(), args.as_of.clone(), all.iter().map(|(_, books)| books));
    let end = replay.end();
    trial.incomplete.clone_from(&end.incomplete);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&trial).unwrap_or_default());
    } else {
        show(&trial);
    }
    end.close()
}

fn fold(replay: &mut Replay<'_>, partition: u16, as_of: AsOf) -> Result<(Books, Option<(Position, u64)>), Failure> {
    let (mut books, mut reached) = (Books::default(), None);
    replay.entries(partition, |position, entry| {
        let admitted = &entry.admitted;
        let after = match as_of {
            AsOf::End => false,
            AsOf::Time(time_ms) => admitted.time_ms > time_ms,
            AsOf::Position(_, last) => position > last,
        };
        if after {
            return ControlFlow::Break(());
        }
        reached = Some((position, admitted.time_ms));
        if let Outcome::Accepted(events) = &entry.outcome {
            // What does not hold is for `verify` to say.
            books.entry(admitted.envelope.account, admitted.time_ms, events, &mut |_| ());
        }
        ControlFlow::Continue(())
    })?;
    Ok((books, reached))
}

fn add_up<'a>(ledger: &str, as_of: Option<String>, all: impl Iterator<Item = &'a Books>) -> Trial {
    let mut sums: BTreeMap<(Asset, Kind), Sums> = BTreeMap::new();
    let mut decimals: BTreeMap<Asset, u8> = BTreeMap::new();
    let (mut owed, mut held): (BTreeMap<Asset, i128>, BTreeMap<Asset, i128>) = (BTreeMap::new(), BTreeMap::new());
    for books in all {
        for ((asset, kind), of_kind) in &books.sums() {
            let sum = sums.entry((*asset, *kind)).or_default();
            sum.debits += of_kind.debits;
            sum.credits += of_kind.credits;
            let digits = decimals.entry(*asset).or_default();
            *digits = books.decimals(*asset).max(*digits);
        }
        for (asset, line) in books.lines() {
            *owed.entry(asset).or_default() += -line.balance.min(0);
            *held.entry(asset).or_default() += line.held;
        }
    }
    let digits = |asset: &Asset| decimals.get(asset).copied().unwrap_or(0);
    let mut totals: BTreeMap<Asset, i128> = BTreeMap::new();
    let mut rows = Vec::new();
    for ((asset, kind), sum) in &sums {
        *totals.entry(*asset).or_default() += sum.debits - sum.credits;
        rows.push(Row {
            asset: asset.to_string(),
            account: kind.word(),
            debits: words::amount(sum.debits, digits(asset)),
            credits: words::amount(sum.credits, digits(asset)),
            balance: words::amount(sum.credits - sum.debits, digits(asset)),
        });
    }
    let by_asset = |of: BTreeMap<Asset, i128>| {
        of.into_iter().map(|(asset, minor)| (asset.to_string(), words::amount(minor, digits(&asset)))).collect()
    };
    Trial {
        ledger: ledger.into(),
        as_of,
        rows,
        receivable: by_asset(owed),
        held: by_asset(held),
        balanced: totals.values().all(|total| *total == 0),
        incomplete: Vec::new(),
    }
}

fn show(trial: &Trial) {
    println!(
        "ledger {}{}",
        trial.ledger,
        trial.as_of.as_ref().map_or(String::new(), |as_of| format!(" as of {as_of}"))
    );
    println!("{:<8} {:<18} {:>24} {:>24} {:>24}", "asset", "account", "debits", "credits", "balance");
    for row in &trial.rows {
        println!("{:<8} {:<18} {:>24} {:>24} {:>24}", row.asset, row.account, row.debits, row.credits, row.balance);
    }
    for (word, figures) in [("owed by users", &trial.receivable), ("held", &trial.held)] {
        for (asset, amount) in figures {
            println!("{asset:<8} {word:<18} {amount:>24}");
        }
    }
    println!("{}", if trial.balanced { "debits equal credits in every asset" } else { "debits and credits DIFFER" });
}
