//! `florin audit statement`: what moved on one card or wallet, line by line, between an opening and a closing balance.
//!
//! One pass over a partition; each line goes out as it is read, so that memory does not grow with what was moved.

use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock};
use std::ops::ControlFlow;

use florin_engine::{
    codec::{Entry, Outcome},
    event::Event,
    ids::{AccountId, CardId, Position},
    money::Asset,
    policy::Funding,
    postings::{Ledger as Account, Posting, Side, postings},
};

use super::args::Statement;
use super::books::Kind;
use super::decimals::Decimals;
use super::purchases::{self, Place, Purchases};
use super::replay::Replay;
use super::sheet::{Form, Head, Line, Sheet};
use super::{moment, wallet};
use crate::failure::{Exit, Failure};

/// Prints it.
pub(super) fn run(args: &Statement) -> Result<(), Failure> {
    let (from, to) = moment::range(args.from.as_deref(), args.to.as_deref())?;
    let source = args.place.source()?;
    let mut replay = Replay::open(&source)?;
    let (of, wanted, partition) = match (args.card, args.wallet.as_deref()) {
        (Some(card), _) => {
            let card = CardId::from(card);
            (format!("card {card}"), Wanted::Card(card), card.partition())
        }
        (None, Some(name)) => {
            let (account, asset) = wallet::find(&source, name, replay.ledger.partitions)?;
            (format!("wallet {account}/{asset}"), Wanted::Wallet(account, asset), account.partition())
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "name a card or a wallet")),
    };
    let form = match (args.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    };
    if io::stdout().is_terminal() {
        replay.silent();
    }
    replay.expect(&[partition]);
    let head = Head { of, asset: String::new(), from: args.from.clone(), to: args.to.clone(), opening: String::new() };
    let mut tally = Tally::new(wanted, partition, (from, to), Out::Before(form, head));
    let mut failed = Ok(());
    replay.entries(partition, |position, entry| match tally.entry(position, &entry) {
        Ok(flow) => flow,
        Err(stopped) => {
            failed = Err(stopped);
            ControlFlow::Break(())
        }
    })?;
    let end = replay.end();
    match failed.and_then(|()| tally.end(&end.incomplete)) {
        Ok(()) => end.close(),
        // Whoever reads has seen enough.
        Err(Stopped::Writing(cause)) if cause.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(Stopped::Writing(cause)) => Err(Failure::new(Exit::Disk, "the statement cannot be written").because(cause)),
        // What is not there may be in what could not be read.
        Err(Stopped::Failure(failure)) => end.close().and(Err(failure)),
    }
}

/// Whose statement.
#[derive(Clone, Copy)]
enum Wanted {
    Card(CardId),
    Wallet(AccountId, Asset),
}

/// Why a statement is not written to its end.
enum Stopped {
    Writing(io::Error),
    Failure(Failure),
}

impl From<io::Error> for Stopped {
    fn from(cause: io::Error) -> Self {
        Self::Writing(cause)
    }
}

/// Where the lines go: the sheet begins once its opening balance is known.
enum Out {
    Before(Form, Head),
    Begun(Sheet<BufWriter<StdoutLock<'static>>>),
    Done,
}

struct Tally {
    wanted: Wanted,
    partition: u16,
    from: u64,
    to: u64,
    /// Whose it is, once the ledger is seen to have it: only this account's entries are looked into.
    account: Option<AccountId>,
    asset: Option<Asset>,
    decimals: Decimals,
    purchases: Purchases,
    balance: i128,
    moved: Vec<Posting>,
    out: Out,
}

impl Tally {
    fn new(wanted: Wanted, partition: u16, (from, to): (u64, u64), out: Out) -> Self {
        let asset = match wanted {
            Wanted::Card(_) => None,
            Wanted::Wallet(_, asset) => Some(asset),
        };
        Self {
            wanted,
            partition,
            from,
            to,
            account: None,
            asset,
            decimals: Decimals::default(),
            purchases: Purchases::default(),
            balance: 0,
            moved: Vec::new(),
            out,
        }
    }

    fn entry(&mut self, position: Position, entry: &Entry) -> Result<ControlFlow<()>, Stopped> {
        let (account, time_ms) = (entry.admitted.envelope.account, entry.admitted.time_ms);
        let Outcome::Accepted(events) = &entry.outcome else { return Ok(ControlFlow::Continue(())) };
        for event in events {
            self.meet(account, event)?;
        }
        if time_ms >= self.to {
            // A card may be made later: then it had nothing yet, which is no mistake in its id.
            return Ok(if self.account.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        if self.account == Some(account) {
            for (n, event) in (0..).zip(events) {
                self.event(account, time_ms, (position, n), event)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Learns decimals, and that the card or wallet is there.
    fn meet(&mut self, account: AccountId, event: &Event) -> Result<(), Stopped> {
        match (event, self.wanted) {
            (Event::PolicyAdopted(_), _) => self.decimals.learn(event),
            (Event::CardRequested(requested), Wanted::Card(card)) if requested.card == card => {
                if requested.funding == Funding::Wallet {
                    let what = format!("card {card} draws on its user's wallets and has no balance of its own");
                    let advice = format!("ask for a wallet: --wallet {account}/{}", requested.currency);
                    return Err(Stopped::Failure(Failure::new(Exit::Usage, what).advise(advice)));
                }
                (self.account, self.asset) = (Some(account), Some(requested.currency));
            }
            (_, Wanted::Wallet(wallet, _)) if wallet == account => self.account = Some(account),
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, account: AccountId, time_ms: u64, place: Place, event: &Event) -> Result<(), Stopped> {
        self.purchases.note(place, event);
        let mut moved = std::mem::take(&mut self.moved);
        moved.clear();
        postings(account, event, &mut moved);
        if !moved.is_empty() {
            // Postings come in pairs, so the other side of each is beside it.
            let parts = purchases::parts(event, moved.len() / 2);
            for (pair, part) in moved.chunks_exact(2).zip(parts) {
                for (own, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                    if self.is_wanted(own) {
                        self.posting(time_ms, place, event, part, own, other)?;
                    }
                }
            }
        }
        self.moved = moved;
        Ok(())
    }

    fn is_wanted(&self, own: &Posting) -> bool {
        match self.wanted {
            Wanted::Card(card) => own.ledger == Account::Card(card),
            Wanted::Wallet(account, asset) => own.ledger == Account::Wallet(account) && own.asset == asset,
        }
    }

    fn posting(
        &mut self,
        time_ms: u64,
        place: Place,
        event: &Event,
        part: u32,
        own: &Posting,
        other: &Posting,
    ) -> Result<(), Stopped> {
        let amount = i128::from(own.amount.0);
        let amount = if own.side == Side::Credit { amount } else { -amount };
        if time_ms < self.from {
            self.balance += amount;
            return Ok(());
        }
        self.begin()?;
        self.balance += amount;
        let line = Line {
            time: moment::show(time_ms),
            position: format!("{}.{}", self.partition, place.0),
            transaction: self.purchases.transaction(self.partition, place, event, part).to_string(),
            event: event.name(),
            asset: own.asset.as_str(),
            card: purchases::card_of(event).map_or_else(String::new, |card| card.to_string()),
            against: Kind::of(&other.ledger).word(),
            amount: self.figure(amount),
            balance: self.figure(self.balance),
            merchant: &self.purchases.merchant(event),
        };
        if let Out::Begun(sheet) = &mut self.out {
            sheet.line(&line)?;
        }
        Ok(())
    }

    fn figure(&self, minor: i128) -> String {
        self.asset.map_or_else(|| minor.to_string(), |asset| self.decimals.amount(asset, minor))
    }

    /// Begins the sheet with the balance so far, unless it has begun.
    fn begin(&mut self) -> Result<(), Stopped> {
        let opening = self.figure(self.balance);
        let asset = self.asset.map_or_else(String::new, |asset| asset.to_string());
        self.out = match std::mem::replace(&mut self.out, Out::Done) {
            Out::Before(form, head) => {
                let out = BufWriter::new(io::stdout().lock());
                Out::Begun(Sheet::begin(out, form, Head { asset, opening, ..head })?)
            }
            begun => begun,
        };
        Ok(())
    }

    fn end(mut self, incomplete: &[String]) -> Result<(), Stopped> {
        if let Some(unknown) = self.unknown() {
            return Err(Stopped::Failure(unknown));
        }
        self.begin()?;
        let closing = self.figure(self.balance);
        if let Out::Begun(sheet) = self.out {
            sheet.end(&closing, incomplete)?;
        }
        Ok(())
    }

    /// Why a statement without lines would mislead.
    fn unknown(&self) -> Option<Failure> {
        let (what, advice) = match (self.wanted, self.account) {
            (Wanted::Card(card), None) => (
                format!("the ledger has no card {card}"),
                "an id carries its partition: check that it is of this ledger",
            ),
            (Wanted::Wallet(account, _), None) => (
                format!("the ledger has no account {account}"),
                "check company and user, upper and lower case too, or the account's id",
            ),
            (Wanted::Wallet(_, asset), _) if !self.decimals.knows(asset) => {
                (format!("no policy of the ledger has the asset {asset}"), "check its code")
            }
            _ => return None,
        };
        Some(Failure::new(Exit::Usage, what).advise(advice))
    }
}
