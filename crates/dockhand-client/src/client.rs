//! One registry, by one connection.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dockhand_oci::{Digest, Endpoint, RepoName, Tag};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::auth::Scopes;
use crate::http::{Answer, Http, Request};
use crate::paging::{self, Page};
use crate::repository::Habits;
use crate::{
    Connection, Driver, Error, ErrorKind, Event, Observer, Repository, Result, Unobserved,
};

/// The longest answer to a question about the registry itself, in bytes.
const ANSWER_MAX: u64 = 4 * 1024 * 1024;
/// How much of a name that is none is shown, in characters: it came from somebody else.
const SHOWN_MAX: usize = 100;

/// A registry. Cloning is cheap and shares connections, tokens and what was learned of the registry.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: Arc<Http>,
    pub(crate) habits: Arc<Habits>,
}

impl Client {
    /// A client for this connection. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a certificate, a key or the proxy's address cannot be used.
    pub fn new(connection: Connection) -> Result<Self> {
        Self::with_observer(connection, Arc::new(Unobserved))
    }

    /// A client that tells `observer` of retries, warnings and limits.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_observer(connection: Connection, observer: Arc<dyn Observer>) -> Result<Self> {
        Ok(Self {
            http: Arc::new(Http::new(connection, observer)?),
            habits: Arc::default(),
        })
    }

    /// The registry as image references name it: `ghcr.io`, `localhost:5000`, `docker.io`.
    #[must_use]
    pub fn host(&self) -> String {
        self.http.host()
    }

    /// How the registry is reached.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.http.connection
    }

    /// A repository of it; nothing is asked yet.
    #[must_use]
    pub fn repository(&self, name: RepoName) -> Repository {
        Repository::new(self.clone(), name)
    }

    /// Whether the registry answers, speaks this API and lets this connection in.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when credentials are missing or refused, [`ErrorKind::Protocol`] when
    /// what answers is no registry, and what keeps it from answering at all.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>
    pub async fn ping(&self) -> Result<Ping> {
        self.knock("ping the registry").await
    }

    /// The same, to see whether the registry takes the credentials of this connection.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub async fn check_credentials(&self) -> Result<Ping> {
        self.knock("check the credentials").await
    }

    async fn knock(&self, doing: &str) -> Result<Ping> {
        let begun = Instant::now();
        let url = self.http.connection.base.endpoint(&Endpoint::Base)?;
        let request = Request::new(Method::GET, url, doing).whole(ANSWER_MAX);
        let answer = self.http.send(&request).await?;
        let took = begun.elapsed();
        let text = |name: &str| answer.header(name).map(str::to_owned);
        let (api_version, server) = (text("docker-distribution-api-version"), text("server"));
        let driver = crate::capabilities::driver(&self.host(), answer.headers());
        if !answer.is_registry() {
            self.refuse_page(answer, doing).await?;
        }
        Ok(Ping {
            host: self.host(),
            driver,
            api_version,
            server,
            auth: self.http.auth_kind().await.map(str::to_owned),
            took,
        })
    }

    /// Whether an answer without the marks of a registry may still be one: an empty body may.
    async fn refuse_page(&self, answer: Answer, doing: &str) -> Result<()> {
        let body = answer.bytes(ANSWER_MAX).await?;
        if body.trim_ascii().is_empty() || body.trim_ascii() == b"{}" {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Protocol, "what answers there is no registry");
        Err(error.doing(doing).at(self.host()))
    }

    /// The repositories, as far as this connection may see them; not every registry tells.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-repositories>
    pub fn catalog(&self, page: Page) -> BoxStream<'static, Result<RepoName>> {
        let doing = "list the repositories";
        let question = paging::Question::new(&Endpoint::Catalog, doing, Scopes::catalog(), page);
        let names = paging::entries(Arc::clone(&self.http), question);
        let client = self.clone();
        let valid = names.try_filter_map(move |text| {
            let name = text.parse().ok();
            if name.is_none() {
                client.leave_out(&text, "repository name");
            }
            std::future::ready(Ok(name))
        });
        valid.boxed()
    }

    /// The extensions of the API that the registry says it has; none when it does not say.
    ///
    /// # Errors
    /// What keeps it from answering.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md>
    pub async fn extensions(&self) -> Result<Vec<Extension>> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            extensions: Option<Vec<Extension>>,
        }
        let url = self.http.connection.base.join("/v2/_oci/ext/discover")?;
        let request = Request::new(Method::GET, url, "ask for the registry's extensions");
        let request = request.whole(ANSWER_MAX);
        let answer = match self.http.send(&request).await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let body = answer.bytes(ANSWER_MAX).await?;
        let read: Result<Body, _> = serde_json::from_slice(&body);
        // A registry without the extension may answer with the page of a console.
        Ok(read
            .ok()
            .and_then(|body| body.extensions)
            .unwrap_or_default())
    }

    /// The bearer token with which this connection asks for `scopes`, in the words of the token service:
    /// `repository:team/app:pull,push`. `None` when the registry does not ask for one.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when credentials are missing or refused, and what keeps the registry or
    /// its token service from answering.
    ///
    /// Specification: <https://distribution.github.io/distribution/spec/auth/token/>
    pub async fn token(&self, scopes: &str) -> Result<Option<SecretString>> {
        let scopes = Scopes::parse(scopes);
        let url = self.http.connection.base.endpoint(&Endpoint::Base)?;
        let request = Request::new(Method::GET, url, "get a token").scopes(scopes.clone());
        self.http.send(&request).await?;
        let header = self.http.authorization(&scopes).await?;
        let bearer = { header.as_ref() }.and_then(|header| header.to_str().ok());
        let token = bearer.and_then(|text| text.strip_prefix("Bearer "));
        Ok(token.map(SecretString::from))
    }

    /// The tags of a repository of this registry.
    pub(crate) fn tags(&self, name: &RepoName, page: Page) -> BoxStream<'static, Result<Tag>> {
        let texts = paging::entries(Arc::clone(&self.http), tags_of(name, page));
        let client = self.clone();
        let valid = texts.try_filter_map(move |text| {
            let tag = text.parse().ok();
            // Some registries list digests among the tags, which are none.
            if tag.is_none() && text.parse::<Digest>().is_err() {
                client.leave_out(&text, "tag");
            }
            std::future::ready(Ok(tag))
        });
        valid.boxed()
    }

    /// The same, where one page has them all; what is no tag is not told.
    pub(crate) async fn tags_in_one(&self, name: &RepoName) -> Result<Option<Vec<Tag>>> {
        let question = tags_of(name, Page::default());
        let texts = paging::only_page(Arc::clone(&self.http), question).await?;
        let valid = |text: &String| text.parse().ok();
        Ok(texts.map(|texts| texts.iter().filter_map(valid).collect()))
    }

    /// Tells that a list of the registry has something that is no `what`.
    fn leave_out(&self, text: &str, what: &str) {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        self.http.observer.event(&Event::Warning {
            host: self.host(),
            text: format!("left out of the list: {shown:?} is no valid {what}"),
        });
    }
}

fn tags_of(name: &RepoName, page: Page) -> paging::Question {
    let doing = format!("list the tags of {name}");
    let endpoint = Endpoint::Tags(name.clone());
    paging::Question::new(&endpoint, doing, Scopes::pull(name), page)
}

/// Whether the registry does not have what was asked for.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Refused
    )
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.host()).finish()
    }
}

/// What a registry says of itself when it is asked whether it is there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// The registry's name in image references.
    pub host: String,
    /// What kind of registry it shows itself to be; [`Driver::Oci`] when it does not.
    pub driver: Driver,
    /// `Docker-Distribution-Api-Version`: `registry/2.0`.
    pub api_version: Option<String>,
    /// What the server calls itself.
    pub server: Option<String>,
    /// What it asks of whoever comes: `basic`, `bearer`, or nothing.
    pub auth: Option<String>,
    /// How long it took, signing in included.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

/// An extension of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name: `_zot`.
    pub name: String,
    /// Where it is described.
    #[serde(default)]
    pub url: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The paths that it adds.
    #[serde(default)]
    pub endpoints: Vec<String>,
}
