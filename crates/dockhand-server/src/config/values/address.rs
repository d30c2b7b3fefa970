//! Where things are: addresses to listen on, the address of the registry, paths.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::Uri;

use super::ValueError;

/// A host and a port to listen on. An empty host is every address of the machine; port 0 is any
/// free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Cow<'static, str>,
    port: u16,
}

impl Address {
    /// Where a registry is expected, on this machine only.
    pub const LOCAL: Self = Self {
        host: Cow::Borrowed("127.0.0.1"),
        port: 5000,
    };

    /// What to bind to, in the order of trying: every address of the machine is IPv6 and IPv4 in one
    /// socket, or IPv4 alone where there is no IPv6.
    #[must_use]
    pub fn candidates(&self) -> Vec<String> {
        let hosts = if self.host.is_empty() {
            vec!["[::]", "0.0.0.0"]
        } else {
            vec![&*self.host]
        };
        hosts
            .into_iter()
            .map(|host| format!("{host}:{}", self.port))
            .collect()
    }

    /// The port; 0 is any free one.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (host, port) = text.rsplit_once(':').ok_or(ValueError)?;
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(ValueError)?;
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let fine = match inner {
            Some(six) => six.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
        };
        if fine {
            Ok(Self {
                host: Cow::Owned(host.to_owned()),
                port,
            })
        } else {
            Err(ValueError)
        }
    }
}

/// The address by which clients reach the registry: `http` or `https`, a host, perhaps a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublicUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let uri: Uri = text.parse().map_err(|_| ValueError)?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.host().is_some_and(|host| !host.is_empty());
        // A fragment is dropped by the parser, a user would be sent to every client.
        let plain = uri.query().is_none() && !text.contains(['#', '@']);
        let url = text.trim_end_matches('/');
        if scheme && host && plain {
            Ok(Self(url.to_owned()))
        } else {
            Err(ValueError)
        }
    }
}

/// A path that begins with a slash and does not end with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPath(Cow<'static, str>);

impl UrlPath {
    /// Where Prometheus looks unless it is told otherwise.
    pub(in crate::config) const fn metrics() -> Self {
        Self(Cow::Borrowed("/metrics"))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UrlPath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let rest = text.strip_prefix('/').ok_or(ValueError)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
        if rest.split('/').all(segment) {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(ValueError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "127.0.0.1:5000",
            "localhost:0",
            "[::1]:5000",
            ":5000",
            "registry_1.test:65535",
        ] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "5000",
            "localhost",
            "::1:5000",
            "[::1]",
            "h:65536",
            "h:+1",
            "h:",
            "a b:1",
            "http://h:1",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(ValueError), "{bad}");
        }
        let all: Address = ":80".parse().unwrap();
        assert_eq!(all.candidates(), ["[::]:80", "0.0.0.0:80"]);
        assert_eq!(Address::LOCAL.candidates(), ["127.0.0.1:5000"]);
    }

    #[test]
    fn public_addresses() {
        let url: PublicUrl = "https://r.test:8443/".parse().unwrap();
        assert_eq!(url.as_str(), "https://r.test:8443");
        assert_eq!(
            "http://r.test/a/b".parse::<PublicUrl>().unwrap().as_str(),
            "http://r.test/a/b"
        );
        for bad in [
            "",
            "r.test",
            "r.test:5000",
            "ftp://r.test",
            "https://",
            "https://u:p@r.test",
            "https://r.test/?a",
            "https://r.test/#a",
            "/v2",
        ] {
            assert_eq!(bad.parse::<PublicUrl>(), Err(ValueError), "{bad}");
        }
    }

    #[test]
    fn paths() {
        for good in ["/metrics", "/a/b.c/d-e_f~1"] {
            assert_eq!(good.parse::<UrlPath>().unwrap().as_str(), good);
        }
        for bad in ["", "/", "a", "/a/", "/a//b", "/../a", "/a?b", "/ä", "/a b"] {
            assert_eq!(bad.parse::<UrlPath>(), Err(ValueError), "{bad}");
        }
    }
}
