//! Errors as this API tells them: `{status_code, message, errors: [{field, code, message}]}`.

use std::borrow::Cow;

use axum::{http::StatusCode, response::Response};
use florin_engine::{
    reject::{Figure, Reason, Reject},
    terms::Status,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::shown;
use crate::http::{
    amount::Money,
    plain::{self, Detail, Told},
    problem::{Fault, Problem},
};

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// The HTTP status.
    #[schema(example = 409)]
    pub(super) status_code: u16,
    /// A sentence for people; not to be parsed.
    #[schema(value_type = String)]
    pub(super) message: Cow<'static, str>,
    /// What is wrong; one for now.
    pub(super) errors: [ErrorItem; 1],
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = ErrorItem)]
pub(super) struct ErrorItem {
    /// The field, parameter or header that is wrong; null where it is none of them.
    #[schema(required, value_type = Option<String>, example = "card_id")]
    pub(super) field: Option<Cow<'static, str>>,
    /// A stable word.
    #[schema(value_type = String, example = "card_processing")]
    pub(super) code: &'static str,
    /// The same sentence.
    #[schema(value_type = String)]
    pub(super) message: Cow<'static, str>,
}

/// The answer that tells a problem.
pub(super) fn render(problem: &Problem) -> Response {
    let (told, field) = told(problem);
    let body = ErrorBody {
        status_code: told.status.as_u16(),
        message: told.message.clone(),
        errors: [ErrorItem { field, code: told.code, message: told.message }],
    };
    plain::json(told.status, &body)
}

/// Status, code, sentence, and the field it is about.
fn told(problem: &Problem) -> (Told, Option<Cow<'static, str>>) {
    let mut told = Told::of(problem);
    match problem {
        Problem::Unauthorized => {
            told.message = "The access token is missing, expired or not valid.".into();
            (told, None)
        }
        Problem::Field { field, fault } => {
            told.code = code(fault);
            (told, Some(field.clone()))
        }
        Problem::Rejected { reject, decimals, .. } => {
            word(&mut told, reject, *decimals);
            let field = told.details.0.iter().find_map(|(name, detail)| match detail {
                Detail::Text(text) if *name == "field" => Some(text.clone()),
                _ => None,
            });
            (told, field)
        }
        _ => (told, None),
    }
}

/// The stable word of what is wrong with a field.
const fn code(fault: &Fault) -> &'static str {
    match fault {
        Fault::Missing => "required",
        Fault::Duplicate => "duplicate",
        Fault::WrongType(_) => "invalid_type",
        Fault::Amount(_) => "invalid_amount",
        Fault::TooShort(_) => "too_short",
        Fault::TooLong(_) => "too_long",
        Fault::ControlCharacters => "invalid_characters",
        Fault::OutOfRange { .. } => "out_of_range",
        Fault::Form(_) => "invalid_format",
    }
}

/// The words of this API for what the engine says, with its figures.
fn word(told: &mut Told, reject: &Reject, decimals: u8) {
    let figure = |figure| reject.figure(figure).unwrap_or(0);
    match reject.reason {
        Reason::ChangePending => processing(told),
        Reason::InvalidStatus | Reason::FraudBlock => {
            match reject.figure(Figure::Status).and_then(|code| Status::from_code(u8::try_from(code).ok()?)) {
                Some(Status::Requested | Status::NotActivated) => processing(told),
                Some(status) => {
                    told.message = format!("The card is {}, which does not allow this.", shown(status)).into();
                }
                None => {}
            }
        }
        Reason::CardLimitReached => {
            let (limit, used) = (figure(Figure::Limit), figure(Figure::Used));
            told.message =
                format!("The card limit is reached: {used} of {limit}, open requests for cards included.").into();
        }
        Reason::InsufficientBalance => {
            let money = |name| Money::new(florin_engine::money::Minor(figure(name)), decimals);
            let (needed, available) = (money(Figure::Needed), money(Figure::Available));
            told.message = format!("There is not enough money: {needed} is needed, {available} available.").into();
        }
        Reason::AmountNotPositive | Reason::AmountBelowMinimum | Reason::AmountAboveMaximum => {
            told.code = "out_of_range";
        }
        _ => {}
    }
}

fn processing(told: &mut Told) {
    told.status = StatusCode::CONFLICT;
    told.code = "card_processing";
    told.message = "The card is PROCESSING: another change of it is waiting to be done.".into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reject: Reject) -> (u16, &'static str, String) {
        let (told, _) = told(&Problem::rejected(reject, Some("amount"), 2));
        (told.status.as_u16(), told.code, told.message.into_owned())
    }

    #[test]
    fn a_refusal_tells_state_bound_or_figures() {
        let status = |status: Status| Reject::new(Reason::InvalidStatus).with(Figure::Status, status.code().into());
        for (reject, code, part) in [
            (status(Status::Blocked), "invalid_status", "is BLOCKED"),
            (status(Status::PreCancel), "invalid_status", "is PRE_CANCEL"),
            (status(Status::NotActivated), "card_processing", "is PROCESSING"),
            (Reason::ChangePending.into(), "card_processing", "is PROCESSING"),
            (
                Reject::new(Reason::CardLimitReached).with(Figure::Limit, 5).with(Figure::Used, 5),
                "card_limit_reached",
                "5 of 5",
            ),
            (
                Reject::new(Reason::InsufficientBalance).with(Figure::Needed, 1_005).with(Figure::Available, 99),
                "insufficient_balance",
                "10.05 is needed, 0.99 available",
            ),
        ] {
            let (status, told, message) = of(reject);
            assert_eq!((status, told), (409, code), "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_field_is_named_with_a_code_of_its_fault() {
        let (told, field) = told(&Problem::field("card_id", Fault::Missing));
        assert_eq!((told.status.as_u16(), told.code, field.as_deref()), (400, "required", Some("card_id")));
        let reject = Reject::new(Reason::AmountAboveMaximum).with(Figure::Limit, 1_000);
        let (told, field) = super::told(&Problem::rejected(reject, Some("amount"), 2));
        assert_eq!((told.status.as_u16(), told.code, field.as_deref()), (400, "out_of_range", Some("amount")));
        assert_eq!(told.message, "amount must be at most 10.00.");
    }
}
