//! Whether a request came whole, so that who is late is known when time is up: the client, or we.
//!
//! In    the body of a request. Out the same, and a [`Whole`] that says when its end was read. State that one bit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Whether the end of a body was read.
#[derive(Debug, Clone)]
pub(super) struct Whole(Arc<AtomicBool>);

impl Whole {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that says when its end was read.
pub(super) struct Watched {
    body: Incoming,
    whole: Whole,
}

impl Watched {
    pub(super) fn new(body: Incoming) -> (Self, Whole) {
        let whole = Whole(Arc::new(AtomicBool::new(body.is_end_stream())));
        (Self { body, whole: whole.clone() }, whole)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.whole.0.store(true, Ordering::Relaxed);
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
