//! OpenAPI documents: generated from the code, written once, served as they are.

use axum::{
    body::Bytes,
    http::{HeaderValue, header},
    routing::{MethodRouter, get},
};
use utoipa::openapi::{OpenApi, Server};

/// Where an API's document is, under the API's prefix.
pub const PATH: &str = "/openapi.json";

/// The document of an API served under `prefix` (empty: at the root).
pub fn route<S: Clone + Send + Sync + 'static>(mut document: OpenApi, prefix: &str) -> MethodRouter<S> {
    let server = if prefix.is_empty() { "/" } else { prefix };
    document.servers = Some(vec![Server::new(server)]);
    let text = document.to_pretty_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document could not be written");
        String::from("{}")
    });
    let text = Bytes::from(text);
    get(move || {
        let text = text.clone();
        async move {
            (
                [
                    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                    (header::CACHE_CONTROL, HeaderValue::from_static("max-age=300")),
                ],
                text,
            )
        }
    })
}
