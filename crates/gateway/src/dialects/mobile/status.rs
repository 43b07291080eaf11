//! `POST /api/v1/cards/update-status`: freeze, thaw or cancel. Answered once it is durable; the issuer does it afterwards.

use axum::{body::Body, http::StatusCode};
use florin_engine::{command::ChangeStatus, money::Sealed, terms::Change};

use super::{
    Answer, Mobile, answer,
    call::{Call, card_id},
    wire::Card,
};
use crate::http::{
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Fault},
};

/// What the document's handler says whatever was asked; `legacy_messages` brings it back.
const LEGACY: &str = "Card successfully frozen";

pub(super) async fn update(call: Call, body: Body) -> Answer {
    call.count_status_change()?;
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = card_id(&fields)?;
    let word = fields.text("card_status")?;
    let Some((change, message)) = asked(&word) else {
        return Err(fields.fault("card_status", Fault::Form("ACTIVE, FROZEN or CANCELLED")).into());
    };
    let key = call.key()?;
    let (row, at) = call.card(number).await?;
    let card = row.card;
    let content = Content::of(Mobile::NAME, "update-status").with("card", card.0).with("status", word.as_bytes());
    let command = ChangeStatus { card, change, reason: Sealed::NONE };
    let (reply, _) = call.send(key, &content, command, None).await?;
    let legacy = call.gateway.settings().mobile.legacy_messages;
    let message = if legacy { LEGACY } else { message };
    let card = Card::of(&call, &row)?.processing(reply.time_ms);
    Ok(answer::written(StatusCode::OK, message, card, &reply, at.position))
}

/// The change that brings a card to a status, and what is said of it.
fn asked(word: &str) -> Option<(Change, &'static str)> {
    Some(match word {
        "ACTIVE" => (Change::Thaw, "Card re-activation requested"),
        "FROZEN" => (Change::Freeze, "Card freeze requested"),
        "CANCELLED" => (Change::Cancel, "Card cancellation requested"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documents_three_words_are_statuses_to_ask_for() {
        for word in ["ACTIVE", "FROZEN", "CANCELLED"] {
            assert!(asked(word).is_some(), "{word}");
        }
        for word in ["", "active", "Frozen", " FROZEN", "BLOCKED", "PROCESSING", "PRE_CANCEL"] {
            assert!(asked(word).is_none(), "{word}");
        }
    }
}
