//! `POST /api/v1/card-requests` and `GET /api/v1/card-requests/{id}`: the approval that the document starts from.
//!
//! A request is approved by ops or, where the policy says so, at once. Open ones count towards the most cards a user may
//! have; the engine checks it when the request is made and again when it is approved.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::RequestCard,
    event::Event,
    ids::{CardId, CardRequestId, Kind, mint},
    policy::ProgrammeCode,
};
use florin_projector::{CardRequestRow, Decision};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Mobile, answer,
    call::{Call, Param},
    wire,
};
use crate::{
    http::{
        idempotency::Content,
        json::{Fields, check_line},
        problem::{Dialect, Problem},
        time::Time,
    },
    people,
};

/// Most characters of a card's name.
const NAME_MAX: usize = 50;

/// A request for a card.
#[derive(Serialize, ToSchema)]
pub(super) struct CardRequest {
    /// Its id.
    #[schema(format = "uuid")]
    request_id: String,
    /// `VIRTUAL` or `PHYSICAL`.
    #[schema(value_type = String, example = "VIRTUAL")]
    card_type: &'static str,
    /// The name of the card; empty: none.
    card_name: String,
    /// `open`, `approved` or `rejected`.
    #[schema(value_type = String, example = "open")]
    status: &'static str,
    /// The card it became; null until it is approved.
    #[schema(required, format = "uuid")]
    card_uuid: Option<String>,
    /// The card's numeric id; null until it is approved.
    #[schema(required, value_type = Option<i64>)]
    card_id: Option<u64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When it was decided; null before.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
}

pub(super) async fn open(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let word = fields.text("card_type")?;
    let kind = wire::kind_of(&word).ok_or_else(|| wire::no_card_type("card_type"))?;
    let name = fields.text_if("card_name")?;
    if let Some(name) = &name {
        check_line(name, 1, NAME_MAX).map_err(|fault| fields.fault("card_name", fault))?;
    }
    let card_name = name.map(std::borrow::Cow::into_owned);
    let key = call.key()?;
    let request = CardRequestId(mint(call.account(), key, Kind::CardRequest));
    let card = CardId(mint(call.account(), key, Kind::Card));
    let content = Content::of(Mobile::NAME, "card-request")
        .with("type", word.as_bytes())
        .with("name", card_name.as_deref().unwrap_or_default());
    let profile = florin_issuer::Profile { card_name: card_name.clone(), ..florin_issuer::Profile::default() };
    let profile =
        serde_json::to_vec(&profile).map_err(|error| Problem::internal("a profile cannot be written", &error))?;
    let vault = &call.gateway.ports().vault;
    let profile = people::seal(vault, call.account(), florin_issuer::PROFILE_CONTEXT, &profile)?;
    let command = RequestCard { request, card, programme: ProgrammeCode::Mobile, kind, profile };
    let (reply, events) = call.send(key, &content, command, None).await?;
    let number = events.iter().find_map(|event| match event {
        Event::CardRequested(requested) => Some(requested.number),
        _ => None,
    });
    let (status, message) = match number {
        Some(_) => (Decision::Approved, "Card request approved"),
        None => (Decision::Open, "Card request submitted successfully"),
    };
    let data = CardRequest {
        request_id: request.to_string(),
        card_type: wire::kind(kind),
        card_name: card_name.unwrap_or_default(),
        status: status.word(),
        card_uuid: number.map(|_| card.to_string()),
        card_id: number,
        created_at: Time(reply.time_ms),
        decided_at: number.map(|_| Time(reply.time_ms)),
    };
    Ok(answer::written(StatusCode::CREATED, message, data, &reply, reply.position))
}

pub(super) async fn card_request(call: Call, id: Param) -> Answer {
    let id = id.uuid("id")?.into();
    let at = call.see().await?;
    let views = &call.gateway.ports().views;
    let unreadable = |error: florin_projector::Error| Problem::internal("the views cannot be read", &error);
    let row = views.card_request(id).map_err(unreadable)?;
    let row: CardRequestRow = row.filter(|row| row.account == call.account()).ok_or(Problem::NotFound)?;
    let approved = row.decision == Decision::Approved;
    let card = if approved { call.gateway.card_of(call.account(), row.card)? } else { None };
    let data = CardRequest {
        request_id: row.request.to_string(),
        card_type: wire::kind(row.kind),
        card_name: call.profile(&row.profile)?.card_name.unwrap_or_default(),
        status: row.decision.word(),
        card_uuid: approved.then(|| row.card.to_string()),
        card_id: card.map(|card| card.number),
        created_at: Time(row.opened_ms),
        decided_at: row.decided_ms.map(Time),
    };
    Ok(answer::read("Card request retrieved successfully", data, at))
}
