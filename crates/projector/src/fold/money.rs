//! Balances and ledger accounts, by the engine's postings; and the lines that deposits, issuance, top-ups and the like leave on statements.

use florin_engine::{
    event::{CardRequested, Deposited, Event, IssuanceFailed, Swept, ToppedUp, Unloaded, Withdrawn, WrittenOff},
    fees::FeeTaken,
    ids::CardId,
    money::{Asset, Minor},
    postings::{Ledger, Posting, Side, postings},
};

use super::{At, Fold};
use crate::{
    CardRow, Direction, Error, LedgerKind, TransactionKind, TransactionRow, TransactionStatus, WalletRow, key::Place,
    ledger::LedgerRow, statements::Lines, transactions::Statement,
};

impl Fold {
    /// Posts what an event moves: balances of cards and wallets, sums of ledger accounts.
    pub(super) fn post(&mut self, at: &At, event: &Event) -> Result<(), Error> {
        let mut lines = std::mem::take(&mut self.postings);
        lines.clear();
        postings(at.account, event, &mut lines);
        for posting in &lines {
            self.post_line(at, posting)?;
        }
        self.postings = lines;
        Ok(())
    }

    fn post_line(&mut self, at: &At, posting: &Posting) -> Result<(), Error> {
        let (kind, balance) = match posting.ledger {
            Ledger::Wallet(_) => (LedgerKind::Wallets, Some(&mut self.wallet(at, posting.asset)?.balance)),
            Ledger::Card(card) => (LedgerKind::Cards, Some(&mut self.card(at, card)?.balance)),
            Ledger::Funding => (LedgerKind::Funding, None),
            Ledger::Revenue(fee) => (LedgerKind::Revenue(fee), None),
            Ledger::Network => (LedgerKind::Network, None),
            Ledger::Exchange => (LedgerKind::Exchange, None),
            Ledger::WriteOff => (LedgerKind::WriteOff, None),
        };
        let owed = balance.map_or(0, |balance| {
            let before = owes(*balance);
            *balance = match posting.side {
                Side::Debit => balance.fold_minus(posting.amount),
                Side::Credit => balance.fold_plus(posting.amount),
            };
            owes(*balance) - before
        });
        let id = (self.partition, kind, posting.asset);
        let sums = self.batch.ledger.edit_or(&self.batch.store, id, LedgerRow::default)?;
        match posting.side {
            Side::Debit => sums.debits += i128::from(posting.amount.0),
            Side::Credit => sums.credits += i128::from(posting.amount.0),
        }
        sums.owed += owed;
        Ok(())
    }

    /// A wallet of the entry's account to be changed, marked as changed by this entry; made when first touched.
    pub(super) fn wallet(&mut self, at: &At, asset: Asset) -> Result<&mut WalletRow, Error> {
        let make = || WalletRow::empty(at.account, asset).into();
        let row = self.batch.wallets.edit_or(&self.batch.store, (at.account, asset), make)?;
        row.updated_ms = at.time_ms;
        row.position = at.position;
        Ok(row)
    }

    pub(super) fn deposited(&mut self, at: &At, e: &Deposited) -> Result<(), Error> {
        let line = line(at, TransactionKind::Deposit, Direction::Credit, e.amount, e.asset);
        let line = TransactionRow { note: e.reference.clone(), ..line };
        self.list(Statement::Wallet(at.account, e.asset), at.place(), line)
    }

    pub(super) fn withdrawn(&mut self, at: &At, e: &Withdrawn) -> Result<(), Error> {
        let line = line(at, TransactionKind::Withdrawal, Direction::Debit, e.amount, e.asset);
        let line = TransactionRow { note: e.reference.clone(), ..line };
        self.list(Statement::Wallet(at.account, e.asset), at.place(), line)
    }

    pub(super) fn written_off(&mut self, at: &At, e: &WrittenOff) -> Result<(), Error> {
        let line = line(at, TransactionKind::WriteOff, Direction::Credit, e.amount, e.asset);
        let card = (!e.card.is_nil()).then_some(e.card);
        let line = TransactionRow { note: e.reason.clone(), card, ..line };
        let statement = card.map_or(Statement::Wallet(at.account, e.asset), Statement::Card);
        self.list(statement, at.place(), line)
    }

    pub(super) fn topped_up(&mut self, at: &At, e: &ToppedUp) -> Result<(), Error> {
        let row = |kind, direction, amount| TransactionRow {
            card: Some(e.card),
            ..line(at, kind, direction, amount, e.currency)
        };
        let fee = e.fee.is_positive().then(|| (1, row(TransactionKind::Fee, Direction::Debit, e.fee)));
        let lines = |direction| {
            let moved = (0, row(TransactionKind::TopUp, direction, e.amount));
            [moved].into_iter().chain(fee.clone()).collect::<Lines>()
        };
        let (on_card, on_wallet) = (lines(Direction::Credit), lines(Direction::Debit));
        self.batch.list(Statement::Card(e.card), at.place(), on_card)?;
        self.batch.list(Statement::Wallet(at.account, e.currency), at.place(), on_wallet)
    }

    pub(super) fn unloaded(&mut self, at: &At, e: &Unloaded) -> Result<(), Error> {
        self.moved(at, TransactionKind::Unload, e.card, Direction::Debit, e.amount, e.currency)
    }

    pub(super) fn swept(&mut self, at: &At, e: &Swept) -> Result<(), Error> {
        self.moved(at, TransactionKind::Sweep, e.card, Direction::Debit, e.amount, e.currency)
    }

    /// The initial balance and the fees of an issuance.
    pub(super) fn issue_lines(&mut self, at: &At, e: &CardRequested) -> Result<(), Error> {
        self.issuance(at, at, e.card, (e.initial, e.currency), &e.fees, TransactionStatus::Completed)
    }

    /// The same lines again, as failed: all of it was given back.
    pub(super) fn unissue_lines(&mut self, at: &At, e: &IssuanceFailed) -> Result<(), Error> {
        let missing = self.missing::<CardRow>(at);
        let card = self.batch.cards.get(&self.batch.store, e.card)?.ok_or(missing)?;
        let (position, event) = card.requested;
        let asked = At { position, event, time_ms: card.created_ms, ..*at };
        self.issuance(&asked, at, e.card, (e.initial, e.currency), &e.fees, TransactionStatus::Failed)
    }

    fn issuance(
        &mut self,
        asked: &At,
        now: &At,
        card: CardId,
        (initial, currency): (Minor, Asset),
        fees: &[FeeTaken],
        status: TransactionStatus,
    ) -> Result<(), Error> {
        let row = |kind, direction, amount, asset| TransactionRow {
            status,
            card: Some(card),
            updated_ms: now.time_ms,
            ..line(asked, kind, direction, amount, asset)
        };
        let mut on_card = Lines::new();
        let mut on_wallets: Vec<(Asset, Lines)> = Vec::new();
        if initial.is_positive() {
            on_card.push((0, row(TransactionKind::Issue, Direction::Credit, initial, currency)));
            on_wallets.push((currency, vec![(0, row(TransactionKind::Issue, Direction::Debit, initial, currency))]));
        }
        for (part, fee) in (1_u8..).zip(fees) {
            let kind = TransactionKind::Fee;
            on_card.push((part, row(kind, Direction::Debit, fee.fee, fee.fiat)));
            let paid = (part, row(kind, Direction::Debit, fee.paid, fee.asset));
            match on_wallets.iter_mut().find(|(asset, _)| *asset == fee.asset) {
                Some((_, lines)) => lines.push(paid),
                None => on_wallets.push((fee.asset, vec![paid])),
            }
        }
        if !on_card.is_empty() {
            self.batch.list(Statement::Card(card), asked.place(), on_card)?;
        }
        for (asset, lines) in on_wallets {
            self.batch.list(Statement::Wallet(asked.account, asset), asked.place(), lines)?;
        }
        Ok(())
    }

    /// Money between a card and the wallet of its currency; `direction` as the card sees it.
    fn moved(
        &mut self,
        at: &At,
        kind: TransactionKind,
        card: CardId,
        direction: Direction,
        amount: Minor,
        currency: Asset,
    ) -> Result<(), Error> {
        let on_card = TransactionRow { card: Some(card), ..line(at, kind, direction, amount, currency) };
        let direction = match direction {
            Direction::Credit => Direction::Debit,
            Direction::Debit => Direction::Credit,
        };
        let on_wallet = TransactionRow { direction, ..on_card.clone() };
        self.list(Statement::Card(card), at.place(), on_card)?;
        self.list(Statement::Wallet(at.account, currency), at.place(), on_wallet)
    }

    /// Writes the only line of a place of a statement, over the one that is there.
    pub(super) fn list(&mut self, statement: Statement, place: Place, line: TransactionRow) -> Result<(), Error> {
        self.batch.list(statement, place, vec![(0, line)])
    }
}

fn line(at: &At, kind: TransactionKind, direction: Direction, amount: Minor, asset: Asset) -> TransactionRow {
    TransactionRow::new(kind, direction, amount, asset, at.time_ms)
}

/// What a balance owes: what it is below zero, as a positive number.
fn owes(balance: Minor) -> i128 {
    i128::from(balance.0).min(0).abs()
}
