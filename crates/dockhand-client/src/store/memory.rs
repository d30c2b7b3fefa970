//! A place in memory: for tests, and for what is made here before it is copied away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{Descriptor, Digest, Manifest, Tag};
use futures_util::stream::{self, StreamExt};

use super::RawManifest;
use super::catalogue::{Catalogue, Naming};
use super::shelf::{Shelf, children_of, collect, missing, no_tag};
use crate::{BlobSource, ByteStream, Moved, Result, verify};

const LABEL: &str = "memory";

/// Manifests, blobs and tags in memory, as long as it lives.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    catalogue: Catalogue,
    content: HashMap<Digest, Bytes>,
}

impl Memory {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Shelf for Memory {
    fn label(&self) -> String {
        LABEL.to_owned()
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>> {
        Ok(Arc::new(self.held().catalogue.clone()))
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let held = self.held();
        Ok(held.content.get(digest).map(|bytes| bytes.len() as u64))
    }

    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>> {
        let found = self.held().content.get(digest).cloned();
        Ok(found.map(|bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = bytes.slice(start.min(bytes.len())..);
            stream::iter([Ok(rest)]).boxed()
        }))
    }

    async fn write_blob(&self, blob: &Descriptor, source: Arc<dyn BlobSource>) -> Result<Moved> {
        let bytes = collect(verify::stream(source.open(0).await?, blob)).await?;
        self.held().content.insert(blob.digest, bytes);
        Ok(Moved::Sent)
    }

    async fn write_manifest(
        &self,
        manifest: &RawManifest,
        parsed: &Manifest,
        tags: &[Tag],
    ) -> Result<()> {
        let children: Vec<Digest> = children_of(parsed).map(|child| child.digest).collect();
        let mut held = self.held();
        held.content.insert(manifest.digest, manifest.bytes.clone());
        let descriptor = manifest.descriptor();
        held.catalogue
            .put(&descriptor, tags, &Naming::Tag, &children);
        Ok(())
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        match self.held().catalogue.untag(tag, &Naming::Tag, LABEL)? {
            true => Ok(()),
            false => Err(no_tag(LABEL, tag)),
        }
    }

    async fn remove_manifest(&self, digest: &Digest) -> Result<()> {
        let mut held = self.held();
        held.catalogue.remove(digest);
        match held.content.remove(digest) {
            Some(_) => Ok(()),
            None => Err(missing(LABEL, "manifest", digest)),
        }
    }
}
