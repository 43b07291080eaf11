//! Card requests and appeals: what waits for a decision, and deciding it.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    codec::Outcome,
    command::{DecideAppeal, DecideCardRequest},
    reject::Reason,
    terms::EmailStatus,
};
use florin_projector::{AppealRow, CardRequestRow, Decision};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    call::{Answer, Asked, Call, Params, shown, written},
    cards::kind_word,
    desk::{self, accepted},
    failure::Failure,
};
use crate::http::{idempotency::Content, json::Fields, problem::Problem, time::Time};

/// The vault's context of an appeal's message.
pub const MESSAGE_CONTEXT: &str = "appeal-message";

/// Most rows of a list.
const ROWS_MAX: usize = 1_000;

/// Which of them.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    status: Option<String>,
}

impl Which {
    fn decision(&self) -> Result<Decision, Failure> {
        match self.status.as_deref() {
            None | Some("open") => Ok(Decision::Open),
            Some("approved") => Ok(Decision::Approved),
            Some("rejected") => Ok(Decision::Rejected),
            Some(_) => Err(Failure::parameter("status", "open, approved or rejected")),
        }
    }
}

/// A request for a card.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardRequestShown {
    /// Its id.
    pub request_id: String,
    /// The card it becomes.
    pub card_id: String,
    /// Whose.
    pub account: String,
    /// `virtual` or `physical`.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// `open`, `approved` or `rejected`.
    #[schema(value_type = String)]
    pub status: &'static str,
    /// Why it was so decided; null before, and once the person is erased.
    pub reason: Option<String>,
    /// When it was opened.
    #[schema(value_type = String)]
    pub opened_at: Time,
    /// When it was decided.
    #[schema(value_type = Option<String>)]
    pub decided_at: Option<Time>,
}

/// Card requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardRequestList {
    /// At most 1,000.
    pub card_requests: Vec<CardRequestShown>,
}

/// An appeal against a block.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealShown {
    /// Its id.
    pub appeal_id: String,
    /// Its numeric id.
    pub number: u64,
    /// Against the block of which card.
    pub card_id: String,
    /// Whose.
    pub account: String,
    /// `open`, `approved` or `rejected`.
    #[schema(value_type = String)]
    pub status: &'static str,
    /// What the user says; null once the person is erased.
    pub message: Option<String>,
    /// Why it was so decided.
    pub reason: Option<String>,
    /// `queued`, `sent` or `failed`.
    #[schema(value_type = String)]
    pub email_status: &'static str,
    /// When it was opened.
    #[schema(value_type = String)]
    pub opened_at: Time,
    /// When it was decided.
    #[schema(value_type = Option<String>)]
    pub decided_at: Option<Time>,
}

/// Appeals, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealList {
    /// At most 1,000.
    pub appeals: Vec<AppealShown>,
}

/// Card requests of a status (default open), newest first.
#[utoipa::path(get, path = "/card-requests", tag = "requests", params(super::openapi::OfStatus),
    responses((status = 200, description = "The list.", body = CardRequestList), super::openapi::ReadErrors))]
pub(super) async fn card_requests(call: Call, Asked(which): Asked<Which>) -> Answer {
    let rows = call.desk.ports().views.card_requests(which.decision()?, ROWS_MAX);
    let rows = rows.map_err(|error| Failure::views(&error))?;
    let card_requests = rows.iter().map(|row| card_request(&call, row));
    Ok(shown(&CardRequestList { card_requests: card_requests.collect::<Result<_, _>>()? }))
}

/// Appeals of a status (default open), newest first.
#[utoipa::path(get, path = "/appeals", tag = "requests", params(super::openapi::OfStatus),
    responses((status = 200, description = "The list.", body = AppealList), super::openapi::ReadErrors))]
pub(super) async fn appeals(call: Call, Asked(which): Asked<Which>) -> Answer {
    let rows = call.desk.ports().views.appeals(which.decision()?, ROWS_MAX);
    let rows = rows.map_err(|error| Failure::views(&error))?;
    let appeals = rows.iter().map(|row| appeal(&call, row));
    Ok(shown(&AppealList { appeals: appeals.collect::<Result<_, _>>()? }))
}

/// Approves or rejects a card request.
#[utoipa::path(post, path = "/card-requests/{id}/{decision}", tag = "requests", params(super::openapi::OfDecision),
    request_body = super::openapi::Reason, responses((status = 200, description = "It, as decided.", body = CardRequestShown), super::openapi::WriteErrors))]
pub(super) async fn decide_card_request(
    call: Call,
    Params((id, decision)): Params<(String, String)>,
    body: Body,
) -> Answer {
    let approved = approves(&decision)?;
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let CardRequestRow { request, account, .. } = call.desk.card_request(&id).await?;
    let (reason, text) = call.reason(account, &body)?;
    let content = Content::of(call.desk.api, "card_request")
        .with("request", request.0)
        .with("approved", [u8::from(approved)])
        .with("reason", text);
    let command = DecideCardRequest { request, approved, reason };
    let reply = call.send(account, &content, command).await?;
    decided(&reply.outcome)?;
    Ok(written(StatusCode::OK, &reply, &card_request(&call, &call.desk.card_request(&id).await?)?))
}

/// Approves or rejects an appeal. Approved, the card returns to what it was, once the issuer has done so.
#[utoipa::path(post, path = "/appeals/{id}/{decision}", tag = "requests", params(super::openapi::OfDecision),
    request_body = super::openapi::Reason, responses((status = 200, description = "It, as decided.", body = AppealShown), super::openapi::WriteErrors))]
pub(super) async fn decide_appeal(call: Call, Params((id, decision)): Params<(String, String)>, body: Body) -> Answer {
    let granted = approves(&decision)?;
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let AppealRow { appeal: of, account, .. } = call.desk.appeal(&id).await?;
    let (reason, text) = call.reason(account, &body)?;
    let content = Content::of(call.desk.api, "appeal")
        .with("appeal", of.0)
        .with("granted", [u8::from(granted)])
        .with("reason", text);
    let command = DecideAppeal { appeal: of, granted, reason };
    let reply = call.send(account, &content, command).await?;
    decided(&reply.outcome)?;
    Ok(written(StatusCode::OK, &reply, &appeal(&call, &call.desk.appeal(&id).await?)?))
}

/// Whether the decision was taken. The ledger knows open ones only: what the views have shown and it does not know is
/// decided already.
fn decided(outcome: &Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Rejected(reject) if matches!(reject.reason, Reason::AppealUnknown | Reason::CardRequestUnknown) => {
            Err(Failure::conflict("already_decided", "It was approved or rejected before."))
        }
        outcome => accepted(outcome, None, 2).map(drop),
    }
}

fn approves(decision: &str) -> Result<bool, Failure> {
    match decision {
        "approve" => Ok(true),
        "reject" => Ok(false),
        _ => Err(Problem::NotFound.into()),
    }
}

fn card_request(call: &Call, row: &CardRequestRow) -> Result<CardRequestShown, Failure> {
    Ok(CardRequestShown {
        request_id: row.request.to_string(),
        card_id: row.card.to_string(),
        account: row.account.to_string(),
        kind: kind_word(row.kind),
        status: row.decision.word(),
        reason: call.desk.open(row.account, desk::REASON_CONTEXT, &row.reason)?,
        opened_at: Time(row.opened_ms),
        decided_at: row.decided_ms.map(Time),
    })
}

fn appeal(call: &Call, row: &AppealRow) -> Result<AppealShown, Failure> {
    Ok(AppealShown {
        appeal_id: row.appeal.to_string(),
        number: row.number,
        card_id: row.card.to_string(),
        account: row.account.to_string(),
        status: row.decision.word(),
        message: call.desk.open(row.account, MESSAGE_CONTEXT, &row.message)?,
        reason: call.desk.open(row.account, desk::REASON_CONTEXT, &row.reason)?,
        email_status: match row.email {
            EmailStatus::Queued => "queued",
            EmailStatus::Sent => "sent",
            EmailStatus::Failed => "failed",
        },
        opened_at: Time(row.opened_ms),
        decided_at: row.decided_ms.map(Time),
    })
}
