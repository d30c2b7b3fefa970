//! Administration: what whoever runs a registry sees and does, over HTTP below [`PREFIX`].
//!
//! A running server answers on a socket in its folder ([`socket`]), where the permissions of the file are
//! the authentication. The folder of a server that does not run is opened by who asks ([`stopped`]). Both
//! speak the same requests.
//!
//! ```text
//! GET    /api/v1/uploads?n=N&last=ID     {"uploads": [{"id", "repository", "client", "started", "touched", "bytes"}]}
//! DELETE /api/v1/uploads/ID?bytes=N      204; with `bytes` 409 unless it has so many
//! ```
//!
//! Lists have a `Link` to the next page and errors the body that the registry's own have.

mod resource;
pub mod socket;
pub mod stopped;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use dockhand_registry::Registry;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::handlers::Answer;
use crate::location::Base;
use crate::observe::RequestIds;
use crate::request::Asked;
use crate::respond;

pub use resource::PREFIX;
use resource::Resource;

/// For the head of a request, and for a connection that lies still between two.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The administration of a registry.
#[derive(Debug)]
pub struct Admin {
    registry: Registry,
    ids: RequestIds,
}

impl Admin {
    /// The administration of this registry. It asks nobody who they are: serve it only where no one else
    /// can come.
    #[must_use]
    pub fn new(registry: Registry) -> Arc<Self> {
        Arc::new(Self {
            registry,
            ids: RequestIds::new(),
        })
    }

    /// It as a router, to be served or nested by a program of your own.
    pub fn router(self: &Arc<Self>) -> Router {
        let admin = Arc::clone(self);
        Router::new().fallback(move |request: Request<Body>| {
            let admin = Arc::clone(&admin);
            async move { admin.handle(request).await }
        })
    }

    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let asked = Asked {
            id: self.ids.of(&parts.headers),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            peer: None,
            base: Base::default(),
            files: None,
        };
        let outcome = self.answer(&asked).await;
        let mut response = outcome.unwrap_or_else(|error| respond::failure(&asked, &error));
        let headers = response.headers_mut();
        headers.insert(respond::REQUEST_ID, asked.id.0.clone());
        if asked.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn answer(&self, asked: &Asked) -> Answer {
        let resource = Resource::parse(asked.path()).ok_or(Error::NoSuchResource)?;
        let reading = matches!(asked.method, Method::GET | Method::HEAD);
        match resource {
            Resource::Uploads if reading => uploads::list(&self.registry, asked).await,
            Resource::Upload(id) if asked.method == Method::DELETE => {
                uploads::drop_one(&self.registry, asked, id).await
            }
            other => Err(Error::Method {
                method: asked.method.clone(),
                allowed: other.allowed(),
            }),
        }
    }

    /// Answers the requests of a connection until it ends.
    async fn serve<S>(self: Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            let admin = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(admin.handle(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the administration ended early");
        }
    }
}
