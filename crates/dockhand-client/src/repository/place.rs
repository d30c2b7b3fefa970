//! A repository as a place of images.

use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Digest, Reference, Tag};
use futures_util::TryStreamExt;

use super::Repository;
use super::ranges::Ranges;
use super::referrers::Filter;
use crate::store::{Origin, RawManifest, Store};
use crate::{BlobSource, ByteStream, ErrorKind, Moved, Page, Result};

#[async_trait]
impl Store for Repository {
    fn name(&self) -> String {
        format!("{}/{}", self.client.host(), self.name)
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin {
            host: self.client.host(),
            repository: self.name.clone(),
        })
    }

    fn lanes(&self) -> usize {
        self.client.connection().lanes
    }

    async fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        self.resolve_manifest(reference).await
    }

    async fn find(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        match self.head_manifest(reference).await {
            // Some registries deny what is not there; whoever may not write either is told so then.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            found => found,
        }
    }

    async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        Ok(self.get_manifest(reference).await?.0)
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        self.tags_paged(Page::default()).try_collect().await
    }

    async fn tags_in_one(&self) -> Result<Option<Vec<Tag>>> {
        match self.client.tags_in_one(&self.name).await {
            // There is no such repository yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Vec::new())),
            listed => listed,
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        Ok(self.blob_size(&blob.digest).await? == Some(blob.size))
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        self.read_blob(blob, offset).await
    }

    fn wide_source(&self, blob: &Descriptor) -> Option<Arc<dyn BlobSource>> {
        let repository = self.clone();
        Some(Arc::new(Ranges {
            repository,
            blob: blob.clone(),
        }))
    }

    async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        from: Option<&Origin>,
    ) -> Result<Moved> {
        self.write_blob(blob, source, from).await
    }

    async fn put_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        self.write_manifest(manifest, tags).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.referrers_of(subject, &Filter::default()).await
    }

    fn lists_referrers_by_tag(&self) -> bool {
        // Whoever changes it has just asked; then it is not known yet.
        let known = self.client.habits.referrers.try_read();
        known.is_ok_and(|known| *known == Some(false))
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.delete_only_tag(tag).await
    }

    async fn untag(&self, tag: &Tag) -> Result<()> {
        match self.delete_only_tag(tag).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.replace_and_delete_tag(tag).await
            }
            done => done,
        }
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        self.delete_listed(digest).await
    }
}
