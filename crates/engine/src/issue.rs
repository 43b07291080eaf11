//! Issuing: a card is asked for, its money moved and its fees taken, all in the one decision.
//!
//! The five-card rule is checked here, and again when a request is approved; open requests count.

use alloc::{string::String, vec::Vec};

use crate::{
    command::{DecideCardRequest, IssueCard, RequestCard, text_fits},
    decide::{Case, Verdict},
    event::{CardRequestDecided, CardRequestOpened, CardRequested, Event},
    fees::{FeeKind, FeeTaken, take_invoice},
    funding::{pay, within},
    ids::CardId,
    money::{Minor, Sealed},
    people,
    policy::{CardKind, Programme, ProgrammeCode},
    reject::{Field, Figure, Reason, Reject},
};

/// What an issue is asked with, from a command or an approved request.
struct Order<'a> {
    card: CardId,
    programme: ProgrammeCode,
    kind: CardKind,
    initial: Minor,
    fees: Vec<FeeTaken>,
    invoice: u64,
    provider: &'a str,
    profile: &'a Sealed,
}

pub(crate) fn issue_card(case: &Case<'_>, command: &IssueCard, out: &mut Vec<Event>) -> Verdict {
    new_card(case, command.card)?;
    fits(&command.profile)?;
    if !text_fits(&command.provider) {
        return Err(Reject::field(Field::Provider));
    }
    let programme = case.programme(command.programme)?;
    match programme.initial {
        Some(bounds) => within(command.initial, bounds)?,
        None if command.initial.is_zero() => {}
        None => return Err(Reject::field(Field::Initial)),
    }
    capable(case, programme, command.kind)?;
    room(case, 1)?;
    let (fees, provider) = if programme.needs_invoice {
        take_invoice(case, command)?
    } else {
        (fees_at_issue(programme, command.initial)?, command.provider.as_str())
    };
    let invoice = if programme.needs_invoice { command.invoice } else { 0 };
    let order = Order {
        card: command.card,
        programme: command.programme,
        kind: command.kind,
        initial: command.initial,
        fees,
        invoice,
        provider,
        profile: &command.profile,
    };
    place(case, programme, order, out)
}

/// The fixed fee and the percentage on the initial balance.
fn fees_at_issue(programme: &Programme, initial: Minor) -> Result<Vec<FeeTaken>, Reject> {
    let service = programme.issue_service.of(initial).ok_or(Reason::Overflow)?;
    let fees = [(FeeKind::Issue, programme.issue_fee), (FeeKind::Service, service)];
    let (fiat, asset) = (programme.currency, programme.currency);
    Ok(fees
        .into_iter()
        .filter(|(_, fee)| fee.is_positive())
        .map(|(kind, fee)| FeeTaken { kind, fiat, fee, asset, paid: fee })
        .collect())
}

fn place(case: &Case<'_>, programme: &Programme, order: Order<'_>, out: &mut Vec<Event>) -> Verdict {
    // All of it comes from one wallet: that of the card's currency, or that of the invoice's token.
    let payer = order.fees.first().map_or(programme.currency, |fee| fee.asset);
    let mut total = order.initial;
    for fee in &order.fees {
        total = total.plus(fee.paid).ok_or(Reason::Overflow)?;
    }
    let wallet_balance = if total.is_zero() {
        case.account.wallet(payer).map_or(Minor::ZERO, |wallet| wallet.balance)
    } else {
        pay(case.account.wallet(payer), total)?
    };
    let counter = case.state.counters.cards + 1;
    out.push(
        CardRequested {
            card: order.card,
            number: counter * u64::from(case.state.partitions()) + u64::from(case.state.partition()),
            programme: order.programme,
            kind: order.kind,
            funding: programme.funding,
            currency: programme.currency,
            initial: order.initial,
            fees: order.fees,
            invoice: order.invoice,
            provider: String::from(order.provider),
            wallet_balance,
            limits: programme.limits,
            no_pin: programme.no_pin,
            change: 1,
            deadline_ms: case.now_ms.saturating_add(case.policy.spans.issuance_ms),
            profile: order.profile.clone(),
        }
        .into(),
    );
    Ok(())
}

pub(crate) fn request_card(case: &Case<'_>, command: &RequestCard, out: &mut Vec<Event>) -> Verdict {
    new_card(case, command.card)?;
    if case.account.card_request(command.request).is_some() {
        return Err(Reason::CardExists.into());
    }
    fits(&command.profile)?;
    let programme = case.programme(command.programme)?;
    if programme.initial.is_some() || programme.needs_invoice {
        // Such a card needs more than an approval.
        return Err(Reason::ProgrammeUnknown.into());
    }
    capable(case, programme, command.kind)?;
    room(case, 1)?;
    let (request, card, kind, profile) = (command.request, command.card, command.kind, &command.profile);
    out.push(CardRequestOpened { request, card, programme: programme.code, kind, profile: profile.clone() }.into());
    if programme.requests_approved {
        out.push(CardRequestDecided { request, approved: true, reason: Sealed::NONE }.into());
        return place_requested(case, programme, card, kind, profile, out);
    }
    Ok(())
}

pub(crate) fn decide_request(case: &Case<'_>, command: &DecideCardRequest, out: &mut Vec<Event>) -> Verdict {
    if command.reason.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Reason));
    }
    let request = case.account.card_request(command.request).ok_or(Reason::CardRequestUnknown)?;
    let (approved, reason) = (command.approved, command.reason.clone());
    let decided = CardRequestDecided { request: request.id, approved, reason };
    if !approved {
        out.push(decided.into());
        return Ok(());
    }
    let programme = case.programme(request.programme)?;
    capable(case, programme, request.kind)?;
    if case.state.card_at(request.card).is_some() {
        return Err(Reason::CardExists.into());
    }
    // The request itself counts already.
    room(case, 0)?;
    out.push(decided.into());
    place_requested(case, programme, request.card, request.kind, &request.profile, out)
}

fn place_requested(
    case: &Case<'_>,
    programme: &Programme,
    card: CardId,
    kind: CardKind,
    profile: &Sealed,
    out: &mut Vec<Event>,
) -> Verdict {
    let fees = fees_at_issue(programme, Minor::ZERO)?;
    let order =
        Order { card, programme: programme.code, kind, initial: Minor::ZERO, fees, invoice: 0, provider: "", profile };
    place(case, programme, order, out)
}

fn new_card(case: &Case<'_>, card: CardId) -> Verdict {
    if card.partition() != case.state.partition() {
        return Err(Reject::field(Field::CardId));
    }
    let asked = case.account.rare.as_ref().is_some_and(|rare| rare.requests.iter().any(|request| request.card == card));
    if asked || case.state.card_at(card).is_some() { Err(Reason::CardExists.into()) } else { Ok(()) }
}

fn fits(profile: &Sealed) -> Verdict {
    if profile.0.len() > Sealed::BYTES_MAX { Err(Reject::field(Field::Profile)) } else { Ok(()) }
}

fn capable(case: &Case<'_>, programme: &Programme, kind: CardKind) -> Verdict {
    if !programme.needs_capability {
        return Ok(());
    }
    match people::capability(case.policy, case.account, kind) {
        people::Capability::Active => Ok(()),
        people::Capability::NeedsLevel(rank) => {
            Err(Reject::new(Reason::CapabilityInactive).with(Figure::Level, i64::from(rank)))
        }
        people::Capability::NeedsCapability(_) | people::Capability::NotAvailable => {
            Err(Reason::CapabilityInactive.into())
        }
    }
}

/// Whether `more` cards fit below the most a user may have.
fn room(case: &Case<'_>, more: usize) -> Verdict {
    let (limit, used) = (case.policy.cards_max, case.account.cards_counted());
    if used + more <= usize::from(limit) {
        return Ok(());
    }
    let used = i64::try_from(used).unwrap_or(i64::MAX);
    Err(Reject::new(Reason::CardLimitReached).with(Figure::Limit, i64::from(limit)).with(Figure::Used, used))
}
