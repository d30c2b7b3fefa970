//! A request as the rest of the crate states it: what for, where to, with what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::watch;
use url::Url;

use super::rate::Rate;
use super::{Role, Secrets};
use crate::auth::Scopes;
use crate::{BlobSource, Error, ErrorKind, Result};

/// The most of a body that is handed over at once, in bytes: how far the sending came is seen from piece
/// to piece, also where the source has all of it in one.
const PIECE: usize = 256 * 1024;

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
    /// How much longer than usual its answer may take.
    pub(crate) grace: Duration,
    /// What is secret in the body.
    pub(crate) secrets: Secrets,
    /// What another host that it goes to would be.
    pub(crate) role: Role,
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
            grace: Duration::ZERO,
            secrets: Secrets::default(),
            role: Role::Content,
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

    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
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
        /// Whether the source has no more than that: if it has, it is not what was announced.
        last: bool,
    },
}

/// How far the sending of a body came, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) since: Instant,
    pub(crate) stage: Stage,
}

impl Sending {
    pub(crate) fn at(stage: Stage) -> Self {
        let since = Instant::now();
        Self { since, stage }
    }
}

/// For whom the sending of a body waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// For the source, which has its own limits, and may be another registry that wants a pause.
    Source,
    /// For the other side to take a piece.
    Piece,
    /// For the answer.
    Answer,
}

impl Body {
    /// The body to send, with its length in `headers`; what goes out of it is told to `progress`.
    pub(crate) async fn open(
        &self,
        headers: &mut HeaderMap,
        progress: watch::Sender<Sending>,
        rate: Option<&Arc<Rate>>,
    ) -> Result<reqwest::Body> {
        let tell = move |stage| {
            progress.send_replace(Sending::at(stage));
        };
        match self {
            Self::Empty => {
                tell(Stage::Answer);
                Ok(reqwest::Body::from(Bytes::new()))
            }
            Self::Bytes(bytes) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                tell(Stage::Answer);
                Ok(reqwest::Body::from(bytes.clone()))
            }
            Self::Source {
                source,
                offset,
                length,
                last,
            } => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(*length));
                let mut stream = source.open(*offset).await?;
                if *last {
                    stream = exact(stream, *length);
                }
                stream = pieces(stream);
                if let Some(rate) = rate {
                    stream = rate.hold(stream);
                }
                tell(Stage::Piece);
                Ok(bounded(stream, *length, tell))
            }
        }
    }
}

/// The first `length` bytes of a stream; an error when it has fewer.
fn bounded(
    stream: crate::ByteStream,
    length: u64,
    tell: impl Fn(Stage) + Send + Sync + 'static,
) -> reqwest::Body {
    let state = Some((stream, length, tell));
    let pieces = futures_util::stream::unfold(state, |state| async move {
        let (mut stream, left, tell) = state?;
        if left == 0 {
            tell(Stage::Answer);
            return None;
        }
        tell(Stage::Source);
        match stream.next().await {
            Some(Ok(mut chunk)) => {
                chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - chunk.len() as u64;
                tell(if left == 0 {
                    Stage::Answer
                } else {
                    Stage::Piece
                });
                Some((Ok(chunk), Some((stream, left, tell))))
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

/// The same bytes in pieces of at most [`PIECE`].
fn pieces(stream: crate::ByteStream) -> crate::ByteStream {
    let cut = |chunk: Result<Bytes>| {
        let mut cut = Vec::new();
        let rest = chunk.map(|mut chunk| {
            while chunk.len() > PIECE {
                cut.push(Ok(chunk.split_to(PIECE)));
            }
            chunk
        });
        cut.push(rest);
        futures_util::stream::iter(cut)
    };
    stream.flat_map(cut).boxed()
}

/// The same stream, but its last piece comes only when the end is seen, and an error instead when there
/// are more than `length` bytes: whoever reads them has nothing complete then.
fn exact(stream: crate::ByteStream, length: u64) -> crate::ByteStream {
    futures_util::stream::unfold(Some((stream, length)), |state| async move {
        let (mut stream, mut left) = state?;
        let mut last = None;
        loop {
            let chunk = match stream.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Some((Err(error), None)),
                None => return last.map(|last| (Ok(last), None)),
            };
            let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                let message = "the content is longer than it was said to be";
                return Some((Err(Error::new(ErrorKind::SizeMismatch, message)), None));
            };
            if rest > 0 {
                return Some((Ok(chunk), Some((stream, rest))));
            }
            (last, left) = (Some(chunk), rest);
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_goes_out_in_pieces_that_are_watched() {
        let content = Bytes::from(vec![7; 3 * PIECE + 5]);
        let (progress, watched) = watch::channel(Sending::at(Stage::Piece));
        let body = Body::Source {
            source: Arc::new(content.clone()),
            offset: 0,
            length: content.len() as u64,
            last: true,
        };
        let mut headers = HeaderMap::new();
        let mut body = body.open(&mut headers, progress, None).await.unwrap();
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            sent.extend_from_slice(&piece);
            let done = watched.borrow().stage == Stage::Answer;
            assert_eq!(done, sent.len() == content.len());
        }
        assert!(sent == content);
    }
}
