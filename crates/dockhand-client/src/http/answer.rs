//! An answer: its head, and its body bounded in size and in time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::{ErrorBody, ErrorInfo};
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, StatusCode};
use reqwest::ResponseBuilderExt;
use tokio::time::{Instant, timeout};
use url::Url;

use super::rate::Rate;
use super::{Elsewhere, Secrets, failure};
use crate::{ByteStream, Error, ErrorKind, Result};

/// How much of the body of a failed answer is read, in bytes.
const ERROR_MAX: u64 = 64 * 1024;
/// How much of a body that is no error of the specification is shown to the person, in characters.
const SHOWN_MAX: usize = 200;
/// How long is waited for that body. The status says most of it.
const ERROR_WAIT: Duration = Duration::from_secs(5);
/// Bytes a second below which a body counts as silent: slower than any line, faster than a peer that
/// only wants to be waited for.
const DRIP: f64 = 1024.0;

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: reqwest::Response,
    /// The host that answers.
    pub(crate) host: String,
    /// How the request came there, when that is not the registry.
    pub(super) elsewhere: Option<Arc<Elsewhere>>,
    pub(crate) idle: Duration,
    pub(super) rate: Option<Arc<Rate>>,
    pub(crate) attempts: u32,
    /// What the request showed of credentials.
    pub(crate) secrets: Secrets,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Where it came from, redirects followed.
    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// Whether it has what answers of registries have.
    pub(crate) fn is_registry(&self) -> bool {
        self.headers()
            .contains_key("docker-distribution-api-version")
            || self
                .header(http::header::CONTENT_TYPE)
                .is_some_and(|kind| kind.contains("json"))
    }

    /// The length of the body when it was said, also for a HEAD.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(http::header::CONTENT_LENGTH)?.parse().ok()
    }

    /// The body in memory, at most `max` bytes.
    pub(crate) async fn bytes(self, max: u64) -> Result<Bytes> {
        let host = self.host.clone();
        let too_long = || {
            let message = format!("the answer is longer than {max} bytes");
            Error::new(ErrorKind::SizeMismatch, message).at(host.clone())
        };
        if self.length().is_some_and(|length| length > max) {
            return Err(too_long());
        }
        let mut stream = self.stream();
        let mut read = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if (read.len() + chunk.len()) as u64 > max {
                return Err(too_long());
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.into())
    }

    /// The same answer with its body in memory, at most `max` bytes of it.
    pub(crate) async fn in_memory(self, max: u64) -> Result<Self> {
        let (host, idle, attempts) = (self.host.clone(), self.idle, self.attempts);
        let rate = self.rate.clone();
        let elsewhere = self.elsewhere.clone();
        let secrets = self.secrets.clone();
        let mut head = http::Response::builder()
            .status(self.status())
            .url(self.url().clone())
            .body(())
            .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))?;
        *head.headers_mut() = self.headers().clone();
        let bytes = self.bytes(max).await?;
        Ok(Self {
            response: head.map(|()| bytes).into(),
            host,
            elsewhere,
            idle,
            rate,
            attempts,
            secrets,
        })
    }

    /// The body as it comes; an error when nothing comes for too long, or next to nothing: what is
    /// waited for a byte is taken from [`idle`](Self::idle), and what comes gives it back.
    pub(crate) fn stream(self) -> ByteStream {
        let rate = self.rate.clone();
        let idle = self.idle;
        let stream = stream::unfold(Some((self, idle)), |state| async move {
            let (mut answer, left) = state?;
            let begun = Instant::now();
            let next = timeout(left, answer.response.chunk()).await;
            let error = match next {
                Ok(Ok(Some(chunk))) => {
                    let earned = Duration::from_secs_f64(chunk.len() as f64 / DRIP);
                    let left = left.saturating_sub(begun.elapsed()) + earned;
                    let left = left.min(answer.idle);
                    return Some((Ok(chunk), Some((answer, left))));
                }
                Ok(Ok(None)) => return None,
                Ok(Err(error)) => failure::of_transport(error),
                Err(_) => failure::silent(answer.idle),
            };
            Some((Err(answer.blamed(error)), None))
        });
        match rate {
            Some(rate) => rate.hold(stream.boxed()),
            None => stream.boxed(),
        }
    }

    /// The failure that this answer is.
    pub(crate) async fn into_error(self) -> Error {
        let status = self.status();
        let host = self.host.clone();
        let elsewhere = self.elsewhere.clone();
        let attempts = self.attempts;
        let retry_after = super::retry::retry_after(self.headers());
        let id = ["x-request-id", "x-amz-request-id", "docker-request-id"];
        let request_id = id
            .iter()
            .find_map(|name| self.header(*name))
            .map(|id| self.shown(id));
        let secrets = self.secrets.clone();
        let is_text = self
            .header(http::header::CONTENT_TYPE)
            .is_none_or(|kind| !kind.contains("html"));
        // The body is a courtesy: without it the status still says what happened.
        let body = timeout(ERROR_WAIT, self.bytes(ERROR_MAX)).await;
        let body = body.unwrap_or(Ok(Bytes::new())).unwrap_or_default();
        // Some registries repeat the request, its credentials included.
        let body = secrets.redact(&String::from_utf8_lossy(&body));
        let errors = read_errors(body.as_bytes());
        let is_text = is_text && errors.is_none();
        let mut errors = errors.unwrap_or_default();
        for error in &mut errors {
            error.code = secrets.redact(&error.code);
            error.message = secrets.redact(&error.message);
        }
        let message = describe(status, &errors, if is_text { &body } else { "" });
        let error = Error::new(failure::kind(status), message)
            .answered(status, errors, request_id)
            .tried(attempts, retry_after)
            .at(host);
        match elsewhere {
            Some(elsewhere) => elsewhere.blame(error),
            None => error,
        }
    }

    /// A failure of the host that answers.
    fn blamed(&self, error: Error) -> Error {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.blame(error),
            None => error.at(self.host.clone()),
        }
    }

    /// A text of the other side, to be shown: one line, not too long, and without the credentials that
    /// the request had.
    pub(crate) fn shown(&self, text: &str) -> String {
        one_line(&self.secrets.redact(text))
    }
}

/// The errors of a body, also where each is a plain text or they stand alone; `None` when it is another
/// body.
fn read_errors(body: &[u8]) -> Option<Vec<ErrorInfo>> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    Some(body.errors)
}

/// What the other side said, in one line.
fn describe(status: StatusCode, errors: &[ErrorInfo], body: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("an unknown status");
    let mut said = format!("{} {reason}", status.as_u16());
    for error in errors.iter().take(3) {
        let text = if error.message.is_empty() {
            &error.code
        } else {
            &error.message
        };
        said.push_str(": ");
        if !error.code.is_empty() && !error.message.is_empty() {
            said.push_str(&one_line(&error.code));
            said.push_str(": ");
        }
        said.push_str(&one_line(text));
    }
    let plain = one_line(body);
    if errors.is_empty() && !plain.is_empty() {
        said.push_str(": ");
        said.push_str(&plain);
    }
    said
}

/// `text` without line breaks and control characters, and not too long: it came from somebody else.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = words.join(" ");
    plain
        .chars()
        .filter(|character| !character.is_control())
        .take(SHOWN_MAX)
        .collect()
}
