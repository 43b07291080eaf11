//! The ops API, `/ops/v1`: for operators, with keys of its own, by default on a listener of its own.
//!
//! Each file holds one kind of thing: its wire types, its handlers, their OpenAPI descriptions; [`routes`] is the table of
//! contents, `README.md` shows every call as a curl line. Commands are sent as class ops; every write takes an
//! `Idempotency-Key`, waits until the views show it, and names its position. Errors are in the plain format
//! ([`crate::http::plain`]). Personal data is opened only where somebody has to decide by it (an appeal's message).

pub mod call;
pub mod cards;
pub mod dead_letters;
pub mod desk;
pub mod failure;
pub mod ledger;
pub(crate) mod openapi;
pub mod policy;
pub mod requests;
#[cfg(test)]
mod tests;
pub mod users;
pub mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use florin_engine::command::Class;
use utoipa::OpenApi;

use crate::{
    Gateway,
    http::{
        self,
        keys::{ApiKey, Keys},
        plain::Told,
        position::AS_OF,
        problem::Problem,
    },
};
use desk::Desk;
use failure::Failure;

/// Where the API is served by default.
pub const PREFIX: &str = "/ops/v1";

/// The API, to be nested under `prefix`, behind these keys.
pub fn router(gateway: &Gateway, keys: &[ApiKey], prefix: &str) -> Router {
    let desk = Desk { gateway: gateway.clone(), api: "ops", class: Class::Ops };
    let guard = Guard::new(gateway, Some(keys));
    let document = Router::new().route(http::openapi::PATH, http::openapi::route(openapi::Document::openapi(), prefix));
    api(routes(), desk, guard).merge(document)
}

fn routes() -> Router<Desk> {
    Router::new()
        .route("/users", post(users::register))
        .route("/users/{company}/{user}", get(users::user))
        .route("/users/{company}/{user}/verification", put(users::verification))
        .route("/users/{company}/{user}/deposits", post(users::deposit))
        .route("/users/{company}/{user}/withdrawals", post(users::withdraw))
        .route("/users/{company}/{user}/write-offs", post(users::write_off))
        .route("/users/{company}/{user}/personal-data", delete(users::erase))
        .route("/policy", put(policy::put).get(policy::get))
        .route("/cards/{card}", get(cards::card))
        .route("/cards/{card}/history", get(cards::history))
        .route("/cards/{card}/{action}", post(cards::act))
        .route("/pending", get(cards::pending))
        .route("/card-requests", get(requests::card_requests))
        .route("/card-requests/{id}/{decision}", post(requests::decide_card_request))
        .route("/appeals", get(requests::appeals))
        .route("/appeals/{id}/{decision}", post(requests::decide_appeal))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/{id}/{action}", post(dead_letters::decide))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/{of}", put(webhooks::put))
        .route("/webhooks/{of}/{action}", post(webhooks::act))
        .route("/trial-balance", get(ledger::trial_balance))
        .route("/followers", get(ledger::followers))
        .route("/processors", get(ledger::processors))
        .route("/processors/{partition}/confirm-clock", post(ledger::confirm_clock))
}

/// Routes with their desk and guard, and the plain format for what is not there.
pub(crate) fn api(routes: Router<Desk>, desk: Desk, guard: Guard) -> Router {
    routes
        .fallback(async || Failure::from(Problem::NotFound))
        .method_not_allowed_fallback(async || Told::of(&Problem::MethodNotAllowed))
        .layer(middleware::from_fn_with_state(desk.clone(), fresh))
        .layer(middleware::from_fn_with_state(guard, admit))
        .with_state(desk)
}

/// Has a read see what was durable when it came, and tells as of where it is.
async fn fresh(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let as_of = match desk.catch_up(request.headers()).await {
        Ok(as_of) => as_of,
        Err(failure) => return failure.into_response(),
    };
    let mut response = next.run(request).await;
    response.headers_mut().insert(AS_OF, as_of);
    response
}

/// Who is let in.
#[derive(Clone)]
pub(crate) struct Guard {
    gateway: Gateway,
    /// `None`: everybody.
    keys: Option<Arc<Keys>>,
}

impl Guard {
    pub(crate) fn new(gateway: &Gateway, keys: Option<&[ApiKey]>) -> Self {
        Self { gateway: gateway.clone(), keys: keys.map(|keys| Arc::new(Keys::new(keys))) }
    }
}

/// Lets in who has a key, within the limits, and tells the handlers who it is.
async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let caller = match &guard.keys {
        Some(keys) => guard.gateway.caller(keys, request.headers(), request.extensions()).cloned(),
        None => Ok(http::keys::Caller { company: "open".into(), actor: 0 }),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => Failure::from(problem).into_response(),
    }
}
