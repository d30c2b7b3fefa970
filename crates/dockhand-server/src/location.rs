//! What `Location` begins with.
//!
//! A client resolves a relative `Location` against the URL that it used, which is right behind any
//! proxy. Some old clients do not: they need an absolute one. So by default, `Location` is absolute
//! where the client is connected to this server itself, and relative where a proxy may be in between.

use std::net::IpAddr;

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

use crate::app::Peer;
use crate::cidr::Cidr;
use crate::config::Locations;
use crate::forwarded::{Forwarded, is_plain_host, is_proxied};
use crate::respond::value;

/// How `Location` is built.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    /// The URL to begin with, whatever a request contains, such as `https://registry.example.com`.
    /// Relative locations ignore it.
    pub public_url: Option<String>,
    /// Whether `Location` is absolute or relative.
    pub locations: Locations,
    /// A path in front of `/v2`, without a slash at its end.
    pub prefix: String,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<Cidr>,
}

impl Addressing {
    /// Whether headers of this peer count.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let mut blocks = self.trusted_proxies.iter();
        peer.is_some_and(|peer| blocks.any(|block| block.contains(peer)))
    }
}

/// What every `Location` of one response begins with: nothing, or scheme and host; then the prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    origin: String,
    prefix: String,
}

impl Base {
    /// Determines it for a request that arrived on this connection, if it is known.
    pub(crate) fn of(addressing: &Addressing, request: &Parts, peer: Option<Peer>) -> Self {
        let headers = &request.headers;
        let forwarded = if addressing.trusts(peer.map(|peer| peer.address.ip())) {
            Forwarded::read(headers)
        } else {
            Forwarded::default()
        };
        let origin = match (addressing.locations, &addressing.public_url) {
            (Locations::Relative, _) => None,
            (_, Some(url)) => Some(url.trim_end_matches('/').to_owned()),
            (_, None) => {
                let own = own_host(&request.uri, headers);
                let may_be_proxied = addressing.locations == Locations::Auto
                    && forwarded.host.is_none()
                    && forwarded.proto.is_none()
                    && (is_proxied(request) || own.is_some_and(|host| !is_port_of(host, peer)));
                let host = forwarded.host.or(own).filter(|_| !may_be_proxied);
                host.map(|host| format!("{}://{host}", forwarded.proto.unwrap_or(scheme(peer))))
            }
        };
        Self {
            origin: origin.unwrap_or_default(),
            prefix: [forwarded.prefix.unwrap_or_default(), &addressing.prefix].concat(),
        }
    }

    /// The `Location` of a path.
    pub(crate) fn location(&self, path: impl std::fmt::Display) -> HeaderValue {
        value(format!("{}{}{path}", self.origin, self.prefix))
    }

    /// The path below which the client sees the registry, without a slash at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

fn scheme(peer: Option<Peer>) -> &'static str {
    match peer {
        Some(Peer { tls: true, .. }) => "https",
        _ => "http",
    }
}

/// The host that the client named: in its URL, else in `Host`. Without a usable one (HTTP/1.0, or
/// nonsense), `Location` is relative.
/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2>
fn own_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let header = || headers.get(http::header::HOST)?.to_str().ok();
    let host = uri.authority().map(Authority::as_str).or_else(header);
    host.filter(|host| is_plain_host(host))
}

/// Whether the port that the client named, or meant by naming none, is the one that its connection came
/// in on. If not, something in between translates: a proxy, or a port of the host that is mapped to
/// another one of a container.
fn is_port_of(host: &str, peer: Option<Peer>) -> bool {
    let Some(Peer {
        tls,
        local_port: Some(local),
        ..
    }) = peer
    else {
        return true;
    };
    let default = if tls { 443 } else { 80 };
    let named = host.parse::<Authority>().ok();
    named.is_some_and(|named| named.port_u16().unwrap_or(default) == local)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const DIRECT: &[(&str, &str)] = &[("host", "r.test:5000")];

    fn connection(address: &str, tls: bool) -> Peer {
        Peer {
            address: (address.parse::<IpAddr>().unwrap(), 40_000).into(),
            local_port: Some(5000),
            tls,
        }
    }

    fn location(addressing: &Addressing, pairs: &[(&'static str, &str)], peer: Peer) -> String {
        let mut request = Request::get("/v2/");
        for (name, text) in pairs {
            request = request.header(*name, *text);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        let base = Base::of(addressing, &request, Some(peer));
        base.location("/v2/x").to_str().unwrap().to_owned()
    }

    fn with(locations: Locations) -> Addressing {
        Addressing {
            locations,
            ..Addressing::default()
        }
    }

    #[test]
    fn a_direct_connection_gets_absolute_locations() {
        let auto = Addressing::default();
        let plain = connection("192.0.2.1", false);
        assert_eq!(location(&auto, DIRECT, plain), "http://r.test:5000/v2/x");
        let ipv6 = [("host", "[::1]:5000")];
        assert_eq!(location(&auto, &ipv6, plain), "http://[::1]:5000/v2/x");
        let tls = connection("192.0.2.1", true);
        assert_eq!(location(&auto, DIRECT, tls), "https://r.test:5000/v2/x");
        for port in [80, 443] {
            let peer = Peer {
                local_port: Some(port),
                tls: port == 443,
                ..plain
            };
            let url = format!("{}://r.test/v2/x", scheme(Some(peer)));
            assert_eq!(location(&auto, &[("host", "r.test")], peer), url);
        }
        for host in [None, Some("evil/x"), Some("a@b")] {
            let pairs: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
            assert_eq!(location(&auto, &pairs, plain), "/v2/x", "{host:?}");
        }
    }

    #[test]
    fn anything_that_shows_a_proxy_makes_locations_relative() {
        let auto = Addressing::default();
        let plain = connection("192.0.2.1", false);
        for proxied in [
            ("forwarded", "for=1.2.3.4"),
            ("via", "1.1 proxy"),
            ("x-real-ip", "1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
        ] {
            let pairs = [DIRECT[0], proxied];
            assert_eq!(location(&auto, &pairs, plain), "/v2/x", "{proxied:?}");
            let absolute = with(Locations::Absolute);
            assert_eq!(
                location(&absolute, &pairs, plain),
                "http://r.test:5000/v2/x"
            );
        }
        for host in ["r.test", "r.test:80", "r.test:443", "[::1]"] {
            assert_eq!(location(&auto, &[("host", host)], plain), "/v2/x", "{host}");
        }
        let unknown = Peer {
            local_port: None,
            ..plain
        };
        let host = [("host", "r.test")];
        assert_eq!(location(&auto, &host, unknown), "http://r.test/v2/x");
    }

    #[test]
    fn a_trusted_proxy_reports_scheme_host_and_prefix() {
        let trusting = Addressing {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            prefix: "/reg".into(),
            ..Addressing::default()
        };
        let proxy = connection("10.1.2.3", false);
        let reported = [
            ("host", "inner"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "r.test"),
        ];
        let url = "https://r.test/reg/v2/x";
        assert_eq!(location(&trusting, &reported, proxy), url);
        let mapped = connection("::ffff:10.1.2.3", false);
        assert_eq!(location(&trusting, &reported, mapped), url);
        let standard = [
            ("host", "inner"),
            (
                "forwarded",
                "for=1.2.3.4;proto=https;host=\"r.test:8443\", for=x",
            ),
            ("x-forwarded-prefix", "/team"),
        ];
        let url = "https://r.test:8443/team/reg/v2/x";
        assert_eq!(location(&trusting, &standard, proxy), url);
        let only_scheme = [("host", "r.test"), ("x-forwarded-proto", "https")];
        let url = "https://r.test/reg/v2/x";
        assert_eq!(location(&trusting, &only_scheme, proxy), url);
        // It reports neither, so the host that it sends may not be the one that the client used.
        let silent = [("host", "r.test"), ("x-real-ip", "1.2.3.4")];
        assert_eq!(location(&trusting, &silent, proxy), "/reg/v2/x");
        let forged = [
            DIRECT[0],
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-prefix", "/e"),
        ];
        let stranger = connection("192.0.2.1", false);
        assert_eq!(location(&trusting, &forged, stranger), "/reg/v2/x");
    }

    #[test]
    fn relative_and_public_url_hold_for_every_request() {
        let plain = connection("192.0.2.1", false);
        assert_eq!(location(&with(Locations::Relative), DIRECT, plain), "/v2/x");
        for locations in [Locations::Auto, Locations::Absolute] {
            let public = Addressing {
                public_url: Some("https://r.test/".into()),
                ..with(locations)
            };
            let proxied = [("host", "x"), ("via", "1.1 proxy")];
            assert_eq!(location(&public, &proxied, plain), "https://r.test/v2/x");
        }
    }
}
