//! Changes that settle at the issuer: block, unblock, close, limit. The engine says what is allowed; what the issuer refuses
//! while the call waits is told.

use axum::body::Body;
use florin_engine::{
    command::{ChangeLimits, ChangeStatus, Command},
    ids::CardId,
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    reject::Reason,
    terms::{Change, Status},
};

use super::{
    Answer, Baas,
    call::{Call, Sent},
    error::{Failure, Told},
    item::{decimals, shown},
};
use crate::http::{
    amount,
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Fault, Problem},
};

/// `PUT /api/v1/cards/{cardId}/block`.
pub(super) async fn block(call: Call, body: Body) -> Answer {
    status(call, body, Change::Freeze, "block").await
}

/// `PUT /api/v1/cards/{cardId}/unblock`.
pub(super) async fn unblock(call: Call, body: Body) -> Answer {
    status(call, body, Change::Thaw, "unblock").await
}

/// `PUT /api/v1/cards/{cardId}/close`.
pub(super) async fn close(call: Call, body: Body) -> Answer {
    status(call, body, Change::Cancel, "close").await
}

async fn status(call: Call, body: Body, change: Change, route: &'static str) -> Answer {
    call.no_body(body).await?;
    let key = call.key()?;
    let card = call.card()?;
    let content = Content::of(Baas::NAME, route).with("card", card.0);
    let command: Command = ChangeStatus { card, change, reason: Sealed::NONE }.into();
    let sent = call.send(key, &content, command).await;
    let sent = sent.map_err(|failure| in_words(&call, card, failure))?;
    settled(
        &call,
        card,
        sent,
        match change {
            Change::Freeze => "Failed to block card",
            Change::Thaw => "Failed to unblock card",
            _ => "Failed to close card",
        },
    )
    .await
}

/// `PUT /api/v1/cards/{cardId}/limit`.
pub(super) async fn limit(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let policy = call.policy()?;
    let places = decimals(&policy, super::call::programme(&policy)?.currency);
    let field = |name| limit_of(&fields, name, places);
    let update = LimitsUpdate {
        transaction: field("transaction_limit")?,
        daily: field("daily_limit")?,
        monthly: field("monthly_limit")?,
        lifetime: field("lifetime_limit")?,
    };
    let key = call.key()?;
    let card = call.card()?;
    let mut content = Content::of(Baas::NAME, "limit").with("card", card.0);
    for (name, limit) in [
        ("transaction", update.transaction),
        ("daily", update.daily),
        ("monthly", update.monthly),
        ("lifetime", update.lifetime),
    ] {
        content = match limit {
            None => content,
            Some(None) => content.with(name, "null"),
            Some(Some(limit)) => content.amount(name, limit),
        };
    }
    let sent = match call.send(key, &content, ChangeLimits { card, update }.into()).await {
        Ok(sent) => sent,
        // The limits are as asked for already.
        Err(failure) if failure.reason() == Some(Reason::NothingToChange) => {
            return Ok(unchanged(failure.is_replayed()));
        }
        Err(failure) => return Err(in_words(&call, card, failure)),
    };
    settled(&call, card, sent, "Failed to set card limit").await
}

/// Absent leaves a limit, null clears it, a number sets it.
#[expect(clippy::option_option, reason = "as the engine's update has it")]
fn limit_of(fields: &Fields<'_>, name: &'static str, places: u8) -> Result<Option<Option<Minor>>, Problem> {
    match fields.raw(name)? {
        None => Ok(None),
        Some("null") => Ok(Some(None)),
        Some(raw) => {
            let limit = amount::parse(raw, places).map_err(|error| fields.fault(name, Fault::Amount(error)))?;
            Ok(Some(Some(limit)))
        }
    }
}

fn unchanged(replayed: bool) -> axum::response::Response {
    use crate::http::idempotency::{REPLAYED, REPLAYED_YES};

    let mut response = axum::response::Response::new(Body::empty());
    if replayed {
        response.headers_mut().insert(REPLAYED, REPLAYED_YES);
    }
    response
}

/// Waits for the issuer and answers; not settled in time is accepted, and what it is.
async fn settled(call: &Call, card: CardId, sent: Sent, failed: &'static str) -> Answer {
    let row = call.watch(card, &sent, |row| row.pending.is_none()).await?;
    if row.is_some_and(|row| row.refusal.is_some()) && was_refused(call, card, &sent)? {
        return Err(Failure::from(Told::failed(failed)).replayed(sent.reply.replayed));
    }
    Ok(sent.empty())
}

/// Whether what ended this very change was a refusal; a later one may have been asked for and refused since.
fn was_refused(call: &Call, card: CardId, sent: &Sent) -> Result<bool, Problem> {
    const ENDS: [&str; 6] = [
        "ChangeRefused",
        "ChangeLapsed",
        "StatusChanged",
        "LimitsChanged",
        "StatusChangeRequested",
        "LimitsChangeRequested",
    ];
    let steps = call.gateway.ports().views.history(card);
    let steps = steps.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    let end = steps.iter().find(|step| step.position > sent.reply.position && ENDS.contains(&step.event.as_str()));
    Ok(end.is_some_and(|end| end.event == ENDS[0]))
}

/// A reject of an action, with the shown status where the engine does not say it.
pub(super) fn in_words(call: &Call, card: CardId, failure: Failure) -> Failure {
    failure.or_told(|reason| match reason {
        Reason::ChangePending | Reason::NothingToChange => {
            let row = call.gateway.card_of(call.account(), card).ok().flatten();
            Some(Told::status(row.map_or(shown(Status::Blocked), |row| shown(row.status))))
        }
        _ => None,
    })
}
