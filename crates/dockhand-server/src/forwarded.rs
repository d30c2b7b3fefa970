//! What proxies report about the request that they received.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Version};

/// Headers that only a proxy adds, beside the `X-Forwarded-` family.
const PROXY_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];
/// A longer prefix is no prefix of a registry.
const PREFIX_MAX: usize = 255;

/// Whether anything in a request shows that a proxy passed it on. HTTP/1.0 does: no client of registries
/// uses it, but proxies do, and nginx then names the address of its upstream as `Host`.
pub(crate) fn is_proxied(request: &Parts) -> bool {
    let by_proxy = |name: &HeaderName| {
        name.as_str().starts_with("x-forwarded-") || PROXY_HEADERS.contains(&name.as_str())
    };
    request.version < Version::HTTP_11 || request.headers.keys().any(by_proxy)
}

/// How the client reached the proxy, as the proxy reports it. Every field can be sent by anybody, so it
/// counts only when the proxy is trusted.
#[derive(Debug, Default)]
pub(crate) struct Forwarded<'a> {
    /// `http` or `https`.
    pub(crate) proto: Option<&'a str>,
    /// Host and port.
    pub(crate) host: Option<&'a str>,
    /// The path below which the proxy publishes the registry, without a slash at its end.
    pub(crate) prefix: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// Reads `Forwarded` first, then the older headers. Of a list, the first entry counts: it is the
    /// one nearest to the client. Values that cannot stand in a URL are ignored.
    /// <https://www.rfc-editor.org/rfc/rfc7239#section-4>
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        let first = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            text.split(',')
                .next()
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let mut found = Self::default();
        let pairs = first("forwarded")
            .into_iter()
            .flat_map(|entry| entry.split(';'));
        for (key, text) in pairs.filter_map(|pair| pair.split_once('=')) {
            let text = text.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "proto" => found.proto = Some(text),
                "host" => found.host = Some(text),
                _ => {}
            }
        }
        let proto = found.proto.or_else(|| first("x-forwarded-proto"));
        let host = found.host.or_else(|| first("x-forwarded-host"));
        let prefix = first("x-forwarded-prefix").map(|text| text.trim_end_matches('/'));
        Self {
            proto: proto.filter(|proto| matches!(*proto, "http" | "https")),
            host: host.filter(|host| is_plain_host(host)),
            prefix: prefix.filter(|prefix| is_plain_path(prefix)),
        }
    }
}

/// Whether a host and port can stand in a URL: nothing that could end the authority or begin something
/// else.
pub(crate) fn is_plain_host(host: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

/// Whether a path can stand in front of another: `//host` would be another host, and `..` another path.
fn is_plain_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b'/');
    path.len() <= PREFIX_MAX
        && path.bytes().all(plain)
        && path.starts_with('/')
        && path
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, text)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(text),
                )
            })
            .collect()
    }

    #[test]
    fn proxies_are_recognised_by_their_headers() {
        for name in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-server",
        ] {
            let request = Request::get("/v2/")
                .header("host", "r.test")
                .header(name, "x");
            assert!(
                is_proxied(&request.body(()).unwrap().into_parts().0),
                "{name}"
            );
        }
        for (version, proxied) in [(Version::HTTP_10, true), (Version::HTTP_11, false)] {
            let request = Request::get("/v2/")
                .version(version)
                .header("x-request-id", "1");
            let request = request.body(()).unwrap().into_parts().0;
            assert_eq!(is_proxied(&request), proxied, "{version:?}");
        }
    }

    #[test]
    fn values_that_do_not_fit_into_a_url_are_ignored() {
        for prefix in [
            "/a/../b",
            "//evil.test",
            "/a//b",
            "a",
            "/a b",
            "/a?b",
            "/",
            "/a\"b",
        ] {
            let headers = headers(&[("x-forwarded-prefix", prefix)]);
            assert_eq!(Forwarded::read(&headers).prefix, None, "{prefix}");
        }
        let odd = headers(&[
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-host", "a/b"),
        ]);
        let read = Forwarded::read(&odd);
        assert_eq!((read.proto, read.host), (None, None));
        let good = headers(&[("x-forwarded-prefix", "/team/registry/, /other")]);
        assert_eq!(Forwarded::read(&good).prefix, Some("/team/registry"));
    }
}
