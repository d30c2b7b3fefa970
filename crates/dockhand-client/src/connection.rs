//! How to reach one registry: where it is, who asks, and how patiently.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockhand_oci::RepoName;
use http::{HeaderMap, HeaderName};
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

use crate::{BaseUrl, Error, Result};

/// The least [`rate`](Connection::rate), in bytes a second.
pub const RATE_MIN: u32 = 64 * 1024;

/// How much is done at once with one place when not said: with small content, what takes time is waiting for
/// answers, and at a distance of 50 ms these are a thousand a second.
pub(crate) const LANES: usize = 48;

/// Everything that a [`Client`](crate::Client) must know of a registry.
#[derive(Clone)]
pub struct Connection {
    /// Where the registry is.
    pub base: BaseUrl,
    /// Who asks.
    pub auth: Auth,
    /// Whom to trust.
    pub tls: TlsSettings,
    /// What stands between.
    pub proxy: ProxySettings,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retries: Retries,
    /// Addresses for `host:port`, instead of asking the name service.
    pub resolve: Vec<(String, u16, SocketAddr)>,
    /// Headers that go with every request to the registry itself, and to no other host.
    pub headers: HeaderMap,
    /// What the client calls itself.
    pub user_agent: String,
    /// The most requests at once.
    pub lanes: usize,
    /// The most bytes a second, of all requests together: so many read, and so many sent. Not less than
    /// [`RATE_MIN`], or a slow rate would be taken for silence.
    pub rate: Option<NonZeroU32>,
    /// The least important events of this connection that `tracing` hears of.
    pub logging: LevelFilter,
}

impl Connection {
    /// A connection to `base` with every setting at its default: credentials as Docker and Podman
    /// stored them, the system's certificate authorities and proxy.
    #[must_use]
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            auth: Auth::default(),
            tls: TlsSettings::default(),
            proxy: ProxySettings::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            resolve: Vec::new(),
            headers: HeaderMap::new(),
            user_agent: concat!("dockhand/", env!("CARGO_PKG_VERSION")).to_owned(),
            lanes: LANES,
            rate: None,
            logging: LevelFilter::TRACE,
        }
    }

    /// A connection to a registry written as people do: `ghcr.io`, `localhost:5000`,
    /// `https://host/sub/path`, with `/v2` or without. Every setting at its default.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is no registry's address.
    pub fn to(registry: &str) -> Result<Self, Error> {
        Ok(Self::new(registry.parse()?))
    }
}

impl fmt::Debug for Connection {
    /// Without the values of headers, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Connection")
            .field("base", &self.base)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("timeouts", &self.timeouts)
            .field("retries", &self.retries)
            .field("resolve", &self.resolve)
            .field("headers", &headers)
            .field("user_agent", &self.user_agent)
            .field("lanes", &self.lanes)
            .field("rate", &self.rate)
            .finish()
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Nobody: anonymous tokens are fetched when the registry asks, no credentials are looked up.
    Anonymous,
    /// Whatever the registry's challenge asks for, with credentials from this source, looked up when it
    /// asks and not before.
    Challenge(Arc<dyn CredentialSource>),
    /// A user name and password with every request.
    Basic(String, SecretString),
    /// This bearer token with every request.
    Bearer(SecretString),
    /// An API key with every request: as the password of a user where one is named, else as a bearer.
    ApiKey(Option<String>, SecretString),
    /// Tokens that this program signs itself for what it wants to do.
    Signed(Arc<dyn TokenSigner>),
}

impl Default for Auth {
    fn default() -> Self {
        Self::Challenge(Arc::new(crate::credentials::Chain::default()))
    }
}

/// What proves who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A user name and a password.
    Basic(String, SecretString),
    /// An identity token, which is exchanged for tokens of access (OAuth 2 refresh token).
    Identity(SecretString),
    /// A token of access for the registry itself.
    Registry(SecretString),
}

/// Where credentials come from.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credential for a registry, and a repository in it where one is meant. `host` is as in image
    /// references: `docker.io`, `localhost:5000`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a store exists but cannot be read.
    async fn credential(
        &self,
        host: &str,
        repository: Option<&RepoName>,
    ) -> Result<Option<Credential>>;
}

/// Signs tokens for a registry that trusts this program's key.
pub trait TokenSigner: fmt::Debug + Send + Sync {
    /// A token that allows `scopes`, in the form `repository:team/app:pull,push`.
    ///
    /// # Errors
    /// What keeps it from being signed.
    fn token(&self, scopes: &[String]) -> Result<SecretString>;
}

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Files with certificate authorities (PEM) to trust besides the system's.
    pub authorities: Vec<PathBuf>,
    /// A certificate and its key (PEM files) to show to the registry.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether to accept any certificate. Only for experiments.
    pub insecure: bool,
}

/// What stands between here and the registry.
#[derive(Clone, Default)]
pub enum ProxySettings {
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    System,
    /// Nothing, whatever the environment says.
    None,
    /// This proxy for everything: `http://…` or `socks5://…`.
    Url(String),
}

impl fmt::Debug for ProxySettings {
    /// Without the user and password that a proxy's URL may have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::None => f.write_str("None"),
            Self::Url(url) => {
                let host = url.rsplit(['@', '/']).find(|part| !part.is_empty());
                f.debug_tuple("Url")
                    .field(&host.unwrap_or_default())
                    .finish()
            }
        }
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For an answer to begin, once the request is sent; longer for the end of a large upload.
    pub answer: Duration,
    /// For the next bytes of a body. One that drips, slower than 1 KiB a second, uses it up as well.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // A registry may have to hash or move a large blob before it answers the closing PUT.
            answer: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}

/// How often to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// How many times after the first. 5 by default; never more than once after no answer at all.
    pub count: u32,
    /// The first wait, doubled each time and shortened by chance. 200 ms by default.
    pub first: Duration,
    /// The longest wait that is accepted: from doubling, or from `Retry-After`; a registry that asks
    /// for longer is an error at once. 2 minutes by default.
    pub longest: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: 5,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(120),
        }
    }
}
