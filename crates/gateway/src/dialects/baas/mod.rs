//! The BaaS API: virtual and plastic cards on a user's wallets. `README.md` beside this file has the calls with `curl` lines.

mod error;
mod item;
mod pattern;
pub mod webhooks;
mod wire;

use axum::response::{IntoResponse, Response};

use crate::http::problem::{Dialect, Problem};

/// Where it is served unless the configuration says otherwise.
pub const PREFIX: &str = "/baas";

/// How this API words its errors: the document's error object.
#[derive(Clone, Copy, Debug)]
pub struct Baas;

impl Dialect for Baas {
    const NAME: &'static str = "baas";

    fn render(problem: &Problem) -> Response {
        error::Told::of(problem).into_response()
    }
}
