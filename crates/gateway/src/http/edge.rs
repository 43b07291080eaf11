//! The outermost layer of every listener: request id, span, metrics and security headers.
//!
//! No CORS headers here or anywhere: browsers of other origins are not callers of these APIs.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::Span;

use super::{paths, request_id, timings, unread::Ended};

/// Set on every answer that does not say otherwise. Answers are money and people: nobody may keep them.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The layer: the last of all, so that it is around everything.
///
/// The span and the metrics name the route's pattern, never the path itself: a path has the company's id of its user.
#[derive(Clone, Copy, Debug)]
pub struct Edge;

impl<S> Layer<S> for Edge {
    type Service = Edged<S>;

    fn layer(&self, inner: S) -> Edged<S> {
        Edged(inner)
    }
}

/// What [`Edge`] is around.
#[derive(Clone, Debug)]
pub struct Edged<S>(S);

impl<S: Service<Request, Response = Response>> Service<Request> for Edged<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let begun = Instant::now();
        let id = request_id::of(request.headers());
        request.headers_mut().insert(request_id::HEADER, id.clone());
        let route = request.extensions().get::<MatchedPath>().filter(|route| !paths::is_rest(route.as_str())).cloned();
        let (method, name) = (method_name(request.method()), route.as_ref().map_or("-", MatchedPath::as_str));
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or("-"), method, route = name);
        let (request, ended) = Ended::watch(request);
        let answer = span.in_scope(|| self.0.call(request));
        Answering { answer, span, seen: Seen { begun, id, route, method, ended } }
    }
}

/// What is known of a request while it is answered.
#[derive(Debug)]
struct Seen {
    begun: Instant,
    id: HeaderValue,
    route: Option<MatchedPath>,
    method: &'static str,
    ended: Ended,
}

pin_project! {
    /// An answer on its way.
    #[derive(Debug)]
    pub struct Answering<F> {
        #[pin]
        answer: F,
        span: Span,
        seen: Seen,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Answering<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _inside = this.span.enter();
        let mut response = ready!(this.answer.poll(context))?;
        this.seen.mark(&mut response);
        Poll::Ready(Ok(response))
    }
}

impl Seen {
    /// Measures the request, and puts on its answer what every answer has.
    fn mark(&self, response: &mut Response) {
        let status = response.status();
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), "answered with a server error");
        }
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        timings::record(route, self.method, class(status.as_u16()), self.begun.elapsed().as_secs_f64());
        let headers = response.headers_mut();
        if !self.ended.is() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers.reserve(SECURITY.len() + 1);
        headers.insert(request_id::HEADER, self.id.clone());
        for (name, value) in SECURITY {
            headers.entry(name).or_insert(value);
        }
    }
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
