//! The body of a request on its way in: counted, and not asked for unless somebody wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};

/// What has come of a body, for who watches the request while another reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<State>);

#[derive(Debug, Default)]
struct State {
    bytes: AtomicU64,
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
    pub(crate) fn is_unasked(&self) -> bool {
        self.0.unasked.load(Ordering::Relaxed)
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
        let arrived = Arrived(Arc::new(State {
            bytes: AtomicU64::new(0),
            unasked: AtomicBool::new(waits && !body.is_end_stream()),
        }));
        Self { body, arrived }
    }

    /// What comes of it from now on, wherever it is read.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.clone()
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
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.arrived.0.bytes.fetch_add(bytes, Ordering::Relaxed);
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
