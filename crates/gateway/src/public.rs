//! The public listener: every dialect under its prefix, one edge around them all.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, header},
    response::Response,
    routing::future::RouteFuture,
};
use futures_util::{FutureExt, future::Map};
use tower::Service;

use crate::{
    dialects::{baas, dashboard, mobile},
    gateway::Gateway,
    health,
    http::{
        edge::Edge,
        plain::Plain,
        problem::{Failure, Problem},
    },
    secure_page,
};

/// All dialects under their prefixes, with `/healthz` and `/readyz`. `beside` are other APIs that share the listener, such as
/// the sandbox's, under prefixes of their own.
pub fn public_router(gateway: &Gateway, beside: impl IntoIterator<Item = Router>) -> Router {
    let mut apis = Router::new()
        .merge(dashboard::router(gateway, dashboard::PREFIX))
        .merge(baas::router(gateway, baas::PREFIX))
        .merge(mobile::router(gateway, mobile::PREFIX))
        .merge(secure_page::router(gateway));
    for api in beside {
        apis = apis.merge(api);
    }
    listener(gateway, apis)
}

/// A listener of its own for some APIs, with or without prefixes; with `/healthz` and `/readyz`.
pub fn listener(gateway: &Gateway, apis: Router) -> Router {
    with_edge(apis.merge(health::routes(gateway.ports())))
}

/// A listener without a gateway, or before there is one: probes, `beside`, and for everything else the advice to come again.
pub fn waiting_listener(asked: health::Asked, beside: Router) -> Router {
    let busy = async || Failure::<Plain>::from(Problem::Busy { retry_after_s: 1 });
    beside.merge(health::bare_routes(asked)).fallback(busy).layer(Edge)
}

/// A listener of its own for one dialect, without a prefix, so that a client written for its document needs only another base URL;
/// with `/healthz` and `/readyz`. What is at no path is told as the dialect tells it.
pub fn alone(gateway: &Gateway, api: Router) -> Router {
    around(api.merge(health::routes(gateway.ports())))
}

/// The edge around a listener's routes; what is at no path is told in the plain format.
pub fn with_edge(routes: Router) -> Router {
    around(routes.fallback(async || Failure::<Plain>::from(Problem::NotFound)))
}

fn around(routes: Router) -> Router {
    // In front of the routing, which takes HEAD for GET.
    Router::new().fallback_service(WithoutHead(routes.layer(Edge).with_state(())))
}

/// Refuses HEAD in the words of the API it is sent to, but for probes. A GET may do more than tell: it records a reveal, or
/// makes a one-time code; nobody is to do that without seeing the answer.
#[derive(Clone)]
struct WithoutHead(Router);

impl Service<Request> for WithoutHead {
    type Response = Response;
    type Error = Infallible;
    type Future = Map<RouteFuture<Infallible>, fn(Result<Response, Infallible>) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
        if request.method() == Method::HEAD && !probe {
            // A method that no route has, so that the routing answers as for any other.
            *request.method_mut() = Method::TRACE;
        }
        let answered: fn(_) -> _ =
            if probe { std::convert::identity } else { |answer: Result<Response, Infallible>| answer.map(not_allowed) };
        self.0.call(request).map(answered)
    }
}

/// Takes HEAD off the methods that an answer says are allowed.
fn not_allowed(mut response: Response) -> Response {
    if let Some(allowed) = response.headers().get(header::ALLOW) {
        let allowed = allowed.to_str().unwrap_or_default().split(',').filter(|method| method.trim() != "HEAD");
        if let Ok(allowed) = HeaderValue::from_str(&allowed.collect::<Vec<_>>().join(",")) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    response
}
