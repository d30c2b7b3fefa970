//! A request as the rest of the crate states it: what for, where to, with what.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::watch;
use url::Url;

use super::rate::Rate;
use crate::auth::Scopes;
use crate::{BlobSource, Error, ErrorKind, Result};

/// A request that is not sent yet.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What it is for, to complete `cannot …`.
    pub(crate) doing: String,
    /// What a token must allow for it.
    pub(crate) scopes: Scopes,
    /// Whether it may simply be sent again when it failed half way.
    pub(crate) repeatable: bool,
    /// Whether a failure of another host, where a redirect led, only says that the registry does not
    /// have this.
    pub(crate) optional: bool,
    /// How many bytes of an answer's body are read into memory as part of the try.
    pub(crate) whole: Option<u64>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, doing: impl Into<String>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::Empty,
            doing: doing.into(),
            scopes: Scopes::default(),
            repeatable: true,
            optional: false,
            whole: None,
        }
    }

    pub(crate) fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// With a header; one whose value no header can have is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn accept(self, types: &[&str]) -> Self {
        self.header(ACCEPT, &types.join(", "))
    }

    pub(crate) fn body(mut self, media_type: &str, body: Body) -> Self {
        self.body = body;
        self.header(CONTENT_TYPE, media_type)
    }

    /// For something that not every registry has: some send those who ask to a page for people.
    pub(crate) fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// To be sent again also when the body of its answer, of at most `max` bytes, breaks off.
    pub(crate) fn whole(mut self, max: u64) -> Self {
        self.whole = Some(max);
        self
    }

    /// Not to be sent again by itself when it failed: the caller finds out first how far it came.
    pub(crate) fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }
}

/// What goes with a request, from the start each time that it is sent.
#[derive(Clone)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    /// So many bytes of a source from an offset on.
    Source {
        source: Arc<dyn BlobSource>,
        offset: u64,
        length: u64,
    },
}

/// How far the sending of a body came: when the last piece was taken, and whether it was the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) last: Instant,
    pub(crate) ended: bool,
}

impl Body {
    /// The body to send, with its length in `headers`; what goes out of it is told to `progress`.
    pub(crate) async fn open(
        &self,
        headers: &mut HeaderMap,
        progress: watch::Sender<Sending>,
        rate: Option<&Arc<Rate>>,
    ) -> Result<reqwest::Body> {
        let ended = move |ended| {
            let last = Instant::now();
            progress.send_replace(Sending { last, ended });
        };
        match self {
            Self::Empty => {
                ended(true);
                Ok(reqwest::Body::from(Bytes::new()))
            }
            Self::Bytes(bytes) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                ended(true);
                Ok(reqwest::Body::from(bytes.clone()))
            }
            Self::Source {
                source,
                offset,
                length,
            } => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(*length));
                let mut stream = source.open(*offset).await?;
                if let Some(rate) = rate {
                    stream = rate.hold(stream);
                }
                Ok(bounded(stream, *length, ended))
            }
        }
    }
}

/// The first `length` bytes of a stream; an error when it has fewer.
fn bounded(
    stream: crate::ByteStream,
    length: u64,
    ended: impl Fn(bool) + Send + Sync + 'static,
) -> reqwest::Body {
    let state = Some((stream, length, ended));
    let pieces = futures_util::stream::unfold(state, |state| async move {
        let (mut stream, left, ended) = state?;
        if left == 0 {
            ended(true);
            return None;
        }
        match stream.next().await {
            Some(Ok(mut chunk)) => {
                chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - chunk.len() as u64;
                ended(left == 0);
                Some((Ok(chunk), Some((stream, left, ended))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                let message = format!("the content ends {left} bytes too early");
                Some((Err(Error::new(ErrorKind::SizeMismatch, message)), None))
            }
        }
    });
    reqwest::Body::wrap_stream(pieces)
}
