//! `POST /api/v1/cards/activate`: a physical card that has come, by its last four digits and expiry.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::{Activate, Tried},
    event::Event,
    terms::expiry_of,
};

use super::{
    Answer, Mobile, answer,
    call::{Call, card_id},
    wire::Card,
};
use crate::http::{
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Failure, Fault, Problem},
};

pub(super) async fn activate(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = card_id(&fields)?;
    let last4 = fields.text("card_number_last4")?;
    let last4 = digits(&last4, 4)
        .ok_or_else(|| fields.fault("card_number_last4", Fault::Form("a string of exactly 4 digits")))?;
    let expiry = fields.text("expiry_date")?;
    let expiry = month(&expiry).ok_or_else(|| fields.fault("expiry_date", Fault::Form("MM/YY or MM/YYYY")))?;
    let key = call.key()?;
    let (row, _) = call.card(number).await?;
    let card = row.card;
    let content = Content::of(Mobile::NAME, "activate")
        .with("card", card.0)
        .with("last4", last4.to_le_bytes())
        .with("expiry", expiry.to_le_bytes());
    let command = Activate { card, tried: Some(Tried { last4, expiry }) };
    let (reply, events) = call.send(key, &content, command, None).await?;
    if !events.iter().any(|event| matches!(event, Event::CardActivated(_))) {
        // Which of the two is wrong is not said.
        let wrong = Problem::Malformed("card_number_last4 or expiry_date is not the card's".into());
        return Err(Failure::from(wrong).replayed(reply.replayed));
    }
    let at = call.see().await?;
    let card = Card::of(&call, &call.card_of(card)?)?;
    Ok(answer::written(StatusCode::OK, "Card activated successfully", card, &reply, at.position))
}

/// Exactly so many ASCII digits, as a number.
fn digits(text: &str, count: usize) -> Option<u16> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// `MM/YY`, as cards are shown and embossed, or `MM/YYYY`.
fn month(text: &str) -> Option<u16> {
    let (month, year) = text.split_once('/')?;
    let year = match year.len() {
        2 => 2_000 + digits(year, 2)?,
        _ => digits(year, 4)?,
    };
    expiry_of(year, u8::try_from(digits(month, 2)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_two_digits_and_a_year_of_two_or_four() {
        assert_eq!(month("01/30"), expiry_of(2030, 1));
        assert_eq!(month("12/2031"), expiry_of(2031, 12));
        for other in ["", "1/30", "13/30", "00/30", "01-30", "01/3", "01/203", "01/20300", "0١/30", "01/30 ", "+1/30"]
        {
            assert_eq!(month(other), None, "{other}");
        }
    }

    #[test]
    fn last_four_are_four_ascii_digits() {
        assert_eq!(digits("0042", 4), Some(42));
        for other in ["", "42", "00042", "004x", "+042", "٠٠٤٢"] {
            assert_eq!(digits(other, 4), None, "{other}");
        }
    }
}
