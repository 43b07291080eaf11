//! The public listener: every dialect under its prefix, one edge around them all.

use axum::Router;

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
    routes.layer(Edge)
}
