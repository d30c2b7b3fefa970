//! Where answers lead, and where they must not: to less security, or to this machine's own networks.

use std::net::IpAddr;

use http::StatusCode;
use url::{Host, Url};

use crate::base_url::is_loopback;
use crate::{Error, ErrorKind, Result};

/// More redirects than this are a loop.
pub(crate) const REDIRECTS_MAX: usize = 10;

/// What is likely when a registry names an address that only it can use.
pub(super) const WRONG_ADDRESS: &str = "the registry does not know the address by which it is reached: set it \
     there, or have the proxy in front of it pass on Host and X-Forwarded-Proto";

/// Whether an answer with this status leads elsewhere.
pub(crate) fn leads_on(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether both URLs are at the same scheme, host and port: only there do credentials go along.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The URL that `target`, from an answer of `from`, means.
///
/// # Errors
/// [`ErrorKind::Protocol`] when it is no URL, gives up TLS, or leads to an address that only makes
/// sense from inside a network that the registry itself is not in.
pub(crate) fn resolve(from: &Url, target: &str) -> Result<Url> {
    let refused = |why: &str| {
        let message = format!("it leads to {:?}, {why}", shown(target));
        Error::new(ErrorKind::Protocol, message)
    };
    let refuse = |why: &str| Err(refused(why));
    let Ok(mut url) = from.join(target) else {
        return refuse("which is no URL");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return refuse("which is no web address");
    }
    // Some registries behind a proxy write their own host with the wrong scheme.
    if from.scheme() == "https" && url.scheme() == "http" {
        if from.host() != url.host() {
            return Err(refused("which gives up TLS").with_hint(WRONG_ADDRESS));
        }
        let _ = url.set_scheme("https");
    }
    if is_link_local(&url) && !is_link_local(from) {
        return refuse("an address that only services of a cloud have");
    }
    if is_here(&url) && !is_here(from) {
        return Err(refused("which is this machine").with_hint(WRONG_ADDRESS));
    }
    // A password in it would be sent along. Cannot fail: it has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(url)
}

/// A target without its query, which may be a signature, and without a password.
fn shown(target: &str) -> String {
    let plain = target.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("//") {
        Some((scheme, rest)) => format!("{scheme}//{}", rest.rsplit('@').next().unwrap_or(rest)),
        None => plain.to_owned(),
    }
}

/// Whether it leads to this machine, in whatever way that is written.
fn is_here(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
        Some(Host::Domain(name)) if name.ends_with('.') => {
            let bare = name.trim_end_matches('.');
            return bare == "localhost" || bare.ends_with(".localhost");
        }
        _ => return is_loopback(url),
    };
    address.is_loopback() || address.is_unspecified()
}

fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => match IpAddr::V6(address).to_canonical() {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_followed_where_that_is_safe() {
        let from: Url = "https://host/v2/a/blobs/uploads/?x=1".parse().unwrap();
        for (target, expected) in [
            (
                "/v2/up/1?state=a%2Fb",
                Some("https://host/v2/up/1?state=a%2Fb"),
            ),
            (
                "next?last=b",
                Some("https://host/v2/a/blobs/uploads/next?last=b"),
            ),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("https://host:443/up", Some("https://host/up")),
            ("http://host/up", Some("https://host/up")),
            ("http://other/up", None),
            ("ftp://host/up", None),
            ("file:///etc/passwd", None),
            ("https://169.254.169.254/latest/meta-data", None),
            ("https://[::ffff:169.254.169.254]/", None),
            ("https://127.0.0.1:8080/", None),
            ("https://localhost/", None),
            ("https://localhost./", None),
            ("https://[::ffff:127.0.0.1]/", None),
            ("https://0.0.0.0/", None),
            (
                "https://me:pass@cdn.example/x",
                Some("https://cdn.example/x"),
            ),
        ] {
            let url = resolve(&from, target).ok();
            assert_eq!(url.as_ref().map(Url::as_str), expected, "{target}");
        }
        let local: Url = "http://127.0.0.1:5000/v2/".parse().unwrap();
        assert!(resolve(&local, "http://localhost:6000/x").is_ok());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(same_origin(&url("https://a/x"), &url("https://a:443/y")));
        for other in ["http://a/x", "https://b/x", "https://a:8443/x"] {
            assert!(!same_origin(&url("https://a/x"), &url(other)), "{other}");
        }
    }
}
