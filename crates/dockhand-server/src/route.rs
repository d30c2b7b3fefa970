//! From an endpoint and a method to its handler: one exhaustive match.

use axum::body::Body;
use dockhand_oci::Endpoint;
use http::{HeaderValue, Method, Response};

use crate::error::Error;
use crate::handlers::{Answer, Call, blobs, lists, manifests, uploads};
use crate::respond::bytes_as;

/// Calls the handler of an endpoint.
pub(crate) async fn dispatch(call: Call<'_>, endpoint: &Endpoint) -> Answer {
    let method = call.asked.method.clone();
    let reading = matches!(method, Method::GET | Method::HEAD);
    match endpoint {
        Endpoint::Base if reading => Ok(base()),
        Endpoint::Catalog if reading => lists::catalog(call).await,
        Endpoint::Tags(repo) if reading => lists::tags(call, repo).await,
        Endpoint::Referrers(repo, subject) if reading => {
            lists::referrers(call, repo, *subject).await
        }
        Endpoint::TagHistory(repo, tag) if reading => lists::tag_history(call, repo, tag).await,
        Endpoint::Manifest(repo, reference) if reading => {
            manifests::get(call, repo, reference).await
        }
        Endpoint::Blob(repo, digest) if reading => blobs::get(call, repo, *digest).await,
        Endpoint::Upload(repo, id) if reading => uploads::get(call, repo, *id).await,
        Endpoint::Manifest(repo, reference) if method == Method::PUT => {
            manifests::put(call, repo, reference).await
        }
        Endpoint::Manifest(repo, reference) if method == Method::DELETE => {
            manifests::delete(call, repo, reference).await
        }
        Endpoint::Blob(repo, digest) if method == Method::DELETE => {
            blobs::delete(call, repo, *digest).await
        }
        Endpoint::Uploads(repo) if method == Method::POST => uploads::post(call, repo).await,
        Endpoint::Upload(repo, id) if method == Method::PATCH => {
            uploads::patch(call, repo, *id).await
        }
        Endpoint::Upload(repo, id) if method == Method::PUT => uploads::put(call, repo, *id).await,
        Endpoint::Upload(repo, id) if method == Method::DELETE => {
            uploads::delete(call, repo, *id).await
        }
        other => Err(Error::Method {
            method,
            allowed: allowed(other),
        }),
    }
}

/// The `Allow` of an endpoint.
const fn allowed(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Base
        | Endpoint::Catalog
        | Endpoint::Tags(_)
        | Endpoint::Referrers(..)
        | Endpoint::TagHistory(..) => "GET, HEAD",
        Endpoint::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Endpoint::Blob(..) => "GET, HEAD, DELETE",
        Endpoint::Uploads(_) => "POST",
        Endpoint::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    }
}

/// The name of an endpoint in logs and metrics.
pub(crate) const fn kind(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Base => "base",
        Endpoint::Catalog => "catalog",
        Endpoint::Tags(_) => "tags",
        Endpoint::Manifest(..) => "manifest",
        Endpoint::Blob(..) => "blob",
        Endpoint::Uploads(_) | Endpoint::Upload(..) => "upload",
        Endpoint::Referrers(..) => "referrers",
        Endpoint::TagHistory(..) => "tag-history",
    }
}

/// `/v2/`: this is a registry.
fn base() -> Response<Body> {
    bytes_as(HeaderValue::from_static("application/json"), "{}".into())
}
