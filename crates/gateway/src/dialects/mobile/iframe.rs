//! `POST /api/v1/cards/show-cvv-iframe`: where a page shows a card's secrets, once, inside the caller's own frame.
//!
//! The link is made for a card that can be shown now; the engine says again whether it may be when the page is opened.

use axum::{body::Body, http::header};
use florin_engine::terms::Status;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, answer, call::Call, cvv};
use crate::secure_page;

/// Where to show a card's secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct Frame {
    /// Works once, for 60 s, inside an iframe of the allowed origins.
    #[schema(format = "uri")]
    iframe_url: String,
}

pub(super) async fn iframe(call: Call, body: Body) -> Answer {
    let row = cvv::card(&call, body).await?;
    if !matches!(row.status, Status::Active | Status::Frozen) {
        return Err(cvv::refused(row.status).into());
    }
    let language = call.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let iframe_url = secure_page::mint(&call.gateway, call.sender, row.card, language)?;
    Ok(answer::revealed("Iframe URL retrieved successfully", Frame { iframe_url }))
}
