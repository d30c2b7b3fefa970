//! What a connection is doing: whether a request is open on it, and since when not.
//!
//! hyper knows this too, but begins to count the time of a head when the answer before it is out. So a
//! connection that a proxy keeps for later would end with the time for a head.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

/// What a connection is doing. Its requests tell, its stream asks.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How many requests have begun.
    begun: u64,
    /// What is not over yet: handlers, bodies of requests, bodies of answers.
    open: usize,
    /// When the last of them was over.
    idle_since: Instant,
    /// When the first byte of the head came that is not complete yet.
    head_since: Option<Instant>,
    /// Whether the body of a request was given up before its end, so that more of it may come.
    unread: bool,
}

impl Activity {
    /// Of a new connection, whose first head counts from now.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            begun: 0,
            open: 0,
            idle_since: now,
            head_since: Some(now),
            unread: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that bytes came. When no request is open, these begin the head of the next.
    pub(crate) fn received(&self) {
        let mut state = self.state();
        // What comes of a body that was given up is no head.
        if state.open == 0 && state.head_since.is_none() && !state.unread {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes that the bytes so far are not part of the head of a request, as the preface of HTTP/2 is not.
    pub(crate) fn no_head(&self) {
        let mut state = self.state();
        state.head_since = None;
        state.idle_since = Instant::now();
    }

    /// When the head began that is not complete; nothing when there is none.
    pub(crate) fn head_since(&self) -> Option<Instant> {
        let state = self.state();
        state.head_since.filter(|_| state.open == 0)
    }

    /// Whether the client is in the middle of a request that nobody will read to its end.
    pub(crate) fn is_unread(&self) -> bool {
        let state = self.state();
        state.unread || (state.open == 0 && state.head_since.is_some())
    }

    /// Notes that the head of a request is complete. The request counts as open until what this returns,
    /// and the bodies that it is given, are dropped.
    pub(crate) fn begin(&self) -> Open {
        let mut state = self.state();
        state.head_since = None;
        state.begun += 1;
        if state.open == 0 {
            state.unread = false;
        }
        drop(state);
        self.open()
    }

    /// How many requests have begun so far.
    pub(crate) fn begun(&self) -> u64 {
        self.state().begun
    }

    /// How many requests have begun, when none of them is open.
    pub(crate) fn settled(&self) -> Option<u64> {
        let state = self.state();
        (state.open == 0).then_some(state.begun)
    }

    fn open(&self) -> Open {
        self.state().open += 1;
        Open(self.clone())
    }

    /// Resolves once no request has been open for `period`, and none is on its way.
    pub(crate) async fn idle(&self, period: Duration) {
        loop {
            let now = Instant::now();
            let end = match self.rests_since() {
                Some(since) => since + period,
                None => now + period,
            };
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Whether no request has been open for `period`, and none is on its way.
    pub(crate) fn is_idle_for(&self, period: Duration) -> bool {
        let since = self.rests_since();
        since.is_some_and(|since| since.elapsed() >= period)
    }

    fn rests_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.open == 0 && state.head_since.is_none()).then_some(state.idle_since)
    }
}

/// Something of a request that is not over, until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Activity);

impl Open {
    /// The body of the request.
    pub(crate) fn request(&self, body: Incoming) -> Body {
        use http_body::Body as _;
        if body.is_end_stream() {
            return Body::empty();
        }
        let (open, ended) = (self.0.open(), false);
        Body::new(Request { body, open, ended })
    }

    /// The body of the answer.
    pub(crate) fn answer(&self, body: Body) -> Body {
        use http_body::Body as _;
        if body.is_end_stream() {
            return body;
        }
        let _open = self.0.open();
        Body::new(Answer { body, _open })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        if state.open == 0 {
            state.idle_since = Instant::now();
        }
    }
}

struct Request {
    body: Incoming,
    open: Open,
    ended: bool,
}

impl http_body::Body for Request {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        use http_body::Body as _;
        if !self.ended && !self.body.is_end_stream() {
            self.open.0.state().unread = true;
        }
    }
}

struct Answer {
    body: Body,
    _open: Open,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
