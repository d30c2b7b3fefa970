//! Manifests: taken in as they are, served as they came.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use dockhand_oci::{
    Algorithm, Descriptor, Digest, LinkKind, Manifest, ManifestKind, ManifestLink, MediaType,
    Reference, RepoName, Tag, Verified,
};

use crate::error::Error;
use crate::metadata::{Deleted, Edge, ManifestPut, ManifestRow, Precondition, Put, Referrer};
use crate::registry::Registry;

/// A manifest that is being pushed.
#[derive(Clone, Debug)]
pub struct Push {
    /// Where it goes.
    pub repo: RepoName,
    /// The tag or the digest it is pushed by.
    pub reference: Reference,
    /// Further tags that it is to have.
    pub tags: Vec<Tag>,
    /// `Content-Type`, when the client sent one.
    pub media_type: Option<MediaType>,
    /// The document, byte for byte.
    pub bytes: Bytes,
    /// What must hold for the push to happen.
    pub only_if: Precondition,
}

/// A manifest that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its digest, by the algorithm that the client used.
    pub digest: Digest,
    /// What it refers to, when it refers to something.
    pub subject: Option<Digest>,
    /// The tags that it has now because of this push.
    pub tags: Vec<Tag>,
}

/// A manifest as it is served.
pub type StoredManifest = ManifestRow;

impl Registry {
    /// A manifest with its bytes, exactly as they were pushed.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<StoredManifest, Error> {
        let row = self.metadata.manifest(repo, reference).await?;
        row.ok_or_else(|| Error::ManifestUnknown(reference.clone()))
    }

    /// Takes a manifest in: document, links, tags and history in one transaction.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`], [`Error::ManifestBlobUnknown`], [`Error::DigestMismatch`],
    /// [`Error::PreconditionFailed`] and others. Nothing has changed then.
    pub async fn put_manifest(&self, push: Push) -> Result<Pushed, Error> {
        self.may_write()?;
        let limit = self.settings.manifest_limit;
        if push.bytes.len() as u64 > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        let (proof, tags) = self.name(&push)?;
        let manifest = Manifest::parse(push.media_type.as_ref(), &push.bytes)?;
        let descriptors = manifest.links.iter().map(|link| &link.descriptor);
        descriptors
            .chain(&manifest.subject)
            .try_for_each(Descriptor::verify_data)?;
        let digest = *proof.digest();
        let subject = manifest.subject.as_ref().map(|subject| subject.digest);
        let put = ManifestPut {
            repo: push.repo,
            digest,
            media_type: manifest.media_type.to_string(),
            artifact_type: manifest.artifact_type,
            subject,
            annotations: manifest.annotations,
            links: manifest.links.iter().map(edge).collect(),
            fallback: fallback(manifest.kind, &manifest.links),
            links_must_exist: !self.settings.sparse,
            sizes_must_match: self.settings.check_sizes,
            bytes: push.bytes,
            tags: tags.clone(),
            only_if: push.only_if,
            now: SystemTime::now(),
        };
        match self.metadata.put_manifest(put).await? {
            Put::Stored { .. } => Ok(Pushed {
                digest,
                subject,
                tags,
            }),
            Put::Missing(missing) => Err(Error::ManifestBlobUnknown(missing)),
            Put::SizeMismatch {
                digest,
                declared,
                stored,
            } => Err(Error::DescriptorSize {
                digest,
                declared,
                stored,
            }),
            Put::PreconditionFailed { current } => Err(Error::PreconditionFailed { current }),
        }
    }

    /// Proves the digest, and says which tags are to be set.
    fn name(&self, push: &Push) -> Result<(Verified, Vec<Tag>), Error> {
        let (digest, first) = match &push.reference {
            Reference::Digest(digest) => (*digest, None),
            Reference::Tag(tag) => (Algorithm::Sha256.digest(&push.bytes), Some(tag)),
        };
        let mut tags: Vec<Tag> = first.into_iter().chain(&push.tags).cloned().collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > self.settings.tags_limit {
            return Err(Error::TooManyTags {
                limit: self.settings.tags_limit,
            });
        }
        let mut hash = dockhand_oci::Hasher::new(digest.algorithm());
        hash.update(&push.bytes);
        Ok((hash.verify(&digest)?, tags))
    }

    /// Deletes what a reference names: a tag only, or a manifest with every tag that points at it.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#deleting-manifests>
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`], [`Error::PreconditionFailed`], [`Error::DeleteDisabled`].
    pub async fn delete_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
        only_if: &Precondition,
    ) -> Result<(), Error> {
        self.may_delete()?;
        let now = SystemTime::now();
        let deleted = match reference {
            Reference::Tag(tag) => self.metadata.delete_tag(repo, tag, only_if, now).await?,
            Reference::Digest(digest) => {
                self.metadata
                    .delete_manifest(repo, digest, only_if, now)
                    .await?
            }
        };
        match deleted {
            Deleted::Done => Ok(()),
            Deleted::Unknown => Err(Error::ManifestUnknown(reference.clone())),
            Deleted::PreconditionFailed { current } => Err(Error::PreconditionFailed { current }),
        }
    }
}

/// A link as the metadata keeps it. A layer may be missing only if clients can fetch it elsewhere, which
/// they do for a non-distributable type with a URL and for nothing else.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers>
fn edge(link: &ManifestLink) -> Edge {
    let descriptor = &link.descriptor;
    let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    let is_elsewhere = link.kind == LinkKind::Layer
        && descriptor.is_nondistributable()
        && descriptor.urls.iter().any(is_url);
    Edge {
        kind: link.kind,
        digest: descriptor.digest,
        size: descriptor.size,
        required: !is_elsewhere,
    }
}

/// The entries of an index as referrers, for the case that it is pushed by a tag of the referrers
/// tag schema. <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
fn fallback(kind: ManifestKind, links: &[ManifestLink]) -> Vec<Referrer> {
    let entry = |link: &ManifestLink| {
        let descriptor = &link.descriptor;
        Referrer {
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            size: descriptor.size,
            artifact_type: descriptor.artifact_type.clone(),
            annotations: BTreeMap::clone(&descriptor.annotations),
        }
    };
    match kind {
        ManifestKind::Index => links.iter().map(entry).collect(),
        ManifestKind::Image => Vec::new(),
    }
}
