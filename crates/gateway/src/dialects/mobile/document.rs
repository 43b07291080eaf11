//! The OpenAPI document of this API, generated from the wire types and from what each call answers.
//!
//! The functions below are never called: they carry the description of the routes in `mod.rs`.

#![expect(dead_code, reason = "only their descriptions are used")]

use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    answer::Envelope,
    appeals::{Opened, Standing},
    card_requests::CardRequest,
    cvv::Secrets,
    iframe::Frame,
    limits::Said,
    told::ErrorBody,
    transfers::Moved,
    wire::{Card, Cards},
};

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Florin mobile API",
        description = "A user's cards. Amounts are JSON numbers with two decimals; they are read from the digits, never through a float. Somebody else's card is answered as no card.",
        license(name = "Apache-2.0")
    ),
    paths(
        list,
        card,
        by_number,
        update_status,
        open_appeal,
        appeal_status,
        transaction_limit,
        no_pin_payment,
        show_cvv,
        show_cvv_iframe,
        activate,
        transfer,
        withdraw,
        open_card_request,
        card_request
    ),
    components(schemas(ErrorBody, CardType, Status, AskedStatus)),
    security(("bearer" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Of every call.
#[derive(IntoResponses)]
enum Errors {
    /// `invalid_request`, or a word for what is wrong with the field that is named: `required`, `duplicate`, `invalid_type`,
    /// `invalid_amount`, `too_short`, `too_long`, `invalid_characters`, `out_of_range`, `invalid_format`.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// `unauthorized`: no token of a user, or one that is not good.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// `not_found`: no such card, or not this user's.
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
    /// `card_processing`, `invalid_status`, `nothing_to_change`, `card_limit_reached`, `appeal_open`, `insufficient_balance`, `not_prepaid`,
    /// `capability_inactive`, `idempotency_conflict`.
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
    #[param(rename = "Idempotency-Key", required = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: String,
}

/// Of reads, and of writes that look a card up first.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Read {
    /// What the answer must have seen, as a write's answer gave it; 503 when it is not reached in time.
    #[param(rename = "X-Florin-Position", required = false, pattern = "^[0-9]+-[0-9]+\\.[0-9]+$")]
    position: String,
}

/// The card.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfCard {
    /// The card's id.
    #[param(format = "uuid")]
    uuid: String,
}

/// The card.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfNumber {
    /// The card's numeric id.
    #[param(minimum = 1)]
    card_id: i64,
}

/// The request.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct OfRequest {
    /// The request's id.
    #[param(format = "uuid")]
    id: String,
}

/// Which cards.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// From 1.
    #[param(required = false, minimum = 1, maximum = 1_000_000, default = 1)]
    page: u32,
    /// Cards of a page.
    #[param(required = false, minimum = 1, maximum = 100, default = 10)]
    limit: u32,
    /// Only these.
    #[param(required = false)]
    card_type: CardType,
    /// Only these; without it all but `CANCELLED`.
    #[param(required = false)]
    status: Status,
    /// A part of a name, in any case, or of the last four digits; up to 100 characters.
    #[param(required = false, max_length = 100)]
    search: String,
}

/// A kind of card.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
enum CardType {
    Virtual,
    Physical,
}

/// A status as shown.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Active,
    Frozen,
    Blocked,
    PreCancel,
    Processing,
    Cancelled,
}

/// A status to ask for.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
enum AskedStatus {
    Active,
    Frozen,
    Cancelled,
}

/// What is asked by number.
#[derive(ToSchema)]
struct ByNumber {
    /// Exactly 16 digits.
    #[schema(pattern = "^[0-9]{16}$", example = "4111111111111111")]
    card_number: String,
}

/// A change of status.
#[derive(ToSchema)]
struct UpdateStatus {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
    card_status: AskedStatus,
}

/// An appeal against a block.
#[derive(ToSchema)]
struct Appeal {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
    /// 1–2,000 characters; lines and tabs, but no other control characters.
    #[schema(min_length = 1, max_length = 2_000, example = "Please review and unblock this card.")]
    request_message: String,
}

/// A limit per transaction.
#[derive(ToSchema)]
struct TransactionLimit {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
    /// In major units, at most two decimals; a number or a string of plain digits. 0 declines everything.
    #[schema(minimum = 0, multiple_of = 0.01, example = 250)]
    limit_per_transaction: f64,
}

/// A no-PIN amount.
#[derive(ToSchema)]
struct NoPin {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
    /// In major units, at most two decimals; a number or a string of plain digits.
    #[schema(minimum = 0, multiple_of = 0.01, example = 50)]
    no_pin_payment_amount: f64,
}

/// Which card to show.
#[derive(ToSchema)]
struct Show {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
}

/// What is on a card that has come.
#[derive(ToSchema)]
struct Activation {
    /// The card's numeric id.
    #[schema(minimum = 1, example = 508)]
    card_id: i64,
    /// Its last four digits.
    #[schema(pattern = "^[0-9]{4}$", example = "1234")]
    card_number_last4: String,
    /// `MM/YY` or `MM/YYYY`.
    #[schema(pattern = "^[0-9]{2}/([0-9]{2}|[0-9]{4})$", example = "11/29")]
    expiry_date: String,
}

/// How much to move.
#[derive(ToSchema)]
struct Amount {
    /// Above zero, in major units, at most two decimals; a number or a string of plain digits.
    #[schema(exclusive_minimum = 0, multiple_of = 0.01, example = 10.00)]
    amount: f64,
}

/// What kind of card.
#[derive(ToSchema)]
struct NewCardRequest {
    card_type: CardType,
    /// 1–50 characters, no control characters.
    #[schema(min_length = 1, max_length = 50, example = "Travel")]
    card_name: Option<String>,
}

/// The user's cards, newest first, numbers masked.
#[utoipa::path(get, path = "/api/v1/cards", tag = "cards", params(Which, Read), responses(
    (status = 200, description = "A page of cards.", body = Envelope<Cards>), Errors))]
fn list() {}

/// One card.
#[utoipa::path(get, path = "/api/v1/cards/{uuid}", tag = "cards", params(OfCard, Read), responses(
    (status = 200, description = "The card.", body = Envelope<Card>), Errors))]
fn card() {}

/// The user's card of a number; each look-up that finds is recorded.
#[utoipa::path(post, path = "/api/v1/cards/get-by-number", tag = "cards", params(Read), request_body = ByNumber, responses(
    (status = 200, description = "The card, masked.", body = Envelope<Card>), Errors, BodyErrors))]
fn by_number() {}

/// Freeze, re-activate or cancel a card; done at the issuer afterwards. At most 60 a minute from one address.
#[utoipa::path(post, path = "/api/v1/cards/update-status", tag = "status", params(Write, Read), request_body = UpdateStatus, responses(
    (status = 200, description = "The card, PROCESSING.", body = Envelope<Card>), Errors, BodyErrors))]
fn update_status() {}

/// Appeal against the block of a card, one open at a time. At most 10 a minute from one address.
#[utoipa::path(post, path = "/api/v1/cards/blocked-appeal", tag = "appeals", params(Write, Read), request_body = Appeal, responses(
    (status = 200, description = "The appeal.", body = Envelope<Opened>), Errors, BodyErrors))]
fn open_appeal() {}

/// Where the latest appeal of a card stands.
#[utoipa::path(get, path = "/api/v1/cards/blocked-appeal/status/{card_id}", tag = "appeals", params(OfNumber, Read), responses(
    (status = 200, description = "Where it stands.", body = Envelope<Standing>), Errors))]
fn appeal_status() {}

/// Limit each transaction of an active card; done at the issuer afterwards.
#[utoipa::path(post, path = "/api/v1/cards/transaction-limit", tag = "limits", params(Write, Read), request_body = TransactionLimit, responses(
    (status = 200, description = "The card, PROCESSING.", body = Envelope<Card>), Errors, BodyErrors))]
fn transaction_limit() {}

/// Set what is approved without a PIN; done at once.
#[utoipa::path(post, path = "/api/v1/cards/no-pin-payment", tag = "limits", params(Write, Read), request_body = NoPin, responses(
    (status = 200, description = "A message only.", body = Envelope<Said>), Errors, BodyErrors))]
fn no_pin_payment() {}

/// A card's number, expiry and CVV; each call is recorded.
#[utoipa::path(post, path = "/api/v1/cards/show-cvv", tag = "reveals", params(Read), request_body = Show, responses(
    (status = 200, description = "Number, expiry and CVV; `Cache-Control: no-store`.", body = Envelope<Secrets>), Errors, BodyErrors))]
fn show_cvv() {}

/// A page that shows them inside an iframe; 500 where none is configured.
#[utoipa::path(post, path = "/api/v1/cards/show-cvv-iframe", tag = "reveals", params(Read), request_body = Show, responses(
    (status = 200, description = "Where it is.", body = Envelope<Frame>), Errors, BodyErrors))]
fn show_cvv_iframe() {}

/// Activate a physical card that has come; five wrong tries block it.
#[utoipa::path(post, path = "/api/v1/cards/activate", tag = "status", params(Write, Read), request_body = Activation, responses(
    (status = 200, description = "The card, ACTIVE.", body = Envelope<Card>), Errors, BodyErrors))]
fn activate() {}

/// Move money from the wallet to a card.
#[utoipa::path(post, path = "/api/v1/cards/{uuid}/transfer", tag = "money", params(OfCard, Write), request_body = Amount, responses(
    (status = 200, description = "Done, durably.", body = Envelope<Moved>), Errors, BodyErrors))]
fn transfer() {}

/// Move money from a card to the wallet.
#[utoipa::path(post, path = "/api/v1/cards/{uuid}/withdraw", tag = "money", params(OfCard, Write), request_body = Amount, responses(
    (status = 200, description = "Done, durably.", body = Envelope<Moved>), Errors, BodyErrors))]
fn withdraw() {}

/// Ask for a card, which is approved by the programme or at once.
#[utoipa::path(post, path = "/api/v1/card-requests", tag = "card requests", params(Write), request_body = NewCardRequest, responses(
    (status = 201, description = "The request.", body = Envelope<CardRequest>), Errors, BodyErrors))]
fn open_card_request() {}

/// Where a request for a card stands.
#[utoipa::path(get, path = "/api/v1/card-requests/{id}", tag = "card requests", params(OfRequest, Read), responses(
    (status = 200, description = "The request.", body = Envelope<CardRequest>), Errors))]
fn card_request() {}
