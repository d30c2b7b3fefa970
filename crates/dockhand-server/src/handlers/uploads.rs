//! `/v2/<name>/blobs/uploads/` and what is below it
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

use axum::body::Body;
use dockhand_oci::{Algorithm, Digest, Endpoint, ErrorCode, RepoName, UploadId};
use dockhand_registry::{Chunk, UploadStatus};
use http::header::{LOCATION, RANGE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{Answer, Call};
use crate::arriving::Arriving;
use crate::body::watched;
use crate::client;
use crate::error::Error;
use crate::respond::{
    CONTENT_DIGEST, UPLOAD_OFFSET, UPLOAD_UUID, empty, upload_location, upload_range, value,
};

const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// Begins an upload, or takes a whole blob, or mounts one.
pub(crate) async fn post(call: Call<'_>, repo: &RepoName) -> Answer {
    let invalid = ErrorCode::DigestInvalid;
    let mount: Option<Digest> = call.asked.word("mount", invalid)?;
    let digest: Option<Digest> = call.asked.word("digest", invalid)?;
    let algorithm: Option<Algorithm> = call.asked.word("digest-algorithm", invalid)?;
    if let Some(mount) = mount {
        // A source that cannot exist has nothing to mount: the client uploads instead.
        // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository
        let from = call.asked.word::<RepoName>("from", ErrorCode::NameInvalid);
        if let Ok(from) = from
            && call.registry().mount(repo, from.as_ref(), &mount).await?
        {
            return Ok(created(&call, repo, mount));
        }
    } else if let Some(digest) = digest {
        let chunk = Chunk {
            range: None,
            offset: None,
            ..chunk(&mut *call.body, call.asked, call.app)?
        };
        call.registry().put_blob(repo, digest, chunk).await?;
        return Ok(created(&call, repo, digest));
    }
    let named = mount.map(|mount| mount.algorithm());
    let algorithm = algorithm.or(named).unwrap_or(Algorithm::Sha256);
    let trusted = &call.app.options.addressing.trusted_proxies;
    let client = client::name(call.asked.peer, &call.asked.headers, trusted);
    let starting = call.registry().start_upload(repo, algorithm, &client);
    let status = starting.await?;
    let mut response = progress(&call, repo, status, StatusCode::ACCEPTED);
    if call.app.options.chunk_min_length > 0 {
        let length = HeaderValue::from(call.app.options.chunk_min_length);
        response.headers_mut().insert(CHUNK_MIN_LENGTH, length);
    }
    Ok(response)
}

/// Where an upload stands.
pub(crate) async fn get(call: Call<'_>, repo: &RepoName, id: UploadId) -> Answer {
    let status = call.registry().upload_status(repo, id).await?;
    Ok(progress(&call, repo, status, StatusCode::NO_CONTENT))
}

/// Appends.
pub(crate) async fn patch(call: Call<'_>, repo: &RepoName, id: UploadId) -> Answer {
    let chunk = chunk(&mut *call.body, call.asked, call.app)?;
    let status = call.registry().append(repo, id, chunk).await?;
    Ok(progress(&call, repo, status, StatusCode::ACCEPTED))
}

/// Appends what is left and finishes.
pub(crate) async fn put(call: Call<'_>, repo: &RepoName, id: UploadId) -> Answer {
    let digest: Option<Digest> = call.asked.word("digest", ErrorCode::DigestInvalid)?;
    let digest = digest.ok_or_else(|| Error::Parameter {
        name: "digest",
        problem: "is missing: an upload is finished by naming its digest".to_owned(),
        code: ErrorCode::DigestInvalid,
    })?;
    let chunk = chunk(&mut *call.body, call.asked, call.app)?;
    call.registry()
        .finish_upload(repo, id, digest, chunk)
        .await?;
    Ok(created(&call, repo, digest))
}

/// Cancels.
pub(crate) async fn delete(call: Call<'_>, repo: &RepoName, id: UploadId) -> Answer {
    call.registry().cancel_upload(repo, id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn chunk(
    body: &mut Arriving,
    asked: &crate::request::Asked,
    app: &crate::app::App,
) -> Result<Chunk, Error> {
    Ok(Chunk {
        range: asked.content_range()?,
        offset: asked.word(UPLOAD_OFFSET, ErrorCode::BlobUploadInvalid)?,
        length: asked.content_length(),
        body: watched(std::mem::take(body), app.options.body_idle),
    })
}

fn progress(
    call: &Call<'_>,
    repo: &RepoName,
    status: UploadStatus,
    code: StatusCode,
) -> Response<Body> {
    let mut response = empty(code);
    let headers = response.headers_mut();
    let upload = Endpoint::Upload(repo.clone(), status.id);
    let location = upload_location(&call.asked.base, &upload, status.offset);
    headers.insert(LOCATION, location);
    headers.insert(RANGE, upload_range(status.offset));
    headers.insert(UPLOAD_UUID, value(status.id.to_string()));
    response
}

fn created(call: &Call<'_>, repo: &RepoName, digest: Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(
        LOCATION,
        call.location(&Endpoint::Blob(repo.clone(), digest)),
    );
    headers.insert(CONTENT_DIGEST, value(digest.to_string()));
    response
}
