//! Postings: what an event moves, as debits and credits that are equal in every asset (lifecycle.md, Accounts and postings).
//!
//! One pure function of the event alone. Wallets and cards are what Florin owes and grow by credit; funding, and what is
//! due from the network, grow by debit. A hold moves nothing.

use alloc::vec::Vec;

use crate::{
    event::Event,
    fees::{FeeKind, FeeTaken},
    holds::Leg,
    ids::{AccountId, CardId},
    money::{Asset, Minor},
};

/// An account of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ledger {
    /// What is owed to a user in one asset.
    Wallet(AccountId),
    /// What is owed to a user on a card.
    Card(CardId),
    /// What came from outside.
    Funding,
    /// What fees have earned.
    Revenue(FeeKind),
    /// What is owed to the card network.
    Network,
    /// Between two assets.
    Exchange,
    /// What was given up.
    WriteOff,
}

/// Debit or credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Debit.
    Debit,
    /// Credit.
    Credit,
}

/// One line of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Which account.
    pub ledger: Ledger,
    /// In which asset.
    pub asset: Asset,
    /// Debit or credit.
    pub side: Side,
    /// How much; above zero.
    pub amount: Minor,
}

/// Appends the postings of an event of `account`.
pub fn postings(account: AccountId, event: &Event, out: &mut Vec<Posting>) {
    let wallet = || Ledger::Wallet(account);
    match event {
        Event::Deposited(event) => pair(out, event.asset, event.amount, || Ledger::Funding, wallet),
        Event::Withdrawn(event) => pair(out, event.asset, event.amount, wallet, || Ledger::Funding),
        Event::WrittenOff(event) => {
            let owed = || if event.card.is_nil() { wallet() } else { Ledger::Card(event.card) };
            pair(out, event.asset, event.amount, || Ledger::WriteOff, owed);
        }
        Event::CardRequested(event) => {
            pair(out, event.currency, event.initial, wallet, || Ledger::Card(event.card));
            event.fees.iter().for_each(|fee| fee_taken(out, wallet(), fee, false));
        }
        Event::IssuanceFailed(event) => {
            pair(out, event.currency, event.initial, || Ledger::Card(event.card), wallet);
            event.fees.iter().for_each(|fee| fee_taken(out, wallet(), fee, true));
        }
        Event::ToppedUp(event) => {
            pair(out, event.currency, event.amount, wallet, || Ledger::Card(event.card));
            pair(out, event.currency, event.fee, wallet, || Ledger::Revenue(FeeKind::Service));
        }
        Event::Unloaded(event) => pair(out, event.currency, event.amount, || Ledger::Card(event.card), wallet),
        Event::Swept(event) => pair(out, event.currency, event.amount, || Ledger::Card(event.card), wallet),
        Event::Cleared(event) => {
            let legs = event.held.iter().chain(&event.excess);
            legs.for_each(|leg| drawn(out, wallet(), event.card, event.currency, leg, false));
        }
        Event::ForcePosted(event) => {
            event.legs.iter().for_each(|leg| drawn(out, wallet(), event.card, event.currency, leg, false));
        }
        Event::Refunded(event) => {
            let legs = event.linked.iter().chain(&event.unlinked);
            legs.for_each(|leg| drawn(out, wallet(), event.card, event.currency, leg, true));
        }
        Event::PolicyAdopted(_)
        | Event::Checkpointed(_)
        | Event::UserRegistered(_)
        | Event::VerificationSet(_)
        | Event::Overdrawn(_)
        | Event::InvoiceCreated(_)
        | Event::InvoiceExpired(_)
        | Event::CardIssued(_)
        | Event::IssuanceAbandoned(_)
        | Event::CardRequestOpened(_)
        | Event::CardRequestDecided(_)
        | Event::CardActivated(_)
        | Event::ActivationFailed(_)
        | Event::StatusChangeRequested(_)
        | Event::StatusChanged(_)
        | Event::LimitsChangeRequested(_)
        | Event::LimitsChanged(_)
        | Event::ChangeRefused(_)
        | Event::ChangeLapsed(_)
        | Event::ChangeOverdue(_)
        | Event::ReconcileStarted(_)
        | Event::Reconciled(_)
        | Event::NoPinAmountSet(_)
        | Event::FraudCleared(_)
        | Event::SettlementIgnored(_)
        | Event::AppealOpened(_)
        | Event::AppealDecided(_)
        | Event::AppealEmailed(_)
        | Event::Authorized(_)
        | Event::Declined(_)
        | Event::AccountChecked(_)
        | Event::HoldIncremented(_)
        | Event::IncrementDeclined(_)
        | Event::HoldReleased(_)
        | Event::ReversalRemembered(_)
        | Event::Revealed(_) => {}
    }
}

/// A debit and a credit of the same amount; nothing for nothing.
///
/// The accounts come as closures, so that each is made where it lies in the end: copied as a value of 17 bytes, it costs a stall
/// in the processor's store buffer, which took a seventh of a top-up.
#[inline]
fn pair(
    out: &mut Vec<Posting>,
    asset: Asset,
    amount: Minor,
    debit: impl FnOnce() -> Ledger,
    credit: impl FnOnce() -> Ledger,
) {
    if amount.is_zero() {
        return;
    }
    out.reserve(2);
    out.push(Posting { ledger: debit(), asset, side: Side::Debit, amount });
    out.push(Posting { ledger: credit(), asset, side: Side::Credit, amount });
}

fn fee_taken(out: &mut Vec<Posting>, wallet: Ledger, fee: &FeeTaken, back: bool) {
    let mut turn = |asset, amount, from, to| {
        if back { pair(out, asset, amount, || to, || from) } else { pair(out, asset, amount, || from, || to) }
    };
    let revenue = Ledger::Revenue(fee.kind);
    if fee.asset == fee.fiat {
        turn(fee.fiat, fee.paid, wallet, revenue);
    } else {
        turn(fee.asset, fee.paid, wallet, Ledger::Exchange);
        turn(fee.fiat, fee.fee, Ledger::Exchange, revenue);
    }
}

fn drawn(out: &mut Vec<Posting>, wallet: Ledger, card: CardId, currency: Asset, leg: &Leg, back: bool) {
    let mut turn = |asset, amount, from, to| {
        if back { pair(out, asset, amount, || to, || from) } else { pair(out, asset, amount, || from, || to) }
    };
    let source = if leg.wallet { wallet } else { Ledger::Card(card) };
    if leg.asset == currency {
        turn(currency, leg.amount, source, Ledger::Network);
    } else {
        turn(leg.asset, leg.amount, source, Ledger::Exchange);
        turn(currency, leg.billing, Ledger::Exchange, Ledger::Network);
    }
}

/// The first asset whose debits and credits differ.
pub fn unbalanced(postings: &[Posting]) -> Option<Asset> {
    let first = postings.first()?.asset;
    // Nearly always there is one asset only, and nothing to keep sums apart for.
    if postings.iter().all(|posting| posting.asset == first) {
        let sum: i128 = postings.iter().map(signed).sum();
        return (sum != 0).then_some(first);
    }
    let mut sums: Vec<(Asset, i128)> = Vec::new();
    for posting in postings {
        match sums.iter_mut().find(|(asset, _)| *asset == posting.asset) {
            Some((_, sum)) => *sum += signed(posting),
            None => sums.push((posting.asset, signed(posting))),
        }
    }
    sums.into_iter().find(|(_, sum)| *sum != 0).map(|(asset, _)| asset)
}

/// The amount, above zero for a debit.
fn signed(posting: &Posting) -> i128 {
    match posting.side {
        Side::Debit => i128::from(posting.amount.0),
        Side::Credit => -i128::from(posting.amount.0),
    }
}
