//! The dashboard API: prepaid virtual cards of a company's users. `README.md` beside this file has the calls with `curl` lines.
//!
//! | call | file |
//! |---|---|
//! | create, list, details | `create.rs`, `list.rs`, `details.rs` |
//! | top-up | `top_up.rs` |
//! | transactions | `transactions.rs` |
//! | one-time code | `otp.rs` |

mod call;
mod create;
mod details;
mod document;
mod list;
mod otp;
mod top_up;
mod transactions;
mod wire;

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use florin_engine::reject::Reason;

use crate::{
    gateway::Gateway,
    http::{
        keys::Keys,
        openapi,
        paths::Paths,
        plain::Told,
        problem::{Dialect, Failure, Problem},
    },
};

/// Where it is served unless the configuration says otherwise.
pub const PREFIX: &str = "/api/dashboard";

/// How this API words its errors: the plain format, with the document's few codes.
#[derive(Clone, Copy, Debug)]
pub struct Dashboard;

impl Dialect for Dashboard {
    const NAME: &'static str = "dashboard";

    fn render(problem: &Problem) -> Response {
        told(problem).into_response()
    }
}

/// What a user of this API is told. What it has no word for but that the engine may say of a card is its status.
fn told(problem: &Problem) -> Told {
    let mut told = Told::of(problem);
    if let Problem::Rejected { reject, .. } = problem
        && matches!(reject.reason, Reason::NotPrepaid | Reason::NothingToChange)
    {
        told.code = "invalid_status";
    }
    told
}

/// What a handler answers.
type Answer = Result<Response, Failure<Dashboard>>;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    gateway: Gateway,
    keys: Arc<Keys>,
}

/// The routes of this API under `prefix`; with an empty one, at the root.
pub fn router(gateway: &Gateway, prefix: &str) -> Router {
    let api = Api { gateway: gateway.clone(), keys: Arc::new(Keys::new(&gateway.settings().dashboard_keys)) };
    Paths::under(prefix)
        .route("/users/{userId}/cards", post(create::create).get(list::list))
        .route("/users/{userId}/cards/{cardId}", get(details::details))
        .route("/users/{userId}/cards/{cardId}/topup", post(top_up::top_up))
        .route("/users/{userId}/cards/{cardId}/transactions", get(transactions::transactions))
        .route("/users/{userId}/cards/{cardId}/otp", get(otp::otp))
        .route(openapi::PATH, openapi::route(document::document(), prefix))
        .or(
            async || Failure::<Dashboard>::from(Problem::NotFound),
            async || Failure::<Dashboard>::from(Problem::MethodNotAllowed),
        )
        .with_state(api)
}
