//! The application: a registry, how it answers, and the one way through which every request goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use dockhand_oci::{Endpoint, EndpointError};
use dockhand_registry::Registry;
use http::header::{CONNECTION, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};

use crate::arriving::{Arrived, Arriving};
use crate::dates::Dates;
use crate::error::Error;
use crate::handlers::{Answer, Call};
use crate::head::HeadError;
use crate::location::{Addressing, Base};
use crate::metrics::Metrics;
use crate::observe::{Observed, RequestIds};
use crate::request::Asked;
use crate::sendfile::Files;
use crate::{health, respond, route};

/// How the application answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// What `Location` begins with.
    pub addressing: Addressing,
    /// How long a client that is sending a body may take for each KiB of it.
    pub body_idle: Duration,
    /// What to announce as `OCI-Chunk-Min-Length`; nothing when 0.
    pub chunk_min_length: u64,
    /// Headers that every answer gets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether each request is a line in the log.
    pub access_log: bool,
    /// Where metrics are served on the main address, when they are.
    pub metrics_path: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addressing: Addressing::default(),
            body_idle: Duration::from_secs(30),
            chunk_min_length: 0,
            headers: Vec::new(),
            access_log: true,
            metrics_path: None,
        }
    }
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other end.
    pub address: SocketAddr,
    /// The port that the connection came in on, if known. A `Host` with another port shows that something
    /// in between translates ports.
    pub local_port: Option<u16>,
    /// Whether the connection is encrypted by us.
    pub tls: bool,
}

/// A registry and everything that answering for it takes.
#[derive(Debug)]
pub struct App {
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// The `Date` of answers, for who speaks HTTP.
    pub(crate) dates: Dates,
    ids: RequestIds,
}

/// The endpoint of a request that could not be read, in logs and metrics.
const UNREAD: &str = "unread";

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl App {
    /// An application; metrics are counted only when somebody may read them.
    #[must_use]
    pub fn new(registry: Registry, options: Options, metrics: bool) -> Arc<Self> {
        let metrics = metrics.then(Arc::default);
        Arc::new(Self {
            registry,
            options,
            metrics,
            dates: Dates::default(),
            ids: RequestIds::new(),
        })
    }

    /// The application as a router, to be served or nested by a program of your own. Put a [`Peer`]
    /// into the extensions of each request, so that `Location` suits the client.
    pub fn router(self: &Arc<Self>) -> Router {
        let app = Arc::clone(self);
        Router::new().fallback(move |request: Request<Body>| {
            let app = Arc::clone(&app);
            async move {
                let peer = request.extensions().get::<Peer>().copied();
                app.handle(peer, request).await
            }
        })
    }

    /// Answers a request: the one way through which all of them go.
    pub async fn handle(&self, peer: Option<Peer>, request: Request<Body>) -> Response<Body> {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let mut body = Arriving::new(body, &parts.headers);
        let arrived = body.arrived();
        let addressing = &self.options.addressing;
        let base = Base::of(addressing, &parts, peer);
        // In HTTP/2 the answers of a connection are mixed, so nothing below could tell whose turn it is.
        let in_turn = parts.version <= Version::HTTP_11;
        let files = parts.extensions.get::<Files>().filter(|_| in_turn).cloned();
        let asked = Asked {
            id: self.ids.of(&parts.headers),
            method: parts.method,
            uri: without_prefix(parts.uri, &addressing.prefix),
            headers: parts.headers,
            peer: peer.map(|peer| peer.address.ip()),
            base,
            files,
        };
        let endpoint = Endpoint::parse(asked.path());
        let kind = endpoint.as_ref().map_or("other", route::kind);
        // Before anything is waited for, so that it is there to tell when the client does not wait.
        let observed = Observed::new(self, &asked, kind, begun, arrived.clone());
        let outcome = match parts.extensions.get::<HeadError>() {
            Some(error) => Err(Error::from(*error)),
            None => self.answer(&asked, &endpoint, &mut body).await,
        };
        let mut response = outcome.unwrap_or_else(|error| respond::failure(&asked, &error));
        self.finish(&asked, &mut response);
        if in_turn && arrived.ends_connection() {
            // https://www.rfc-editor.org/rfc/rfc9112#section-9.6
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        observed.watch(response)
    }

    /// Answers a request that could not be read, or must not be: its path is `*`, and the connection ends.
    pub(crate) fn refuse(&self, peer: Peer, error: HeadError) -> Response<Body> {
        let asked = Asked {
            id: self.ids.of(&HeaderMap::new()),
            // The form of a request that is for no resource; the log calls the method `OTHER`.
            method: Method::OPTIONS,
            uri: Uri::from_static("*"),
            headers: HeaderMap::new(),
            peer: Some(peer.address.ip()),
            base: Base::default(),
            files: None,
        };
        let received = Arrived::default();
        let observed = Observed::new(self, &asked, UNREAD, Instant::now(), received);
        let mut response = respond::failure(&asked, &Error::from(error));
        self.finish(&asked, &mut response);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        observed.watch(response)
    }

    /// What is said to a request that could be read.
    async fn answer(
        &self,
        asked: &Asked,
        endpoint: &Result<Endpoint, EndpointError>,
        body: &mut Arriving,
    ) -> Answer {
        if let Some(response) = health::answer(self, asked).await {
            return Ok(response);
        }
        let call = Call {
            app: self,
            asked,
            body,
        };
        match endpoint {
            Ok(endpoint) => route::dispatch(call, endpoint).await,
            Err(error) => Err(Error::of_path(&asked.method, *error)),
        }
    }

    /// What every answer has.
    fn finish(&self, asked: &Asked, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#legacy-docker-support-http-headers
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(respond::REQUEST_ID, asked.id.0.clone());
        for (name, value) in &self.options.headers {
            headers.insert(name, value.clone());
        }
        if asked.method == Method::HEAD {
            debug_assert!(
                headers.contains_key(CONTENT_LENGTH)
                    || response.status() == 304
                    || response.status() == 204
            );
            *response.body_mut() = Body::empty();
        }
    }
}

/// A registry below a path answers to paths below it.
fn without_prefix(uri: Uri, prefix: &str) -> Uri {
    let Some(rest) = uri
        .path_and_query()
        .and_then(|path| path.as_str().strip_prefix(prefix))
    else {
        return uri;
    };
    if prefix.is_empty() || !rest.starts_with('/') {
        return uri;
    }
    rest.parse().unwrap_or(uri)
}
