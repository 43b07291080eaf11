//! `PUT /api/v1/cards/{cardId}/activate`: with what is printed on the plastic, so that only whoever holds it can.

use axum::body::Body;
use florin_engine::{
    command::{Activate, Tried},
    event::Event,
};

use super::{
    Answer, Baas,
    call::Call,
    change::in_words,
    error::{Failure, Told},
    pattern::{self, LAST4, required},
};
use crate::http::{
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Fault},
};

pub(super) async fn activate(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let last4 = required(&fields, "card_number_last4", &LAST4)?;
    let expiry = pattern::expiry(&fields.text("expiry_date")?);
    let expiry = expiry.ok_or_else(|| fields.fault("expiry_date", Fault::Form("MM/YYYY")))?;
    let tried = Tried { last4: last4.parse().unwrap_or(0), expiry };
    let key = call.key()?;
    let card = call.card()?;
    let content = Content::of(Baas::NAME, "activate")
        .with("card", card.0)
        .with("last4", tried.last4.to_le_bytes())
        .with("expiry", tried.expiry.to_le_bytes());
    let command = Activate { card, tried: Some(tried) };
    let sent = call.send(key, &content, command.into()).await;
    let sent = sent.map_err(|failure| in_words(&call, card, failure))?;
    if sent.events.iter().any(|event| matches!(event, Event::CardActivated(_))) {
        return Ok(sent.empty());
    }
    Err(Failure::from(Told::mismatch()).replayed(sent.reply.replayed))
}
