//! Settlement: the issuer's answers, deadlines that pass, and assertions of a card's state.
//!
//! Done and refused are definite; a fate that is not known is never settled. An answer that settles nothing is ignored,
//! unless it says that the issuer did something Florin no longer wants: then the card's state is asserted again.

use alloc::vec::Vec;

use crate::{
    command::{Class, ConfirmReconcile, Issued, LapseChange, Outcome, Settle, text_fits},
    decide::{Case, Verdict},
    event::{
        CardActivated, CardIssued, ChangeLapsed, ChangeOverdue, ChangeRefused, Event, IssuanceAbandoned,
        IssuanceFailed, LimitsChanged, ReconcileStarted, Reconciled, SettlementIgnored, StatusChangeRequested,
        StatusChanged,
    },
    ids::request_id,
    lifecycle,
    money::Sealed,
    policy::CardKind,
    reject::{Field, Reason, Reject},
    state::{Card, Overtaken, Pending, Waiting},
    terms::{Cause, Change, RefusalCode, Status},
};

pub(crate) fn settle(case: &Case<'_>, command: &Settle, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    let Some(pending) =
        card.pending.as_deref().filter(|pending| request_id(card.id, pending.change) == command.request)
    else {
        out.push(late(card, command));
        return Ok(());
    };
    match (&pending.what, &command.outcome) {
        (Waiting::Issue { abandoned: true, .. }, Outcome::Issued(_)) => {
            // It is being given up: only the issuer's word on that settles it.
            out.push(SettlementIgnored { card: card.id }.into());
            Ok(())
        }
        (Waiting::Issue { .. }, Outcome::Issued(issued)) => issue(card, issued, out),
        (Waiting::Issue { .. }, Outcome::Refused(refusal)) => {
            out.push(failed(card, pending, *refusal));
            Ok(())
        }
        (Waiting::Status { what, target, cause }, Outcome::Done) => {
            let stays = matches!(target, Status::PreCancel | Status::Blocked);
            let fraud = *what == Change::BlockForFraud || (card.fraud && stays);
            out.push(StatusChanged { card: card.id, from: card.status, to: *target, cause: *cause, fraud }.into());
            assert_again(card, out);
            lifecycle::close(case, card.id, out)
        }
        (Waiting::Limits { target, .. }, Outcome::Done) => {
            out.push(LimitsChanged { card: card.id, limits: *target }.into());
            assert_again(card, out);
            Ok(())
        }
        (Waiting::Status { .. } | Waiting::Limits { .. }, Outcome::Refused(refusal)) => {
            out.push(ChangeRefused { card: card.id, change: pending.change, refusal: *refusal }.into());
            // A newer change is said to be done there: which, is not known here.
            if *refusal == RefusalCode::Stale && card.reconcile == 0 {
                out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
            }
            assert_again(card, out);
            ask_again(case, card, out);
            Ok(())
        }
        (Waiting::Issue { .. }, Outcome::Done) | (_, Outcome::Issued(_)) => Err(Reject::field(Field::Outcome)),
    }
}

fn issue(card: &Card, issued: &Issued, out: &mut Vec<Event>) -> Verdict {
    let fits = issued.last4 <= 9999 && issued.first4 <= 9999 && issued.expiry != 0 && text_fits(&issued.issuer_card);
    if !fits {
        return Err(Reject::field(Field::Outcome));
    }
    out.push(CardIssued { card: card.id, issued: issued.clone() }.into());
    if card.kind == CardKind::Virtual {
        out.push(CardActivated { card: card.id, cause: Cause::System }.into());
    }
    Ok(())
}

fn failed(card: &Card, pending: &Pending, refusal: RefusalCode) -> Event {
    let (initial, fees, invoice) = match &pending.what {
        Waiting::Issue { initial, fees, invoice, .. } => (*initial, fees.clone(), *invoice),
        Waiting::Status { .. } | Waiting::Limits { .. } => (crate::money::Minor::ZERO, Vec::new(), 0),
    };
    IssuanceFailed { card: card.id, refusal, currency: card.currency, initial, fees, invoice }.into()
}

/// What an answer comes to that answers no pending change.
fn late(card: &Card, command: &Settle) -> Event {
    let settled = command.request == request_id(card.id, card.settled);
    let did = match command.outcome {
        Outcome::Refused(_) => false,
        Outcome::Done => true,
        // Made after all, though it was given back.
        Outcome::Issued(_) => card.status == Status::Cancelled && card.expiry == 0,
    };
    if did && !settled {
        ReconcileStarted { card: card.id, change: card.change + 1 }.into()
    } else {
        SettlementIgnored { card: card.id }.into()
    }
}

/// A risk-reducing change never reverts by itself: the strongest that the refused one took the place of is asked for again,
/// where the card's state still has that arrow.
fn ask_again(case: &Case<'_>, card: &Card, out: &mut Vec<Event>) {
    let open = |asked: &&Overtaken| {
        asked.target != card.status && lifecycle::target(card, asked.what, Class::Ops) == Some(asked.target)
    };
    let Some(&Overtaken { what, target, cause }) = card.overtaken.iter().rev().find(open) else { return };
    let asserted = out.iter().any(|event| matches!(event, Event::ReconcileStarted(_)));
    let change = card.change + 1 + u32::from(asserted);
    let deadline_ms = case.now_ms.saturating_add(case.policy.spans.change_ms);
    let (overtakes, reason) = (false, Sealed::NONE);
    out.push(
        StatusChangeRequested { card: card.id, change, what, target, cause, deadline_ms, overtakes, reason }.into(),
    );
}

/// An assertion that waited for the change gets a number above it.
fn assert_again(card: &Card, out: &mut Vec<Event>) {
    if card.reconcile != 0 {
        out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
    }
}

pub(crate) fn lapse(case: &Case<'_>, command: &LapseChange, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    let pending = card.pending.as_deref().filter(|pending| request_id(card.id, pending.change) == command.request);
    let pending = pending.filter(|pending| pending.deadline_ms != u64::MAX).ok_or(Reason::NothingPending)?;
    case.due(pending.deadline_ms)?;
    let change = pending.change;
    let holds = match &pending.what {
        Waiting::Issue { .. } => {
            out.push(IssuanceAbandoned { card: card.id }.into());
            return Ok(());
        }
        Waiting::Status { what, .. } => what.reduces_risk(),
        // A change that raises nothing: what binds is already what was asked for.
        Waiting::Limits { target, .. } => *target == card.limits,
    };
    if holds {
        out.push(ChangeOverdue { card: card.id, change }.into());
        return Ok(());
    }
    out.push(ChangeLapsed { card: card.id, change }.into());
    out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
    Ok(())
}

pub(crate) fn confirm(case: &Case<'_>, command: &ConfirmReconcile, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if card.reconcile == 0 || card.reconcile != command.change {
        return Err(Reason::NothingPending.into());
    }
    out.push(Reconciled { card: card.id, change: command.change }.into());
    Ok(())
}
