//! The outermost layer of every listener: request id, span, metrics and security headers.
//!
//! No CORS headers here or anywhere: browsers of other origins are not callers of these APIs.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use super::{request_id, timings, unread::Ended};

/// Set on every answer that does not say otherwise. Answers are money and people: nobody may keep them.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Use with [`axum::middleware::from_fn`], last, so that it is around everything.
///
/// The span and the metrics name the route's pattern, never the path itself: a path has the company's id of its user.
pub async fn edge(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id::of(request.headers());
    request.headers_mut().insert(request_id::HEADER, id.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or("-"), method = method.as_str(), route);
    let (request, ended) = Ended::watch(request);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    if status.is_server_error() {
        span.in_scope(|| tracing::warn!(status = status.as_u16(), "answered with a server error"));
    }
    timings::record(route, method_name(&method), class(status.as_u16()), begun.elapsed().as_secs_f64());

    let headers = response.headers_mut();
    if !ended.is() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.reserve(SECURITY.len() + 1);
    headers.insert(request_id::HEADER, id);
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(value);
    }
    response
}

/// A known method's name; a caller cannot make new metrics by inventing methods.
fn method_name(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

/// The class of a status, and by itself what an operator looks for.
fn class(status: u16) -> &'static str {
    match status {
        401 => "401",
        409 => "409",
        429 => "429",
        503 => "503",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
