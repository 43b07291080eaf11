//! Appeals against a block: one open at a time, granted or rejected by ops (lifecycle.md, Appeals).

use alloc::vec::Vec;

use crate::{
    command::{DecideAppeal, OpenAppeal, RecordAppealEmail},
    decide::{Case, Verdict},
    event::{AppealDecided, AppealEmailed, AppealOpened, Event},
    funding::invalid_status,
    lifecycle,
    money::Sealed,
    reject::{Field, Reason, Reject},
    terms::{Cause, Change, Status},
};

pub(crate) fn open(case: &Case<'_>, command: &OpenAppeal, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.message.0.is_empty() || command.message.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Message));
    }
    if card.status != Status::Blocked {
        return Err(invalid_status(card));
    }
    let appeals = case.account.rare.as_ref().map_or(&[][..], |rare| &rare.appeals);
    if appeals.iter().any(|appeal| appeal.id == command.appeal || (appeal.card == card.id && appeal.open)) {
        return Err(Reason::AppealOpen.into());
    }
    let counter = case.state.counters.appeals + 1;
    let number = counter * u64::from(case.state.partitions()) + u64::from(case.state.partition());
    out.push(AppealOpened { card: card.id, appeal: command.appeal, number, message: command.message.clone() }.into());
    Ok(())
}

pub(crate) fn decide(case: &Case<'_>, command: &DecideAppeal, out: &mut Vec<Event>) -> Verdict {
    if command.reason.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Reason));
    }
    let appeal = case.account.appeal(command.appeal).filter(|appeal| appeal.open).ok_or(Reason::AppealUnknown)?;
    let card = case.card(appeal.card)?;
    let unblock = command.granted && card.status == Status::Blocked;
    if unblock && card.pending.is_some() {
        return Err(Reason::ChangePending.into());
    }
    let (granted, reason) = (command.granted, command.reason.clone());
    out.push(AppealDecided { card: card.id, appeal: appeal.id, granted, reason }.into());
    if unblock {
        lifecycle::request(case, card, Change::Unblock, card.before_block, Cause::Appeal, Sealed::NONE, false, out);
    }
    Ok(())
}

pub(crate) fn record_email(case: &Case<'_>, command: &RecordAppealEmail, out: &mut Vec<Event>) -> Verdict {
    case.account.appeal(command.appeal).ok_or(Reason::AppealUnknown)?;
    out.push(AppealEmailed { appeal: command.appeal, status: command.status }.into());
    Ok(())
}
