//! `GET`, `HEAD`, `PUT` and `DELETE /v2/<name>/manifests/<reference>`
//!
//! `Accept` is not looked at: a manifest is what it is, and a client that cannot read its type says
//! so better than a 404 would.

use axum::body::Body;
use dockhand_oci::{Digest, Endpoint, ErrorCode, Reference, RepoName, Tag};
use dockhand_registry::Push;
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::{Answer, Call};
use crate::body::whole;
use crate::error::Error;
use crate::respond::{CONTENT_DIGEST, bytes_as, empty, value};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(crate) async fn get(call: Call<'_>, repo: &RepoName, reference: &Reference) -> Answer {
    let manifest = call.registry().manifest(repo, reference).await?;
    let mut response = bytes_as(value(&manifest.media_type), manifest.bytes);
    identify(response.headers_mut(), &manifest.digest);
    Ok(unless_known(&call, &manifest.digest, response))
}

/// Turns an answer into a 304 for a client that has the content already.
fn unless_known(call: &Call<'_>, digest: &Digest, response: Response<Body>) -> Response<Body> {
    if !call.asked.has(digest) {
        return response;
    }
    let mut response = empty(StatusCode::NOT_MODIFIED);
    identify(response.headers_mut(), digest);
    response
}

fn identify(headers: &mut HeaderMap, digest: &Digest) {
    let text = digest.to_string();
    headers.insert(ETAG, value(format!("\"{text}\"")));
    headers.insert(CONTENT_DIGEST, value(text));
}

pub(crate) async fn put(call: Call<'_>, repo: &RepoName, reference: &Reference) -> Answer {
    let media_type = call.asked.manifest_type()?;
    let only_if = call.asked.precondition()?;
    let tags = further_tags(&call)?;
    let limit = call.registry().settings().manifest_limit;
    let body = std::mem::take(call.body);
    let bytes = whole(body, call.app.options.body_idle, limit).await?;
    let (repo, reference) = (repo.clone(), reference.clone());
    let push = Push {
        repo: repo.clone(),
        reference,
        tags,
        media_type,
        bytes,
        only_if,
    };
    let pushed = call.registry().put_manifest(push).await?;

    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    let endpoint = Endpoint::Manifest(repo, pushed.digest.into());
    headers.insert(LOCATION, call.location(&endpoint));
    identify(headers, &pushed.digest);
    if let Some(subject) = pushed.subject {
        headers.insert(SUBJECT, value(subject.to_string()));
    }
    for tag in pushed.tags {
        headers.append(TAG, value(tag.as_str()));
    }
    Ok(response)
}

/// `?tag=`, any number of times.
fn further_tags(call: &Call<'_>) -> Result<Vec<Tag>, Error> {
    let refuse = |problem: String| Error::Parameter {
        name: "tag",
        problem,
        code: ErrorCode::TagInvalid,
    };
    let tag = |text: Result<String, Error>| {
        text?
            .parse()
            .map_err(|error| refuse(format!("is not valid: {error}")))
    };
    call.asked.parameters("tag").map(tag).collect()
}

pub(crate) async fn delete(call: Call<'_>, repo: &RepoName, reference: &Reference) -> Answer {
    let only_if = call.asked.precondition()?;
    call.registry()
        .delete_manifest(repo, reference, &only_if)
        .await?;
    Ok(empty(StatusCode::ACCEPTED))
}
