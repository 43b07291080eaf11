//! Fees, bounds and limits, and a card as it begins.

use florin_engine::{
    limits::{Limits, LimitsUpdate},
    policy::{CardKind, ProgrammeCode},
    reject::{Figure, Reason},
    terms::Status,
};

use super::{Assertion, Card, Pending, Refusal, Waiting, no, refusals::beside, with};
use crate::policy::Figures;

/// A share in hundredths of a percent, half up.
pub fn share_of(amount: i128, points: i128) -> i128 {
    (amount * points + 5_000) / 10_000
}

pub fn updated(limits: Limits, update: LimitsUpdate) -> Limits {
    Limits {
        transaction: update.transaction.unwrap_or(limits.transaction),
        daily: update.daily.unwrap_or(limits.daily),
        monthly: update.monthly.unwrap_or(limits.monthly),
        lifetime: update.lifetime.unwrap_or(limits.lifetime),
    }
}

/// What binds while a change of limits waits: of each the lower.
pub fn binding(one: Limits, other: Limits) -> Limits {
    let lower = |a: Option<florin_engine::money::Minor>, b: Option<florin_engine::money::Minor>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Limits {
        transaction: lower(one.transaction, other.transaction),
        daily: lower(one.daily, other.daily),
        monthly: lower(one.monthly, other.monthly),
        lifetime: lower(one.lifetime, other.lifetime),
    }
}

pub fn new_card(
    figures: &Figures,
    programme: ProgrammeCode,
    kind: CardKind,
    initial: i128,
    fees: i128,
    now: u64,
) -> Card {
    let dashboard = programme == ProgrammeCode::Dashboard;
    let daily = figures.daily.filter(|_| dashboard).map(florin_engine::money::Minor);
    Card {
        programme,
        kind,
        status: Status::Requested,
        before_block: Status::Requested,
        fraud: false,
        tries: 0,
        last4: 0,
        expiry: 0,
        balance: initial,
        limits: Limits { daily, ..Limits::default() },
        no_pin: figures.no_pin.filter(|_| dashboard).map(i128::from),
        uses: vec![],
        pending: Some(Pending {
            request: None,
            deadline: now + figures.issuance_ms,
            told: false,
            what: Waiting::Issue,
            overtaken: vec![],
        }),
        assertion: Assertion::None,
        settled: None,
        swept: false,
        taken: (initial, fees),
        returned: false,
    }
}

/// An amount that a person names.
pub fn positive(amount: i64) -> Result<(), Vec<Refusal>> {
    let told = || with(Reason::AmountNotPositive, [(Figure::Amount, amount.into())]);
    if amount > 0 { Ok(()) } else { no(told()) }
}

/// An amount that a message names.
pub fn posted(amount: i64) -> Result<(), Vec<Refusal>> {
    if amount > 0 { Ok(()) } else { no(Reason::AmountNotPositive) }
}

pub fn bounds(amount: i128, min: i128, max: i128) -> Result<(), Vec<Refusal>> {
    if amount < min {
        return no(beside(Reason::AmountBelowMinimum, min, amount));
    }
    if amount > max { no(beside(Reason::AmountAboveMaximum, max, amount)) } else { Ok(()) }
}

/// The amount, if the sum is still one of 64 bits.
pub fn fits(balance: i128, amount: i128) -> Result<i128, Vec<Refusal>> {
    if balance + amount > i128::from(i64::MAX) { no(Reason::Overflow) } else { Ok(amount) }
}
