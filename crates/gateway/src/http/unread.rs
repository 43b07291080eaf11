//! Whether a request's body was read to its end.
//!
//! The HTTP server ends a connection after an answer that left some of its request unread, and so must say so in that answer:
//! else the caller sends its next request into a connection that is about to end, and never learns what became of it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
};
use http_body::{Frame, SizeHint};

/// Tells of one request, after it was handled, whether its body was read.
#[derive(Debug)]
pub(super) struct Ended(Option<Arc<AtomicBool>>);

impl Ended {
    /// Watches the body of a request, if it has one.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        if request.body().is_end_stream() {
            return (request, Self(None));
        }
        let ended = Arc::new(AtomicBool::new(false));
        let request = request.map(|body| Body::new(Watched { body, ended: Arc::clone(&ended) }));
        (request, Self(Some(ended)))
    }

    /// Whether all of it was read.
    pub(super) fn is(&self) -> bool {
        self.0.as_ref().is_none_or(|ended| ended.load(Ordering::Relaxed))
    }
}

/// A body that notes when it has ended.
struct Watched {
    body: Body,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
