//! The OpenAPI document of this API, generated from the wire types and from what each call answers.
//!
//! The functions below are never called: they carry the description of the routes in `mod.rs`.

#![expect(dead_code, reason = "only their descriptions are used")]

use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use super::wire::{Card, Cards, Code, CreateRequest, Created, TopUpRequest, ToppedUp, Transactions};
use crate::http::plain::ErrorBody;

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Florin dashboard API",
        description = "Prepaid virtual cards of a company's users. Amounts are JSON numbers with two decimals; they are read from the digits, never through a float.",
        license(name = "Apache-2.0")
    ),
    paths(create, list, details, top_up, transactions, otp),
    components(schemas(ErrorBody)),
    security(("bearer" = []), ("key" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("bearer", bearer);
        components.add_security_scheme("key", key);
    }
}

/// Of every call.
#[derive(IntoResponses)]
enum Errors {
    /// `invalid_request`: details name field and bound.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// `unauthorized`.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// `not_found`: no such user, no such card, or not this user's.
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// `method_not_allowed`, with `Allow`.
    #[response(status = 405)]
    Method(ErrorBody),
    /// `rate_limited`, with `Retry-After`.
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// `internal`.
    #[response(status = 500)]
    Internal(ErrorBody),
    /// `busy`, with `Retry-After`: the same request may be sent again with the same key.
    #[response(status = 503)]
    Busy(ErrorBody),
}

/// Of calls with a body.
#[derive(IntoResponses)]
enum BodyErrors {
    /// `timeout`: the body did not come.
    #[response(status = 408)]
    Timeout(ErrorBody),
    /// `insufficient_balance` (needed, available), `card_limit_reached`, `invalid_status`, `change_pending`, `idempotency_conflict`,
    /// `issuance_refused` (refunded).
    #[response(status = 409)]
    Conflict(ErrorBody),
    /// `payload_too_large`: over 64 KiB.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// `unsupported_media_type`.
    #[response(status = 415)]
    MediaType(ErrorBody),
}

/// Of writes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Write {
    /// 1–255 visible characters. The same key with the same content gives the first outcome again, with
    /// `Idempotency-Replayed: true`; with other content it is a conflict. Kept for 31 days.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// Of reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Read {
    /// What the answer must have seen, as a write's answer gave it; 503 when it is not reached in time.
    #[param(rename = "X-Florin-Position")]
    position: Option<String>,
}

/// The user.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct User {
    /// The company's own id of its user.
    #[param(rename = "userId", example = "alice")]
    user: String,
}

/// The card.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfCard {
    /// The card's id.
    #[param(rename = "cardId", format = "uuid")]
    card: String,
}

/// The page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// How many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Create a card: the initial balance and both fees are taken from the user's wallet.
#[utoipa::path(post, path = "/users/{userId}/cards", params(User, Write), request_body = CreateRequest, responses(
    (status = 201, description = "The card is active.", body = Created),
    (status = 202, description = "Not settled at the issuer yet: status `frozen`, number and expiry null.", body = Created),
    Errors, BodyErrors
))]
fn create() {}

/// List a user's cards, newest first, numbers masked.
#[utoipa::path(get, path = "/users/{userId}/cards", params(User, Read), responses((status = 200, description = "The cards.", body = Cards), Errors))]
fn list() {}

/// A card with its full number, expiry and CVV; each call is recorded.
#[utoipa::path(get, path = "/users/{userId}/cards/{cardId}", params(User, OfCard, Read), responses(
    (status = 200, description = "The card; `Cache-Control: no-store`.", body = Card),
    (status = 409, description = "`invalid_status`: it changed at this moment.", body = ErrorBody),
    Errors
))]
fn details() {}

/// Top a card up: the amount and the service fee are taken from the user's wallet.
#[utoipa::path(post, path = "/users/{userId}/cards/{cardId}/topup", params(User, OfCard, Write), request_body = TopUpRequest, responses(
    (status = 200, description = "Done, durably.", body = ToppedUp),
    Errors, BodyErrors
))]
fn top_up() {}

/// A card's transactions, newest first.
#[utoipa::path(get, path = "/users/{userId}/cards/{cardId}/transactions", params(User, OfCard, Read, Page), responses(
    (status = 200, description = "A page.", body = Transactions), Errors
))]
fn transactions() {}

/// A one-time code of an active card; each call is recorded, and makes every earlier code worthless.
#[utoipa::path(get, path = "/users/{userId}/cards/{cardId}/otp", params(User, OfCard), responses(
    (status = 200, description = "The code; `Cache-Control: no-store`.", body = Code),
    (status = 409, description = "`invalid_status`: the card is not active.", body = ErrorBody),
    Errors
))]
fn otp() {}
