//! The paths of an API, each whole: its prefix is part of them, so that no request is rewritten on its way to a handler.

use std::convert::Infallible;

use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, any},
};

/// What else is under a prefix. No metric and no span names it.
const REST: &str = "/{*rest}";

/// Routes under a prefix; an empty one: at the root.
pub(crate) struct Paths<S> {
    prefix: String,
    routes: Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Paths<S> {
    pub(crate) fn under(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), routes: Router::new() }
    }

    pub(crate) fn route(self, path: &str, methods: MethodRouter<S, Infallible>) -> Self {
        let path = format!("{}{path}", self.prefix);
        Self { routes: self.routes.route(&path, methods), ..self }
    }

    /// The routes; `nowhere` answers at every other path under the prefix, `method` for a method that a path does not have.
    pub(crate) fn or<A: Send + 'static, B: Send + 'static>(
        self,
        nowhere: impl Handler<A, S>,
        method: impl Handler<B, S>,
    ) -> Router<S> {
        let routes = self.routes.method_not_allowed_fallback(method);
        if self.prefix.is_empty() {
            return routes.fallback(nowhere);
        }
        ["", "/", REST]
            .iter()
            .fold(routes, |routes, rest| routes.route(&format!("{}{rest}", self.prefix), any(nowhere.clone())))
    }
}

/// Whether a route's pattern is that of a path which is no route.
pub(super) fn is_rest(pattern: &str) -> bool {
    pattern.ends_with(REST)
}
