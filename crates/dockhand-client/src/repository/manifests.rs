//! Manifests of a repository: exactly the bytes that were pushed, and never another digest's.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>

use std::collections::BTreeSet;

use dockhand_oci::{Algorithm, Descriptor, Digest, Endpoint, MediaType, Reference, Tag};
use futures_util::stream::{self, TryStreamExt};
use http::header::{CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Repository, schema1};
use crate::http::{Answer, Body, Request};
use crate::store::{MANIFEST_MAX, RawManifest};
use crate::{Error, ErrorKind, Result};

/// The digest of the content, as the registry says.
const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";
/// The longest list of tags that goes into a URL, and the longest of its entries, in bytes: from 8 KiB on
/// servers refuse it. The other tags are put one by one.
const QUERY_MAX: usize = 4096;
const TAG_LENGTH: usize = 128 + "&tag=".len();
/// The kinds of manifest that are understood, in one line: some proxies keep only one.
const ACCEPTED: &[&str] = &[
    MediaType::OCI_INDEX,
    MediaType::OCI_MANIFEST,
    MediaType::DOCKER_LIST,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_SCHEMA1_SIGNED,
    MediaType::DOCKER_SCHEMA1,
    "*/*;q=0.1",
];

impl Repository {
    /// The manifest that `reference` names, with the entity tag of the answer.
    pub(super) async fn get_manifest(
        &self,
        reference: &Reference,
    ) -> Result<(RawManifest, Option<String>)> {
        let doing = format!("get the manifest {}", self.named(reference));
        let request = self
            .manifest_request(Method::GET, reference, doing)?
            .whole(MANIFEST_MAX);
        let answer = self.client.http.send(&request).await?;
        let failed = |error: Error| error.doing(request.doing.as_str()).at(self.client.host());
        let media_type = media_type(&answer);
        let entity_tag = answer.header(ETAG).map(str::to_owned);
        let bytes = answer.bytes(MANIFEST_MAX).await.map_err(failed)?;
        let said = media_type.as_deref();
        let digest = match reference {
            Reference::Tag(_) => schema1::digest(Algorithm::Sha256, said, &bytes),
            Reference::Digest(wanted) => {
                let computed = schema1::digest(wanted.algorithm(), said, &bytes);
                if computed != *wanted {
                    let message = format!("the registry sent other content, {computed}");
                    return Err(failed(Error::new(ErrorKind::DigestMismatch, message)));
                }
                computed
            }
        };
        let is_named = matches!(reference, Reference::Digest(_));
        let media_type = match media_type.or_else(|| inner_media_type(&bytes)) {
            Some(media_type) => media_type,
            // What was asked for by its digest is that, whatever it is.
            None if is_named => String::new(),
            None => {
                let message = "what came is no manifest";
                return Err(failed(Error::new(ErrorKind::Protocol, message)));
            }
        };
        Ok((
            RawManifest {
                media_type,
                digest,
                bytes,
            },
            entity_tag,
        ))
    }

    fn manifest_request(
        &self,
        method: Method,
        reference: &Reference,
        doing: String,
    ) -> Result<Request> {
        let endpoint = Endpoint::Manifest(self.name.clone(), reference.clone());
        Ok(self.request(method, &endpoint, doing)?.accept(ACCEPTED))
    }

    /// What `reference` names, by a HEAD alone; `None` when the registry says that it is not there, or
    /// does not say enough.
    ///
    /// # Errors
    /// What keeps the registry from answering, but not that it has no such manifest.
    pub async fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let doing = format!("find the manifest {}", self.named(reference));
        let request = self.manifest_request(Method::HEAD, reference, doing)?;
        let answer = match self.client.http.send(&request).await {
            Ok(answer) => answer,
            Err(error) if crate::client::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let digest = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => said_digest(&answer),
        };
        let found = digest.zip(answer.length()).map(|(digest, size)| {
            Descriptor::new(media_type(&answer).unwrap_or_default(), digest, size)
        });
        // No manifest has no bytes, but some say so of everything they are asked by HEAD.
        Ok(found.filter(|found| !found.media_type.is_empty() && found.size > 0))
    }

    /// What `reference` names: by HEAD, which registries do not count against pull limits, and by GET
    /// where HEAD says too little.
    pub(super) async fn resolve_manifest(&self, reference: &Reference) -> Result<Descriptor> {
        if let Some(found) = self.head_manifest(reference).await? {
            return Ok(found);
        }
        Ok(self.get_manifest(reference).await?.0.descriptor())
    }

    /// Puts a manifest by its digest or by tags, and lists it at its subject where the registry does
    /// not do that itself.
    pub(super) async fn write_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        let answer = match tags {
            [tag] => {
                self.put_reference(manifest, &Reference::Tag(tag.clone()), &[])
                    .await?
            }
            many => {
                self.put_reference(manifest, &Reference::Digest(manifest.digest), many)
                    .await?
            }
        };
        let took_subject = answer.headers().contains_key("oci-subject");
        if tags.len() > 1 {
            // A registry that takes several tags at once says which it took.
            let took: BTreeSet<&str> = { answer.headers().get_all("oci-tag").iter() }
                .filter_map(|tag| tag.to_str().ok())
                .flat_map(|tags| tags.split(','))
                .map(str::trim)
                .collect();
            let left = tags.iter().filter(|tag| !took.contains(tag.as_str()));
            let put = stream::iter(left.cloned().map(Reference::Tag).map(Ok));
            put.try_for_each_concurrent(8, |tag| async move {
                self.put_reference(manifest, &tag, &[]).await.map(drop)
            })
            .await?;
        }
        if !took_subject {
            self.list_at_subject(manifest).await?;
        }
        Ok(())
    }

    async fn put_reference(
        &self,
        manifest: &RawManifest,
        reference: &Reference,
        tags: &[Tag],
    ) -> Result<Answer> {
        let doing = format!("put the manifest {}", self.named(reference));
        let endpoint = Endpoint::Manifest(self.name.clone(), reference.clone());
        let mut request = self.request(Method::PUT, &endpoint, doing)?;
        let room = QUERY_MAX / TAG_LENGTH;
        for tag in tags.iter().take(room) {
            request
                .url
                .query_pairs_mut()
                .append_pair("tag", tag.as_str());
        }
        let body = Body::Bytes(manifest.bytes.clone());
        let request = request.body(&content_type(manifest), body);
        let answer = self.client.http.send(&request).await;
        let answer = answer.map_err(|error| too_large(error, manifest.bytes.len()))?;
        match said_digest(&answer) {
            Some(said)
                if said.algorithm() == manifest.digest.algorithm() && said != manifest.digest =>
            {
                let message = format!("the registry stored {said} instead of {}", manifest.digest);
                let error = Error::new(ErrorKind::DigestMismatch, message);
                Err(error.doing(request.doing).at(self.client.host()))
            }
            _ => Ok(answer),
        }
    }
}

/// A failure to put a manifest of so many bytes, with what helps when it was too large for a proxy.
fn too_large(error: Error, length: usize) -> Error {
    if error.status() != Some(StatusCode::PAYLOAD_TOO_LARGE) {
        return error;
    }
    // A registry that refuses it says so itself.
    if !error.errors().is_empty() {
        return error;
    }
    error.with_hint(format!(
        "a manifest cannot be sent in parts: the proxy in front of the registry has to take {length} bytes \
         at once (nginx: client_max_body_size)"
    ))
}

/// The media type to send: what it was called, or calls itself.
fn content_type(manifest: &RawManifest) -> String {
    if manifest.media_type.is_empty() {
        inner_media_type(&manifest.bytes).unwrap_or_default()
    } else {
        manifest.media_type.clone()
    }
}

/// The media type of an answer, unless it says nothing.
fn media_type(answer: &Answer) -> Option<String> {
    let header = answer.header(CONTENT_TYPE)?;
    let parsed = MediaType::from_content_type(header).ok()?;
    let vague = [
        "application/json",
        "application/octet-stream",
        "text/plain",
        "text/html",
    ];
    let says_nothing = vague.iter().any(|vague| parsed.is(vague));
    (!says_nothing).then(|| parsed.as_str().to_owned())
}

/// The media type that a manifest gives itself, or that its fields make plain; `None` when it is no
/// JSON object.
fn inner_media_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        media_type: Option<String>,
        schema_version: Option<u8>,
        manifests: Option<serde::de::IgnoredAny>,
        signatures: Option<serde::de::IgnoredAny>,
    }
    let inner = serde_json::from_slice::<Inner>(bytes).ok()?;
    let plain = match (inner.schema_version, inner.manifests, inner.signatures) {
        (Some(1), _, Some(_)) => MediaType::DOCKER_SCHEMA1_SIGNED,
        (Some(1), _, None) => MediaType::DOCKER_SCHEMA1,
        (_, Some(_), _) => MediaType::OCI_INDEX,
        _ => MediaType::OCI_MANIFEST,
    };
    Some(inner.media_type.unwrap_or_else(|| plain.to_owned()))
}

/// The digest in the head of an answer; only as good as the registry's word.
fn said_digest(answer: &Answer) -> Option<Digest> {
    answer.header(DOCKER_CONTENT_DIGEST)?.trim().parse().ok()
}
