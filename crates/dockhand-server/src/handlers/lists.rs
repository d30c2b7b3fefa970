//! Catalog, tags, referrers and the history of a tag: pages with a `Link` to the next

use std::fmt::Write;

use dockhand_oci::{Digest, Endpoint, Link, MediaType, RepoName, Tag};
use dockhand_registry::{Listing, Referrer, TagEvent};
use http::header::LINK;
use http::{HeaderName, HeaderValue, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Answer, Call};
use crate::respond::{json_as, value};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const JSON: &str = "application/json";

/// What may stand in a query as it is: all that names, tags and digests are made of.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b':');

pub(crate) async fn catalog(call: Call<'_>) -> Answer {
    let page = call.registry().repositories(call.asked.paging()?).await?;
    let response = json_as(JSON, &json!({ "repositories": page.items }));
    Ok(linked(response, &call, &Endpoint::Catalog, &page, &[]))
}

pub(crate) async fn tags(call: Call<'_>, repo: &RepoName) -> Answer {
    let page = call.registry().tags(repo, call.asked.paging()?).await?;
    let response = json_as(JSON, &json!({ "name": repo, "tags": page.items }));
    Ok(linked(
        response,
        &call,
        &Endpoint::Tags(repo.clone()),
        &page,
        &[],
    ))
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>
pub(crate) async fn referrers(call: Call<'_>, repo: &RepoName, subject: Digest) -> Answer {
    let paging = call.asked.paging()?;
    let types: Vec<String> = call
        .asked
        .parameters("artifactType")
        .collect::<Result<_, _>>()?;
    let types: Vec<String> = types.into_iter().filter(|text| !text.is_empty()).collect();
    let filters: Vec<_> = types
        .iter()
        .map(|text| ("artifactType", text.clone()))
        .collect();
    let page = call
        .registry()
        .referrers(repo, subject, types, paging)
        .await?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": page.items.iter().map(descriptor).collect::<Vec<_>>(),
    });
    let mut response = json_as(MediaType::OCI_INDEX, &index);
    if !filters.is_empty() {
        let headers = response.headers_mut();
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(linked(
        response,
        &call,
        &Endpoint::Referrers(repo.clone(), subject),
        &page,
        &filters,
    ))
}

fn descriptor(referrer: &Referrer) -> Value {
    let mut descriptor = json!({
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.size,
    });
    if let Some(artifact_type) = &referrer.artifact_type {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if !referrer.annotations.is_empty() {
        descriptor["annotations"] = json!(referrer.annotations);
    }
    descriptor
}

pub(crate) async fn tag_history(call: Call<'_>, repo: &RepoName, tag: &Tag) -> Answer {
    let page = call
        .registry()
        .tag_history(repo, tag, call.asked.paging()?)
        .await?;
    let events: Vec<Value> = page.items.iter().map(event).collect();
    let response = json_as(
        JSON,
        &json!({ "name": repo, "tag": tag, "history": events }),
    );
    Ok(linked(
        response,
        &call,
        &Endpoint::TagHistory(repo.clone(), tag.clone()),
        &page,
        &[],
    ))
}

fn event(event: &TagEvent) -> Value {
    json!({
        "version": event.version,
        "digest": event.digest,
        "previous": event.previous,
        "at": jiff::Timestamp::try_from(event.at).ok().map(|at| at.to_string()),
    })
}

/// Adds the `Link` to the next page, when there is one. It is a path, as everywhere in the field,
/// and keeps the filters that the client asked for.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>
fn linked<T>(
    mut response: Response<axum::body::Body>,
    call: &Call<'_>,
    endpoint: &Endpoint,
    page: &Listing<T>,
    filters: &[(&str, String)],
) -> Response<axum::body::Body> {
    if let Some(last) = &page.next {
        let last = utf8_percent_encode(last, PLAIN);
        let prefix = call.asked.base.prefix();
        let mut target = format!("{prefix}{endpoint}?last={last}&n={}", page.n);
        for (name, text) in filters {
            let _ = write!(target, "&{name}={}", utf8_percent_encode(text, PLAIN));
        }
        response
            .headers_mut()
            .insert(LINK, value(Link::next(&target)));
    }
    response
}
