//! What was made here, and behind it the place that it was made from.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Digest, Reference, Tag};

use crate::connection::LANES;
use crate::store::{Origin, RawManifest, Store};
use crate::{BlobSource, ByteStream, Error, ErrorKind, Moved, Result};

/// A place to copy from: new manifests and blobs in front of another place. Nothing is written to it.
pub(super) struct Made {
    behind: Option<Arc<dyn Store>>,
    manifests: HashMap<Digest, RawManifest>,
    blobs: HashMap<Digest, (Arc<dyn BlobSource>, Option<Origin>)>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Made({:?}, {:?})", self.manifests.keys(), self.behind)
    }
}

impl Made {
    pub(super) fn new(behind: Option<Arc<dyn Store>>) -> Self {
        Self {
            behind,
            manifests: HashMap::new(),
            blobs: HashMap::new(),
        }
    }

    pub(super) fn add_manifest(&mut self, manifest: RawManifest) {
        self.manifests.insert(manifest.digest, manifest);
    }

    /// Adds a blob; `origin` is where it is already.
    pub(super) fn add_blob(
        &mut self,
        digest: Digest,
        source: Arc<dyn BlobSource>,
        origin: Option<Origin>,
    ) {
        self.blobs.insert(digest, (source, origin));
    }

    fn absent(&self, what: impl std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!("{} has no {what}", self.name()),
        )
    }

    fn made(&self, reference: &Reference) -> Option<&RawManifest> {
        match reference {
            Reference::Digest(digest) => self.manifests.get(digest),
            Reference::Tag(_) => None,
        }
    }

    fn read_only(&self) -> Error {
        let message = format!("{} is only read from", self.name());
        Error::new(ErrorKind::Unsupported, message)
    }
}

#[async_trait]
impl Store for Made {
    fn name(&self) -> String {
        match &self.behind {
            Some(behind) => behind.name(),
            None => "what was made".to_owned(),
        }
    }

    fn origin(&self) -> Option<Origin> {
        self.behind.as_ref()?.origin()
    }

    fn origin_of(&self, blob: &Descriptor) -> Option<Origin> {
        match self.blobs.get(&blob.digest) {
            Some((_, origin)) => origin.clone(),
            None => self.behind.as_ref()?.origin_of(blob),
        }
    }

    fn lanes(&self) -> usize {
        self.behind.as_ref().map_or(LANES, |behind| behind.lanes())
    }

    async fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        match (self.made(reference), &self.behind) {
            (Some(made), _) => Ok(made.descriptor()),
            (None, Some(behind)) => behind.resolve(reference).await,
            (None, None) => Err(self.absent(reference)),
        }
    }

    async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        match (self.made(reference), &self.behind) {
            (Some(made), _) => Ok(made.clone()),
            (None, Some(behind)) => behind.manifest(reference).await,
            (None, None) => Err(self.absent(reference)),
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        match &self.behind {
            Some(behind) => behind.tags().await,
            None => Ok(Vec::new()),
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        match (self.blobs.contains_key(&blob.digest), &self.behind) {
            (false, Some(behind)) => behind.has_blob(blob).await,
            (has, _) => Ok(has),
        }
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        match (self.blobs.get(&blob.digest), &self.behind) {
            (Some((source, _)), _) => source.open(offset).await,
            (None, Some(behind)) => behind.blob(blob, offset).await,
            (None, None) => Err(self.absent(blob.digest)),
        }
    }

    fn wide_source(&self, blob: &Descriptor) -> Option<Arc<dyn BlobSource>> {
        match self.blobs.contains_key(&blob.digest) {
            true => None,
            false => self.behind.as_ref()?.wide_source(blob),
        }
    }

    async fn put_blob(
        &self,
        _: &Descriptor,
        _: Arc<dyn BlobSource>,
        _: Option<&Origin>,
    ) -> Result<Moved> {
        Err(self.read_only())
    }

    async fn put_manifest(&self, _: &RawManifest, _: &[Tag]) -> Result<()> {
        Err(self.read_only())
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        match &self.behind {
            Some(behind) if !self.manifests.contains_key(subject) => {
                behind.referrers(subject).await
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn delete_tag(&self, _: &Tag) -> Result<()> {
        Err(self.read_only())
    }

    async fn delete_manifest(&self, _: &Digest) -> Result<()> {
        Err(self.read_only())
    }
}
