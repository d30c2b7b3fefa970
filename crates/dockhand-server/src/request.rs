//! What handlers want to know of a request: the only place that reads headers and queries.

use std::net::IpAddr;
use std::str::FromStr;

use dockhand_oci::{ContentRange, Digest, ErrorCode, MediaType, parse_n};
use dockhand_registry::{Paging, Precondition};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;

use crate::error::Error;
use crate::location::Base;
use crate::sendfile::Files;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Names this request in the log and in the answer.
    pub(crate) id: RequestId,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// Who is at the other end of the connection.
    pub(crate) peer: Option<IpAddr>,
    /// What `Location` begins with.
    pub(crate) base: Base,
    /// Where to note parts of files, on a connection that can have the kernel send them.
    pub(crate) files: Option<Files>,
}

/// The name of a request: what the client sent when that is plain, else one of ours.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_str().unwrap_or("-"))
    }
}

/// Parameters of a query that nobody sends more of; a flood is not worth decoding.
const PARAMETERS_MAX: usize = 128;

impl Asked {
    /// The path as it came.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Every value of a parameter, decoded.
    pub(crate) fn parameters<'a>(
        &'a self,
        name: &'static str,
    ) -> impl Iterator<Item = Result<String, Error>> + 'a {
        let query = self.uri.query().unwrap_or_default();
        let pairs = query.split('&').take(PARAMETERS_MAX);
        let of_name = pairs.filter_map(move |pair| {
            let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(text)
        });
        of_name.map(move |text| {
            // A `+` is a plus, as in media types: this is not a form.
            let decoded = percent_decode_str(text)
                .decode_utf8()
                .map(|text| text.into_owned());
            decoded.map_err(|_| parameter(name, "is not UTF-8", ErrorCode::Unsupported))
        })
    }

    /// The one value of a parameter. Two values could be read differently by whoever stands between.
    pub(crate) fn parameter(
        &self,
        name: &'static str,
        code: ErrorCode,
    ) -> Result<Option<String>, Error> {
        let mut values = self.parameters(name);
        let first = values.next().transpose()?;
        match values.next() {
            Some(_) => Err(parameter(name, "is given twice", code)),
            None => Ok(first),
        }
    }

    /// A parameter that parses into a word.
    pub(crate) fn word<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
        code: ErrorCode,
    ) -> Result<Option<T>, Error> {
        let text = self.parameter(name, code)?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(|error: T::Err| parameter(name, &format!("is not valid: {error}"), code))
    }

    /// `n` and `last`.
    pub(crate) fn paging(&self) -> Result<Paging, Error> {
        let n = self.parameter("n", ErrorCode::PaginationNumberInvalid)?;
        let n = n.map(|n| parse_n(&n)).transpose()?;
        let last = self.parameter("last", ErrorCode::PaginationNumberInvalid)?;
        Ok(Paging {
            n,
            last: last.filter(|last| !last.is_empty()),
        })
    }

    /// A header as text, when there is exactly one.
    fn header(&self, name: HeaderName, code: ErrorCode) -> Result<Option<&str>, Error> {
        let mut values = self.headers.get_all(&name).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        let refuse = |problem: &str| header(static_name(&name), problem, code);
        if values.next().is_some() {
            return Err(refuse("is given twice"));
        }
        first
            .to_str()
            .map(Some)
            .map_err(|_| refuse("is not plain text"))
    }

    /// `Content-Type` of a manifest, without its parameters.
    pub(crate) fn manifest_type(&self) -> Result<Option<MediaType>, Error> {
        let code = ErrorCode::ManifestInvalid;
        let text = self.header(CONTENT_TYPE, code)?;
        text.map(MediaType::from_content_type)
            .transpose()
            .map_err(|error| header("Content-Type", &format!("is not valid: {error}"), code))
    }

    /// `Content-Length`, which hyper has checked against the body already.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// `Content-Range` of a chunk.
    pub(crate) fn content_range(&self) -> Result<Option<ContentRange>, Error> {
        let code = ErrorCode::BlobUploadInvalid;
        let text = self.header(CONTENT_RANGE, code)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error: dockhand_oci::ContentRangeError| {
                let problem = format!("is not valid: {error}");
                Error::Header {
                    name: "Content-Range",
                    problem,
                    code,
                    status: 416,
                }
            })
    }

    /// What `If-Match` and `If-None-Match` ask to hold before something is changed.
    pub(crate) fn precondition(&self) -> Result<Precondition, Error> {
        let code = ErrorCode::ManifestInvalid;
        let matches = self.header(IF_MATCH, code)?;
        let absent = self.header(IF_NONE_MATCH, code)?;
        match (matches.map(str::trim), absent.map(str::trim)) {
            (None, None) => Ok(Precondition::None),
            (None, Some("*")) => Ok(Precondition::Absent),
            (Some("*"), None) => Ok(Precondition::Exists),
            (Some(tags), None) => {
                let digests: Result<Vec<Digest>, _> = tags
                    .split(',')
                    .map(|tag| tag.trim().trim_matches('"').parse())
                    .collect();
                let digests = digests.map_err(|error| {
                    header("If-Match", &format!("names no digest: {error}"), code)
                })?;
                Ok(Precondition::Matches(digests))
            }
            (None, Some(_)) => Err(header("If-None-Match", "can only be `*` on a write", code)),
            (Some(_), Some(_)) => Err(header(
                "If-Match",
                "and `If-None-Match` contradict each other",
                code,
            )),
        }
    }

    /// Whether the client has this content already. Quotes and a weak mark are forgiven.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2>
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        let mut values = self.headers.get_all(IF_NONE_MATCH).iter().peekable();
        if values.peek().is_none() {
            return false;
        }
        let digest = digest.to_string();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| {
                let tag = tag.trim();
                let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
                tag == "*" || tag == digest
            })
    }
}

fn parameter(name: &'static str, problem: &str, code: ErrorCode) -> Error {
    Error::Parameter {
        name,
        problem: problem.to_owned(),
        code,
    }
}

fn header(name: &'static str, problem: &str, code: ErrorCode) -> Error {
    Error::Header {
        name,
        problem: problem.to_owned(),
        code,
        status: 400,
    }
}

fn static_name(name: &HeaderName) -> &'static str {
    match *name {
        CONTENT_TYPE => "Content-Type",
        CONTENT_RANGE => "Content-Range",
        IF_MATCH => "If-Match",
        _ => "If-None-Match",
    }
}
