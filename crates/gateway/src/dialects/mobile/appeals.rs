//! `POST /api/v1/cards/blocked-appeal` and `GET /api/v1/cards/blocked-appeal/status/{card_id}`.
//!
//! The message is sealed before it leaves this process; the workers send it on by e-mail.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::OpenAppeal,
    event::Event,
    ids::{AppealId, Kind, mint},
    terms::EmailStatus,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Mobile, answer,
    call::{Call, Param, card_id},
    wire,
};
use crate::{
    http::{
        idempotency::Content,
        json::Fields,
        problem::{Dialect, Fault, Problem},
        time::Time,
    },
    ops::requests::MESSAGE_CONTEXT,
    people,
};

/// Most characters of a message.
const MESSAGE_MAX: usize = 2_000;

/// An appeal that was just opened.
#[derive(Serialize, ToSchema)]
pub(super) struct Opened {
    /// Its numeric id.
    #[schema(value_type = i64)]
    request_id: u64,
    /// Its id.
    #[schema(format = "uuid")]
    request_uuid: String,
    /// The numeric id of the card.
    #[schema(value_type = i64)]
    card_id: u64,
    /// `open`.
    #[schema(value_type = String, example = "open")]
    status: &'static str,
    /// `queued`.
    #[schema(value_type = String, example = "queued")]
    email_status: &'static str,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

pub(super) async fn open(call: Call, body: Body) -> Answer {
    call.count_appeal()?;
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = card_id(&fields)?;
    let message = fields.text("request_message")?;
    check(&message).map_err(|fault| fields.fault("request_message", fault))?;
    let key = call.key()?;
    let (row, at) = call.card(number).await?;
    let card = row.card;
    let content = Content::of(Mobile::NAME, "blocked-appeal").with("card", card.0).with("message", message.as_bytes());
    let vault = &call.gateway.ports().vault;
    let message = people::seal(vault, call.account(), MESSAGE_CONTEXT, message.as_bytes())?;
    let appeal = AppealId(mint(call.account(), key, Kind::Appeal));
    let (reply, events) = call.send(key, &content, OpenAppeal { card, appeal, message }, None).await?;
    let opened = events.iter().find_map(|event| match event {
        Event::AppealOpened(opened) => Some(opened),
        _ => None,
    });
    let Some(opened) = opened else {
        tracing::error!("an accepted appeal opened nothing");
        return Err(Problem::Internal.into());
    };
    let data = Opened {
        request_id: opened.number,
        request_uuid: opened.appeal.to_string(),
        card_id: number,
        status: florin_projector::Decision::Open.word(),
        email_status: email_word(EmailStatus::Queued),
        created_at: Time(reply.time_ms),
    };
    let said = "Blocked card appeal submitted successfully";
    Ok(answer::written(StatusCode::OK, said, data, &reply, at.position))
}

/// Whether a message can be sent: 1–2,000 characters, lines and tabs but no other control characters.
fn check(message: &str) -> Result<(), Fault> {
    // Counting stops at the bound, so that a long text costs no more than a short one.
    match message.chars().take(MESSAGE_MAX + 1).count() {
        0 => Err(Fault::TooShort(1)),
        count if count > MESSAGE_MAX => Err(Fault::TooLong(MESSAGE_MAX)),
        _ if message.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) => {
            Err(Fault::ControlCharacters)
        }
        _ => Ok(()),
    }
}

/// Where a card's latest appeal stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Standing {
    /// Whether there ever was one.
    has_appeal_request: bool,
    /// The card's status.
    #[schema(value_type = String, example = "BLOCKED")]
    card_status: &'static str,
    /// Its numeric id; null with all that follows where there is none.
    #[schema(required, value_type = Option<i64>)]
    request_id: Option<u64>,
    /// Its id.
    #[schema(required, format = "uuid")]
    request_uuid: Option<String>,
    /// `open`, `approved` or `rejected`.
    #[schema(required, value_type = Option<String>, example = "open")]
    status: Option<&'static str>,
    /// `queued`, `sent` or `failed`.
    #[schema(required, value_type = Option<String>, example = "sent")]
    email_status: Option<&'static str>,
}

pub(super) async fn status(call: Call, id: Param) -> Answer {
    let number = id.number("card_id")?;
    call.known()?;
    let (row, at) = call.card(number).await?;
    let appeal = call.gateway.ports().views.latest_appeal(row.card);
    let appeal = appeal.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    let data = Standing {
        has_appeal_request: appeal.is_some(),
        card_status: wire::status(&row),
        request_id: appeal.as_ref().map(|appeal| appeal.number),
        request_uuid: appeal.as_ref().map(|appeal| appeal.appeal.to_string()),
        status: appeal.as_ref().map(|appeal| appeal.decision.word()),
        email_status: appeal.as_ref().map(|appeal| email_word(appeal.email)),
    };
    Ok(answer::read("Blocked card appeal status retrieved successfully", data, at))
}

const fn email_word(status: EmailStatus) -> &'static str {
    match status {
        EmailStatus::Queued => "queued",
        EmailStatus::Sent => "sent",
        EmailStatus::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_1_to_2000_characters_of_any_script() {
        for message in ["x", "line\r\nline\tend", &"𝒳".repeat(2_000)] {
            assert_eq!(check(message), Ok(()));
        }
        assert_eq!(check(""), Err(Fault::TooShort(1)));
        assert_eq!(check(&"𝒳".repeat(2_001)), Err(Fault::TooLong(2_000)));
        for message in ["a\0b", "a\u{1b}[31m", "\u{7f}", "\u{85}"] {
            assert_eq!(check(message), Err(Fault::ControlCharacters));
        }
    }
}
