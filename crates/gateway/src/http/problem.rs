//! What can go wrong with a request, before any dialect words it.
//!
//! The shared layers and the engine's answers end in a [`Problem`]; each dialect renders it in its document's error format
//! through [`Dialect`], so that a new dialect brings only its wording.

use std::{borrow::Cow, marker::PhantomData};

use axum::response::{IntoResponse, Response};
use florin_engine::reject::Reject;

use super::{amount, idempotency};

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, or null.
    Missing,
    /// It is there twice.
    Duplicate,
    /// It is not what it should be, such as "a string".
    WrongType(&'static str),
    /// It is no amount.
    Amount(amount::Error),
    /// Shorter than this many characters.
    TooShort(usize),
    /// Longer than this many characters.
    TooLong(usize),
    /// It has control characters.
    ControlCharacters,
    /// Not a whole number within these bounds.
    OutOfRange {
        /// Smallest allowed.
        minimum: i64,
        /// Largest allowed.
        maximum: i64,
    },
    /// Out of the form that is told, such as "visible ASCII characters".
    Form(&'static str),
}

impl Fault {
    /// What is wrong, to follow the field's name.
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Missing => "is required".into(),
            Self::Duplicate => "is given twice".into(),
            Self::Amount(error) => error.to_string().into(),
            Self::TooShort(1) => "must not be empty".into(),
            Self::TooShort(minimum) => format!("must have at least {minimum} characters").into(),
            Self::TooLong(maximum) => format!("must have at most {maximum} characters").into(),
            Self::ControlCharacters => "must not have control characters".into(),
            Self::OutOfRange { minimum, maximum } => {
                format!("must be a whole number from {minimum} to {maximum}").into()
            }
            Self::WrongType(expected) | Self::Form(expected) => format!("must be {expected}").into(),
        }
    }
}

/// Why a request is not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No credential, or one that is not known.
    Unauthorized,
    /// Nothing there, or not the caller's: the two are not told apart.
    NotFound,
    /// The path does not have this method.
    MethodNotAllowed,
    /// The body is over the limit.
    BodyTooLarge {
        /// Most bytes a body may have.
        bytes_max: usize,
    },
    /// The body did not come in time.
    BodyTimeout,
    /// The body is not declared as JSON.
    MediaType,
    /// The body is no JSON object; says why.
    Malformed(Cow<'static, str>),
    /// A field, header or parameter is wrong.
    Field {
        /// Its name; nested ones with a dot.
        field: Cow<'static, str>,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Too many requests.
    RateLimited {
        /// When to try again.
        retry_after_s: u64,
    },
    /// The engine has no room, or cannot be reached now; the same request may be sent again.
    Busy {
        /// When to try again.
        retry_after_s: u64,
    },
    /// The views have not reached the position the caller named.
    Behind,
    /// The issuer cannot be reached, or does not say.
    IssuerUnavailable,
    /// The engine rejected the command.
    Rejected {
        /// Why, with figures.
        reject: Reject,
        /// The field that amount bounds are about.
        field: Option<&'static str>,
        /// Decimals of the money in its figures.
        decimals: u8,
    },
    /// Something that should not be; told in the log only.
    Internal,
}

impl Problem {
    /// A field with its fault.
    pub fn field(field: impl Into<Cow<'static, str>>, fault: Fault) -> Self {
        Self::Field { field: field.into(), fault }
    }

    /// A missing field.
    pub fn missing(field: impl Into<Cow<'static, str>>) -> Self {
        Self::field(field, Fault::Missing)
    }

    /// Logs what should not be, and hides it from the caller.
    pub fn internal(what: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(error), "{what}");
        Self::Internal
    }

    /// A reject, with the field that amount bounds are about and the decimals of its money.
    pub const fn rejected(reject: Reject, field: Option<&'static str>, decimals: u8) -> Self {
        Self::Rejected { reject, field, decimals }
    }

    /// Seconds to wait before a retry, where a retry can help by itself.
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_s } | Self::Busy { retry_after_s } => Some(*retry_after_s),
            Self::Behind | Self::IssuerUnavailable => Some(1),
            _ => None,
        }
    }
}

/// An error with its causes, for the log.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How an API words its errors.
///
/// `render` must set the status and the body, and may set headers; `Retry-After`, `WWW-Authenticate` and `Idempotency-Replayed` are added by
/// [`Failure`] where they belong.
pub trait Dialect: Send + Sync + 'static {
    /// Its name: metrics label, scope of its idempotency keys and of its content digests.
    const NAME: &'static str;

    /// The answer that tells a problem.
    fn render(problem: &Problem) -> Response;
}

/// A problem on its way out through a dialect.
pub struct Failure<D> {
    problem: Problem,
    replayed: bool,
    dialect: PhantomData<fn() -> D>,
}

impl<D> std::fmt::Debug for Failure<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl<D> From<Problem> for Failure<D> {
    fn from(problem: Problem) -> Self {
        Self { problem, replayed: false, dialect: PhantomData }
    }
}

impl<D> Failure<D> {
    /// Says that it is the first outcome of its idempotency key again, if it is.
    #[must_use]
    pub fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }
}

impl<D: Dialect> IntoResponse for Failure<D> {
    fn into_response(self) -> Response {
        use axum::http::{HeaderValue, header};

        let mut response = D::render(&self.problem);
        let headers = response.headers_mut();
        if let Some(seconds) = self.problem.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.replayed {
            headers.insert(idempotency::REPLAYED, idempotency::REPLAYED_YES);
        }
        if self.problem == Problem::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
