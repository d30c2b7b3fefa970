//! What `Location` begins with: the address by which the client reached us.
//!
//! Absolute by default, since old clients prefix a relative one wrongly. The host is what the client
//! itself said; a proxy in front may say otherwise when it is trusted.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Uri};

use crate::respond::value;

/// How the address of the registry is found.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    /// The address to use whatever a request says, such as `https://registry.example.com`.
    pub public_url: Option<String>,
    /// Whether to answer with paths only.
    pub relative: bool,
    /// A path in front of `/v2`, without a slash at its end.
    pub prefix: String,
    /// Who may say by `Forwarded` or `X-Forwarded-*` how the client reached it.
    pub trusted_proxies: Vec<Cidr>,
}

/// A block of addresses such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Whether an address lies in the block. An IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(four) => (32u32, u128::from(four.to_bits())),
            IpAddr::V6(six) => (128, six.to_bits()),
        };
        let (width, ours) = number(self.address);
        let (other_width, theirs) = number(address.to_canonical());
        let shift = width.saturating_sub(u32::from(self.bits));
        let cut = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
        width == other_width && cut(ours) == cut(theirs)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The text is not a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of addresses is written like 10.0.0.0/8, 192.0.2.7 or fd00::/8")]
pub struct CidrError;

impl std::str::FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| CidrError))?;
        if bits > width {
            Err(CidrError)
        } else {
            Ok(Self { address, bits })
        }
    }
}

/// What every `Location` of one answer begins with: nothing, or scheme and host, then the prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base(String);

impl Base {
    /// Works it out for a request that came over TLS or not, from this peer.
    pub(crate) fn of(
        addressing: &Addressing,
        uri: &Uri,
        headers: &HeaderMap,
        tls: bool,
        peer: Option<IpAddr>,
    ) -> Self {
        let prefix = &addressing.prefix;
        if addressing.relative {
            return Self(prefix.clone());
        }
        if let Some(url) = &addressing.public_url {
            return Self(format!("{}{prefix}", url.trim_end_matches('/')));
        }
        let trusted = peer.is_some_and(|peer| {
            addressing
                .trusted_proxies
                .iter()
                .any(|block| block.contains(peer))
        });
        let forwarded = if trusted {
            Forwarded::read(headers)
        } else {
            Forwarded::default()
        };
        let own_scheme = if tls { "https" } else { "http" };
        let scheme = forwarded
            .proto
            .filter(|proto| matches!(*proto, "http" | "https"));
        let own_host = || {
            let header = headers
                .get(http::header::HOST)
                .and_then(|host| host.to_str().ok());
            header.or_else(|| uri.authority().map(http::uri::Authority::as_str))
        };
        match forwarded
            .host
            .filter(|host| plain_host(host))
            .or_else(own_host)
        {
            Some(host) if plain_host(host) => {
                Self(format!("{}://{host}{prefix}", scheme.unwrap_or(own_scheme)))
            }
            // Without a usable host (HTTP/1.0, or nonsense) a path is all that can be said.
            _ => Self(prefix.clone()),
        }
    }

    /// The `Location` of a path.
    pub(crate) fn location(&self, path: impl std::fmt::Display) -> HeaderValue {
        value(format!("{}{path}", self.0))
    }
}

/// A host and port as they may stand in a URL: nothing that could end the authority or begin
/// something else.
fn plain_host(host: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

/// How a proxy says that the client reached it.
#[derive(Debug, Default)]
struct Forwarded<'a> {
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// `Forwarded` first, then the older headers; of a list, its first entry: the one nearest the
    /// client. <https://www.rfc-editor.org/rfc/rfc7239#section-4>
    fn read(headers: &'a HeaderMap) -> Self {
        let first = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            text.split(',')
                .next()
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let mut found = Self::default();
        for pair in first("forwarded")
            .into_iter()
            .flat_map(|entry| entry.split(';'))
        {
            let Some((key, text)) = pair.split_once('=') else {
                continue;
            };
            let text = text.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "proto" => found.proto = Some(text),
                "host" => found.host = Some(text),
                _ => {}
            }
        }
        found.proto = found.proto.or_else(|| first("x-forwarded-proto"));
        found.host = found.host.or_else(|| first("x-forwarded-host"));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(addressing: &Addressing, pairs: &[(&'static str, &str)], peer: &str) -> String {
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            headers.append(*name, HeaderValue::from_str(text).unwrap());
        }
        let uri = "/v2/".parse().unwrap();
        Base::of(
            addressing,
            &uri,
            &headers,
            false,
            Some(peer.parse().unwrap()),
        )
        .0
    }

    #[test]
    fn the_host_is_what_the_client_said() {
        let plain = Addressing::default();
        assert_eq!(
            base(&plain, &[("host", "r.test:5000")], "127.0.0.1"),
            "http://r.test:5000"
        );
        assert_eq!(
            base(&plain, &[("host", "[::1]:5000")], "127.0.0.1"),
            "http://[::1]:5000"
        );
        assert_eq!(base(&plain, &[], "127.0.0.1"), "");
        assert_eq!(base(&plain, &[("host", "evil/x")], "127.0.0.1"), "");
        assert_eq!(base(&plain, &[("host", "a@b")], "127.0.0.1"), "");
    }

    #[test]
    fn only_a_trusted_proxy_may_say_otherwise() {
        let trusting = Addressing {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Default::default()
        };
        let forged = [("host", "r.test"), ("x-forwarded-host", "evil.test")];
        assert_eq!(base(&trusting, &forged, "192.0.2.1"), "http://r.test");
        let told = [
            ("host", "inner"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "r.test"),
        ];
        assert_eq!(base(&trusting, &told, "10.1.2.3"), "https://r.test");
        assert_eq!(base(&trusting, &told, "::ffff:10.1.2.3"), "https://r.test");
        let rfc = [
            ("host", "inner"),
            (
                "forwarded",
                "for=1.2.3.4;proto=https;host=\"r.test:8443\", for=x",
            ),
        ];
        assert_eq!(base(&trusting, &rfc, "10.1.2.3"), "https://r.test:8443");
        let odd = [("host", "inner"), ("x-forwarded-proto", "javascript")];
        assert_eq!(base(&trusting, &odd, "10.1.2.3"), "http://inner");
    }

    #[test]
    fn relative_public_and_prefix() {
        let relative = Addressing {
            relative: true,
            prefix: "/reg".into(),
            ..Default::default()
        };
        assert_eq!(base(&relative, &[("host", "r.test")], "127.0.0.1"), "/reg");
        let public = Addressing {
            public_url: Some("https://r.test/".into()),
            ..Default::default()
        };
        assert_eq!(
            base(&public, &[("host", "x")], "127.0.0.1"),
            "https://r.test"
        );
    }

    #[test]
    fn blocks_of_addresses() {
        let block: Cidr = "fd00::/8".parse().unwrap();
        assert!(block.contains("fdff::1".parse().unwrap()));
        assert!(!block.contains("10.0.0.1".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "host/8"] {
            assert_eq!(bad.parse::<Cidr>(), Err(CidrError), "{bad}");
        }
    }
}
