//! Answers: the few shapes that all of them have, and the only writer of error bodies.

use axum::body::Body;
use bytes::Bytes;
use dockhand_oci::{ErrorBody, ErrorInfo};
use dockhand_registry as registry;
use futures_util::FutureExt;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::error::Error;
use crate::location::Base;
use crate::request::Asked;

/// `Docker-Content-Digest`
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `X-Request-Id`
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `Docker-Upload-UUID`
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// A header value from text that is known to be plain: digests, names, numbers, our own paths.
/// Anything else would be a fault of ours; it becomes an empty value, not a panic.
pub(crate) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    // A 204 and a 304 have none to announce: https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// An answer with a JSON document.
pub(crate) fn json_as(content_type: &'static str, document: &Value) -> Response<Body> {
    bytes_as(
        HeaderValue::from_static(content_type),
        document.to_string().into(),
    )
}

/// An answer with these bytes.
pub(crate) fn bytes_as(content_type: HeaderValue, bytes: Bytes) -> Response<Body> {
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// The answer to a request that failed. Causes that are not the client's business go to the log.
pub(crate) fn failure(asked: &Asked, error: &Error) -> Response<Body> {
    let answer = error.answer();
    if answer.status >= 500 {
        log_cause(asked, error);
    }
    let body = ErrorBody {
        errors: infos(error),
    };
    let document = serde_json::to_value(&body).unwrap_or_default();
    let mut response = json_as("application/json", &document);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(wait) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    match error {
        Error::Method { allowed, .. } => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        // The client learns where to go on without having to ask.
        Error::Registry(registry::Error::ChunkOutOfOrder { id, at, .. }) => {
            headers.insert(RANGE, upload_range(*at));
            headers.insert(UPLOAD_UUID, value(id.to_string()));
            let location = upload_location(&asked.base, asked.path(), *at);
            headers.insert(LOCATION, location);
        }
        _ => {}
    }
    response
}

/// The parameter in the URL of an upload that says where the upload stood when the URL was given out.
pub(crate) const UPLOAD_OFFSET: &str = "offset";

/// `Location` of an upload that stands at `offset`. A request that is sent again to an old one shows by
/// it that its bytes may be there already.
pub(crate) fn upload_location(
    base: &Base,
    path: impl std::fmt::Display,
    offset: u64,
) -> HeaderValue {
    base.location(format_args!("{path}?{UPLOAD_OFFSET}={offset}"))
}

/// An answer as HTTP/1.1 writes it, for where hyper does not. Its body must be there already.
pub(crate) fn as_http1(response: Response<Body>) -> Bytes {
    let (parts, body) = response.into_parts();
    let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    if let Some(Ok(body)) = body.collect().now_or_never() {
        bytes.extend_from_slice(&body.to_bytes());
    }
    bytes.into()
}

/// `Range` of an upload: the last byte that is there. Of an empty one it is `0-0` as well.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks>
pub(crate) fn upload_range(offset: u64) -> HeaderValue {
    value(format!("0-{}", offset.saturating_sub(1)))
}

/// One entry, or one per missing digest, each with its detail.
fn infos(error: &Error) -> Vec<ErrorInfo> {
    let code = error.answer().code.to_string();
    let info = |message: String, detail: Value| ErrorInfo {
        code: code.clone(),
        message,
        detail,
    };
    match error {
        Error::Registry(registry::Error::ManifestBlobUnknown(missing)) => missing
            .iter()
            .map(|digest| {
                let message = format!("the manifest names {digest}, which this repository does not have; push it first");
                info(message, json!({ "digest": digest }))
            })
            .collect(),
        Error::Registry(registry::Error::DescriptorSize {
            digest,
            declared,
            stored,
        }) => {
            let detail = json!({ "digest": digest, "declared": declared, "stored": stored });
            vec![info(error.to_string(), detail)]
        }
        Error::Registry(
            registry::Error::BlobUnknown(digest) | registry::Error::BlobDamaged { digest, .. },
        ) => {
            vec![info(error.to_string(), json!({ "digest": digest }))]
        }
        Error::Registry(registry::Error::RepositoryUnknown(name)) => {
            vec![info(error.to_string(), json!({ "name": name }))]
        }
        Error::Registry(registry::Error::PreconditionFailed { current }) => {
            vec![info(error.to_string(), json!({ "current": current }))]
        }
        _ => vec![info(error.to_string(), Value::Null)],
    }
}

/// One line with the whole chain of causes.
fn log_cause(asked: &Asked, error: &Error) {
    let mut causes = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        next = cause.source();
    }
    tracing::error!(request = %asked.id, method = %asked.method, path = asked.path(), "{causes}");
}
