//! `GET /users/{userId}/cards/{cardId}/otp`: a one-time code of an active card.

use axum::http::{HeaderValue, StatusCode, header};
use florin_engine::{
    reject::{Figure, Reason, Reject},
    terms::{RevealKind, Status},
};
use secrecy::ExposeSecret;

use super::{Answer, Dashboard, call::Call, wire::Code};
use crate::http::{
    plain::json,
    position::{At, POSITION},
    problem::{Dialect, Problem},
    time::Time,
};

pub(super) async fn otp(call: Call) -> Answer {
    call.see().await?;
    let row = call.card_row()?;
    if row.status != Status::Active {
        return Err(not_active(row.status).into());
    }
    let kind = RevealKind::OneTimeCode;
    let reply = call.gateway.record_reveal(Dashboard::NAME, call.sender, row.card, kind, call.address).await?;
    let issuer = &call.gateway.ports().issuer;
    let code = call
        .gateway
        .ask_issuer(issuer.one_time_code(row.card.uuid()))
        .await?
        // Frozen or closed at the issuer, while our change of it is still pending.
        .ok_or_else(|| not_active(row.status))?;
    let code = Code { code: code.code.expose_secret().to_owned(), expires_at: Time(code.expires_at_ms) };
    let mut response = json(StatusCode::OK, &code);
    let at = At { partition: reply.partition, position: reply.position };
    let headers = response.headers_mut();
    headers.insert(POSITION, at.header());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn not_active(status: Status) -> Problem {
    let reject = Reject::new(Reason::InvalidStatus).with(Figure::Status, i64::from(status.code()));
    Problem::rejected(reject, None, 2)
}
