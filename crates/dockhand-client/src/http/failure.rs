//! Which kind of [`Error`] a status or a broken connection is, and what helps against it.

use std::error::Error as StdError;
use std::time::Duration;

use http::StatusCode;

use crate::{Error, ErrorKind};

/// What is said of a peer without TLS.
const NO_TLS: &str = "it does not speak TLS";

/// The kind of a failed answer.
pub(super) fn kind(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Unsupported,
        408 => ErrorKind::Timeout,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        400..500 => ErrorKind::Refused,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Protocol,
    }
}

/// Nothing came for so long.
pub(super) fn silent(limit: Duration) -> Error {
    let message = format!("nothing came for {} s", limit.as_secs_f32());
    Error::new(ErrorKind::Timeout, message)
}

/// No answer came for so long, not even its beginning.
pub(super) fn unanswered(limit: Duration) -> Error {
    silent(limit).unanswered()
}

/// A request that got no answer, or an answer whose body broke off. The URL stays out of it: it may
/// carry a signature, and the host is said elsewhere.
pub(super) fn of_transport(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let causes = causes(&error);
    let has = |words: &[&str]| words.iter().any(|word| causes.contains(word));
    let failure = |kind, message: String| Error::new(kind, message);
    let made = if has(&["handshake eof"]) {
        let message = "the connection broke while TLS was set up";
        failure(ErrorKind::Connect, message.into())
    } else if has(&["UnknownIssuer", "self-signed", "self signed"]) {
        failure(
            ErrorKind::Tls,
            "its certificate is not from a known authority".into(),
        )
        .with_hint("name the authority with --ca-file, or accept any certificate with --insecure")
    } else if has(&["certificate expired", "Expired"]) {
        failure(ErrorKind::Tls, "its certificate has expired".into())
            .with_hint("it must be renewed there; --insecure accepts it all the same")
    } else if has(&["NotValidForName", "not valid for name"]) {
        failure(ErrorKind::Tls, "its certificate is for another name".into())
            .with_hint("use the name in the certificate; --insecure accepts it all the same")
    } else if has(&["InvalidContentType", "corrupt message"]) {
        failure(ErrorKind::Tls, NO_TLS.into())
            .with_hint("use --plain-http if it is meant to be reached without TLS")
    } else if has(&["CaUsedAsEndEntity"]) {
        let message = "its certificate is made for an authority and not for a server";
        failure(ErrorKind::Tls, message.into())
            .with_hint("trust just this certificate with --ca-file, or accept any with --insecure")
    } else if has(&["invalid HTTP version", "invalid HTTP header"]) {
        failure(
            ErrorKind::Protocol,
            "it does not speak HTTP without TLS".into(),
        )
        .with_hint("leave --plain-http away, or write https:// in the connection")
    } else if has(&["certificate", "TLS", "handshake"]) {
        failure(ErrorKind::Tls, last(&error))
    } else if error.is_timeout() {
        failure(ErrorKind::Timeout, "no connection in time".into()).unanswered()
    } else if has(&["dns error", "failed to lookup"]) {
        failure(
            ErrorKind::Connect,
            "the name of the host is not known".into(),
        )
        .with_hint("look for a typing error in it")
        .absent()
    } else if has(&["refused"]) {
        failure(
            ErrorKind::Connect,
            format!("no connection: {}", last(&error)),
        )
        .absent()
    } else if error.is_connect() {
        failure(
            ErrorKind::Connect,
            format!("no connection: {}", last(&error)),
        )
    } else {
        failure(
            ErrorKind::Connect,
            format!("the connection broke: {}", last(&error)),
        )
    };
    made.with_source(error)
}

/// Whether TLS was spoken, and failed for a reason of its own.
pub(super) fn is_of_tls(error: &Error) -> bool {
    error.kind() == ErrorKind::Tls && !error.to_string().contains(NO_TLS)
}

/// The error and all its causes as one text, to look for words in.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(" / {cause} / {cause:?}"));
        next = cause.source();
    }
    text
}

/// The innermost cause, which says most.
fn last(error: &reqwest::Error) -> String {
    let mut found: &dyn StdError = error;
    while let Some(cause) = found.source() {
        found = cause;
    }
    found.to_string()
}
