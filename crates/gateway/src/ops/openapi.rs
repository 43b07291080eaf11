//! The OpenAPI document of the ops API: what the handlers say of themselves, and the shapes of what they take.

use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        ObjectBuilder, Required, Type,
        path::{Operation, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{cards, dead_letters, ledger, policy, requests, users, webhooks};
use crate::http::plain::ErrorBody;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(title = "Florin ops API", description = "For operators, on a listener and with keys of its own."),
    paths(
        users::register, users::user, users::verification, users::deposit, users::withdraw, users::write_off, users::erase,
        policy::put, policy::get,
        cards::card, cards::history, cards::act, cards::pending,
        requests::card_requests, requests::decide_card_request, requests::appeals, requests::decide_appeal,
        dead_letters::list, dead_letters::decide,
        webhooks::list, webhooks::put, webhooks::resend, webhooks::replay,
        ledger::trial_balance, ledger::followers, ledger::processors, ledger::confirm_clock,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Keys),
    security(("bearer" = []), ("key" = [])),
)]
pub(super) struct Document;

/// Both ways to send a key, and the headers that every read or write may carry.
pub(crate) struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("key", key);
        for (path, item) in &mut openapi.paths.paths {
            if let Some(read) = &mut item.get {
                let told =
                    "What the answer must have seen, as a write's answer gave it; 503 when it is not reached in time.";
                header(read, "X-Florin-Position", told, r"^[0-9]+-[0-9]+\.[0-9]+$");
            }
            if UNKEYED.iter().any(|end| path.ends_with(end)) {
                continue;
            }
            for write in [&mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                let told = "The same key with the same content gives the first outcome again; with other content it is a conflict.";
                header(write, "Idempotency-Key", told, "^[!-~]{1,255}$");
            }
        }
    }
}

/// Writes on which a key has no meaning: what is done at the sandbox issuer is no
/// entry of the ledger, and what is erased or confirmed stays so.
const UNKEYED: [&str; 4] = ["/issuer", "/use-code", "/personal-data", "/confirm-clock"];

/// A header that a call may carry.
fn header(operation: &mut Operation, name: &str, told: &str, pattern: &str) {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(told))
        .schema(Some(text));
    operation.parameters.get_or_insert_default().push(parameter.build().into());
}

/// What reads may answer instead.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum ReadErrors {
    /// A parameter is out of form: `invalid_request`.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// No key, or one that is not known: `unauthorized`.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// Nothing there by that id or path: `not_found`.
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// The path does not have this method: `method_not_allowed`, with Allow.
    #[response(status = 405)]
    Method(ErrorBody),
    /// Too many requests: `rate_limited`; see Retry-After.
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// `internal`.
    #[response(status = 500)]
    Internal(ErrorBody),
    /// `busy`, `clock_refused` or `unavailable`; see Retry-After.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// What writes may answer instead.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum WriteErrors {
    /// The body or a parameter is out of form: `invalid_request`, or `policy_refused` with line and reason.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// No key, or one that is not known: `unauthorized`.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// Nothing there by that id or path: `not_found`.
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// The path does not have this method: `method_not_allowed`, with Allow.
    #[response(status = 405)]
    Method(ErrorBody),
    /// The body did not come in time: `timeout`.
    #[response(status = 408)]
    Timeout(ErrorBody),
    /// What is there does not allow it: `invalid_status`, `change_pending`, `insufficient_balance`, `idempotency_conflict`, …
    #[response(status = 409)]
    Conflict(ErrorBody),
    /// The body is over 64 KiB: `payload_too_large`.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// The body is not declared as JSON: `unsupported_media_type`.
    #[response(status = 415)]
    MediaType(ErrorBody),
    /// Too many requests: `rate_limited`; see Retry-After.
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// `internal`.
    #[response(status = 500)]
    Internal(ErrorBody),
    /// `busy`, `clock_refused` or `unavailable`; see Retry-After.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

macro_rules! described {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[expect(dead_code, reason = "only described: bodies are read field by field, so that an error names the field")]
        pub(crate) struct $name { $($(#[$field_doc])* $field: $type,)* }
    )*};
}

described! {
    /// A user to be.
    #[derive(ToSchema)]
    NewUser {
        /// The tenant, 1–64 bytes.
        #[schema(example = "demo")]
        company: String,
        /// The company's own id of the user, 1–255 characters.
        #[schema(example = "dave")]
        user: String,
        /// ISO 3166-1 alpha-2.
        #[schema(example = "GB")]
        country: String,
    }
    /// Money in or out.
    #[derive(ToSchema)]
    Movement {
        /// An asset of the policy.
        #[schema(example = "USD")]
        asset: String,
        /// Exact, a number or a string of plain digits.
        #[schema(example = 250.00)]
        amount: f64,
        /// The sender's reference, 1–255 characters; kept as ciphertext.
        #[schema(example = "wire 4711")]
        reference: String,
    }
    /// A write-off of what is owed.
    #[derive(ToSchema)]
    NewWriteOff {
        /// An asset of the policy.
        #[schema(example = "USD")]
        asset: String,
        /// At most what is owed.
        #[schema(example = 12.50)]
        amount: f64,
        /// The card that owes; absent: the wallet.
        card_id: Option<String>,
        /// Why, 1–2,000 characters; kept as ciphertext.
        reason: String,
    }
    /// Why.
    #[derive(ToSchema)]
    Reason {
        /// 1–2,000 characters; kept as ciphertext.
        reason: String,
    }
    /// Why, and for a block whether for fraud.
    #[derive(ToSchema)]
    CardReason {
        /// 1–2,000 characters; kept as ciphertext, of an activation not at all.
        reason: String,
        /// Of a block: only ops may lift or close it.
        fraud: Option<bool>,
    }
    /// Of a user.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfUser {
        /// The tenant.
        company: String,
        /// The company's id of the user.
        user: String,
    }
    /// Of a card.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfCard {
        /// The card.
        #[param(rename = "cardId")]
        card_id: String,
    }
    /// Of an action on a card.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfAction {
        /// The card.
        #[param(rename = "cardId")]
        card_id: String,
        /// freeze, thaw, block, unblock, activate or cancel.
        action: String,
    }
    /// Of a decision.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfDecision {
        /// What is decided.
        id: String,
        /// approve or reject.
        decision: String,
    }
    /// Where a company's webhooks go.
    #[derive(ToSchema)]
    NewEndpoint {
        /// Base URL, https, of a public host unless the configuration allows others.
        #[schema(example = "https://hooks.example.com/florin")]
        url: String,
        /// Whether webhooks are sent there; absent: yes.
        enabled: Option<bool>,
        /// `whsec_` and base64; absent: as before, or a random one for a new endpoint.
        secret: Option<String>,
        /// Have a new random secret sign; the one before signs beside it for a day. Absent: no.
        rotate_secret: Option<bool>,
    }
    /// From where webhooks are sent again.
    #[derive(ToSchema)]
    ReplayFrom {
        /// A position, `<partition>-<record>.<entry>`, or several with commas; partitions that are not named are left alone.
        #[schema(example = "0-120.7")]
        from: String,
    }
    /// Of a company.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfCompany {
        /// The tenant.
        company: String,
    }
    /// Of a webhook.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfWebhook {
        /// Its `webhook-id`.
        id: String,
    }
    /// Of what is done with a dead letter.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfDeadLetter {
        /// Its id.
        id: String,
        /// retry or drop.
        action: String,
    }
    /// Of a partition.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfPartition {
        /// Which.
        partition: u16,
    }
    /// Of a list by status.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Query)]
    OfStatus {
        /// open (default), approved or rejected.
        status: Option<String>,
    }
    /// Of a policy's adoption.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Query)]
    OfPolicy {
        /// Its version; absent: the latest and one.
        version: Option<u32>,
        /// From when it is in force, RFC 3339 in UTC; absent: now.
        effective_at: Option<String>,
    }
}
