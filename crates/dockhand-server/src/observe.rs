//! What is seen of a request: its name, a line in the log and the counters, once its last byte is out or
//! its client is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body::{Frame, SizeHint};

use crate::app::App;
use crate::arriving::Arrived;
use crate::client;
use crate::metrics::{Labels, Metrics};
use crate::request::{Asked, RequestId};
use crate::respond::value;

/// Longest name of a request that is taken over from a client or proxy.
const ID_MAX: usize = 64;
/// What of a path or user agent goes into the log at most, so that nobody can flood it.
const LOGGED_MAX: usize = 512;

/// The status of a request whose client was gone before there was one, as web servers log it.
const ABANDONED: u16 = 499;

/// Makes the names of requests that come without one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Tells the numbers of this run from those of others: when it began, in seconds.
    run: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            run: now.map_or(0, |since| since.as_secs() & 0xffff_ffff),
            next: AtomicU64::new(1),
        }
    }

    /// The name of a request: its `X-Request-Id` when that is plain, else the next number.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        let plain = |text: &&HeaderValue| {
            let bytes = text.as_bytes();
            let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !bytes.is_empty() && bytes.len() <= ID_MAX && bytes.iter().all(word)
        };
        let given = headers.get("x-request-id").filter(plain).cloned();
        RequestId(given.unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            value(format!("{:08x}-{number:x}", self.run))
        }))
    }
}

/// A request under way, until its last byte is out or its client is gone.
pub(crate) struct Observed {
    metrics: Option<Arc<Metrics>>,
    line: Option<Line>,
    method: &'static str,
    endpoint: &'static str,
    received: Arrived,
    begun: Instant,
    status: u16,
    sent: u64,
}

/// What the log says of a request beyond its numbers.
struct Line {
    id: RequestId,
    /// The address of the client, as far as trusted proxies report it.
    peer: String,
    path: String,
    agent: String,
}

impl Observed {
    /// Counts a request from now on, with what will have `received` been of its body in the end.
    pub(crate) fn new(
        app: &App,
        asked: &Asked,
        endpoint: &'static str,
        begun: Instant,
        received: Arrived,
    ) -> Self {
        let line = app.options.access_log.then(|| Line {
            id: asked.id.clone(),
            peer: asked.peer.map_or_else(
                || "-".to_owned(),
                |peer| {
                    let trusted = &app.options.addressing.trusted_proxies;
                    client::address(peer, &asked.headers, trusted).to_string()
                },
            ),
            path: clipped(asked.path()),
            agent: asked
                .headers
                .get(USER_AGENT)
                .and_then(|agent| agent.to_str().ok())
                .map_or_else(|| "-".to_owned(), clipped),
        });
        if let Some(metrics) = &app.metrics {
            metrics.in_flight.inc();
        }
        Self {
            metrics: app.metrics.clone(),
            line,
            method: method(&asked.method),
            endpoint,
            received,
            begun,
            status: ABANDONED,
            sent: 0,
        }
    }

    /// Follows the answer to its end. With nobody to tell, the answer goes out as it is.
    pub(crate) fn watch(mut self, response: Response<Body>) -> Response<Body> {
        if self.metrics.is_none() && self.line.is_none() {
            return response;
        }
        self.status = response.status().as_u16();
        response.map(|body| {
            Body::new(Watched {
                body,
                observed: self,
            })
        })
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let (took, received) = (self.begun.elapsed(), self.received.bytes());
        if let Some(metrics) = &self.metrics {
            let labels = Labels {
                method: self.method,
                endpoint: self.endpoint,
                status: self.status,
            };
            metrics.finished(labels, self.sent, received, took);
        }
        if let Some(line) = &self.line {
            // What the client sent goes in as text, not by `Display`: the text log then quotes it, so that
            // it cannot pass for another field.
            tracing::info!(
                target: "dockhand::access",
                request = %line.id,
                peer = %line.peer,
                method = self.method,
                path = line.path.as_str(),
                status = self.status,
                sent = self.sent,
                received,
                ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                agent = line.agent.as_str(),
            );
        }
    }
}

/// The body of an answer, counted as it goes out.
struct Watched {
    body: Body,
    observed: Observed,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.observed.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
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

/// The known methods; a client that makes one up does not make up a label.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// At most [`LOGGED_MAX`] bytes of a text.
fn clipped(text: &str) -> String {
    let mut end = text.len().min(LOGGED_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
