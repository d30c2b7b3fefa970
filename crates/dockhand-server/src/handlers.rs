//! One file per kind of thing. A handler takes a request apart, calls the registry, and puts the
//! answer together; it holds no rules.

pub(crate) mod blobs;
pub(crate) mod lists;
pub(crate) mod manifests;
pub(crate) mod uploads;

use axum::body::Body;
use dockhand_oci::Endpoint;
use dockhand_registry::Registry;
use http::Response;

use crate::app::App;
use crate::arriving::Arriving;
use crate::error::Error;
use crate::request::Asked;

/// What handlers give back.
pub(crate) type Answer = Result<Response<Body>, Error>;

/// A request on its way to a handler.
pub(crate) struct Call<'a> {
    pub(crate) app: &'a App,
    pub(crate) asked: &'a Asked,
    /// The body, until somebody takes it. What is left of it is drained by the caller.
    pub(crate) body: &'a mut Arriving,
}

impl Call<'_> {
    pub(crate) fn registry(&self) -> &Registry {
        &self.app.registry
    }

    pub(crate) fn location(&self, endpoint: &Endpoint) -> http::HeaderValue {
        self.asked.base.location(endpoint)
    }
}
