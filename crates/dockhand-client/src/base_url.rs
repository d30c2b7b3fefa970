//! Where a registry is: `ghcr.io`, `localhost:5000`, `https://host/sub/path/v2/`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use dockhand_oci::Endpoint;
use url::{Host, Url};

use crate::{Error, ErrorKind, Result};

/// The registry that people call `docker.io` answers here.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const DOCKER_HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", DOCKER_HUB_HOST];

/// The address of a registry, before the `/v2/` of its API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    /// Scheme, host, port, and a path that ends in `/`.
    url: Url,
    /// Whether nobody said `http` or `https`.
    guessed: bool,
}

impl BaseUrl {
    /// The name that image references and stored credentials use for this registry: host and port,
    /// `docker.io` for Docker Hub.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            None if host == DOCKER_HUB_HOST => "docker.io".to_owned(),
            None => host.to_owned(),
            Some(port) => format!("{host}:{port}"),
        }
    }

    /// Whether requests go without TLS.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether the scheme was not written but guessed: plain HTTP on this machine, TLS elsewhere.
    #[must_use]
    pub const fn is_guessed(&self) -> bool {
        self.guessed
    }

    /// The same registry with (`true`) or without TLS, for certain.
    #[must_use]
    pub fn with_tls(mut self, tls: bool) -> Self {
        // Cannot fail: both schemes are special and the host stays.
        let _ = self.url.set_scheme(if tls { "https" } else { "http" });
        self.guessed = false;
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The URL of an endpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the two make no URL.
    pub fn endpoint(&self, endpoint: &Endpoint) -> Result<Url> {
        self.join(&endpoint.to_string())
    }

    /// The URL of a path of the API, `/v2/…`, with its query.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the two make no URL.
    pub fn join(&self, path: &str) -> Result<Url> {
        let path = path.trim_start_matches('/');
        // A name with a colon in its first part would be read as a scheme without the dot.
        self.url.join(&format!("./{path}")).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("{path:?} is no path: {error}"))
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            let message = format!("{:?} is no registry's address: {what}", shown(text));
            Err(Error::new(ErrorKind::Invalid, message)
                .with_hint("write HOST, HOST:PORT or https://HOST/PATH"))
        };
        let (guessed, with_scheme) = match text.split_once("://") {
            Some(("http" | "https", _)) => (false, text.to_owned()),
            Some(_) => return wrong("the scheme is http or https"),
            None => (true, format!("https://{text}")),
        };
        let Ok(mut url) = Url::parse(&with_scheme) else {
            return wrong("no host can be read from it");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("credentials do not belong into it; use `dockhand login`");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("it has a query or a fragment");
        }
        if guessed && is_loopback(&url) {
            let _ = url.set_scheme("http");
            // The default port of the guess stays what was written.
            if text.trim_end_matches('/').ends_with(":443") {
                let _ = url.set_port(Some(443));
            }
        }
        if url.port().is_none() && DOCKER_HUB_NAMES.contains(&url.host_str().unwrap_or_default()) {
            let _ = url.set_host(Some(DOCKER_HUB_HOST));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v2").unwrap_or(path);
        let path = format!("{}/", path.trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url, guessed })
    }
}

/// Never more of a wrong address than what comes after an `@`: a password may be before it.
fn shown(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, after)| after)
}

/// Whether the URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (text, url, host) in [
            ("ghcr.io", "https://ghcr.io/", "ghcr.io"),
            ("docker.io", "https://registry-1.docker.io/", "docker.io"),
            ("localhost:5000", "http://localhost:5000/", "localhost:5000"),
            (
                "127.0.0.1:5000/v2/",
                "http://127.0.0.1:5000/",
                "127.0.0.1:5000",
            ),
            ("[::1]:5000", "http://[::1]:5000/", "[::1]:5000"),
            (
                "https://localhost:5000",
                "https://localhost:5000/",
                "localhost:5000",
            ),
            ("http://host/v2", "http://host/", "host"),
            (
                "https://host/sub/path/v2/",
                "https://host/sub/path/",
                "host",
            ),
            ("https://host/sub", "https://host/sub/", "host"),
            ("host:443/sub", "https://host/sub/", "host"),
        ] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(
                (base.to_string().as_str(), base.host().as_str()),
                (url, host),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        for text in ["", "ftp://host", "https://", "https://host?x=1", "a b"] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
        let error = "https://me:secret@host"
            .parse::<BaseUrl>()
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn endpoints_are_below_the_sub_path() {
        let base: BaseUrl = "https://host/sub/v2".parse().unwrap();
        let asked = base.endpoint(&Endpoint::Catalog).unwrap();
        assert_eq!(asked.as_str(), "https://host/sub/v2/_catalog");
    }
}
