//! Everything but the bytes of blobs: repositories, manifests, tags, links, uploads.
//!
//! An operation is one method here, one plain function over the seam of SQL below, and one
//! transaction. A write is durable when it returns; a read waits for no writer.

use std::path::Path;
use std::time::SystemTime;

use dockhand_oci::{Digest, Reference, RepoName, Tag, UploadId};

use crate::blob_store::Staged;

mod error;
mod records;

pub use error::{Cause, MetadataError};
pub use records::{
    BlobCommit, BlobDeleted, BlobRow, Committed, Deleted, Edge, Keyset, ManifestHead, ManifestPut,
    ManifestRow, NewUpload, NextKey, Precondition, Put, Referrer, ReferrersQuery, Rows, Started,
    TagEvent, UploadLimits, UploadRow,
};

type Result<T> = std::result::Result<T, MetadataError>;

/// The metadata of a registry.
#[derive(Debug)]
pub struct Metadata {}

#[allow(missing_docs, unused_variables, clippy::missing_errors_doc)]
impl Metadata {
    pub fn open_sqlite(path: &Path) -> Result<Self> {
        Err(MetadataError::Unavailable)
    }
    pub fn in_memory() -> Result<Self> {
        Err(MetadataError::Unavailable)
    }
    pub async fn ready(&self) -> Result<()> {
        Err(MetadataError::Unavailable)
    }
    pub async fn close(&self) {}
    pub async fn failed(&self) {}
    pub async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Option<BlobRow>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<ManifestRow>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn manifest_head(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn tags(&self, repo: &RepoName, page: &Keyset) -> Result<Option<Rows<Tag>>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn repositories(&self, page: &Keyset) -> Result<Rows<RepoName>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn referrers(
        &self,
        repo: &RepoName,
        query: &ReferrersQuery,
    ) -> Result<Rows<Referrer>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn tag_history(
        &self,
        repo: &RepoName,
        tag: &Tag,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Rows<TagEvent>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn upload(&self, repo: &RepoName, id: UploadId) -> Result<Option<UploadRow>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn next_key(&self, digest: &Digest) -> Result<NextKey> {
        Err(MetadataError::Unavailable)
    }
    pub async fn expired_uploads(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<(RepoName, UploadId)>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn upload_known(&self, id: UploadId) -> Result<bool> {
        Err(MetadataError::Unavailable)
    }
    pub async fn start_upload(&self, new: NewUpload) -> Result<Started> {
        Err(MetadataError::Unavailable)
    }
    pub async fn checkpoint_upload(
        &self,
        id: UploadId,
        epoch: u64,
        staged: Staged,
        hash: Vec<u8>,
        now: SystemTime,
    ) -> Result<bool> {
        Err(MetadataError::Unavailable)
    }
    pub async fn cancel_upload(&self, repo: &RepoName, id: UploadId) -> Result<Option<Staged>> {
        Err(MetadataError::Unavailable)
    }
    pub async fn commit_blob(&self, commit: BlobCommit) -> Result<Committed> {
        Err(MetadataError::Unavailable)
    }
    pub async fn mount(
        &self,
        to: &RepoName,
        from: Option<&RepoName>,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<bool> {
        Err(MetadataError::Unavailable)
    }
    pub async fn put_manifest(&self, put: ManifestPut) -> Result<Put> {
        Err(MetadataError::Unavailable)
    }
    pub async fn delete_tag(
        &self,
        repo: &RepoName,
        tag: &Tag,
        only_if: &Precondition,
        now: SystemTime,
    ) -> Result<Deleted> {
        Err(MetadataError::Unavailable)
    }
    pub async fn delete_manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
        only_if: &Precondition,
        now: SystemTime,
    ) -> Result<Deleted> {
        Err(MetadataError::Unavailable)
    }
    pub async fn delete_blob(&self, repo: &RepoName, digest: &Digest) -> Result<BlobDeleted> {
        Err(MetadataError::Unavailable)
    }
}
