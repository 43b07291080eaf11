//! Authorizations: whether a purchase is approved, decided in one step against the card in memory.
//!
//! The checks in their order (lifecycle.md, Authorizations): state and pending change, expiry, limit per transaction,
//! no-PIN amount, day, month and lifetime limits, available balance. The first that fails declines, with its figures.
//! A decline is accepted: it is an event, and a transaction.

use alloc::vec::Vec;

use crate::{
    command::{Authorize, Increment, text_fits},
    decide::{Case, Verdict},
    event::{AccountChecked, Authorized, Declined, Event, HoldIncremented, IncrementDeclined},
    holds::{Leg, draw},
    limits::Day,
    money::Minor,
    reject::{Field, Figure, Reason, Reject},
    state::{Card, Phase, Waiting},
    terms::{Decline, DeclineReason, Status},
};

/// What an authorization asks for.
struct Ask {
    /// How much more is to be held.
    amount: Minor,
    /// How much the transaction comes to in all.
    total: Minor,
    /// Whether the no-PIN amount applies.
    without_pin: bool,
}

pub(crate) fn authorize(case: &Case<'_>, command: &Authorize, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.amount.is_negative() {
        return Err(Reason::AmountNotPositive.into());
    }
    if !text_fits(&command.merchant.name) || command.merchant.mcc > 9999 {
        return Err(Reject::field(Field::Merchant));
    }
    if command.currency != card.currency {
        return Err(Reject::field(Field::Currency));
    }
    let decline = |decline| Declined {
        card: card.id,
        authorization: command.authorization,
        amount: command.amount,
        currency: card.currency,
        decline,
        merchant: command.merchant.clone(),
    };
    match case.known(command.authorization).map(|known| known.phase) {
        Some(Phase::Killed) => {
            out.push(decline(Decline { reason: DeclineReason::Reversed, figures: Vec::new() }).into());
            return Ok(());
        }
        Some(Phase::Open | Phase::Closed) => return Err(Reason::AuthorizationExists.into()),
        None => case.room_for_authorization()?,
    }
    let ask = Ask {
        amount: command.amount,
        total: command.amount,
        without_pin: command.card_present && !command.pin_entered,
    };
    match check(case, card, &ask) {
        Err(reason) => out.push(decline(reason).into()),
        Ok(_) if command.amount.is_zero() => out.push(
            AccountChecked { card: card.id, authorization: command.authorization, merchant: command.merchant.clone() }
                .into(),
        ),
        Ok(legs) => out.push(
            Authorized {
                card: card.id,
                authorization: command.authorization,
                amount: command.amount,
                currency: card.currency,
                legs,
                expires_at_ms: case.now_ms.saturating_add(case.policy.spans.hold_ms),
                merchant: command.merchant.clone(),
            }
            .into(),
        ),
    }
    Ok(())
}

pub(crate) fn increment(case: &Case<'_>, command: &Increment, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if !command.amount.is_positive() {
        return Err(Reason::AmountNotPositive.into());
    }
    let known = case.authorization(card.id, command.authorization)?;
    if known.phase != Phase::Open {
        return Err(Reason::HoldClosed.into());
    }
    let total = known.amount.plus(command.amount).ok_or(Reason::Overflow)?;
    let (card, authorization, amount) = (card, command.authorization, command.amount);
    match check(case, card, &Ask { amount, total, without_pin: false }) {
        Err(decline) => out.push(IncrementDeclined { card: card.id, authorization, amount, decline }.into()),
        Ok(legs) => out.push(HoldIncremented { card: card.id, authorization, amount, legs }.into()),
    }
    Ok(())
}

/// The checks, in their order; `Ok` with what would be held.
fn check(case: &Case<'_>, card: &Card, ask: &Ask) -> Result<Vec<Leg>, Decline> {
    check_state(case, card)?;
    if let Some(limit) = card.limits.transaction.filter(|limit| over(Minor::ZERO, ask.total, *limit)) {
        return decline(DeclineReason::TransactionLimit, ask.total, limit, None);
    }
    if let Some(limit) = card.no_pin.filter(|limit| ask.without_pin && ask.total > *limit) {
        return decline(DeclineReason::NoPinLimit, ask.total, limit, None);
    }
    let usage = card.usage.on(Day::of(case.now_ms));
    let windows = [
        (DeclineReason::DailyLimit, card.limits.daily, usage.daily),
        (DeclineReason::MonthlyLimit, card.limits.monthly, usage.monthly),
        (DeclineReason::LifetimeLimit, card.limits.lifetime, usage.lifetime),
    ];
    for (reason, limit, used) in windows {
        if let Some(limit) = limit.filter(|limit| over(used, ask.amount, *limit)) {
            return decline(reason, ask.amount, limit, Some(used));
        }
    }
    if ask.amount.is_zero() {
        return Ok(Vec::new());
    }
    draw(case.policy, case.account, card, ask.amount).map_err(|available| Decline {
        reason: DeclineReason::InsufficientBalance,
        figures: alloc::vec![(Figure::Needed, ask.amount.0), (Figure::Available, available.0)],
    })
}

fn check_state(case: &Case<'_>, card: &Card) -> Result<(), Decline> {
    let plain = |reason, figures| Err(Decline { reason, figures });
    let status = i64::from(card.status.code());
    match card.status {
        Status::Active => {}
        Status::Expired => return plain(DeclineReason::Expired, Vec::new()),
        _ => {
            return plain(DeclineReason::CardNotActive, alloc::vec![(Figure::Status, status)]);
        }
    }
    let closing = card
        .pending
        .as_ref()
        .is_some_and(|pending| matches!(pending.what, Waiting::Status { what, .. } if what.reduces_risk()));
    if closing {
        return plain(DeclineReason::ChangePending, Vec::new());
    }
    if card.past_expiry(case.now_ms) {
        return plain(DeclineReason::Expired, Vec::new());
    }
    Ok(())
}

/// Whether `amount` on top of `used` passes the limit; a limit of 0 is always passed.
fn over(used: Minor, amount: Minor, limit: Minor) -> bool {
    limit.is_zero() || used.plus(amount).is_none_or(|sum| sum > limit)
}

fn decline(reason: DeclineReason, amount: Minor, limit: Minor, used: Option<Minor>) -> Result<Vec<Leg>, Decline> {
    let mut figures = alloc::vec![(Figure::Amount, amount.0), (Figure::Limit, limit.0)];
    figures.extend(used.map(|used| (Figure::Used, used.0)));
    Err(Decline { reason, figures })
}
