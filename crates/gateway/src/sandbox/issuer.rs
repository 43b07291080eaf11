//! The sandbox issuer from outside: how it behaves, and which cards it has.

use std::sync::Arc;

use axum::body::Body;
use florin_issuer::{
    CardStatus, Kind, Sandbox,
    sandbox::{Behaviour, BehaviourError, BehaviourUpdate, CardView},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{
        json::Fields,
        problem::{Fault, Problem},
    },
    ops::{
        call::{Answer, Call, Params, shown},
        desk::uuid,
        failure::Failure,
    },
};

/// A card as the issuer has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerCard {
    /// Our id.
    pub card_id: String,
    /// The issuer's id.
    pub issuer_card_id: String,
    /// The request that made it.
    pub request_id: String,
    /// Calls that came with that request, failed ones included.
    pub calls: u32,
    /// How often it was made: 1.
    pub times_issued: u32,
    /// `virtual` or `physical`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// `not_activated`, `active`, `frozen`, `blocked` or `terminated`.
    #[schema(value_type = String)]
    pub status: CardStatus,
    /// The last change number accepted for the status.
    pub status_change: u32,
    /// Limits in minor units; absent: none.
    #[schema(value_type = Object)]
    pub limits: florin_issuer::Limits,
    /// The last change number accepted for the limits.
    pub limits_change: u32,
    /// Last four digits: with the expiry what activates a physical card.
    pub last4: String,
    /// Expiry, `MM/YYYY`.
    pub expiry: String,
}

/// Cards at the issuer.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerCards {
    /// In the order of our ids.
    pub cards: Vec<IssuerCard>,
}

/// Whether a one-time code was good.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodeUsed {
    /// True once, for the latest code in time.
    pub good: bool,
}

impl IssuerCard {
    fn of(card: &CardView, calls: u32) -> Self {
        let expiry = card.issued.expiry;
        Self {
            card_id: card.card_id.to_string(),
            issuer_card_id: card.issued.issuer_card_id.clone(),
            request_id: card.request_id.to_string(),
            calls,
            times_issued: card.times_issued,
            kind: card.kind,
            status: card.status,
            status_change: card.status_change,
            limits: card.limits,
            limits_change: card.limits_change,
            last4: format!("{:04}", card.issued.last4),
            expiry: format!("{:02}/{:04}", expiry.month, expiry.year),
        }
    }
}

fn sandbox(call: &Call) -> Result<&Arc<Sandbox>, Failure> {
    let sandbox = call.desk.ports().sandbox.as_ref();
    sandbox.ok_or(Failure::not_here("The issuer is not the sandbox."))
}

fn failed(error: &florin_issuer::Error) -> Failure {
    Problem::internal("the sandbox failed", error).into()
}

/// How the issuer behaves.
#[utoipa::path(get, path = "/issuer", tag = "issuer",
    responses((status = 200, description = "How it behaves.", body = Object), crate::ops::openapi::ReadErrors))]
pub(super) async fn behaviour(call: Call) -> Answer {
    Ok(shown(&sandbox(&call)?.behaviour()))
}

/// Changes how the issuer behaves, from the next call on; absent fields stay, a restart forgets.
#[utoipa::path(put, path = "/issuer", tag = "issuer", request_body = super::openapi::Behaving,
    responses((status = 200, description = "How it behaves.", body = Object), crate::ops::openapi::WriteErrors))]
pub(super) async fn behave(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    // First as fields, so that what is no object is told as everywhere.
    Fields::parse(&body)?;
    let mut input = serde_json::Deserializer::from_slice(&body);
    let update: BehaviourUpdate = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let field = error.path().to_string();
        Problem::field(field, Fault::Form("of the type and form that README.md tells"))
    })?;
    let behaviour: Behaviour = sandbox(&call)?.update_behaviour(update).map_err(|error| match error {
        BehaviourError::FailureRate => Problem::field("failure_rate", Fault::Form("from 0 to 1")),
        BehaviourError::Latency => Problem::field("latency_ms", Fault::Form("at most 60000")),
    })?;
    Ok(shown(&behaviour))
}

/// The cards at the issuer.
#[utoipa::path(get, path = "/issuer/cards", tag = "issuer",
    responses((status = 200, description = "The cards.", body = IssuerCards), crate::ops::openapi::ReadErrors))]
pub(super) async fn cards(call: Call) -> Answer {
    let sandbox = sandbox(&call)?;
    let mut cards = Vec::new();
    for card in sandbox.cards().await.map_err(|error| failed(&error))? {
        let calls = sandbox.calls(card.request_id).await;
        cards.push(IssuerCard::of(&card, calls.map_err(|error| failed(&error))?));
    }
    Ok(shown(&IssuerCards { cards }))
}

/// A card at the issuer, by our id.
#[utoipa::path(get, path = "/issuer/cards/{cardId}", tag = "issuer", params(crate::ops::openapi::OfCard),
    responses((status = 200, description = "The card.", body = IssuerCard), crate::ops::openapi::ReadErrors))]
pub(super) async fn card(call: Call, Params(id): Params<String>) -> Answer {
    let sandbox = sandbox(&call)?;
    let card = sandbox.card(uuid(&id)?).await;
    let card = card.map_err(|error| failed(&error))?.ok_or(Problem::NotFound)?;
    let calls = sandbox.calls(card.request_id).await;
    let calls = calls.map_err(|error| failed(&error))?;
    Ok(shown(&IssuerCard::of(&card, calls)))
}

/// Pays with a one-time code, as a shop would: good once, and only the latest.
#[utoipa::path(post, path = "/issuer/cards/{cardId}/use-code", tag = "issuer", params(crate::ops::openapi::OfCard),
    request_body = super::openapi::Code, responses((status = 200, description = "Whether it was good.", body = CodeUsed), crate::ops::openapi::WriteErrors))]
pub(super) async fn use_code(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let code = body.text("code")?;
    let used = sandbox(&call)?.use_code(uuid(&id)?, &code).await;
    Ok(shown(&CodeUsed { good: used.map_err(|error| failed(&error))? }))
}
