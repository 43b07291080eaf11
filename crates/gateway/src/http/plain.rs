//! The error format of the dashboard, ops and sandbox APIs: `{"error": {"code", "message", "details": {…figures}}}`.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use florin_engine::{
    money::Minor,
    reject::{Figure, Reason, Reject},
    terms::Status,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use utoipa::ToSchema;

use super::{
    amount::Money,
    problem::{Dialect, Fault, Problem},
    time::Time,
};

/// A figure in an error's details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Money.
    Money(Money),
    /// A number.
    Number(i64),
    /// A word.
    Text(Cow<'static, str>),
    /// A time.
    Time(Time),
}

/// The details of an error: figures by name, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(pub Vec<(&'static str, Detail)>);

impl Details {
    /// With a figure.
    #[must_use]
    pub fn with(mut self, name: &'static str, detail: Detail) -> Self {
        self.0.push((name, detail));
        self
    }

    /// With a word.
    #[must_use]
    pub fn text(self, name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        self.with(name, Detail::Text(text.into()))
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, detail) in &self.0 {
            map.serialize_entry(name, detail)?;
        }
        map.end()
    }
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorFields,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorFields {
    /// A stable word.
    #[schema(value_type = String, example = "insufficient_balance")]
    pub code: &'static str,
    /// A sentence for people; not to be parsed.
    #[schema(value_type = String)]
    pub message: Cow<'static, str>,
    /// The figures of the moment.
    #[schema(value_type = Object, example = json!({"needed": 108.00, "available": 20.50}))]
    pub details: Details,
}

/// A problem as status, code, message and details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable word.
    pub code: &'static str,
    /// The sentence.
    pub message: Cow<'static, str>,
    /// The figures.
    pub details: Details,
}

impl Told {
    /// A problem without figures.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), details: Details::default() }
    }

    /// With figures.
    #[must_use]
    pub fn details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// What a problem is told as.
    pub fn of(problem: &Problem) -> Self {
        match problem {
            Problem::Unauthorized => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The API key is missing or not valid.")
            }
            Problem::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here by that id or path.")
            }
            Problem::MethodNotAllowed => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not have this method; see the Allow header.",
            ),
            Problem::BodyTooLarge { bytes_max } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large.").details(
                    Details::default()
                        .with("maximum_bytes", Detail::Number(i64::try_from(*bytes_max).unwrap_or(i64::MAX))),
                )
            }
            Problem::BodyTimeout => Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The body did not come in time."),
            Problem::MediaType => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body as application/json.",
            ),
            Problem::Malformed(why) => Self::invalid(format!("Invalid request: {why}.")),
            Problem::Field { field, fault } => Self::invalid(format!("{field} {}.", fault.text()))
                .details(of_fault(Details::default().text("field", field.clone()), fault)),
            Problem::RateLimited { retry_after_s } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests; try again later.")
                    .details(retry(*retry_after_s))
            }
            Problem::Busy { retry_after_s } => {
                Self::busy("Busy; send the same request again.").details(retry(*retry_after_s))
            }
            Problem::Behind => Self::busy("The position asked for is not reached yet; try again.").details(retry(1)),
            Problem::IssuerUnavailable => Self::busy("The card issuer cannot be reached; try again.").details(retry(1)),
            Problem::Rejected { reject, field, decimals } => Self::of_reject(reject, *field, *decimals),
            Problem::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here; it has been noted under this request's id.",
            ),
        }
    }

    fn invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    fn busy(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    fn conflict(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    fn of_reject(reject: &Reject, field: Option<&'static str>, decimals: u8) -> Self {
        let told = match reject.reason {
            Reason::UserUnknown
            | Reason::CardUnknown
            | Reason::AppealUnknown
            | Reason::CardRequestUnknown
            | Reason::AuthorizationUnknown => return Self::of(&Problem::NotFound),
            Reason::NoPolicy => {
                return Self::busy("No policy has been adopted yet.").details(retry(1));
            }
            Reason::TooManyKeys | Reason::TooManyAuthorizations => {
                let mut told = Self::of(&Problem::RateLimited { retry_after_s: 60 });
                told.message = sentence(reject.reason.text()).into();
                return told;
            }
            Reason::AmountNotPositive | Reason::AmountBelowMinimum | Reason::AmountAboveMaximum => {
                return Self::of_bound(reject, field.unwrap_or("amount"), decimals);
            }
            Reason::InsufficientBalance => {
                Self::conflict("insufficient_balance", "There is not enough money in the wallet or on the card.")
            }
            Reason::CardLimitReached => {
                Self::conflict("card_limit_reached", "The user has as many cards as is allowed.")
            }
            Reason::ChangePending => {
                Self::conflict("change_pending", "Another change of the card is waiting for the issuer.")
            }
            Reason::IdempotencyConflict => {
                Self::conflict("idempotency_conflict", "The idempotency key was used with other content.")
            }
            Reason::InvalidStatus | Reason::FraudBlock => {
                Self::conflict("invalid_status", "The card's status does not allow this.")
            }
            Reason::UserExists => Self::conflict("user_exists", "The user is registered already."),
            Reason::CardExists | Reason::AuthorizationExists => Self::conflict("already_exists", "It exists already."),
            Reason::NothingToChange => Self::conflict("nothing_to_change", "Nothing would change."),
            Reason::AppealOpen => Self::conflict("appeal_open", "An appeal is open already."),
            Reason::CapabilityInactive => {
                Self::conflict("capability_inactive", "The user's verification does not allow this kind of card.")
            }
            Reason::HoldClosed => Self::conflict("hold_closed", "The hold is no longer open."),
            Reason::NothingOwed => Self::conflict("nothing_owed", "Nothing is owed."),
            Reason::NothingPending => Self::conflict("nothing_pending", "Nothing is pending."),
            Reason::NotDue => Self::conflict("not_due", "It is not due yet."),
            Reason::NotPrepaid => Self::conflict("not_prepaid", "The card has no balance of its own."),
            Reason::WrongClass => Self::new(StatusCode::FORBIDDEN, "forbidden", "This caller may not do this."),
            Reason::TooOld
            | Reason::PolicyRefused
            | Reason::InvalidField
            | Reason::AssetUnknown
            | Reason::ProgrammeUnknown
            | Reason::InvoiceRequired
            | Reason::InvoiceInvalid
            | Reason::ProviderMismatch
            | Reason::FeesUnknown
            | Reason::FeesNotEnforced
            | Reason::Overflow => Self::invalid(sentence(reject.reason.text())),
        };
        let mut details = figures(reject, decimals);
        if reject.reason == Reason::Overflow
            && let Some(field) = field
        {
            details = details.text("field", field);
        }
        told.details(details)
    }

    /// A business bound: names field, bound and its figure. The smallest amount above zero is a minor unit.
    fn of_bound(reject: &Reject, field: &'static str, decimals: u8) -> Self {
        let money = |minor| Money::new(Minor(minor), decimals);
        let (bound, words) = match reject.reason {
            Reason::AmountAboveMaximum => ("maximum", "at most"),
            _ => ("minimum", "at least"),
        };
        let limit = reject.figure(Figure::Limit).unwrap_or(1);
        let details =
            Details::default().text("field", field).text("bound", bound).with(bound, Detail::Money(money(limit)));
        Self::invalid(format!("{field} must be {words} {}.", money(limit))).details(details)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorFields { code: self.code, message: self.message, details: self.details } };
        json(self.status, &body)
    }
}

/// The plain error format by itself, as ops and sandbox use it.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Dialect for Plain {
    const NAME: &'static str = "plain";

    fn render(problem: &Problem) -> Response {
        Told::of(problem).into_response()
    }
}

/// A JSON answer. Our own answers have no way to fail: the keys are texts and memory is the only sink.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut text = Vec::with_capacity(256);
    if let Err(error) = serde_json::to_writer(&mut text, body) {
        tracing::error!(%error, "an answer could not be written as JSON");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], text).into_response()
}

fn retry(retry_after_s: u64) -> Details {
    let seconds = i64::try_from(retry_after_s).unwrap_or(i64::MAX);
    Details::default().with("retry_after_seconds", Detail::Number(seconds))
}

fn of_fault(details: Details, fault: &Fault) -> Details {
    let length = |length: &usize| Detail::Number(i64::try_from(*length).unwrap_or(i64::MAX));
    match fault {
        Fault::TooShort(minimum) => details.text("bound", "minimum_length").with("minimum_length", length(minimum)),
        Fault::TooLong(maximum) => details.text("bound", "maximum_length").with("maximum_length", length(maximum)),
        Fault::OutOfRange { minimum, maximum } => details
            .text("bound", "range")
            .with("minimum", Detail::Number(*minimum))
            .with("maximum", Detail::Number(*maximum)),
        Fault::Amount(super::amount::Error::TooManyDecimals(decimals)) => {
            details.text("bound", "decimals").with("decimals", Detail::Number(i64::from(*decimals)))
        }
        _ => details,
    }
}

/// The figures of a reject, by their names; money with its decimals.
fn figures(reject: &Reject, decimals: u8) -> Details {
    let mut details = Details::default();
    for (figure, value) in &reject.figures {
        let money = Detail::Money(Money::new(Minor(*value), decimals));
        details = match figure {
            Figure::Needed => details.with("needed", money),
            Figure::Available => details.with("available", money),
            Figure::Amount => details.with("amount", money),
            Figure::Limit => details.with("limit", Detail::Number(*value)),
            Figure::Used => details.with("used", Detail::Number(*value)),
            Figure::RetryAt => details.with("retry_at", Detail::Time(Time(u64::try_from(*value).unwrap_or(0)))),
            Figure::Status => match u8::try_from(*value).ok().and_then(Status::from_code) {
                Some(status) => details.text("status", shown(status)),
                None => details,
            },
            Figure::Field => match field_word(*value) {
                Some(word) => details.text("field", word),
                None => details,
            },
            Figure::Level => details.with("level", Detail::Number(*value)),
            Figure::Version => details.with("version", Detail::Number(*value)),
            Figure::Detail => details.with("detail", Detail::Number(*value)),
        };
    }
    details
}

/// How the dashboard document shows a state (lifecycle.md, How each API shows a state).
pub const fn shown(status: Status) -> &'static str {
    match status {
        Status::Requested | Status::NotActivated | Status::Frozen => "frozen",
        Status::Active => "active",
        Status::Blocked | Status::PreCancel | Status::Cancelled => "blocked",
        Status::Expired => "expired",
    }
}

/// The name of an engine's field as a word of the APIs: `EffectiveAt` is `effective_at`.
fn field_word(code: i64) -> Option<String> {
    use florin_engine::reject::Field;

    let field = u8::try_from(code).ok().and_then(Field::from_code)?;
    let mut word = String::new();
    for letter in format!("{field:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    Some(word)
}

/// A lower-case fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut characters = fragment.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem) -> (u16, String) {
        let told = Told::of(problem);
        let status = told.status.as_u16();
        let body = ErrorBody { error: ErrorFields { code: told.code, message: told.message, details: told.details } };
        (status, serde_json::to_string(&body).unwrap())
    }

    #[test]
    fn a_bound_names_field_and_bound_with_exact_decimals() {
        let reject = Reject::new(Reason::AmountBelowMinimum).with(Figure::Limit, 2_500).with(Figure::Amount, 2_499);
        assert_eq!(
            body(&Problem::rejected(reject, Some("initialBalance"), 2)),
            (
                400,
                r#"{"error":{"code":"invalid_request","message":"initialBalance must be at least 25.00.","details":{"field":"initialBalance","bound":"minimum","minimum":25.00}}}"#
                    .to_owned()
            )
        );
        let reject = Reject::new(Reason::AmountAboveMaximum).with(Figure::Limit, 1_000_000);
        assert_eq!(
            body(&Problem::rejected(reject, Some("amount"), 2)).1,
            r#"{"error":{"code":"invalid_request","message":"amount must be at most 10000.00.","details":{"field":"amount","bound":"maximum","maximum":10000.00}}}"#
        );
    }

    #[test]
    fn too_little_money_says_needed_and_available() {
        let reject =
            Reject::new(Reason::InsufficientBalance).with(Figure::Needed, 10_800).with(Figure::Available, 2_050);
        let (status, body) = body(&Problem::rejected(reject, None, 2));
        assert_eq!(status, 409);
        assert!(body.contains(r#""code":"insufficient_balance""#), "{body}");
        assert!(body.contains(r#""details":{"needed":108.00,"available":20.50}"#), "{body}");
    }

    #[test]
    fn every_reject_is_told_and_none_as_a_server_error() {
        for reason in Reason::ALL {
            let told = Told::of(&Problem::rejected(Reject::new(*reason), Some("amount"), 2));
            let expected = told.status.is_client_error() || *reason == Reason::NoPolicy;
            assert!(expected, "{reason:?} is told as {}", told.status);
            assert!(!told.code.is_empty());
        }
    }

    #[test]
    fn a_field_out_of_form_is_named() {
        use florin_engine::reject::Field;

        let told = Told::of(&Problem::rejected(Reject::field(Field::EffectiveAt), None, 2));
        assert_eq!(told.details, Details::default().text("field", "effective_at"));
    }

    #[test]
    fn someone_elses_card_and_no_path_are_told_alike() {
        let card = Problem::rejected(Reject::new(Reason::CardUnknown), Some("amount"), 2);
        assert_eq!(body(&card), body(&Problem::NotFound));
    }
}
