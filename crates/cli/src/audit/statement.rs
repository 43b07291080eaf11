//! `florin audit statement`: what moved on one card or wallet, line by line, between an opening and a closing balance.

use std::ops::ControlFlow;

use florin_engine::{
    codec::Outcome,
    event::Event,
    ids::{AccountId, CardId, transaction_id},
    money::Asset,
    postings::{Ledger as Account, Posting, Side, postings},
};
use florin_vault::{MasterKey, Vault};
use serde::Serialize;

use super::args::Statement;
use super::books::Kind;
use super::source::Source;
use super::{moment, replay, words};
use crate::failure::{Exit, Failure};
use crate::{causes, secrets};

/// One movement. Amounts are in the asset's decimals, credits to the card or wallet positive.
#[derive(Debug, Serialize)]
struct Line {
    time: String,
    position: String,
    transaction: String,
    event: &'static str,
    /// The other side of the posting.
    against: &'static str,
    amount: String,
    balance: String,
    merchant: String,
}

#[derive(Debug, Serialize)]
struct Sheet {
    of: String,
    asset: Option<String>,
    from: Option<String>,
    to: Option<String>,
    opening: String,
    lines: Vec<Line>,
    closing: String,
}

/// Prints it.
pub(super) fn run(args: &Statement) -> Result<(), Failure> {
    let source = args.place.source()?;
    let ledger = replay::ledger(&source)?;
    let from = args.from.as_deref().map_or(Ok(0), moment::parse)?;
    let to = args.to.as_deref().map_or(Ok(u64::MAX), moment::parse)?;
    let (of, wanted, partition) = match (args.card, args.wallet.as_deref()) {
        (Some(card), _) => {
            let card = CardId::from(card);
            (format!("card {card}"), (Account::Card(card), None), card.partition())
        }
        (None, Some(wallet)) => {
            let (account, asset) = self::wallet(&source, wallet, ledger.partitions)?;
            (format!("wallet {account}/{asset}"), (Account::Wallet(account), Some(asset)), account.partition())
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "name a card or a wallet")),
    };
    let mut sheet = Tally {
        wanted,
        decimals: 0,
        all_decimals: Vec::new(),
        asset: wanted.1,
        opening: 0,
        balance: 0,
        lines: Vec::new(),
    };
    replay::entries(&source, &ledger, partition, |position, entry| {
        let admitted = &entry.admitted;
        if admitted.time_ms >= to {
            return ControlFlow::Break(());
        }
        if let Outcome::Accepted(events) = &entry.outcome {
            for (n, event) in (0..).zip(events) {
                let line = Raw {
                    time_ms: admitted.time_ms,
                    position: format!("{partition}.{position}"),
                    transaction: transaction_id(partition, position, n).to_string(),
                    event: event.name(),
                    merchant: merchant(event),
                    ..Raw::default()
                };
                sheet.event(admitted.envelope.account, event, from, &line);
            }
        }
        ControlFlow::Continue(())
    })?;
    if sheet.lines.is_empty() && sheet.balance == 0 {
        eprintln!("nothing moved on {of} in that time; check the id if it should have");
    }
    let sheet = sheet.sheet(of, args);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&sheet).unwrap_or_default());
    } else if args.csv {
        csv(&sheet);
    } else {
        show(&sheet);
    }
    Ok(())
}

#[derive(Clone, Default)]
struct Raw {
    time_ms: u64,
    position: String,
    transaction: String,
    event: &'static str,
    against: &'static str,
    amount: i128,
    balance: i128,
    merchant: String,
}

struct Tally {
    wanted: (Account, Option<Asset>),
    decimals: u8,
    all_decimals: Vec<(Asset, u8)>,
    asset: Option<Asset>,
    opening: i128,
    balance: i128,
    lines: Vec<Raw>,
}

impl Tally {
    fn event(&mut self, account: AccountId, event: &Event, from: u64, line: &Raw) {
        if let Event::PolicyAdopted(adopted) = event {
            self.all_decimals.extend(adopted.policy.assets.iter().map(|asset| (asset.code, asset.decimals)));
        }
        let mut moved: Vec<Posting> = Vec::new();
        postings(account, event, &mut moved);
        // Postings come in pairs, so the other side of each is beside it.
        for pair in moved.chunks_exact(2) {
            for (own, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let (ledger, asset) = self.wanted;
                if own.ledger != ledger || asset.is_some_and(|asset| own.asset != asset) {
                    continue;
                }
                self.asset = Some(own.asset);
                let amount = i128::from(own.amount.0);
                let amount = if own.side == Side::Credit { amount } else { -amount };
                self.balance += amount;
                if line.time_ms < from {
                    self.opening = self.balance;
                } else {
                    let against = Kind::of(&other.ledger).word();
                    self.lines.push(Raw { against, amount, balance: self.balance, ..line.clone() });
                }
            }
        }
        if let Some(asset) = self.asset
            && let Some((_, decimals)) = self.all_decimals.iter().rev().find(|(code, _)| *code == asset)
        {
            self.decimals = *decimals;
        }
    }

    fn sheet(self, of: String, args: &Statement) -> Sheet {
        let amount = |minor| words::amount(minor, self.decimals);
        let lines = self.lines.into_iter().map(|raw| Line {
            time: moment::show(raw.time_ms),
            position: raw.position,
            transaction: raw.transaction,
            event: raw.event,
            against: raw.against,
            amount: amount(raw.amount),
            balance: amount(raw.balance),
            merchant: raw.merchant,
        });
        Sheet {
            of,
            asset: self.asset.map(|asset| asset.to_string()),
            from: args.from.clone(),
            to: args.to.clone(),
            opening: amount(self.opening),
            lines: lines.collect(),
            closing: amount(self.balance),
        }
    }
}

fn merchant(event: &Event) -> String {
    match event {
        Event::ForcePosted(event) => event.merchant.name.clone(),
        Event::Refunded(event) => event.merchant.name.clone(),
        _ => String::new(),
    }
}

/// Reads `ACCOUNT/ASSET` or `COMPANY/USER/ASSET`; a user may have slashes.
fn wallet(source: &Source, text: &str, partitions: u16) -> Result<(AccountId, Asset), Failure> {
    let bad = || {
        Failure::new(Exit::Usage, format!("{text} is no wallet"))
            .advise("write COMPANY/USER/ASSET, such as acme/user-17/USD, or ACCOUNT/ASSET")
    };
    let (who, asset) = text.rsplit_once('/').ok_or_else(bad)?;
    let asset = Asset::parse(asset).ok_or_else(bad)?;
    let Some((company, user)) = who.split_once('/') else {
        let account: uuid::Uuid = who.parse().map_err(|_| bad())?;
        return Ok((AccountId::from(account), asset));
    };
    let root = source.root().ok_or_else(|| {
        Failure::new(Exit::Usage, "only a data directory has the vault that knows users")
            .advise("name the data directory, or the wallet as ACCOUNT/ASSET")
    })?;
    // A copy: opening a vault writes to it, and a running server has it open.
    let scratch = tempfile::tempdir().map_err(|cause| Failure::io("make", &std::env::temp_dir(), cause))?;
    let vault = root.join("ledger").join("vault.redb");
    let copy = scratch.path().join("vault.redb");
    for suffix in ["", ".shreds"] {
        let named = |path: &std::path::Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::path::PathBuf::from(name)
        };
        let from = named(&vault);
        std::fs::copy(&from, named(&copy)).map_err(|cause| Failure::io("copy", &from, cause))?;
    }
    let master: MasterKey = secrets::master_key(&root.join("master.key"), false)?;
    let vault = Vault::open(&copy, &master).map_err(causes::vault)?;
    Ok((AccountId::from_pseudonym(vault.pseudonym(company, user), partitions), asset))
}

fn csv(sheet: &Sheet) {
    let field = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    println!("time,position,transaction,event,against,amount,balance,merchant");
    println!("{},,,opening,,,{},", sheet.from.as_deref().unwrap_or(""), sheet.opening);
    for line in &sheet.lines {
        let Line { time, position, transaction, event, against, amount, balance, merchant } = line;
        println!("{time},{position},{transaction},{event},{against},{amount},{balance},{}", field(merchant));
    }
    println!("{},,,closing,,,{},", sheet.to.as_deref().unwrap_or(""), sheet.closing);
}

fn show(sheet: &Sheet) {
    println!("{} {}", sheet.of, sheet.asset.as_deref().unwrap_or(""));
    println!("opening {:>70}", sheet.opening);
    for line in &sheet.lines {
        println!(
            "{} {:>14} {:<16} {:<16} {:>16} {:>16} {}",
            line.time, line.position, line.event, line.against, line.amount, line.balance, line.merchant
        );
    }
    println!("closing {:>70}", sheet.closing);
}
