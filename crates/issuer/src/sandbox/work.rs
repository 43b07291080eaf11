//! What the sandbox does with a request, within one commit: count, replay, refuse or carry out.

use florin_vault::pan;
use uuid::Uuid;

use super::behaviour::{Plan, Stop};
use super::make;
use super::records::{Asked, Card, Outcome, Request};
use super::store::Tables;
use crate::{Abandoned, Answer, CardStatus, Error, Issued, Refusal};

/// How one call ended.
pub(crate) enum Reached {
    /// Before any work.
    Stopped(Stop),
    /// With a definite answer, which the behaviour may lose on its way. The card is that of a done issuance.
    Answered { answer: Answer<Option<Issued>>, lost: bool },
}

/// One call with a request id.
pub(crate) fn call(
    tables: &mut Tables<'_>,
    keys: &pan::Keys,
    now_ms: u64,
    request_id: Uuid,
    asked: Asked,
    plan: &Plan,
) -> Result<Reached, Error> {
    let mut request = tables.request(request_id)?;
    request.calls = request.calls.saturating_add(1);
    tables.put_request(request_id, &request)?;
    if let Some(stop) = plan.stop(request.calls) {
        return Ok(Reached::Stopped(stop));
    }
    let lost = plan.loses(request.calls);
    let card_id = asked.card_id();
    let answer = match &request {
        // Abandoned before it was ever seen.
        Request { asked: None, outcome: Some(Outcome::Refused(refusal)), .. } => Answer::Refused(*refusal),
        Request { asked: Some(before), .. } if *before != asked => Answer::Refused(Refusal::Conflict),
        Request { outcome: Some(outcome), .. } => to_answer(*outcome, issued(tables, &asked)?),
        Request { outcome: None, .. } => {
            let refused = match plan.refusal() {
                Some(refusal) => Some(refusal),
                None => carry_out(tables, keys, now_ms, request_id, &asked)?,
            };
            let outcome = refused.map_or(Outcome::Done, Outcome::Refused);
            let issued = issued(tables, &asked)?;
            request.asked = Some(asked);
            request.outcome = Some(outcome);
            tables.put_request(request_id, &request)?;
            to_answer(outcome, issued)
        }
    };
    tracing::debug!(%request_id, %card_id, calls = request.calls, lost, "the sandbox issuer answers");
    Ok(Reached::Answered { answer, lost })
}

/// Gives an issuance up; see [`crate::Issuer::abandon`].
pub(crate) fn abandon(
    tables: &mut Tables<'_>,
    request_id: Uuid,
    card_id: Uuid,
) -> Result<Result<Abandoned, Refusal>, Error> {
    let mut request = tables.request(request_id)?;
    if request.asked.as_ref().is_some_and(|asked| !matches!(asked, Asked::Issue { card_id: id, .. } if *id == card_id))
    {
        return Ok(Err(Refusal::Conflict));
    }
    let mut end = Abandoned::NeverMade;
    if let Some(mut card) = tables.card(card_id)?
        && card.request_id == request_id
    {
        card.status = CardStatus::Terminated;
        tables.put_card(card_id, &card)?;
        end = Abandoned::Terminated;
    }
    // What was refused before stays refused for its own reason: either way there is no card.
    if !matches!(request.outcome, Some(Outcome::Refused(_))) {
        request.outcome = Some(Outcome::Refused(Refusal::Abandoned));
    }
    tables.put_request(request_id, &request)?;
    Ok(Ok(end))
}

/// Does the work; the refusal if there is a reason for one, in which case nothing was changed.
fn carry_out(
    tables: &mut Tables<'_>,
    keys: &pan::Keys,
    now_ms: u64,
    request_id: Uuid,
    asked: &Asked,
) -> Result<Option<Refusal>, Error> {
    if let Asked::Issue { card_id, .. } = asked {
        if tables.card(*card_id)?.is_some() {
            return Ok(Some(Refusal::Conflict));
        }
        let Some(card) = make::card(tables, keys, now_ms, request_id, asked)? else {
            return Ok(Some(Refusal::Invalid));
        };
        tables.put_card(*card_id, &card)?;
        return Ok(None);
    }
    let card_id = asked.card_id();
    let Some(mut card) = tables.card(card_id)? else {
        return Ok(Some(Refusal::UnknownCard));
    };
    let refusal = change(&mut card, asked);
    if refusal.is_none() {
        tables.put_card(card_id, &card)?;
    }
    Ok(refusal)
}

/// Applies a change of status or limits to a card, or says why not.
fn change(card: &mut Card, asked: &Asked) -> Option<Refusal> {
    match asked {
        Asked::Issue { .. } => Some(Refusal::Conflict),
        Asked::Status { change, status, .. } => {
            if *change < card.status_change {
                return Some(Refusal::Stale);
            }
            if card.status == CardStatus::Terminated && *status != CardStatus::Terminated {
                return Some(Refusal::Terminated);
            }
            card.status = *status;
            card.status_change = *change;
            None
        }
        Asked::Limits { change, limits, .. } => {
            if *change < card.limits_change {
                return Some(Refusal::Stale);
            }
            if card.status == CardStatus::Terminated {
                return Some(Refusal::Terminated);
            }
            card.limits = *limits;
            card.limits_change = *change;
            None
        }
    }
}

fn issued(tables: &Tables<'_>, asked: &Asked) -> Result<Option<Issued>, Error> {
    match asked {
        Asked::Issue { card_id, .. } => Ok(tables.card(*card_id)?.map(|card| card.issued())),
        Asked::Status { .. } | Asked::Limits { .. } => Ok(None),
    }
}

fn to_answer(outcome: Outcome, issued: Option<Issued>) -> Answer<Option<Issued>> {
    match outcome {
        Outcome::Done => Answer::Done(issued),
        Outcome::Refused(refusal) => Answer::Refused(refusal),
    }
}
