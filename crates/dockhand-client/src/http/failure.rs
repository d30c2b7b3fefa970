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
    let connect = |message: String| Error::new(ErrorKind::Connect, message);
    let made = if let Some(known) = known(has) {
        known
    } else if has(&["certificate", "TLS", "handshake"]) {
        Error::new(ErrorKind::Tls, last(&error))
    } else if error.is_timeout() {
        Error::new(ErrorKind::Timeout, "no connection in time").unanswered()
    } else if has(&["dns error", "failed to lookup"]) {
        connect("the name of the host is not known".to_owned())
            .with_hint("look for a typing error in it")
            .absent()
    } else if has(&["refused"]) {
        connect(format!("no connection: {}", last(&error))).absent()
    } else if error.is_connect() {
        connect(format!("no connection: {}", last(&error)))
    } else {
        connect(format!("the connection broke: {}", last(&error)))
    };
    made.with_source(error)
}

/// The failures around TLS that have a name here, by the words of the libraries below.
fn known(has: impl Fn(&[&str]) -> bool) -> Option<Error> {
    if has(&["handshake eof"]) {
        let message = "the connection broke while TLS was set up";
        return Some(Error::new(ErrorKind::Connect, message));
    }
    let table: &[(&[&str], ErrorKind, &str, &str)] = &[
        (
            &["UnknownIssuer", "self-signed", "self signed"],
            ErrorKind::Tls,
            "its certificate is not from a known authority",
            "name the authority with --ca-file, or accept any certificate with --insecure",
        ),
        (
            &["certificate expired", "Expired"],
            ErrorKind::Tls,
            "its certificate has expired",
            "it must be renewed there; --insecure accepts it all the same",
        ),
        (
            &["NotValidForName", "not valid for name"],
            ErrorKind::Tls,
            "its certificate is for another name",
            "use the name in the certificate; --insecure accepts it all the same",
        ),
        (
            &["InvalidContentType", "corrupt message"],
            ErrorKind::Tls,
            NO_TLS,
            "use --plain-http if it is meant to be reached without TLS",
        ),
        (
            &["CaUsedAsEndEntity"],
            ErrorKind::Tls,
            "its certificate is made for an authority and not for a server",
            "trust just this certificate with --ca-file, or accept any with --insecure",
        ),
        (
            &["invalid HTTP version"],
            ErrorKind::Protocol,
            "it does not speak HTTP without TLS",
            "leave --plain-http away, or write https:// in the connection",
        ),
    ];
    let found = table.iter().find(|(words, ..)| has(words));
    found.map(|(_, kind, message, hint)| Error::new(*kind, *message).with_hint(*hint))
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
