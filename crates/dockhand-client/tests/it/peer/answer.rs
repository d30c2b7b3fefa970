//! What a peer answers, also what no sane server would.

use std::time::Duration;

use bytes::Bytes;
use dockhand_client::RawManifest;

/// An answer and how it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// How long to wait before its head.
    pub(crate) delay: Duration,
    /// The connection is cut after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// After so many bytes of the body nothing comes, and the connection stays.
    pub(crate) silence: Option<usize>,
    /// Without a length: the end of the connection ends it.
    pub(crate) no_length: bool,
    /// The body is repeated for as long as somebody reads.
    pub(crate) endless: bool,
    /// The body comes byte by byte, so long after each other.
    pub(crate) drip: Option<Duration>,
    /// The connection is cut before the head.
    pub(crate) none: bool,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            cut: None,
            silence: None,
            no_length: false,
            endless: false,
            drip: None,
            none: false,
        }
    }

    /// The connection is cut instead of an answer.
    pub(crate) fn none() -> Self {
        Self {
            none: true,
            ..Self::new(500)
        }
    }

    /// The connection stays, and nothing comes.
    pub(crate) fn silent() -> Self {
        Self::new(200).after(Duration::from_secs(100_000))
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A failure as the specification writes it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": "so it is", "detail": null });
        Self::json(status, &serde_json::json!({ "errors": [error] }))
    }

    /// A page for people.
    pub(crate) fn html(status: u16) -> Self {
        Self::new(status)
            .header("content-type", "text/html; charset=utf-8")
            .body("<!DOCTYPE html><html><body><h1>Oops</h1></body></html>")
    }

    pub(crate) fn manifest(manifest: &RawManifest) -> Self {
        Self::new(200)
            .header("content-type", &manifest.media_type)
            .header("docker-content-digest", &manifest.digest.to_string())
            .body(manifest.bytes.clone())
    }

    /// 202 with a place to go on.
    pub(crate) fn accepted(location: &str) -> Self {
        Self::new(202).header("location", location)
    }

    /// A redirect.
    pub(crate) fn to(status: u16, location: &str) -> Self {
        Self::new(status).header("location", location)
    }

    /// 401 with these challenges.
    pub(crate) fn challenge(challenges: &[&str]) -> Self {
        { challenges.iter() }.fold(Self::error(401, "UNAUTHORIZED"), |answer, challenge| {
            answer.header("www-authenticate", challenge)
        })
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub(crate) fn silent_after(mut self, bytes: usize) -> Self {
        self.silence = Some(bytes);
        self
    }

    pub(crate) fn without_length(mut self) -> Self {
        self.no_length = true;
        self
    }

    pub(crate) fn dripping(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.endless = true;
        self
    }
}
