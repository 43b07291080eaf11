//! The public listener: every dialect under its prefix, one edge around them all.

use axum::{Router, middleware::from_fn};

use crate::{
    dialects::dashboard,
    gateway::Gateway,
    health,
    http::{
        edge::edge,
        plain::Plain,
        problem::{Failure, Problem},
    },
};

/// All dialects under their prefixes, with `/healthz` and `/readyz`. `beside` are other APIs that share the listener, such as
/// the sandbox's, under prefixes of their own.
pub fn public_router(gateway: &Gateway, beside: impl IntoIterator<Item = Router>) -> Router {
    let mut apis = Router::new().nest(dashboard::PREFIX, dashboard::router(gateway, dashboard::PREFIX));
    for api in beside {
        apis = apis.merge(api);
    }
    listener(gateway, apis)
}

/// A listener of its own for some APIs, with or without prefixes; with `/healthz` and `/readyz`.
pub fn listener(gateway: &Gateway, apis: Router) -> Router {
    with_edge(apis.merge(health::routes(gateway.ports())))
}

/// The edge around a listener's routes; what is at no path is told in the plain format.
pub fn with_edge(routes: Router) -> Router {
    routes.fallback(async || Failure::<Plain>::from(Problem::NotFound)).layer(from_fn(edge))
}
