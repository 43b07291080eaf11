//! The OpenAPI document of the sandbox API, and the shapes of what it takes.

use utoipa::{IntoParams, OpenApi, ToSchema};

use super::issuer;
use crate::ops::openapi::Keys;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(title = "Florin sandbox API", description = "Plays the card network, and sets how the sandbox issuer behaves."),
    paths(
        super::authorize, super::authorization, super::clear, super::reverse, super::increment, super::expire,
        super::refund, super::credit, super::force_post,
        issuer::behaviour, issuer::behave, issuer::cards, issuer::card, issuer::use_code,
    ),
    components(schemas(crate::http::plain::ErrorBody)),
    modifiers(&Keys),
    security((), ("bearer" = []), ("key" = [])),
)]
pub(super) struct Document;

macro_rules! described {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[expect(dead_code, reason = "only described: bodies are read field by field, so that an error names the field")]
        pub(super) struct $name { $($(#[$field_doc])* $field: $type,)* }
    )*};
}

described! {
    /// A purchase to be approved.
    #[derive(ToSchema)]
    Authorization {
        /// The card.
        card_id: String,
        /// In the card's currency; zero is a check of the account.
        #[schema(example = 12.50)]
        amount: f64,
        /// The card's currency; absent: that.
        #[schema(example = "USD")]
        currency: Option<String>,
        /// Its name, at most 64 bytes.
        #[schema(example = "Blue Bottle")]
        merchant: Option<String>,
        /// Category, 1 to 4 digits.
        #[schema(example = 5814)]
        mcc: Option<u16>,
        /// Its country.
        #[schema(example = "GB")]
        country: Option<String>,
        /// Absent: false.
        card_present: Option<bool>,
        /// Absent: false.
        pin_entered: Option<bool>,
        /// The network's own id of the authorization, so that a reversal can name it before it exists.
        network_id: Option<String>,
    }
    /// A clearing.
    #[derive(ToSchema)]
    Clearing {
        /// Absent: what is still held.
        #[schema(example = 12.50)]
        amount: Option<f64>,
        /// Whether the rest is released; absent: only without an amount.
        #[schema(rename = "final")]
        last: Option<bool>,
        /// The message's own id; absent: `Idempotency-Key`.
        network_id: Option<String>,
        /// Where the path has the network's id.
        card_id: Option<String>,
    }
    /// All or a part of it.
    #[derive(ToSchema)]
    Part {
        /// Absent: all.
        #[schema(example = 5.00)]
        amount: Option<f64>,
        /// The message's own id; absent: `Idempotency-Key`.
        network_id: Option<String>,
        /// Where the path has the network's id.
        card_id: Option<String>,
    }
    /// More of it.
    #[derive(ToSchema)]
    More {
        /// How much more.
        #[schema(example = 5.00)]
        amount: f64,
        /// The message's own id; absent: `Idempotency-Key`.
        network_id: Option<String>,
        /// Where the path has the network's id.
        card_id: Option<String>,
    }
    /// Money to or from a card, without an authorization.
    #[derive(ToSchema)]
    Posting {
        /// The card.
        card_id: String,
        /// In the card's currency.
        #[schema(example = 12.50)]
        amount: f64,
        /// Its name, at most 64 bytes.
        merchant: Option<String>,
        /// Category, 1 to 4 digits.
        mcc: Option<u16>,
        /// Its country.
        country: Option<String>,
        /// The message's own id; absent: `Idempotency-Key`.
        network_id: Option<String>,
    }
    /// How the issuer is to behave; absent fields stay.
    #[derive(ToSchema)]
    Behaving {
        /// Time before anything is done, at most 60,000.
        latency_ms: Option<u64>,
        /// How often a call fails before anything is done, 0 to 1.
        failure_rate: Option<f64>,
        /// true, false, or the word of a refusal.
        refuse: Option<bool>,
        /// A second copy of each answer comes.
        answer_twice: Option<bool>,
        /// The work is done, the answer never comes.
        lose_answers: Option<bool>,
        /// Nothing is done, no answer comes.
        timeout: Option<bool>,
        /// Of issue, status and limits: those that all this applies to.
        applies_to: Option<Vec<String>>,
    }
    /// A one-time code.
    #[derive(ToSchema)]
    Code {
        /// Six digits.
        code: String,
    }
    /// Of an authorization.
    #[derive(IntoParams)]
    #[into_params(parameter_in = Path)]
    OfAuthorization {
        /// The id that the answer gave, or the network's own.
        id: String,
    }
}
