//! The body of a request on its way in: counted, not asked for unless somebody wants it, and read to
//! its end when nobody does and that is cheap.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;

/// What is read of a body that nobody wants, so that its connection can go on: less than what a new
/// connection with TLS costs.
const DRAIN_BYTES: u64 = 256 * 1024;
/// And for how long.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// What has come of a body, for who watches the request while another reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<State>);

#[derive(Debug, Default)]
struct State {
    bytes: AtomicU64,
    /// How long it is, when the client has said so.
    length: Option<u64>,
    /// Whether all of it has come.
    ended: AtomicBool,
    /// Whether no more of it will be read, although it has not ended.
    given_up: AtomicBool,
    /// Whether the client waits for `100 Continue`, which hyper sends when the body is first read.
    unasked: AtomicBool,
}

impl Arrived {
    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether the client waits for being asked to send its body.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>
    fn is_unasked(&self) -> bool {
        self.0.unasked.load(Ordering::Relaxed)
    }

    /// Whether the rest of the body is not going to be read, so that a connection on which requests
    /// follow one another ends with the answer.
    pub(crate) fn ends_connection(&self) -> bool {
        let state = &self.0;
        if state.given_up.load(Ordering::Relaxed) {
            return true;
        }
        if state.ended.load(Ordering::Relaxed) {
            return false;
        }
        // Should a body come that was not asked for, it must not pass for the next request.
        self.is_unasked() || self.left().is_none_or(|left| left > DRAIN_BYTES)
    }

    /// How much is still to come, when that is known.
    fn left(&self) -> Option<u64> {
        Some(self.0.length?.saturating_sub(self.bytes()))
    }
}

/// The body of a request.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    body: Body,
    arrived: Arrived,
}

impl Arriving {
    /// The body of a request with these headers.
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        use http_body::Body as _;
        let waits = headers
            .get(EXPECT)
            .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let is_empty = body.is_end_stream();
        let arrived = Arrived(Arc::new(State {
            bytes: AtomicU64::new(0),
            length: body.size_hint().exact(),
            ended: AtomicBool::new(is_empty),
            given_up: AtomicBool::new(false),
            unasked: AtomicBool::new(waits && !is_empty),
        }));
        Self { body, arrived }
    }

    /// What comes of it from now on, wherever it is read.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.clone()
    }

    /// Leaves what has not come: its client is too slow, or what it sends makes no sense.
    pub(crate) fn give_up(&mut self) {
        self.arrived.0.given_up.store(true, Ordering::Relaxed);
        self.body = Body::empty();
    }
}

/// Reads what is left of a body that nobody wants, within bounds, while the answer goes out. A body that
/// the client has not been asked for stays so: reading it would ask. One that is known to be too long is
/// not read here, and ends the connection.
impl Drop for Arriving {
    fn drop(&mut self) {
        use http_body::Body as _;
        let too_long = self.arrived.left().is_some_and(|left| left > DRAIN_BYTES);
        if self.body.is_end_stream() || self.arrived.is_unasked() || too_long {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut body = std::mem::take(&mut self.body);
        runtime.spawn(async move {
            let read = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(frame)) = body.frame().await {
                    let count = frame.data_ref().map_or(0, Bytes::len);
                    left = left.saturating_sub(count as u64);
                    if left == 0 {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(DRAIN_TIME, read).await;
        });
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.arrived.0.unasked.store(false, Ordering::Relaxed);
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let state = &self.arrived.0;
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                state.bytes.fetch_add(bytes, Ordering::Relaxed);
                if self.body.is_end_stream() {
                    state.ended.store(true, Ordering::Relaxed);
                }
            }
            Poll::Ready(Some(Err(_))) => state.given_up.store(true, Ordering::Relaxed),
            Poll::Ready(None) => state.ended.store(true, Ordering::Relaxed),
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
