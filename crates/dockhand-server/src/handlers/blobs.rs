//! `GET`, `HEAD` and `DELETE /v2/<name>/blobs/<digest>`
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs>

use std::ops::Range;

use axum::body::Body;
use dockhand_oci::{ByteRange, Digest, RepoName};
use dockhand_registry::{Blob, Registry};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::{Answer, Call};
use crate::error::Error;
use crate::request::Asked;
use crate::respond::{CONTENT_DIGEST, empty, value};
use crate::sendfile::WORTH_IT;

/// A blob never changes under its digest, so whoever has it may keep it: a year, as is usual.
const FOR_EVER: &str = "max-age=31536000";

pub(crate) async fn get(call: Call<'_>, repo: &RepoName, digest: Digest) -> Answer {
    let is_head = call.asked.method == Method::HEAD;
    let blob = match is_head {
        true => call.registry().whole_blob(repo, &digest).await?,
        false => call.registry().blob(repo, &digest).await?,
    };
    if call.asked.has(&digest) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        identify(response.headers_mut(), &digest);
        return Ok(response);
    }
    let size = blob.size;
    let (status, range) = match wanted(call.asked, &digest) {
        None => (StatusCode::OK, 0..size),
        Some(range) => match range.resolve(size) {
            Some(range) => (StatusCode::PARTIAL_CONTENT, range),
            None => return Ok(unsatisfiable(&digest, size)),
        },
    };
    let body = match is_head {
        true => Body::empty(),
        false => body(call.registry(), call.asked, &blob, range.clone()).await?,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    describe(response.headers_mut(), &digest, &range, size, status);
    Ok(response)
}

/// The bytes, sent by the kernel where that is possible and worth it. Of a damaged blob there is an error
/// here, before the head of the answer is sent.
async fn body(
    registry: &Registry,
    asked: &Asked,
    blob: &Blob,
    range: Range<u64>,
) -> Result<Body, Error> {
    let worth_it = range.end - range.start >= WORTH_IT;
    if let Some(files) = asked.files.as_ref().filter(|_| worth_it)
        && let Some(file) = registry.blob_file(blob).await?
    {
        return Ok(files.body(file, range));
    }
    let is_empty = range.is_empty();
    let bytes = registry.read_blob(blob, range).await?;
    Ok(match is_empty {
        true => Body::empty(),
        false => Body::from_stream(bytes),
    })
}

pub(crate) async fn delete(call: Call<'_>, repo: &RepoName, digest: Digest) -> Answer {
    call.registry().delete_blob(repo, &digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// The range that is asked for, unless `If-Range` speaks of other content. Only a `GET` has one: what
/// `HEAD` tells is how large the whole is.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-14.2>
fn wanted(asked: &Asked, digest: &Digest) -> Option<ByteRange> {
    if asked.method != Method::GET {
        return None;
    }
    let headers = &asked.headers;
    let range = headers
        .get(RANGE)?
        .to_str()
        .ok()
        .and_then(ByteRange::parse)?;
    match headers.get(IF_RANGE) {
        None => Some(range),
        Some(condition) => {
            let same = condition
                .to_str()
                .is_ok_and(|tag| tag == format!("\"{digest}\""));
            same.then_some(range)
        }
    }
}

fn identify(headers: &mut HeaderMap, digest: &Digest) {
    let text = digest.to_string();
    headers.insert(ETAG, value(format!("\"{text}\"")));
    headers.insert(CONTENT_DIGEST, value(text));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

fn describe(
    headers: &mut HeaderMap,
    digest: &Digest,
    range: &Range<u64>,
    size: u64,
    status: StatusCode,
) {
    identify(headers, digest);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        headers.insert(
            CONTENT_RANGE,
            value(format!("bytes {}-{last}/{size}", range.start)),
        );
    }
}

fn unsatisfiable(digest: &Digest, size: u64) -> Response<Body> {
    let mut response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
    identify(response.headers_mut(), digest);
    response
        .headers_mut()
        .insert(CONTENT_RANGE, value(format!("bytes */{size}")));
    response
}
