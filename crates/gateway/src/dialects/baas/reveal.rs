//! `GET /api/v1/cards/{cardId}/details`, `/cvv`, `/pin`: asked of the issuer at this moment, and kept by nobody.
//!
//! The reveal is an entry of the journal before anything is revealed.

use axum::http::header;
use florin_engine::terms::RevealKind;
use florin_issuer::{Reveal, Revealed};
use florin_projector::CardRow;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    Answer,
    call::{Call, NO_STORE},
    error::Told,
    item::{Act, allowed, shown},
    wire::{Cvv, Details, Pin},
};
use crate::{
    http::{
        plain::json,
        position::{At, POSITION},
    },
    people,
};

/// Number, expiry and the name printed on it.
pub(super) async fn details(call: Call) -> Answer {
    reveal(call, Act::GetDetails, RevealKind::Details, Reveal::Details, |call, row, revealed| match revealed {
        Revealed::Details { number, expiry } => Some(Details {
            card_number: number.expose_secret().to_owned(),
            expiry_date: format!("{:02}/{:04}", expiry.month, expiry.year),
            name_on_card: people::profile(&call.gateway.ports().vault, row).ok()?.name_on_card.unwrap_or_default(),
        }),
        _ => None,
    })
    .await
}

/// The three digits on the back.
pub(super) async fn cvv(call: Call) -> Answer {
    reveal(call, Act::GetCvv, RevealKind::Cvv, Reveal::Cvv, |_, _, revealed| match revealed {
        Revealed::Cvv(cvv) => Some(Cvv { cvv: cvv.expose_secret().to_owned() }),
        _ => None,
    })
    .await
}

/// The PIN; plastic only.
pub(super) async fn pin(call: Call) -> Answer {
    reveal(call, Act::GetPin, RevealKind::Pin, Reveal::Pin, |_, _, revealed| match revealed {
        Revealed::Pin(pin) => Some(Pin { pin: pin.expose_secret().to_owned() }),
        _ => None,
    })
    .await
}

async fn reveal<T: Serialize>(
    call: Call,
    act: Act,
    kind: RevealKind,
    what: Reveal,
    body: impl FnOnce(&Call, &CardRow, Revealed) -> Option<T>,
) -> Answer {
    call.see().await?;
    let row = call.card_row()?;
    if !allowed(&row).contains(&act) {
        return Err(Told::status(shown(row.status)).into());
    }
    let reply = call.record_reveal(row.card, kind).await?;
    let revealed = call.gateway.ask_issuer(call.gateway.ports().issuer.reveal(row.card.uuid(), what)).await?;
    // Closed at the issuer, while our change of it is still pending.
    let body = revealed.and_then(|revealed| body(&call, &row, revealed)).ok_or_else(Told::no_card)?;
    let mut response = json(axum::http::StatusCode::OK, &body);
    let headers = response.headers_mut();
    headers.insert(POSITION, At { partition: reply.partition, position: reply.position }.header());
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}
