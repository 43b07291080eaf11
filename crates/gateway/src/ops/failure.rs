//! What goes wrong in the ops, sandbox and issuer APIs, and how it is told: in the plain error format.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use florin_processor::Error as Unanswered;

use crate::http::{
    plain::{Details, Plain, Told},
    problem::{self, Fault, Problem},
};

/// Why a call is not answered with what it asked for.
#[derive(Debug)]
pub enum Failure {
    /// What every API knows.
    Problem(Problem),
    /// What only these APIs say.
    Told(Told),
}

impl Failure {
    /// A conflict with what is there.
    pub fn conflict(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::Told(Told::new(StatusCode::CONFLICT, code, message))
    }

    /// A parameter of the path or query that is out of form.
    pub fn parameter(name: &'static str, expected: &'static str) -> Self {
        Problem::field(name, Fault::Form(expected)).into()
    }

    /// A call that this deployment does not serve.
    pub fn not_here(what: &'static str) -> Self {
        Self::Told(Told::new(StatusCode::NOT_FOUND, "not_served", what))
    }

    /// A failure of the views. Told as unavailable: they are rebuilt from the journal.
    pub fn views(error: &florin_projector::Error) -> Self {
        Problem::internal("the views cannot be read", error).into()
    }

    /// A failure of the vault. An erased person's data is gone for everybody, which is no secret here.
    pub fn vault(error: &florin_vault::Error) -> Self {
        match error {
            florin_vault::Error::Unknown => Problem::NotFound.into(),
            florin_vault::Error::Erased => Self::conflict("user_erased", "The user's personal data was erased."),
            florin_vault::Error::Taken => Self::conflict("user_exists", "The account belongs to another user."),
            florin_vault::Error::TooLong { .. } => Problem::Malformed("a text is too long to be kept".into()).into(),
            florin_vault::Error::Unreachable(_) => Problem::Busy { retry_after_s: 1 }.into(),
            error => Problem::internal("the vault failed", error).into(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Unanswered> for Failure {
    /// A command that has no outcome. Whatever is retriable may be sent again with the same key.
    fn from(error: Unanswered) -> Self {
        let unavailable = |code, message: String| {
            Self::Told(Told {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code,
                message: message.into(),
                details: Details::default(),
            })
        };
        match error {
            Unanswered::Busy { retry_after_ms } => {
                Problem::Busy { retry_after_s: retry_after_ms.div_ceil(1_000).max(1) }.into()
            }
            Unanswered::ClockRefused { .. } => {
                unavailable("clock_refused", format!("{error}: POST /ops/v1/processors/{{partition}}/confirm-clock."))
            }
            Unanswered::DeadlinePassed => {
                unavailable("busy", "It was not decided in time; send the same request again.".to_owned())
            }
            Unanswered::BatchTooLarge { .. } | Unanswered::CommandTooLarge => {
                Problem::Malformed("it does not fit into a record of the journal".into()).into()
            }
            Unanswered::Stopped { .. } | Unanswered::Misrouted(_) => {
                tracing::error!(%error, "a command was not answered");
                unavailable(
                    "unavailable",
                    "The processor cannot be reached; send the same request again with the same key.".to_owned(),
                )
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem::Failure::<Plain>::from(problem).into_response(),
            Self::Told(told) => {
                let retry = told.status == StatusCode::SERVICE_UNAVAILABLE;
                let mut response = told.into_response();
                if retry {
                    let seconds = HeaderValue::from_static("1");
                    response.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                response
            }
        }
    }
}
