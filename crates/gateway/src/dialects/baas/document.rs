//! The OpenAPI document of this API, generated from the wire types and from what each call answers.
//!
//! The functions below are never called: they carry the description of the routes in `mod.rs`.

#![expect(dead_code, reason = "only their descriptions are used")]

use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{
    asked::{ActivateRequest, InvoiceRequest, LimitRequest, PlasticRequest, VirtualRequest},
    error::ErrorBody,
    wire::{Card, Cards, Cvv, Details, Fees, Invoice, Issued, Limits, Method, Pin, User},
};

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Florin BaaS API",
        description = "Virtual and plastic cards on users' wallets. Amounts are JSON numbers with two decimals; they are read from the digits, never through a float.",
        license(name = "Apache-2.0")
    ),
    paths(
        user, fees, invoice, countries, methods, virtual_card, plastic_card, activate, list, block, unblock, close, limit, details, cvv,
        pin
    ),
    components(schemas(ErrorBody, Card, Limits)),
    security(("token" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut token = Http::new(HttpAuthScheme::Bearer);
        token.bearer_format = Some("JWT".to_owned());
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// Of every call.
#[derive(IntoResponses)]
enum Errors {
    /// `ErrorMissingField` or `ErrorInvalidField`, naming header, parameter or field; what else a call is refused with.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// No token, or one that is not good: `CategoryAuthenticationFailure`.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// A token for another user, or a user who is not registered: `CategoryAuthorizationFailure`.
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// No such path.
    #[response(status = 404)]
    NoPath(ErrorBody),
    /// The path does not have this method; see `Allow`.
    #[response(status = 405)]
    Method(ErrorBody),
    /// `CategoryRateLimited`, with `Retry-After`.
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// `CategoryInternalFailure`: as the document has it (`Failed to get card`, …), without `error_details`.
    #[response(status = 500)]
    Failed(ErrorBody),
    /// `CategoryUnavailable`, with `Retry-After`: the same request may be sent again with the same key.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// Of writes.
#[derive(IntoResponses)]
enum WriteErrors {
    /// The body did not come.
    #[response(status = 408)]
    Timeout(ErrorBody),
    /// The idempotency key was used with other content.
    #[response(status = 409)]
    Conflict(ErrorBody),
    /// Over 64 KiB.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// The body is not declared as JSON.
    #[response(status = 415)]
    MediaType(ErrorBody),
}

/// Of every call.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct OfUser {
    /// The user's address, in any case.
    #[param(rename = "X-User-Address", pattern = "^0x[0-9a-fA-F]{40}$")]
    address: String,
    /// The chain that it is of.
    #[param(rename = "X-Chain-Id", pattern = "^[1-9][0-9]{0,18}$", example = "1")]
    chain: String,
}

/// Of writes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Write {
    /// 1–255 visible characters. The same key with the same content gives the first outcome again, with
    /// `Idempotency-Replayed: true`; with other content it is a conflict. Kept for 31 days.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]{1,255}$")]
    idempotency_key: Option<String>,
}

/// Of reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Read {
    /// What the answer must have seen, as a write's answer gave it; 503 when it is not reached in time.
    #[param(rename = "X-Florin-Position", pattern = r"^[0-9]+-[0-9]+\.[0-9]+$")]
    position: Option<String>,
}

/// A type of card.
#[derive(ToSchema)]
enum CardType {
    Virtual,
    Plastic,
}

/// The type of card.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfType {
    /// Virtual or Plastic.
    #[param(rename = "type", inline)]
    kind: CardType,
}

/// The country.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct InCountry {
    /// ISO 3166-1 alpha-2 code.
    #[param(pattern = "^[A-Z]{2}$", example = "GB")]
    country: String,
}

/// The card.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfCard {
    /// The card's id; one that is none, or not this user's, is a 500 `Failed to get card`.
    #[param(rename = "cardId", format = "uuid")]
    card: String,
}

/// The user: verification and capabilities.
#[utoipa::path(get, path = "/api/v2/user", params(OfUser, Read), responses((status = 200, description = "The user.", body = User), Errors))]
fn user() {}

/// The order fee; 400 `Card fees are not enforced` where there is none to pay.
#[utoipa::path(get, path = "/api/v1/cards/{type}/fees/{country}", params(OfType, InCountry, OfUser, Read), responses(
    (status = 200, description = "The fee.", body = Fees), Errors
))]
fn fees() {}

/// Fix order and delivery fee in a token; they are taken from the wallet when the card is issued.
#[utoipa::path(post, path = "/api/v2/cards/{type}/fees/{country}/payment", params(OfType, InCountry, OfUser, Write), request_body = InvoiceRequest, responses(
    (status = 200, description = "The invoice.", body = Invoice), Errors, WriteErrors
))]
fn invoice() {}

/// Where plastic cards are delivered to.
#[utoipa::path(get, path = "/api/v1/cards/delivery/countries", params(OfUser, Read), responses(
    (status = 200, description = "ISO 3166-1 alpha-2 codes.", body = Vec<String>), Errors
))]
fn countries() {}

/// Who delivers to a country.
#[utoipa::path(get, path = "/api/v1/cards/delivery/methods/{country}", params(InCountry, OfUser, Read), responses(
    (status = 200, description = "The couriers.", body = Vec<Method>), Errors
))]
fn methods() {}

/// Issue a virtual card.
#[utoipa::path(post, path = "/api/v2/cards/virtual", params(OfUser, Write), request_body = VirtualRequest, responses(
    (status = 200, description = "The card is asked for, or made.", body = Issued), Errors, WriteErrors
))]
fn virtual_card() {}

/// Issue a plastic card.
#[utoipa::path(post, path = "/api/v2/cards/plastic", params(OfUser, Write), request_body = PlasticRequest, responses(
    (status = 200, description = "The card is asked for, or made.", body = Issued), Errors, WriteErrors
))]
fn plastic_card() {}

/// Activate a delivered card.
#[utoipa::path(put, path = "/api/v1/cards/{cardId}/activate", params(OfCard, OfUser, Write), request_body = ActivateRequest, responses(
    (status = 200, description = "Active; no body."), Errors, WriteErrors
))]
fn activate() {}

/// The user's cards, newest first.
#[utoipa::path(get, path = "/api/v1/cards", params(OfUser, Read), responses((status = 200, description = "The cards.", body = Cards), Errors))]
fn list() {}

/// Block a card.
#[utoipa::path(put, path = "/api/v1/cards/{cardId}/block", params(OfCard, OfUser, Write), responses(
    (status = 200, description = "Blocked; no body."), Errors, WriteErrors
))]
fn block() {}

/// Unblock a card that the user blocked.
#[utoipa::path(put, path = "/api/v1/cards/{cardId}/unblock", params(OfCard, OfUser, Write), responses(
    (status = 200, description = "Active again; no body."), Errors, WriteErrors
))]
fn unblock() {}

/// Close a card, for good.
#[utoipa::path(put, path = "/api/v1/cards/{cardId}/close", params(OfCard, OfUser, Write), responses(
    (status = 200, description = "Closed; no body."), Errors, WriteErrors
))]
fn close() {}

/// Change a card's limits.
#[utoipa::path(put, path = "/api/v1/cards/{cardId}/limit", params(OfCard, OfUser, Write), request_body = LimitRequest, responses(
    (status = 200, description = "Set; no body."), Errors, WriteErrors
))]
fn limit() {}

/// Number, expiry and name; each call is recorded.
#[utoipa::path(get, path = "/api/v1/cards/{cardId}/details", params(OfCard, OfUser, Read), responses(
    (status = 200, description = "The details; `Cache-Control: no-store`.", body = Details), Errors
))]
fn details() {}

/// The CVV; each call is recorded.
#[utoipa::path(get, path = "/api/v1/cards/{cardId}/cvv", params(OfCard, OfUser, Read), responses(
    (status = 200, description = "The CVV; `Cache-Control: no-store`.", body = Cvv), Errors
))]
fn cvv() {}

/// The PIN of a plastic card; each call is recorded.
#[utoipa::path(get, path = "/api/v1/cards/{cardId}/pin", params(OfCard, OfUser, Read), responses(
    (status = 200, description = "The PIN; `Cache-Control: no-store`.", body = Pin), Errors
))]
fn pin() {}
