//! What an HTTP/2 connection has not sent yet of its answers.
//!
//! In HTTP/1 an answer that waits for its client is a write that waits, which
//! [`Guarded`](crate::guarded::Guarded) sees. In HTTP/2 the client opens and shuts a window for each
//! stream, and behind a shut one nothing is ever written: buffers and files are held, and the socket
//! looks idle. So bodies and their chunks are counted here until the connection has let go of them.
//!
//! <https://www.rfc-editor.org/rfc/rfc9113#section-10.5>

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// The answers of a connection that are not out yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsent(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// Bodies and chunks, counted alike.
    count: usize,
    /// Since when there has been at least one.
    since: Option<Instant>,
}

impl Unsent {
    /// Since when there has been something to send all the time; nothing when all is out.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.held().since
    }

    /// Counts a body until its last byte is out, or nobody wants it any more.
    pub(crate) fn follow(&self, body: Body) -> Body {
        use http_body::Body as _;
        if body.is_end_stream() {
            return body;
        }
        let hold = self.hold();
        Body::new(Followed { body, hold })
    }

    fn hold(&self) -> Hold {
        let mut held = self.held();
        held.count += 1;
        held.since.get_or_insert_with(Instant::now);
        Hold(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is counted, until it is dropped.
struct Hold(Unsent);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.count -= 1;
        if held.count == 0 {
            held.since = None;
        }
    }
}

/// A body that is counted, and whose chunks are.
struct Followed {
    body: Body,
    hold: Hold,
}

/// A chunk outlives its body: of one that ends with it, h2 keeps the bytes until the window opens.
struct Chunk {
    bytes: Bytes,
    _hold: Hold,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|frame| {
            frame.map_data(|bytes| {
                let _hold = self.hold.0.hold();
                Bytes::from_owner(Chunk { bytes, _hold })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
