//! Funding: money into and out of wallets, between wallet and card, and what is written off.

use alloc::vec::Vec;

use crate::{
    command::{Deposit, TopUp, Unload, Withdraw, WriteOff},
    decide::{Case, Verdict},
    event::{Deposited, Event, ToppedUp, Unloaded, Withdrawn, WrittenOff},
    money::{BALANCE_MAX, Minor, Sealed},
    policy::{Bounds, Funding},
    reject::{Field, Figure, Reason, Reject},
    state::{Card, Waiting, Wallet},
    terms::Status,
};

pub(crate) fn deposit(case: &Case<'_>, command: &Deposit, out: &mut Vec<Event>) -> Verdict {
    reference_fits(&command.reference)?;
    case.policy.asset(command.asset).ok_or(Reason::AssetUnknown)?;
    positive(command.amount)?;
    let balance = case.account.wallet(command.asset).map_or(Minor::ZERO, |wallet| wallet.balance);
    let balance = balance.plus(command.amount).filter(|balance| *balance <= BALANCE_MAX).ok_or(Reason::Overflow)?;
    let (asset, amount, reference) = (command.asset, command.amount, command.reference.clone());
    out.push(Deposited { asset, amount, balance, reference }.into());
    Ok(())
}

pub(crate) fn withdraw(case: &Case<'_>, command: &Withdraw, out: &mut Vec<Event>) -> Verdict {
    reference_fits(&command.reference)?;
    case.policy.asset(command.asset).ok_or(Reason::AssetUnknown)?;
    positive(command.amount)?;
    let balance = pay(case.account.wallet(command.asset), command.amount)?;
    let (asset, amount, reference) = (command.asset, command.amount, command.reference.clone());
    out.push(Withdrawn { asset, amount, balance, reference }.into());
    Ok(())
}

pub(crate) fn write_off(case: &Case<'_>, command: &WriteOff, out: &mut Vec<Event>) -> Verdict {
    if command.reason.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Reason));
    }
    positive(command.amount)?;
    let balance = if command.card.is_nil() {
        case.account.wallet(command.asset).map_or(Minor::ZERO, |wallet| wallet.balance)
    } else {
        let card = case.card(command.card)?;
        if card.currency != command.asset {
            return Err(Reject::field(Field::Currency));
        }
        card.balance
    };
    let owed = Minor::ZERO.minus(balance).ok_or(Reason::Overflow)?;
    if !owed.is_positive() {
        return Err(Reason::NothingOwed.into());
    }
    if command.amount > owed {
        return Err(above(owed, command.amount));
    }
    out.push(
        WrittenOff {
            card: command.card,
            asset: command.asset,
            amount: command.amount,
            balance: balance.fold_plus(command.amount),
            reason: command.reason.clone(),
        }
        .into(),
    );
    if command.card.is_nil() { Ok(()) } else { case.close_if_done(command.card, out) }
}

pub(crate) fn top_up(case: &Case<'_>, command: &TopUp, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    let programme = case.programme(card.programme)?;
    within(command.amount, programme.top_up)?;
    movable(case, card)?;
    let fee = programme.top_up_service.of(command.amount).ok_or(Reason::Overflow)?;
    let total = command.amount.plus(fee).ok_or(Reason::Overflow)?;
    let wallet_balance = pay(case.account.wallet(card.currency), total)?;
    let card_balance = card.balance.plus(command.amount).ok_or(Reason::Overflow)?;
    out.push(
        ToppedUp { card: card.id, currency: card.currency, amount: command.amount, fee, card_balance, wallet_balance }
            .into(),
    );
    Ok(())
}

pub(crate) fn unload(case: &Case<'_>, command: &Unload, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    positive(command.amount)?;
    movable(case, card)?;
    if card.available() < command.amount {
        return Err(short(command.amount, card.available()));
    }
    let wallet = case.account.wallet(card.currency).map_or(Minor::ZERO, |wallet| wallet.balance);
    let wallet_balance = wallet.plus(command.amount).ok_or(Reason::Overflow)?;
    let card_balance = card.balance.fold_minus(command.amount);
    out.push(
        Unloaded { card: card.id, currency: card.currency, amount: command.amount, card_balance, wallet_balance }
            .into(),
    );
    Ok(())
}

/// Money moves between wallet and card only while the card is Active or Frozen and not closing.
fn movable(case: &Case<'_>, card: &Card) -> Verdict {
    if card.funding != Funding::Prepaid {
        return Err(Reason::NotPrepaid.into());
    }
    if !matches!(card.status, Status::Active | Status::Frozen) || card.past_expiry(case.now_ms) {
        return Err(invalid_status(card));
    }
    let closing = card
        .pending
        .as_ref()
        .is_some_and(|pending| matches!(pending.what, Waiting::Status { target: Status::PreCancel, .. }));
    if closing { Err(Reason::ChangePending.into()) } else { Ok(()) }
}

fn reference_fits(reference: &Sealed) -> Verdict {
    if reference.0.len() > Sealed::BYTES_MAX { Err(Reject::field(Field::Reference)) } else { Ok(()) }
}

/// The wallet's balance after paying `amount`; refused where it is not available.
pub(crate) fn pay(wallet: Option<&Wallet>, amount: Minor) -> Result<Minor, Reject> {
    let (balance, available) = wallet.map_or((Minor::ZERO, Minor::ZERO), |wallet| (wallet.balance, wallet.available()));
    if available < amount {
        return Err(short(amount, available));
    }
    balance.minus(amount).ok_or_else(|| Reason::Overflow.into())
}

/// Too little money.
pub(crate) fn short(needed: Minor, available: Minor) -> Reject {
    Reject::new(Reason::InsufficientBalance).with(Figure::Needed, needed.0).with(Figure::Available, available.0)
}

/// The card's status does not allow it.
pub(crate) fn invalid_status(card: &Card) -> Reject {
    Reject::new(Reason::InvalidStatus).with(Figure::Status, i64::from(card.status.code()))
}

fn positive(amount: Minor) -> Verdict {
    if amount.is_positive() {
        Ok(())
    } else {
        Err(Reject::new(Reason::AmountNotPositive).with(Figure::Amount, amount.0))
    }
}

fn above(limit: Minor, amount: Minor) -> Reject {
    Reject::new(Reason::AmountAboveMaximum).with(Figure::Limit, limit.0).with(Figure::Amount, amount.0)
}

/// Refuses an amount outside the policy's bounds, which are inclusive.
pub(crate) fn within(amount: Minor, bounds: Bounds) -> Verdict {
    positive(amount)?;
    if amount < bounds.min {
        return Err(Reject::new(Reason::AmountBelowMinimum)
            .with(Figure::Limit, bounds.min.0)
            .with(Figure::Amount, amount.0));
    }
    if amount > bounds.max {
        return Err(above(bounds.max, amount));
    }
    Ok(())
}
