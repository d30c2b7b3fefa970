//! Hosts that a registry sends its clients to, in `Location`, in a redirect or as its token service: when one
//! of them fails, the message names both, and what is likely.

use std::net::IpAddr;

use url::{Host, Url};

use super::Http;
use super::redirect::{WRONG_ADDRESS, same_origin};
use crate::{Error, ErrorKind};

/// What the registry names another host for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has the content, or takes it.
    Content,
    /// It gives tokens.
    TokenService,
}

/// A host that is not the registry, and how a request came there.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    /// The registry as messages name it.
    registry: String,
    home: Url,
    url: Url,
    role: Role,
}

impl Elsewhere {
    /// The host of `url`, unless that is the registry itself.
    pub(super) fn of(http: &Http, url: &Url, role: Role) -> Option<Self> {
        let home = http.home();
        if same_origin(url, &home) {
            return None;
        }
        Some(Self {
            registry: http.host(),
            home,
            url: url.clone(),
            role,
        })
    }

    /// The host as messages name it.
    pub(super) fn host(&self) -> String {
        host_of(&self.url)
    }

    /// A failure of this host.
    pub(super) fn blame(&self, error: Error) -> Error {
        // Who refuses credentials there does so for the registry, as is usual.
        let usual = matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::RateLimited
        );
        if self.role == Role::TokenService && usual {
            return error.at(self.host());
        }
        let place = format!("{}://{}", self.url.scheme(), self.host());
        let registry = &self.registry;
        let via = match self.role {
            Role::Content => format!("{registry} sent us to {place}"),
            Role::TokenService => format!("{registry} names {place} as its token service"),
        };
        let error = error.at(self.host()).via(via);
        if let Some(cause) = self.misconfigured(error.kind()) {
            return error.with_hint(cause);
        }
        let own = error.hint().is_some();
        match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::Denied => {
                error.with_hint(format!("the credentials of {registry} are not sent there"))
            }
            ErrorKind::Connect | ErrorKind::Timeout if !own => {
                error.with_hint("look whether it can be reached from here")
            }
            _ => error,
        }
    }

    /// What seems to be set up wrongly at the registry, or at a proxy in front of it.
    fn misconfigured(&self, kind: ErrorKind) -> Option<String> {
        let (home, url) = (&self.home, &self.url);
        let unreachable = matches!(
            kind,
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Tls | ErrorKind::Protocol
        );
        if home.host() != url.host() {
            let leaked = is_internal(url) && !is_internal(home);
            return (leaked && unreachable).then(|| WRONG_ADDRESS.to_owned());
        }
        if let (Some(port), None) = (home.port(), url.port()) {
            return Some(format!(
                "a proxy in front of it seems to drop the port: have it pass on `Host` with the port {port} \
                 (nginx: proxy_set_header Host $http_host)"
            ));
        }
        if !unreachable {
            return None;
        }
        Some(match home.port_or_known_default() == url.port_or_known_default() {
            true => "it seems not to know whether clients reach it with TLS: have the proxy in front of it \
                     set X-Forwarded-Proto"
                .to_owned(),
            false => WRONG_ADDRESS.to_owned(),
        })
    }
}

/// The host of a URL as messages name it: with its port, but for that of HTTPS.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match (url.port_or_known_default(), url.scheme()) {
        (Some(443), "https") | (None, _) => host.to_owned(),
        (Some(port), _) => format!("{host}:{port}"),
    }
}

/// Whether a host has a name or an address that only its own network knows.
fn is_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_private() || address.is_loopback(),
        Some(Host::Ipv6(address)) => match IpAddr::V6(address).to_canonical() {
            IpAddr::V4(address) => address.is_private() || address.is_loopback(),
            IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
        },
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let ends = [".local", ".internal", ".svc", ".lan", ".intranet"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(home: &str, url: &str, role: Role, error: Error) -> String {
        let elsewhere = Elsewhere {
            registry: host_of(&home.parse().unwrap()),
            home: home.parse().unwrap(),
            url: url.parse().unwrap(),
            role,
        };
        elsewhere.blame(error).to_string()
    }

    #[test]
    fn the_host_that_failed_is_named_and_what_is_likely() {
        use ErrorKind::{Connect, Denied, NotFound, Server, Tls, Unauthorized};
        let role = Role::Content;
        let known = "look whether it can be reached from here";
        for (home, url, kind, host, expected) in [
            (
                "http://h:5000",
                "http://h/up",
                Connect,
                "h:80",
                "drop the port",
            ),
            (
                "http://h:5000",
                "http://h/up",
                Unauthorized,
                "h:80",
                "drop the port",
            ),
            (
                "https://h:5000",
                "https://h/up",
                NotFound,
                "h",
                "drop the port",
            ),
            (
                "https://h:5000",
                "https://h:80/up",
                Connect,
                "h:80",
                "the address by which",
            ),
            (
                "http://h:5000",
                "https://h:5000/up",
                Tls,
                "h:5000",
                "X-Forwarded-Proto",
            ),
            (
                "https://r.example",
                "https://10.0.0.7:5000/up",
                Connect,
                "10.0.0.7:5000",
                "the address by",
            ),
            (
                "https://r.example",
                "https://registry/up",
                Connect,
                "registry",
                "the address by which",
            ),
            (
                "https://r.example",
                "https://r.svc.cluster.local/up",
                Connect,
                "r.svc.cluster.local",
                "the address by which",
            ),
            (
                "https://r.example",
                "https://cdn.example/x",
                Connect,
                "cdn.example",
                known,
            ),
            (
                "https://r.example",
                "https://cdn.example/x",
                Denied,
                "cdn.example",
                "are not sent there",
            ),
            (
                "http://10.0.0.1:5000",
                "http://10.0.0.2/x",
                Connect,
                "10.0.0.2:80",
                known,
            ),
        ] {
            let text = blamed(home, url, role, Error::new(kind, "broken"));
            assert!(text.starts_with(&format!("{host}: broken; ")), "{text}");
            assert!(text.contains(" sent us to http"), "{text}");
            assert!(text.contains(expected), "{home} {url}: {text}");
        }
        let text = blamed(
            "https://r.example",
            "https://cdn.example",
            role,
            Error::new(Server, "503"),
        );
        assert_eq!(
            text,
            "cdn.example: 503; r.example sent us to https://cdn.example"
        );
    }

    #[test]
    fn a_token_service_is_named_where_it_is_the_trouble() {
        let (home, url) = ("http://h:5000", "http://h/token");
        let refused = Error::new(ErrorKind::Unauthorized, "401");
        assert_eq!(blamed(home, url, Role::TokenService, refused), "h:80: 401");
        let absent = Error::new(ErrorKind::Connect, "refused");
        let text = blamed(home, url, Role::TokenService, absent);
        assert!(text.starts_with("h:80: refused; h:5000 names http://h:80 as its token service; "));
        assert!(text.contains("drop the port"), "{text}");
    }
}
