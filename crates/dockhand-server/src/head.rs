//! Heads of requests that are refused: too large, without a proper `Host`, or not readable at all.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::{Request, StatusCode, Version};

/// Why the head of a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// It is larger than is allowed. hyper bounds it only together with its buffer for bodies.
    /// <https://www.rfc-editor.org/rfc/rfc6585#section-5>
    #[error(
        "the head of the request has {size} bytes, and at most {limit} are taken here; send fewer or shorter headers"
    )]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is so large that it was not read to its end.
    #[error("the head of the request is too large; send fewer or shorter headers")]
    TooLargeToRead,
    /// The path and query are longer than any parser takes.
    #[error("the URL of the request is too long; send a shorter one")]
    UrlTooLong,
    /// It cannot be parsed.
    #[error("the request is not valid HTTP: its first line or one of its headers is malformed")]
    Malformed,
    /// HTTP/1.1 without `Host`: <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>
    #[error("the request has no `Host` header, which HTTP/1.1 requires")]
    NoHost,
    /// More than one `Host`.
    #[error("the request has more than one `Host` header; send exactly one")]
    SeveralHosts,
    /// A `Host` that is no host.
    #[error(
        "the `Host` header of the request is not valid: it must be a host name or an IP address, with or without a port"
    )]
    InvalidHost,
    /// Plain HTTP where TLS is spoken.
    #[error(
        "this port takes HTTPS only, and the request came over plain HTTP; use an https:// URL"
    )]
    PlainHttp,
}

impl HeadError {
    /// What hyper means when it answers by itself with this status.
    pub(crate) fn of_parser(status: StatusCode) -> Self {
        match status {
            StatusCode::URI_TOO_LONG => Self::UrlTooLong,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::TooLargeToRead,
            _ => Self::Malformed,
        }
    }

    /// The status of the answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::TooLarge { .. } | Self::TooLargeToRead => 431,
            Self::UrlTooLong => 414,
            Self::Malformed
            | Self::NoHost
            | Self::SeveralHosts
            | Self::InvalidHost
            | Self::PlainHttp => 400,
        }
    }
}

/// Notes on a request what is wrong with its head, for the application to refuse it.
pub(crate) fn note<B>(request: &mut Request<B>, limit: usize) {
    let size = size(request);
    let outcome = if size > limit {
        Err(HeadError::TooLarge { size, limit })
    } else {
        check_host(request)
    };
    if let Err(error) = outcome {
        request.extensions_mut().insert(error);
    }
}

/// There is one valid `Host` at most, and in HTTP/1.1 exactly one. HTTP/1.0 does without, and HTTP/2 has
/// the host in its URL.
fn check_host<B>(request: &Request<B>) -> Result<(), HeadError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => Err(HeadError::NoHost),
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(HeadError::SeveralHosts),
        (Some(host), None) => match host.to_str() {
            Ok(host) if is_host(host) => Ok(()),
            _ => Err(HeadError::InvalidHost),
        },
    }
}

/// Whether a text is a host, with or without a port. It may be empty.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.2>
fn is_host(text: &str) -> bool {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // Some clients send the zone, which means something on their machine alone.
        let (address, zone) = address.split_once('%').unwrap_or((address, "zone"));
        return address.parse::<Ipv6Addr>().is_ok()
            && !zone.is_empty()
            && is_name(zone)
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    is_name(name) && is_port(port)
}

/// Whether a text is a `reg-name`: <https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2>
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let mut parts = text.split('%');
    let begins = parts.next().unwrap_or_default();
    let is_escaped = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    begins.bytes().all(plain) && parts.all(|part| is_escaped(part) && part.bytes().all(plain))
}

/// Whether a text is a port, or nothing.
fn is_port(text: &str) -> bool {
    text.is_empty() || (text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// Bytes of the head as HTTP/1 writes it. Spaces that it may have had besides are not counted: they are
/// gone, and were bounded by the buffer.
fn size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let scheme = uri
        .scheme_str()
        .map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let method = request.method().as_str().len();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    let line = method + scheme + authority + path + "  HTTP/1.1\r\n".len();
    line + headers.sum::<usize>() + "\r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in [
            "",
            "x",
            "r.test",
            "r.test.",
            "r.test:5000",
            "r.test:",
            "my_registry:80",
            "10.0.0.1:5000",
            "[::1]",
            "[::1]:5000",
            "[::1]:",
            "[fe80::1%eth0]:5000",
            "[fe80::1%25eth0]",
            "a%2Db",
            ":5000",
        ] {
            assert!(is_host(host), "{host:?}");
        }
        for host in [
            "a b",
            "a/b",
            "a@b",
            "a?b",
            "a#b",
            "a:b",
            "a:1:2",
            "a:+1",
            "a:65536",
            "a:-1",
            "[::1",
            "::1",
            "[]",
            "[::g]",
            "[::1]5000",
            "[::1]:x",
            "[::1%]",
            "a%",
            "a%2",
            "a%zz",
            "a\\b",
            "a\tb",
            "\"a\"",
            "http://a",
            "[r.test]",
            "a[::1]",
        ] {
            assert!(!is_host(host), "{host:?}");
        }
    }

    #[test]
    fn how_many_hosts_a_request_has() {
        let check = |version, hosts: &[&str]| {
            let request = Request::get("/v2/").version(version);
            let request = hosts
                .iter()
                .fold(request, |request, host| request.header("host", *host));
            check_host(&request.body(()).unwrap())
        };
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(check(version, &["x"]), Ok(()));
            assert_eq!(check(version, &["x", "x"]), Err(HeadError::SeveralHosts));
            assert_eq!(check(version, &["a b"]), Err(HeadError::InvalidHost));
        }
        assert_eq!(check(Version::HTTP_11, &[]), Err(HeadError::NoHost));
        assert_eq!(check(Version::HTTP_10, &[]), Ok(()));
        assert_eq!(check(Version::HTTP_2, &[]), Ok(()));
    }
}
