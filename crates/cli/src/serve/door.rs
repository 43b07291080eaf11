//! A listener that answers before there is anything to answer with: probes say what is missing, everything else is told to
//! come again.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use tower::ServiceExt;

/// Where requests are let in once it is open.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<OnceLock<Router>>);

impl Door {
    /// Lets requests in, from now on. Opened once.
    pub(crate) fn open(&self, router: Router) {
        let _ = self.0.set(router.with_state(()));
    }

    /// What the listener serves: `before` until the door is open.
    pub(crate) fn router(&self, before: Router) -> Router {
        let inside = Arc::clone(&self.0);
        let before: Router = before.with_state(());
        Router::new().fallback(move |request: Request| {
            let router = inside.get().unwrap_or(&before).clone();
            async move { router.oneshot(request).await }
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn what_is_inside_answers_once_the_door_is_open() {
        let door = Door::default();
        let before = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
        let router = door.router(before);
        let ask = || router.clone().oneshot(Request::new(Body::empty()));
        assert_eq!(ask().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        door.open(Router::new().route("/", get(async || "in")));
        assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
    }
}
