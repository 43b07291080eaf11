//! Clearings, reversals, expiries, refunds and force posts: what has happened, posted in every card state.
//!
//! A clearing draws from its hold at the hold's rates, and beyond it at those of now. A clearing whose hold is gone is a
//! force post. A reversal that comes before its authorization is remembered and kills it. A refund credits in reverse what its
//! purchase drew; what goes beyond, or has no purchase, is credited at the rates of now and gives no usage back.

use alloc::vec::Vec;

use crate::{
    command::{Class, Clear, ExpireHold, ForcePost, Merchant, Refund, Reverse, text_fits},
    decide::{Case, Verdict},
    event::{Cleared, Event, ForcePosted, HoldReleased, Overdrawn, Refunded, ReversalRemembered},
    holds::{Leg, Release, ReleaseCause, billing, credit, draw_forced, split_back, split_front, wallet_leg},
    ids::{AuthorizationId, CardId},
    money::{BALANCE_MAX, Minor},
    reject::{Field, Figure, Reason, Reject},
    state::{Authorization, Card, Phase},
};

pub(crate) fn clear(case: &Case<'_>, command: &Clear, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    let known = case.known(command.authorization).map(|known| of_card(known, card)).transpose()?;
    let held = known.filter(|known| known.phase == Phase::Open);
    let Some(amount) = command.amount.or(held.map(Authorization::held_billing)) else {
        // Nothing says how much it is; an authorization that is not known may be on its way.
        return Err(if known.is_some() { Reason::HoldClosed } else { Reason::AuthorizationUnknown }.into());
    };
    let nothing_left = held.is_some() && command.last && command.amount.is_none() && amount.is_zero();
    if nothing_left {
        out.push(release(card.id, command.authorization, ReleaseCause::Cleared, Vec::new(), true));
        return case.close_if_done(card.id, out);
    }
    if !amount.is_positive() {
        return Err(Reason::AmountNotPositive.into());
    }
    let Some(known) = held else {
        // No hold, or none any more: what has happened is posted all the same.
        return post(case, card, command.authorization, amount, &Merchant::default(), out);
    };
    let from_hold = amount.min(known.held_billing());
    let (held, rest) = split_front(&known.held, from_hold);
    let beyond = amount.fold_minus(from_hold);
    let excess = if beyond.is_positive() { drawn_beyond(case, card, beyond)? } else { Vec::new() };
    let drawn: Vec<Leg> = held.iter().chain(&excess).copied().collect();
    let (authorization, currency, last) = (command.authorization, card.currency, command.last);
    out.push(Cleared { card: card.id, authorization, currency, held, excess, last }.into());
    overdrawn(case, card, &drawn, &[], out)?;
    if last && !rest.is_empty() {
        out.push(release(card.id, command.authorization, ReleaseCause::Cleared, rest, true));
    }
    case.close_if_done(card.id, out)
}

/// What is drawn without a hold; refused only where a sum would overflow.
fn drawn_beyond(case: &Case<'_>, card: &Card, amount: Minor) -> Result<Vec<Leg>, Reject> {
    if amount > BALANCE_MAX || card.usage.lifetime.plus(amount).is_none() {
        return Err(Reason::Overflow.into());
    }
    draw_forced(case.policy, case.account, card, amount).ok_or_else(|| Reason::Overflow.into())
}

/// Posts a purchase without a hold.
fn post(
    case: &Case<'_>,
    card: &Card,
    authorization: AuthorizationId,
    amount: Minor,
    merchant: &Merchant,
    out: &mut Vec<Event>,
) -> Verdict {
    let legs = drawn_beyond(case, card, amount)?;
    let (currency, merchant) = (card.currency, merchant.clone());
    out.push(ForcePosted { card: card.id, authorization, currency, legs: legs.clone(), merchant }.into());
    overdrawn(case, card, &legs, &[], out)?;
    case.close_if_done(card.id, out)
}

fn release(card: CardId, authorization: AuthorizationId, cause: ReleaseCause, legs: Vec<Leg>, closes: bool) -> Event {
    let release = Release { billing: billing(&legs), legs };
    HoldReleased { card, authorization, cause, release, closes }.into()
}

pub(crate) fn reverse(case: &Case<'_>, command: &Reverse, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.amount.is_some_and(|amount| !amount.is_positive()) {
        return Err(Reason::AmountNotPositive.into());
    }
    let Some(known) = case.known(command.authorization) else {
        case.room_for_authorization()?;
        out.push(ReversalRemembered { card: card.id, authorization: command.authorization }.into());
        return Ok(());
    };
    let known = of_card(known, card)?;
    if known.phase != Phase::Open {
        return Err(Reason::HoldClosed.into());
    }
    let held = known.held_billing();
    let amount = command.amount.unwrap_or(held);
    if amount > held {
        return Err(Reject::new(Reason::AmountAboveMaximum).with(Figure::Limit, held.0).with(Figure::Amount, amount.0));
    }
    let (taken, _) = split_back(&known.held, amount);
    out.push(release(card.id, command.authorization, ReleaseCause::Reversed, taken, amount == held));
    case.close_if_done(card.id, out)
}

pub(crate) fn expire_hold(case: &Case<'_>, command: &ExpireHold, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    let known = case.authorization(card.id, command.authorization)?;
    if known.phase != Phase::Open {
        return Err(Reason::HoldClosed.into());
    }
    if case.class == Class::Clock {
        case.due(known.until_ms)?;
    }
    out.push(release(card.id, command.authorization, ReleaseCause::Expired, known.held.clone(), true));
    case.close_if_done(card.id, out)
}

pub(crate) fn refund(case: &Case<'_>, command: &Refund, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if !text_fits(&command.merchant.name) {
        return Err(Reject::field(Field::Merchant));
    }
    let known = match case.known(command.authorization) {
        Some(known) => Some(of_card(known, card)?),
        None => None,
    };
    if known.is_none() && command.amount.is_none() {
        return Err(Reason::AuthorizationUnknown.into());
    }
    let spent: &[Leg] = known.map_or(&[], |known| &known.spent);
    let amount = command.amount.unwrap_or_else(|| billing(spent));
    if !amount.is_positive() {
        return Err(Reason::AmountNotPositive.into());
    }
    let back = amount.min(billing(spent));
    let (mut linked, _) = split_back(spent, back);
    if card.posts_to_wallet() {
        for leg in linked.iter_mut().filter(|leg| !leg.wallet) {
            *leg = wallet_leg(leg.asset, leg.amount);
        }
    }
    let beyond = amount.fold_minus(back);
    let unlinked =
        if beyond.is_positive() { credit(case.policy, card, beyond).ok_or(Reason::Overflow)? } else { Vec::new() };
    overdrawn(case, card, &[], &[&linked[..], &unlinked[..]].concat(), out)?;
    out.push(
        Refunded {
            card: card.id,
            authorization: command.authorization,
            currency: card.currency,
            linked,
            unlinked,
            merchant: command.merchant.clone(),
        }
        .into(),
    );
    case.close_if_done(card.id, out)
}

pub(crate) fn force_post(case: &Case<'_>, command: &ForcePost, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if !command.amount.is_positive() {
        return Err(Reason::AmountNotPositive.into());
    }
    if !text_fits(&command.merchant.name) {
        return Err(Reject::field(Field::Merchant));
    }
    if case.known(command.authorization).is_some() {
        return Err(Reason::AuthorizationExists.into());
    }
    post(case, card, command.authorization, command.amount, &command.merchant, out)
}

fn of_card<'a>(known: &'a Authorization, card: &Card) -> Result<&'a Authorization, Reject> {
    if known.card == card.id { Ok(known) } else { Err(Reason::AuthorizationUnknown.into()) }
}

/// Tells of every balance that the drawn legs put below zero, and refuses sums that would overflow.
fn overdrawn(case: &Case<'_>, card: &Card, drawn: &[Leg], credited: &[Leg], out: &mut Vec<Event>) -> Verdict {
    let mut on_card = card.balance;
    let mut wallets: Vec<(crate::money::Asset, Minor)> = Vec::new();
    let mut touched_card = false;
    for (leg, credit) in drawn.iter().map(|leg| (leg, false)).chain(credited.iter().map(|leg| (leg, true))) {
        let balance = if leg.wallet {
            let at = wallets.iter().position(|(asset, _)| *asset == leg.asset).unwrap_or_else(|| {
                let balance = case.account.wallet(leg.asset).map_or(Minor::ZERO, |wallet| wallet.balance);
                wallets.push((leg.asset, balance));
                wallets.len() - 1
            });
            &mut wallets[at].1
        } else {
            touched_card = true;
            &mut on_card
        };
        *balance = if credit { balance.plus(leg.amount) } else { balance.minus(leg.amount) }.ok_or(Reason::Overflow)?;
        if balance.0.unsigned_abs() > BALANCE_MAX.0.unsigned_abs() {
            return Err(Reason::Overflow.into());
        }
    }
    if drawn.is_empty() {
        return Ok(());
    }
    if touched_card && on_card.is_negative() {
        out.push(Overdrawn { card: card.id, asset: card.currency, balance: on_card }.into());
    }
    for (asset, balance) in wallets.into_iter().filter(|(_, balance)| balance.is_negative()) {
        out.push(Overdrawn { card: CardId::NIL, asset, balance }.into());
    }
    Ok(())
}
