//! The mobile API: a user's cards in the user's own hand. `README.md` beside this file has the calls with `curl` lines.
//!
//! | call | file |
//! |---|---|
//! | list; by uuid; by number | `list.rs`, `card.rs`, `by_number.rs` |
//! | status | `status.rs` |
//! | appeals | `appeals.rs` |
//! | limit per transaction; no-PIN amount | `limits.rs` |
//! | CVV; iframe | `cvv.rs`, `iframe.rs` |
//! | activation | `activate.rs` |
//! | transfer, withdraw | `transfers.rs` |
//! | card requests | `card_requests.rs` |

mod activate;
mod answer;
mod appeals;
mod by_number;
mod call;
mod card;
mod card_requests;
mod cvv;
mod document;
mod iframe;
mod limits;
mod list;
mod settings;
mod status;
mod told;
mod transfers;
mod wire;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};

use crate::{
    gateway::Gateway,
    http::{
        openapi,
        paths::Paths,
        problem::{Dialect, Failure, Problem},
        window::Window,
    },
};

pub use settings::Settings;

/// Where it is served unless the configuration says otherwise.
pub const PREFIX: &str = "/mobile";

/// How this API words its errors; see `told.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Mobile;

impl Dialect for Mobile {
    const NAME: &'static str = "mobile";

    fn render(problem: &Problem) -> Response {
        told::render(problem)
    }
}

/// What a handler answers.
type Answer = Result<Response, Failure<Mobile>>;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    gateway: Gateway,
    windows: Arc<Windows>,
}

/// The limits that the document sets for two routes, per address.
struct Windows {
    status_changes: Window<IpAddr>,
    appeals: Window<IpAddr>,
}

/// The routes of this API under `prefix`; with an empty one, at the root.
pub fn router(gateway: &Gateway, prefix: &str) -> Router {
    let settings = gateway.settings().mobile;
    let windows = Windows {
        status_changes: Window::per_minute(settings.status_changes_per_minute),
        appeals: Window::per_minute(settings.appeals_per_minute),
    };
    let api = Api { gateway: gateway.clone(), windows: Arc::new(windows) };
    Paths::under(prefix)
        .route("/api/v1/cards", get(list::list))
        .route("/api/v1/cards/{uuid}", get(card::card))
        .route("/api/v1/cards/get-by-number", post(by_number::by_number))
        .route("/api/v1/cards/update-status", post(status::update))
        .route("/api/v1/cards/blocked-appeal", post(appeals::open))
        .route("/api/v1/cards/blocked-appeal/status/{card_id}", get(appeals::status))
        .route("/api/v1/cards/transaction-limit", post(limits::per_transaction))
        .route("/api/v1/cards/no-pin-payment", post(limits::no_pin))
        .route("/api/v1/cards/show-cvv", post(cvv::cvv))
        .route("/api/v1/cards/show-cvv-iframe", post(iframe::iframe))
        .route("/api/v1/cards/activate", post(activate::activate))
        .route("/api/v1/cards/{uuid}/transfer", post(transfers::transfer))
        .route("/api/v1/cards/{uuid}/withdraw", post(transfers::withdraw))
        .route("/api/v1/card-requests", post(card_requests::open))
        .route("/api/v1/card-requests/{id}", get(card_requests::card_request))
        .route(openapi::PATH, openapi::route(document::document(), prefix))
        .or(
            async || Failure::<Mobile>::from(Problem::NotFound),
            async || Failure::<Mobile>::from(Problem::MethodNotAllowed),
        )
        .with_state(api)
}
