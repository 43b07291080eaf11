//! Fees, bounds and limits, and a card as it begins.

use florin_engine::{
    limits::{Limits, LimitsUpdate},
    policy::{CardKind, ProgrammeCode},
    reject::Reason,
    terms::Status,
};

use super::{Card, ISSUANCE_MS, Pending, Waiting, no};

/// 3%, half up.
pub fn service_fee(programme: ProgrammeCode, amount: i128) -> i128 {
    if programme == ProgrammeCode::Dashboard { (amount * 3 + 50) / 100 } else { 0 }
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

pub fn new_card(programme: ProgrammeCode, kind: CardKind, initial: i128, fees: i128, now: u64) -> Card {
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
        limits: Limits::default(),
        no_pin: None,
        uses: vec![],
        pending: Some(Pending {
            request: None,
            deadline: now + ISSUANCE_MS,
            told: false,
            what: Waiting::Issue,
            overtaken: vec![],
        }),
        swept: false,
        taken: (initial, fees),
        returned: false,
    }
}

pub fn positive(amount: i64) -> Result<(), Vec<Reason>> {
    if amount > 0 { Ok(()) } else { no(Reason::AmountNotPositive) }
}

pub fn bounds(amount: i128, min: i128, max: i128) -> Result<(), Vec<Reason>> {
    if amount < min {
        return no(Reason::AmountBelowMinimum);
    }
    if amount > max { no(Reason::AmountAboveMaximum) } else { Ok(()) }
}

/// The amount, if the sum is still one of 64 bits.
pub fn fits(balance: i128, amount: i128) -> Result<i128, Vec<Reason>> {
    if balance + amount > i128::from(i64::MAX) { no(Reason::Overflow) } else { Ok(amount) }
}
