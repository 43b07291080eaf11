//! `POST /api/v1/cards/show-cvv`: a card's secrets, asked of the issuer at this moment.
//!
//! The reveal is an entry of the journal before anything is revealed; nothing revealed is kept, so an idempotency key has no
//! meaning here.

use axum::body::Body;
use florin_engine::{
    reject::{Figure, Reason, Reject},
    terms::{RevealKind, Status},
};
use florin_issuer::{Reveal, Revealed};
use florin_projector::CardRow;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Mobile, answer,
    call::{CENTS, Call, card_id},
};
use crate::http::{
    json::Fields,
    problem::{Dialect, Problem},
};

/// A card's secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct Secrets {
    /// 16 digits.
    #[schema(example = "4111111111111111")]
    card_number: String,
    /// `MM/YY`.
    #[schema(example = "11/29")]
    expiry_date: String,
    /// The three digits on the back.
    #[schema(example = "123")]
    cvv: String,
}

pub(super) async fn cvv(call: Call, body: Body) -> Answer {
    let row = card(&call, body).await?;
    let gateway = &call.gateway;
    gateway.record_reveal(Mobile::NAME, call.sender, row.card, RevealKind::Cvv, call.address).await?;
    let issuer = &gateway.ports().issuer;
    let revealed = tokio::try_join!(
        gateway.ask_issuer(issuer.reveal(row.card.uuid(), Reveal::Details)),
        gateway.ask_issuer(issuer.reveal(row.card.uuid(), Reveal::Cvv)),
    )?;
    let (Some(Revealed::Details { number, expiry }), Some(Revealed::Cvv(cvv))) = revealed else {
        return Err(not_now(&row).into());
    };
    let data = Secrets {
        card_number: number.expose_secret().to_owned(),
        expiry_date: format!("{:02}/{:02}", expiry.month, expiry.year % 100),
        cvv: cvv.expose_secret().to_owned(),
    };
    Ok(answer::revealed("CVV retrieved successfully", data))
}

/// The user's card of the body.
pub(super) async fn card(call: &Call, body: Body) -> Result<CardRow, Problem> {
    let body = call.body(body).await?;
    let number = card_id(&Fields::parse(&body)?)?;
    Ok(call.card(number).await?.0)
}

/// The issuer shows nothing: it is frozen or closed there already, while our change of it is pending.
fn not_now(row: &CardRow) -> Problem {
    match row.pending {
        Some(_) => Problem::rejected(Reason::ChangePending.into(), None, CENTS),
        None => refused(row.status),
    }
}

/// Nothing is shown of a card in this state.
pub(super) fn refused(status: Status) -> Problem {
    let reject = Reject::new(Reason::InvalidStatus).with(Figure::Status, i64::from(status.code()));
    Problem::rejected(reject, None, CENTS)
}
