//! Authorizations and what they become: holds, clearings, releases, refunds, force posts. Mirrors the engine's `evolve`.
//!
//! A purchase is one line on the card's statement and on that of each wallet it draws on. It is written anew from its
//! authorization whenever that changes.

use florin_engine::{
    command::Merchant,
    event::{
        AccountChecked, Authorized, Cleared, Declined, ForcePosted, HoldIncremented, HoldReleased, IncrementDeclined,
        Refunded,
    },
    holds::{Leg, billing},
    ids::{AuthorizationId, CardId},
    limits::{Day, Used},
    money::{Asset, Minor},
    terms::Decline,
};

use super::{At, Fold};
use crate::{
    AuthorizationRow, Direction, Error, TransactionKind, TransactionRow, TransactionStatus,
    authorizations::{SourceRow, hold_key},
    transactions::Statement,
};

impl Fold {
    pub(super) fn authorized(&mut self, at: &At, e: &Authorized) -> Result<(), Error> {
        self.hold(at, e.card, &e.legs)?;
        let used = self.use_limits(at, e.card, e.amount)?;
        let mut row = AuthorizationRow {
            authorized: e.amount,
            held: e.amount,
            status: TransactionStatus::Pending,
            open: true,
            expires_at_ms: e.expires_at_ms,
            used: vec![used],
            ..begin(at, e.card, e.authorization, e.currency, &e.merchant)
        };
        reserve(&mut row, &e.legs);
        self.batch.point(hold_key(at.account, e.authorization), e.authorization.0);
        self.list_purchase(&row)?;
        self.batch.authorizations.put(e.authorization, row);
        Ok(())
    }

    pub(super) fn declined(&mut self, at: &At, e: &Declined) -> Result<(), Error> {
        let row = AuthorizationRow {
            authorized: e.amount,
            status: TransactionStatus::Declined,
            decline: Some(e.decline.clone()),
            ..begin(at, e.card, e.authorization, e.currency, &e.merchant)
        };
        self.list_purchase(&row)?;
        self.batch.authorizations.put(e.authorization, row);
        Ok(())
    }

    /// A check of zero holds nothing and is on no statement.
    pub(super) fn account_checked(&mut self, at: &At, e: &AccountChecked) -> Result<(), Error> {
        let currency = self.card(at, e.card)?.currency;
        let row = begin(at, e.card, e.authorization, currency, &e.merchant);
        self.batch.authorizations.put(e.authorization, row);
        Ok(())
    }

    pub(super) fn hold_incremented(&mut self, at: &At, e: &HoldIncremented) -> Result<(), Error> {
        self.hold(at, e.card, &e.legs)?;
        let used = self.use_limits(at, e.card, e.amount)?;
        let row = self.authorization(at, e.authorization)?;
        row.authorized = row.authorized.fold_plus(e.amount);
        row.held = row.held.fold_plus(e.amount);
        reserve(row, &e.legs);
        row.used.push(used);
        self.relist(at, e.authorization)
    }

    /// A line of its own: the purchase stands as it was.
    pub(super) fn increment_declined(&mut self, at: &At, e: &IncrementDeclined) -> Result<(), Error> {
        let row = self.authorization(at, e.authorization)?.clone();
        let line = purchase(at, &row, e.amount, row.currency);
        let line = declined(line, &e.decline);
        self.list(Statement::Card(e.card), at.place(), line)
    }

    pub(super) fn cleared(&mut self, at: &At, e: &Cleared) -> Result<(), Error> {
        self.unhold(at, e.card, &e.held)?;
        let excess = billing(&e.excess);
        let used = if excess.is_positive() { Some(self.use_limits(at, e.card, excess)?) } else { None };
        let row = self.authorization(at, e.authorization)?;
        let drawn = billing(&e.held);
        row.held = row.held.fold_minus(drawn);
        row.cleared = row.cleared.fold_plus(drawn).fold_plus(excess);
        for leg in &e.held {
            let source = row.source(leg.wallet, leg.asset);
            source.held = source.held.fold_minus(leg.amount);
        }
        spend(row, &e.held);
        spend(row, &e.excess);
        row.used.extend(used);
        let done = row.held.is_zero();
        if done {
            row.status = TransactionStatus::Completed;
        }
        if e.last && done {
            self.close_hold(at, e.authorization)?;
        }
        self.relist(at, e.authorization)
    }

    pub(super) fn hold_released(&mut self, at: &At, e: &HoldReleased) -> Result<(), Error> {
        self.unhold(at, e.card, &e.release.legs)?;
        let row = self.authorization(at, e.authorization)?;
        row.held = row.held.fold_minus(e.release.billing);
        for leg in &e.release.legs {
            let source = row.source(leg.wallet, leg.asset);
            source.held = source.held.fold_minus(leg.amount);
        }
        if row.held.is_zero() && row.cleared.is_positive() {
            row.status = TransactionStatus::Completed;
        } else if e.closes {
            row.status = TransactionStatus::Failed;
        }
        self.give_back(at, e.card, e.authorization, e.release.billing)?;
        if e.closes {
            self.close_hold(at, e.authorization)?;
        }
        self.relist(at, e.authorization)
    }

    pub(super) fn refunded(&mut self, at: &At, e: &Refunded) -> Result<(), Error> {
        let linked = billing(&e.linked);
        let known = self.batch.authorizations.edit(&self.batch.store, e.authorization)?;
        let mut merchant = e.merchant.clone();
        if let Some(row) = known {
            row.refunded = row.refunded.fold_plus(linked);
            row.updated_ms = at.time_ms;
            for leg in &e.linked {
                let source = row.source(leg.wallet, leg.asset);
                source.refunded = source.refunded.fold_plus(leg.amount);
            }
            if merchant == Merchant::default() {
                merchant = row.merchant.clone();
            }
            self.give_back(at, e.card, e.authorization, linked)?;
        }
        let line = |amount, asset| TransactionRow {
            merchant: Some(merchant.clone()),
            authorization: (!e.authorization.is_nil()).then_some(e.authorization),
            card: Some(e.card),
            ..TransactionRow::new(TransactionKind::Refund, Direction::Credit, amount, asset, at.time_ms)
        };
        let amount = linked.fold_plus(billing(&e.unlinked));
        self.list(Statement::Card(e.card), at.place(), line(amount, e.currency))?;
        for (asset, amount) in by_wallet(e.linked.iter().chain(&e.unlinked)) {
            self.list(Statement::Wallet(at.account, asset), at.place(), line(amount, asset))?;
        }
        Ok(())
    }

    /// A purchase of its own line, though it may come after an authorization whose hold is gone.
    pub(super) fn force_posted(&mut self, at: &At, e: &ForcePosted) -> Result<(), Error> {
        let amount = billing(&e.legs);
        let used = self.use_limits(at, e.card, amount)?;
        let mut row = match self.batch.authorizations.edit(&self.batch.store, e.authorization)? {
            Some(known) => known.clone(),
            None => {
                AuthorizationRow { authorized: amount, ..begin(at, e.card, e.authorization, e.currency, &e.merchant) }
            }
        };
        row.cleared = row.cleared.fold_plus(amount);
        spend(&mut row, &e.legs);
        row.used.push(used);
        row.status = TransactionStatus::Completed;
        row.updated_ms = at.time_ms;
        let line = purchase(at, &row, amount, e.currency);
        self.list(Statement::Card(e.card), at.place(), line)?;
        for (asset, amount) in by_wallet(&e.legs) {
            let line = purchase(at, &row, amount, asset);
            self.list(Statement::Wallet(at.account, asset), at.place(), line)?;
        }
        self.batch.authorizations.put(e.authorization, row);
        Ok(())
    }

    fn authorization(&mut self, at: &At, id: AuthorizationId) -> Result<&mut AuthorizationRow, Error> {
        let missing = self.missing::<AuthorizationRow>(at);
        let row = self.batch.authorizations.edit(&self.batch.store, id)?.ok_or(missing)?;
        row.updated_ms = at.time_ms;
        Ok(row)
    }

    fn close_hold(&mut self, at: &At, id: AuthorizationId) -> Result<(), Error> {
        self.authorization(at, id)?.open = false;
        self.batch.remove(hold_key(at.account, id));
        Ok(())
    }

    fn hold(&mut self, at: &At, card: CardId, legs: &[Leg]) -> Result<(), Error> {
        for leg in legs {
            let held = self.held_of(at, card, leg)?;
            *held = held.fold_plus(leg.amount);
        }
        Ok(())
    }

    fn unhold(&mut self, at: &At, card: CardId, legs: &[Leg]) -> Result<(), Error> {
        for leg in legs {
            let held = self.held_of(at, card, leg)?;
            *held = held.fold_minus(leg.amount);
        }
        Ok(())
    }

    fn held_of(&mut self, at: &At, card: CardId, leg: &Leg) -> Result<&mut Minor, Error> {
        Ok(if leg.wallet { &mut self.wallet(at, leg.asset)?.held } else { &mut self.card(at, card)?.held })
    }

    fn use_limits(&mut self, at: &At, card: CardId, amount: Minor) -> Result<Used, Error> {
        let day = Day::of(at.time_ms);
        self.card(at, card)?.usage.take(day, amount);
        Ok(Used { at: day, amount })
    }

    /// Gives back the newest of what an authorization used, up to `amount`.
    fn give_back(&mut self, at: &At, card: CardId, id: AuthorizationId, amount: Minor) -> Result<(), Error> {
        let (mut back, mut left) = (Vec::new(), amount);
        let row = self.authorization(at, id)?;
        while left.is_positive()
            && let Some(last) = row.used.last_mut()
        {
            let part = last.amount.min(left);
            back.push(Used { at: last.at, amount: part });
            last.amount = last.amount.fold_minus(part);
            left = left.fold_minus(part);
            if last.amount.is_zero() {
                row.used.pop();
            }
        }
        let now = Day::of(at.time_ms);
        let card = self.card(at, card)?;
        for used in back {
            card.usage.give_back(now, used);
        }
        Ok(())
    }

    fn relist(&mut self, at: &At, id: AuthorizationId) -> Result<(), Error> {
        let row = self.authorization(at, id)?.clone();
        self.list_purchase(&row)
    }

    /// Writes the line of a purchase on every statement that shows it.
    fn list_purchase(&mut self, row: &AuthorizationRow) -> Result<(), Error> {
        let (status, amount) = shown(row.status, row.authorized, row.held, row.cleared);
        let line = of_row(row, status, amount, row.currency);
        self.list(Statement::Card(row.card), row.place(), line)?;
        // A refund may have gone to a wallet that the purchase never drew on.
        let drawn =
            |source: &&SourceRow| source.wallet && (source.authorized.is_positive() || source.cleared.is_positive());
        for source in row.sources.iter().filter(drawn) {
            let (status, amount) = shown(row.status, source.authorized, source.held, source.cleared);
            let line = of_row(row, status, amount, source.asset);
            self.list(Statement::Wallet(row.account, source.asset), row.place(), line)?;
        }
        Ok(())
    }
}

/// What a statement shows of a purchase: while it is held what is held and cleared, then what was cleared; where nothing
/// was, what was held at most.
const fn shown(
    status: TransactionStatus,
    authorized: Minor,
    held: Minor,
    cleared: Minor,
) -> (TransactionStatus, Minor) {
    match status {
        TransactionStatus::Pending => (status, held.fold_plus(cleared)),
        TransactionStatus::Completed if cleared.is_zero() => (TransactionStatus::Failed, authorized),
        TransactionStatus::Completed => (status, cleared),
        TransactionStatus::Declined | TransactionStatus::Failed => (status, authorized),
    }
}

fn of_row(row: &AuthorizationRow, status: TransactionStatus, amount: Minor, asset: Asset) -> TransactionRow {
    TransactionRow {
        status,
        merchant: Some(row.merchant.clone()),
        decline: row.decline.clone(),
        authorization: Some(row.authorization),
        card: Some(row.card),
        updated_ms: row.updated_ms,
        ..TransactionRow::new(TransactionKind::Purchase, Direction::Debit, amount, asset, row.created_ms)
    }
}

/// A line of its own that belongs to an authorization, completed at once.
fn purchase(at: &At, row: &AuthorizationRow, amount: Minor, asset: Asset) -> TransactionRow {
    TransactionRow {
        decline: None,
        created_ms: at.time_ms,
        updated_ms: at.time_ms,
        ..of_row(row, TransactionStatus::Completed, amount, asset)
    }
}

fn declined(line: TransactionRow, decline: &Decline) -> TransactionRow {
    TransactionRow { status: TransactionStatus::Declined, decline: Some(decline.clone()), ..line }
}

/// A row without a hold and without money yet.
fn begin(
    at: &At,
    card: CardId,
    authorization: AuthorizationId,
    currency: Asset,
    merchant: &Merchant,
) -> AuthorizationRow {
    AuthorizationRow {
        authorization,
        account: at.account,
        card,
        currency,
        authorized: Minor::ZERO,
        held: Minor::ZERO,
        cleared: Minor::ZERO,
        refunded: Minor::ZERO,
        sources: Vec::new(),
        status: TransactionStatus::Completed,
        open: false,
        expires_at_ms: 0,
        merchant: merchant.clone(),
        decline: None,
        used: Vec::new(),
        created_ms: at.time_ms,
        updated_ms: at.time_ms,
        position: at.position,
        event: at.event,
    }
}

fn reserve(row: &mut AuthorizationRow, legs: &[Leg]) {
    for leg in legs {
        let source: &mut SourceRow = row.source(leg.wallet, leg.asset);
        source.authorized = source.authorized.fold_plus(leg.amount);
        source.held = source.held.fold_plus(leg.amount);
    }
}

fn spend(row: &mut AuthorizationRow, legs: &[Leg]) {
    for leg in legs {
        let source = row.source(leg.wallet, leg.asset);
        source.cleared = source.cleared.fold_plus(leg.amount);
    }
}

/// What wallets' legs come to, wallet by wallet.
fn by_wallet<'a>(legs: impl IntoIterator<Item = &'a Leg>) -> Vec<(Asset, Minor)> {
    let mut sums: Vec<(Asset, Minor)> = Vec::new();
    for leg in legs.into_iter().filter(|leg| leg.wallet) {
        match sums.iter_mut().find(|(asset, _)| *asset == leg.asset) {
            Some((_, sum)) => *sum = sum.fold_plus(leg.amount),
            None => sums.push((leg.asset, leg.amount)),
        }
    }
    sums
}
