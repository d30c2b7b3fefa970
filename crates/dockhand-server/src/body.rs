//! Bodies on their way in: watched, so that a client which goes silent or crawls is cut off.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dockhand_registry as registry;
use dockhand_registry::BodyError;
use futures_util::{Stream, StreamExt};
use http_body::Body as _;
use tokio::time::{Instant, Sleep};

use crate::arriving::Arriving;

/// What must come within each period for a client to count as alive. A byte now and then would keep
/// a connection for ever; a kilobyte in half a minute is slower than any modem.
const PROGRESS: u64 = 1024;

/// The body of a request as the rules take it.
pub(crate) fn watched(body: Arriving, idle: Duration) -> registry::Body {
    Watched {
        body,
        idle,
        since: 0,
        sleep: None,
    }
    .boxed()
}

struct Watched {
    body: Arriving,
    idle: Duration,
    /// Bytes since the clock was last set.
    since: u64,
    /// Runs only while the client is waited for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn progressed(&mut self, bytes: u64) {
        self.since += bytes;
        if self.since >= PROGRESS {
            self.since = 0;
            if let Some(sleep) = &mut self.sleep {
                sleep.as_mut().reset(Instant::now() + self.idle);
            }
        }
    }
}

impl Stream for Watched {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
                match frame {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            self.progressed(data.len() as u64);
                            return Poll::Ready(Some(Ok(data)));
                        }
                        // Trailers mean nothing here.
                        Err(_) => continue,
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(reason(&error)))),
                    None => return Poll::Ready(None),
                }
            }
            let idle = self.idle;
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
            ready!(sleep.as_mut().poll(context));
            self.body.give_up();
            return Poll::Ready(Some(Err(BodyError::TimedOut(idle))));
        }
    }
}

/// Tells a cut connection from nonsense on the wire.
fn reason(error: &axum::Error) -> BodyError {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            if hyper.is_parse() {
                return BodyError::Malformed(hyper.to_string());
            }
            return BodyError::Disconnected;
        }
        next = cause.source();
    }
    BodyError::Disconnected
}

/// Reads a whole body of at most `limit` bytes into memory.
pub(crate) async fn whole(
    body: Arriving,
    idle: Duration,
    limit: u64,
) -> Result<Bytes, registry::Error> {
    if body.size_hint().lower() > limit {
        return Err(registry::Error::ManifestTooLarge { limit });
    }
    let mut body = watched(body, idle);
    let Some(first) = body.next().await.transpose()? else {
        return Ok(Bytes::new());
    };
    let mut all = BytesMut::new();
    let mut more = body.next().await.transpose()?;
    if more.is_none() && first.len() as u64 <= limit {
        return Ok(first);
    }
    all.extend_from_slice(&first);
    while let Some(chunk) = more {
        if (all.len() + chunk.len()) as u64 > limit {
            return Err(registry::Error::ManifestTooLarge { limit });
        }
        all.extend_from_slice(&chunk);
        more = body.next().await.transpose()?;
    }
    if all.len() as u64 > limit {
        return Err(registry::Error::ManifestTooLarge { limit });
    }
    Ok(all.freeze())
}
