//! Success as this API tells it: `{status_code, message, data}`, and the headers that say where it stands.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use florin_engine::ids::Position;
use florin_processor::Reply;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    idempotency::{REPLAYED, REPLAYED_YES},
    plain,
    position::{AS_OF, At, POSITION},
};

/// A success.
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// The HTTP status.
    #[schema(example = 200)]
    pub(super) status_code: u16,
    /// A sentence for people; not to be parsed.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
    /// What was asked for.
    pub(super) data: T,
}

fn envelope<T: Serialize>(status: StatusCode, message: &'static str, data: T) -> Response {
    plain::json(status, &Envelope { status_code: status.as_u16(), message, data })
}

/// An answer to a read, as of a position.
pub(super) fn read<T: Serialize>(message: &'static str, data: T, as_of: At) -> Response {
    let mut response = envelope(StatusCode::OK, message, data);
    response.headers_mut().insert(AS_OF, as_of.header());
    response
}

/// An answer to a write: where it stands (what it has seen, where that is later), and whether it is the first outcome again.
pub(super) fn written<T: Serialize>(
    status: StatusCode,
    message: &'static str,
    data: T,
    reply: &Reply,
    seen: Position,
) -> Response {
    let mut response = envelope(status, message, data);
    let position = Position(reply.position.0.max(seen.0));
    let headers = response.headers_mut();
    headers.insert(POSITION, At { partition: reply.partition, position }.header());
    if reply.replayed {
        headers.insert(REPLAYED, REPLAYED_YES);
    }
    response
}

/// An answer with something secret in it: nobody may keep it.
pub(super) fn revealed<T: Serialize>(message: &'static str, data: T) -> Response {
    let mut response = envelope(StatusCode::OK, message, data);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
