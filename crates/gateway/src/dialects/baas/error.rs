//! The document's errors: what each problem is told as, to the letter.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use florin_engine::{
    policy::CardKind,
    reject::{Figure, Reason, Reject},
    terms::Status,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Baas, item::shown, pattern};
use crate::http::{
    idempotency::{REPLAYED, REPLAYED_YES},
    plain::json,
    problem::{self, Fault, Problem},
};

const VALIDATION: &str = "CategoryValidationFailure";
const INTERNAL: &str = "CategoryInternalFailure";

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Error)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct ErrorBody {
    /// `ErrorMissingField`, `ErrorInvalidField`, `ErrorInvalidStatus`, `ErrorNotFound` or `ErrorGeneral`.
    #[schema(value_type = String, example = "ErrorInvalidField")]
    pub error_reason: &'static str,
    /// A sentence for people.
    #[schema(value_type = String, example = "Invalid format for card number last4")]
    pub error_description: Cow<'static, str>,
    /// What kind of error it is.
    pub error_category: Category,
    /// What it is about; absent where there is nothing to tell, and with every 500.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub error_details: Vec<Detail>,
}

/// What kind of error it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Category {
    /// `CategoryValidationFailure`, `CategoryAuthenticationFailure`, `CategoryAuthorizationFailure`, `CategoryRateLimited`,
    /// `CategoryUnavailable` or `CategoryInternalFailure`.
    #[schema(value_type = String, example = "CategoryValidationFailure")]
    pub category: &'static str,
    /// The answer's status.
    #[schema(example = 400)]
    pub http_status_code: u16,
}

/// A detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Detail {
    /// Its name.
    #[schema(value_type = String, example = "field")]
    pub key: &'static str,
    /// Its value.
    #[schema(value_type = String, example = "card_number_last4")]
    pub details: Cow<'static, str>,
}

/// An error on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told(ErrorBody);

impl Told {
    fn new(status: u16, category: &'static str, reason: &'static str, said: impl Into<Cow<'static, str>>) -> Self {
        Self(ErrorBody {
            error_reason: reason,
            error_description: said.into(),
            error_category: Category { category, http_status_code: status },
            error_details: Vec::new(),
        })
    }

    fn invalid(reason: &'static str, said: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, VALIDATION, reason, said)
    }

    /// A 500 that the document names.
    pub(super) fn failed(said: &'static str) -> Self {
        Self::new(500, INTERNAL, "ErrorGeneral", said)
    }

    fn with(mut self, key: &'static str, details: impl Into<Cow<'static, str>>) -> Self {
        self.0.error_details.push(Detail { key, details: details.into() });
        self
    }

    /// No such card, for this caller.
    pub(super) fn no_card() -> Self {
        Self::failed("Failed to get card")
    }

    /// Not a user of the token's company, or not the token's own.
    pub(super) fn forbidden() -> Self {
        let said = "The access token does not allow acting for this user";
        Self::new(403, "CategoryAuthorizationFailure", "ErrorGeneral", said)
    }

    /// No such path.
    pub(super) fn no_path() -> Self {
        Self::new(404, VALIDATION, "ErrorNotFound", "There is nothing at this path")
    }

    /// A field that is not there.
    fn missing(field: Cow<'static, str>) -> Self {
        let told = Self::invalid("ErrorMissingField", format!("{field} is required"));
        told.with("field", field).with("issue", "missing")
    }

    /// A field that is out of form.
    pub(super) fn out_of_form(field: Cow<'static, str>) -> Self {
        let pattern = pattern::text_of(&field);
        let said = format!("Invalid format for {}", field.replace(['_', '.'], " "));
        let told = Self::invalid("ErrorInvalidField", said).with("field", field).with("issue", "invalid_format");
        match pattern {
            Some(pattern) => told.with("pattern", pattern),
            None => told,
        }
    }

    /// A field that names what is not there.
    pub(super) fn unknown(field: &'static str) -> Self {
        let said = format!("Unknown {}", field.replace('_', " "));
        Self::invalid("ErrorInvalidField", said).with("field", field).with("issue", "unknown")
    }

    /// An activation with wrong values; which of them is not said.
    pub(super) fn mismatch() -> Self {
        let said = "Card number last4 or expiry date does not match";
        Self::invalid("ErrorInvalidField", said).with("issue", "mismatch")
    }

    /// An action that the card's shown status does not allow.
    pub(super) fn status(status: &'static str) -> Self {
        let told = Self::invalid("ErrorInvalidStatus", "Card is not in valid status for this action");
        told.with("field", "card_status").with("value", status)
    }

    /// Issuing without the capability.
    pub(super) fn capability(kind: CardKind) -> Self {
        Self::failed(match kind {
            CardKind::Virtual => "Virtual card capability is not active",
            CardKind::Physical => "Plastic card capability is not active",
        })
    }

    fn request(why: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid("ErrorGeneral", "Request validation failed").with("request", why)
    }

    /// Fees are asked for where there are none.
    pub(super) fn not_enforced() -> Self {
        Self::request("Card fees are not enforced")
    }

    /// No order fee for the type in the country.
    pub(super) fn no_fees(kind: &'static str, country: &str) -> Self {
        let told = Self::invalid("ErrorNotFound", "No fees found for specified country and method");
        told.with("fields", "type,country").with("type", kind).with("country", country.to_owned())
    }

    /// Nobody delivers there.
    pub(super) fn no_methods(country: &str) -> Self {
        let told = Self::invalid("ErrorNotFound", "No delivery methods found for country");
        told.with("field", "country").with("value", country.to_owned())
    }

    /// Nobody delivers anywhere.
    pub(super) fn no_countries() -> Self {
        Self::invalid("ErrorNotFound", "No delivery countries found").with("field", "country")
    }

    fn delivery_id() -> Self {
        Self::invalid("ErrorGeneral", "Delivery ID is required and must be positive").with("field", "delivery_id")
    }

    /// What a problem is told as.
    pub(super) fn of(problem: &Problem) -> Self {
        let general = |status, said| Self::new(status, VALIDATION, "ErrorGeneral", said);
        let unavailable = |said| Self::new(503, "CategoryUnavailable", "ErrorGeneral", said);
        match problem {
            Problem::Unauthorized => {
                let said = "The access token is missing or not valid";
                Self::new(401, "CategoryAuthenticationFailure", "ErrorGeneral", said)
            }
            // Of the shared layers' finds the only one that can be missing here is the user.
            Problem::NotFound => Self::forbidden(),
            Problem::MethodNotAllowed => general(405, "This path does not have this method"),
            Problem::BodyTooLarge { bytes_max } => {
                general(413, "The body is too large").with("maximum_bytes", bytes_max.to_string())
            }
            Problem::BodyTimeout => general(408, "The body did not come in time"),
            Problem::MediaType => general(415, "Send the body as application/json"),
            Problem::Malformed(why) => Self::request(why.clone()),
            Problem::Field { field, fault: Fault::Missing } => Self::missing(field.clone()),
            Problem::Field { field, .. } => Self::out_of_form(field.clone()),
            Problem::RateLimited { .. } => {
                Self::new(429, "CategoryRateLimited", "ErrorGeneral", "Too many requests; try again later")
            }
            Problem::Busy { .. } => unavailable("Busy; send the same request again"),
            Problem::Behind => unavailable("The position asked for is not reached yet; try again"),
            Problem::IssuerUnavailable => unavailable("The card issuer cannot be reached; try again"),
            Problem::Rejected { reject, .. } => Self::of_reject(reject),
            Problem::Internal => Self::failed("Something went wrong here; it has been noted under this request's id"),
        }
    }

    fn of_reject(reject: &Reject) -> Self {
        match reject.reason {
            Reason::UserUnknown => Self::forbidden(),
            Reason::CardUnknown => Self::no_card(),
            Reason::InvalidStatus => {
                let status = reject.figure(Figure::Status).and_then(|code| u8::try_from(code).ok());
                Self::status(status.and_then(Status::from_code).map_or("", shown))
            }
            Reason::FraudBlock => Self::status(shown(Status::Blocked)),
            Reason::CardLimitReached => Self::invalid("ErrorGeneral", "Card limit reached"),
            Reason::InvoiceRequired | Reason::InvoiceInvalid => Self::delivery_id(),
            Reason::ProviderMismatch => {
                let said = "The delivery provider is not the one of the fees invoice";
                let told = Self::invalid("ErrorInvalidField", said);
                told.with("field", "delivery_provider").with("issue", "mismatch")
            }
            Reason::InsufficientBalance => Self::failed("Failed to process delivery payment"),
            Reason::FeesNotEnforced => Self::not_enforced(),
            Reason::AssetUnknown => Self::unknown("token_address"),
            Reason::IdempotencyConflict => {
                let said = "The idempotency key was used with other content";
                Self::new(409, VALIDATION, "ErrorGeneral", said)
            }
            reason => Self::request(reason.text()),
        }
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.error_category.http_status_code);
        json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &self.0)
    }
}

/// Why a call is not answered with what it asked for.
#[derive(Debug)]
pub(super) struct Failure {
    what: What,
    replayed: bool,
}

#[derive(Debug)]
enum What {
    Problem(Problem),
    Told(Told),
}

impl Failure {
    /// A reject of the engine.
    pub(super) fn rejected(reject: Reject, replayed: bool) -> Self {
        let problem = match reject.reason {
            Reason::NoPolicy => Problem::Busy { retry_after_s: 1 },
            Reason::TooManyKeys | Reason::TooManyAuthorizations => Problem::RateLimited { retry_after_s: 60 },
            _ => Problem::rejected(reject, None, 2),
        };
        Self { what: What::Problem(problem), replayed }
    }

    /// Tells a reject in the words of one call, where that has words of its own for it.
    #[must_use]
    pub(super) fn or_told(self, words: impl FnOnce(Reason) -> Option<Told>) -> Self {
        let told = match &self.what {
            What::Problem(Problem::Rejected { reject, .. }) => words(reject.reason),
            _ => None,
        };
        Self { what: told.map_or(self.what, What::Told), replayed: self.replayed }
    }

    /// The engine's reason, where it is a reject.
    pub(super) const fn reason(&self) -> Option<Reason> {
        match &self.what {
            What::Problem(Problem::Rejected { reject, .. }) => Some(reject.reason),
            _ => None,
        }
    }

    /// Whether it is the first outcome of its key again.
    pub(super) const fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// Says whether it is the first outcome of its key again.
    #[must_use]
    pub(super) fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { what: What::Problem(problem), replayed: false }
    }
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        Self { what: What::Told(told), replayed: false }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = match self.what {
            What::Problem(problem) => problem::Failure::<Baas>::from(problem).into_response(),
            What::Told(told) => told.into_response(),
        };
        if self.replayed {
            let replayed: HeaderValue = REPLAYED_YES;
            response.headers_mut().insert(REPLAYED, replayed);
        }
        response
    }
}
