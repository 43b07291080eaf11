//! The BaaS API: virtual and plastic cards on a user's wallets. `README.md` beside this file has the calls with `curl` lines.
//!
//! | call | file |
//! |---|---|
//! | user, verification, capabilities | `user.rs` |
//! | order fees, invoices · delivery countries and methods | `fees.rs` · `delivery.rs` |
//! | issue · activate | `issue.rs` · `activate.rs` |
//! | list | `list.rs`, a card as shown in `item.rs` |
//! | block, unblock, close, limit | `change.rs` |
//! | details, cvv, pin | `reveal.rs` |

mod activate;
mod asked;
mod call;
mod change;
mod delivery;
mod document;
mod error;
mod fees;
mod issue;
mod item;
mod list;
mod pattern;
mod reveal;
mod user;
pub mod webhooks;
mod wire;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};

use crate::{
    gateway::Gateway,
    http::{
        openapi,
        paths::Paths,
        problem::{Dialect, Problem},
    },
};
use error::{Failure, Told};

/// Where it is served unless the configuration says otherwise.
pub const PREFIX: &str = "/baas";

/// How this API words its errors: the document's error object.
#[derive(Clone, Copy, Debug)]
pub struct Baas;

impl Dialect for Baas {
    const NAME: &'static str = "baas";

    fn render(problem: &Problem) -> Response {
        Told::of(problem).into_response()
    }
}

/// What a handler answers.
type Answer = Result<Response, Failure>;

/// The routes of this API under `prefix`; with an empty one, at the root.
pub fn router(gateway: &Gateway, prefix: &str) -> Router {
    Paths::under(prefix)
        .route("/api/v2/user", get(user::user))
        .route("/api/v1/cards/{type}/fees/{country}", get(fees::fees))
        .route("/api/v2/cards/{type}/fees/{country}/payment", post(fees::invoice))
        .route("/api/v1/cards/delivery/countries", get(delivery::countries))
        .route("/api/v1/cards/delivery/methods/{country}", get(delivery::methods))
        .route("/api/v2/cards/virtual", post(issue::virtual_card))
        .route("/api/v2/cards/plastic", post(issue::plastic_card))
        .route("/api/v1/cards", get(list::list))
        .route("/api/v1/cards/{cardId}/activate", put(activate::activate))
        .route("/api/v1/cards/{cardId}/block", put(change::block))
        .route("/api/v1/cards/{cardId}/unblock", put(change::unblock))
        .route("/api/v1/cards/{cardId}/close", put(change::close))
        .route("/api/v1/cards/{cardId}/limit", put(change::limit))
        .route("/api/v1/cards/{cardId}/details", get(reveal::details))
        .route("/api/v1/cards/{cardId}/cvv", get(reveal::cvv))
        .route("/api/v1/cards/{cardId}/pin", get(reveal::pin))
        .route(openapi::PATH, openapi::route(document::document(), prefix))
        .or(async || Told::no_path(), async || Told::of(&Problem::MethodNotAllowed))
        .with_state(gateway.clone())
}
