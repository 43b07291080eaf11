//! `POST /api/v1/cards/transaction-limit`, done by the issuer afterwards, and `POST /api/v1/cards/no-pin-payment`, done at once.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::{ChangeLimits, SetNoPinAmount},
    event::Event,
    limits::LimitsUpdate,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Mobile, answer,
    call::{CENTS, Call, card_id},
    wire::Card,
};
use crate::http::{amount::Money, idempotency::Content, json::Fields, problem::Dialect};

const LIMIT: &str = "limit_per_transaction";
const NO_PIN: &str = "no_pin_payment_amount";
const NO_PIN_SET: &str = "No-PIN payment amount updated successfully";

pub(super) async fn per_transaction(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = card_id(&fields)?;
    fields.amount(LIMIT, CENTS)?;
    let key = call.key()?;
    let (row, at) = call.card(number).await?;
    let decimals = call.decimals(row.currency);
    let limit = fields.amount(LIMIT, decimals)?;
    let content = Content::of(Mobile::NAME, "transaction-limit").with("card", row.card.0).amount("limit", limit);
    let update = LimitsUpdate { transaction: Some(Some(limit)), ..LimitsUpdate::default() };
    let command = ChangeLimits { card: row.card, update };
    let (reply, events) = call.send(key, &content, command, Some(LIMIT)).await?;
    let mut card = Card::of(&call, &row)?.processing(reply.time_ms);
    // What binds until it is done: the lower of both.
    let binding = events.iter().find_map(|event| match event {
        Event::LimitsChangeRequested(requested) => requested.binding.transaction,
        _ => None,
    });
    card.limit_per_transaction = binding.map(|minor| Money::new(minor, decimals));
    let message = "Transaction limit update requested";
    Ok(answer::written(StatusCode::OK, message, card, &reply, at.position))
}

/// What a message-only answer has.
#[derive(Serialize, ToSchema)]
pub(super) struct Said {
    /// The sentence.
    #[schema(value_type = String)]
    message: &'static str,
}

pub(super) async fn no_pin(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = card_id(&fields)?;
    fields.amount(NO_PIN, CENTS)?;
    let key = call.key()?;
    let (row, at) = call.card(number).await?;
    let amount = fields.amount(NO_PIN, call.decimals(row.currency))?;
    let content = Content::of(Mobile::NAME, "no-pin-payment").with("card", row.card.0).amount("amount", amount);
    let command = SetNoPinAmount { card: row.card, amount };
    let (reply, _) = call.send(key, &content, command, Some(NO_PIN)).await?;
    let said = Said { message: NO_PIN_SET };
    Ok(answer::written(StatusCode::OK, NO_PIN_SET, said, &reply, at.position))
}
