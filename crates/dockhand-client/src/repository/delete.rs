//! Deleting: a tag alone, a manifest, a blob, a whole repository.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-management>

use std::collections::BTreeSet;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Descriptor, Digest, Endpoint, LinkKind, MediaType, Reference, Tag};
use futures_util::stream::{StreamExt, TryStreamExt};
use http::Method;

use super::Repository;
use super::referrers::fallback_tag;
use crate::store::{RawManifest, Store};
use crate::{Error, ErrorKind, Page, Result};

/// What was deleted of a repository, or would be.
#[derive(Clone, Debug, Default)]
pub struct Deleted {
    /// The tags, which go with their manifests.
    pub tags: Vec<Tag>,
    /// The manifests.
    pub manifests: Vec<Digest>,
}

impl Repository {
    /// Deletes a tag where the registry can do that by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when it cannot: see [`Repository::replace_and_delete_tag`].
    pub(super) async fn delete_only_tag(&self, tag: &Tag) -> Result<()> {
        let reference = Reference::Tag(tag.clone());
        let doing = format!("delete the tag {}", self.named(&reference));
        let endpoint = Endpoint::Manifest(self.name.clone(), reference);
        let request = self.request(Method::DELETE, &endpoint, doing)?;
        match self.send_delete(&request).await {
            Ok(()) => Ok(()),
            // Distribution 2.8 takes the tag for a malformed digest.
            Err(error) if cannot_untag(&error) => {
                let message = "the registry deletes no tags by themselves";
                let error = Error::new(ErrorKind::Unsupported, message).with_source(error);
                Err(error.doing(request.doing).at(self.client.host()))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a tag where the registry can only delete manifests, without taking along what else names
    /// the same one: the tag is moved to an empty manifest made for this, and that is deleted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such tag, [`ErrorKind::Unsupported`] when the registry
    /// deletes nothing at all.
    pub async fn replace_and_delete_tag(&self, tag: &Tag) -> Result<()> {
        let before = self.manifest(&Reference::Tag(tag.clone())).await?;
        let config = Bytes::from_static(b"{}");
        let digest = Algorithm::Sha256.digest(&config);
        let blob = Descriptor::new(MediaType::OCI_EMPTY, digest, 2);
        self.put_blob(&blob, std::sync::Arc::new(config), None)
            .await?;
        // One without a tag shows first whether the registry deletes at all: the tag is not touched
        // where it does not.
        let trial = stand_in(&blob);
        self.put_manifest(&trial, &[]).await?;
        self.remove_manifest(&trial.digest)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Unsupported => {
                    let message = "the registry deletes neither tags nor manifests";
                    let error = Error::new(ErrorKind::Unsupported, message).with_source(error);
                    explain(error)
                        .doing(format!("delete the tag {}:{tag}", self.name))
                        .at(self.client.host())
                }
                _ => error,
            })?;
        let stand_in = stand_in(&blob);
        let tag = std::slice::from_ref(tag);
        self.put_manifest(&stand_in, tag).await?;
        let removed = self.remove_manifest(&stand_in.digest).await;
        if removed.is_err() {
            // The tag is to name what it named, not the stand-in.
            self.put_manifest(&before, tag).await?;
        }
        removed
    }

    /// Deletes a manifest by its digest; the tags that name it go with it.
    pub(super) async fn remove_manifest(&self, digest: &Digest) -> Result<()> {
        let reference = Reference::Digest(*digest);
        let doing = format!("delete the manifest {}", self.named(&reference));
        let endpoint = Endpoint::Manifest(self.name.clone(), reference);
        let request = self.request(Method::DELETE, &endpoint, doing)?;
        self.send_delete(&request).await.map_err(explain)
    }

    /// Deletes a blob from this repository.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::Unsupported`] when the registry does not
    /// delete.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let doing = format!("delete the blob {}@{digest}", self.name);
        let endpoint = Endpoint::Blob(self.name.clone(), *digest);
        let request = self.request(Method::DELETE, &endpoint, doing)?;
        self.send_delete(&request).await.map_err(explain)
    }

    /// The tags that name `digest`: what would be lost with it.
    ///
    /// # Errors
    /// What keeps the tags from being listed.
    pub async fn tags_of(&self, digest: &Digest) -> Result<Vec<Tag>> {
        let tags: Vec<Tag> = self.tags_paged(Page::default()).try_collect().await?;
        let mut named = Vec::new();
        let mut asked = std::pin::pin!(self.digests(tags));
        while let Some((tag, answer)) = asked.next().await {
            // A tag may go meanwhile; whatever else fails would be a loss that nobody was told of.
            if found(answer)?.is_some_and(|found| found.digest == *digest) {
                named.push(tag);
            }
        }
        Ok(named)
    }

    /// Deletes every manifest that a tag leads to, children and referrers included; `dry_run` only says
    /// which. Blobs go when the registry collects its garbage.
    ///
    /// # Errors
    /// The first thing that could not be deleted; what was deleted before stays so.
    pub async fn delete_all(&self, dry_run: bool) -> Result<Deleted> {
        let tags: Vec<Tag> = self.tags_paged(Page::default()).try_collect().await?;
        let mut order: Vec<Digest> = Vec::new();
        let mut seen = BTreeSet::new();
        for tag in &tags {
            let Some(root) = found(self.manifest(&Reference::Tag(tag.clone())).await)? else {
                continue;
            };
            self.gather(root, &mut seen, &mut order).await?;
        }
        if !dry_run {
            for digest in &order {
                found(self.remove_manifest(digest).await)?;
            }
        }
        Ok(Deleted {
            tags,
            manifests: order,
        })
    }

    /// Adds a manifest before what it lists: a registry may refuse to delete what is still listed.
    async fn gather(
        &self,
        root: RawManifest,
        seen: &mut BTreeSet<Digest>,
        order: &mut Vec<Digest>,
    ) -> Result<()> {
        let mut open = vec![root];
        while let Some(manifest) = open.pop() {
            if !seen.insert(manifest.digest) {
                continue;
            }
            order.push(manifest.digest);
            let children: Vec<Digest> = match manifest.parse() {
                Ok(parsed) => { parsed.links.into_iter() }
                    .filter(|link| link.kind == LinkKind::Manifest)
                    .map(|link| link.descriptor.digest)
                    .collect(),
                Err(_) => Vec::new(),
            };
            let referrers = self.referrers(&manifest.digest).await?;
            let referrers = referrers.into_iter().map(|referrer| referrer.digest);
            for digest in children.into_iter().chain(referrers) {
                let child = self.manifest(&Reference::Digest(digest)).await;
                open.extend(found(child)?);
            }
        }
        Ok(())
    }

    /// Deletes a manifest and takes it off its subject's list.
    pub(super) async fn delete_listed(&self, digest: &Digest) -> Result<()> {
        let manifest = found(self.manifest(&Reference::Digest(*digest)).await)?;
        self.remove_manifest(digest).await?;
        if let Some(manifest) = manifest {
            self.unlist_at_subject(&manifest).await?;
        }
        // The list of its own referrers says nothing any more when the registry kept it by tag.
        if *self.client.habits.referrers.read().await == Some(false)
            && self
                .head_manifest(&Reference::Tag(fallback_tag(digest)?))
                .await?
                .is_some()
        {
            self.delete_only_tag(&fallback_tag(digest)?).await.ok();
        }
        Ok(())
    }
}

/// A manifest that is never the same twice, so that nothing else can name it.
fn stand_in(config: &Descriptor) -> RawManifest {
    let unique = format!("{:032x}", fastrand::u128(..));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.dockhand.deleted-tag.v1",
        "config": config,
        "layers": [],
        "annotations": { "dev.dockhand.unique": unique },
    });
    RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string())
}

/// `None` instead of an error for what is not there.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn cannot_untag(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Refused)
        || error.has_code("DIGEST_INVALID")
}

/// With what is known of registries that refuse to delete.
fn explain(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unsupported if error.hint().is_none() => {
            error.with_hint("deleting may be switched off in the registry's configuration")
        }
        _ => error,
    }
}
