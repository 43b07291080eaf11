//! `GET /users/{userId}/cards/{cardId}`: a card with its number, expiry and CVV, asked of the issuer at this moment.
//!
//! The reveal is an entry of the journal before anything is revealed. Where there is nothing to reveal (not made yet, not
//! activated, closed, expired) the three are null, and nothing is recorded.

use axum::http::{HeaderValue, StatusCode, header};
use florin_engine::terms::{RevealKind, Status};
use florin_issuer::{Reveal, Revealed};
use secrecy::ExposeSecret;

use super::{Answer, Dashboard, call::Call, wire::Card};
use crate::http::{
    plain::json,
    position::AS_OF,
    problem::{Dialect, Problem},
};

pub(super) async fn details(call: Call) -> Answer {
    let at = call.see().await?;
    let row = call.card_row()?;
    let mut card = Card::of(&row, call.card_name(&row)?, call.decimals(row.currency));
    (card.card_number, card.expiry_date, card.cvv) = (None, None, None);
    if matches!(row.status, Status::Active | Status::Frozen | Status::Blocked) && row.activated {
        reveal(&call, &mut card).await?;
    }
    let mut response = json(StatusCode::OK, &card);
    let headers = response.headers_mut();
    headers.insert(AS_OF, at.header());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn reveal(call: &Call, card: &mut Card) -> Result<(), Problem> {
    let (gateway, id) = (&call.gateway, call.card()?);
    let kind = RevealKind::Details;
    gateway.record_reveal(Dashboard::NAME, call.sender, id, kind, call.address).await?;
    let issuer = &gateway.ports().issuer;
    let (details, cvv) = tokio::try_join!(
        gateway.ask_issuer(issuer.reveal(id.uuid(), Reveal::Details)),
        gateway.ask_issuer(issuer.reveal(id.uuid(), Reveal::Cvv)),
    )?;
    if let Some(Revealed::Details { number, expiry }) = details {
        card.card_number = Some(number.expose_secret().to_owned());
        card.expiry_date = Some(format!("{:02}/{:02}", expiry.month, expiry.year % 100));
    }
    if let Some(Revealed::Cvv(cvv)) = cvv {
        card.cvv = Some(cvv.expose_secret().to_owned());
    }
    Ok(())
}
