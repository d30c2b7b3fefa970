//! Blobs: read, mounted from another repository, deleted.

use std::fs::File;
use std::ops::Range;
use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName};

use crate::blob_store::{BlobKey, BlobStream, StoreError};
use crate::error::Error;
use crate::metadata::{BlobDeleted, BlobRow, NextKey};
use crate::registry::Registry;

/// A blob of a repository, found but not read.
#[derive(Clone, Debug)]
pub struct Blob {
    /// How many bytes it has.
    pub size: u64,
    digest: Digest,
    key: BlobKey,
}

impl Blob {
    fn of(digest: &Digest, row: BlobRow) -> Self {
        Self {
            size: row.size,
            digest: *digest,
            key: row.key,
        }
    }
}

impl Registry {
    /// Finds a blob through a repository that has it. Whether its bytes are there is seen when it is read.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] when this repository has no such blob, whatever others have.
    pub async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Blob, Error> {
        let row = self.metadata.blob(repo, digest).await?;
        let row = row.ok_or(Error::BlobUnknown(*digest))?;
        Ok(Blob::of(digest, row))
    }

    /// As [`Registry::blob`], for an answer that says no more than that the repository has the blob. When
    /// the store has not all of its bytes, the answer is that it does not: then the client pushes it, which
    /// repairs it.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`], and those of the store.
    pub async fn whole_blob(&self, repo: &RepoName, digest: &Digest) -> Result<Blob, Error> {
        let blob = self.blob(repo, digest).await?;
        if self.is_whole(&blob).await? {
            Ok(blob)
        } else {
            Err(Error::BlobUnknown(*digest))
        }
    }

    /// Whether the store has as many bytes as the blob; it looks at none of them.
    async fn is_whole(&self, blob: &Blob) -> Result<bool, Error> {
        let damage = match self.blobs.length(&blob.key).await {
            Ok(found) if found >= blob.size => return Ok(true),
            Ok(found) => StoreError::Truncated {
                key: blob.key.clone(),
                wanted: blob.size,
                found,
            },
            Err(error @ StoreError::Missing(_)) => error,
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(
            digest = %blob.digest,
            error = %damage,
            "a blob is damaged and is reported as missing, so that clients push it again"
        );
        Ok(false)
    }

    /// Reads a range of a blob; it must lie within its size.
    ///
    /// # Errors
    /// [`Error::BlobDamaged`] when the store does not have all bytes of the blob, and others of the store.
    /// Once the stream runs, trouble is an item of it: never a short, clean end.
    pub async fn read_blob(&self, blob: &Blob, range: Range<u64>) -> Result<BlobStream, Error> {
        let reading = self.blobs.read(&blob.key, blob.size, range).await;
        reading.map_err(|error| unreadable(blob, error))
    }

    /// The file with the bytes of a blob, where the store has one, for a server that lets the kernel
    /// send it. Who sends must notice when it is cut short meanwhile.
    ///
    /// # Errors
    /// As [`Registry::read_blob`].
    pub async fn blob_file(&self, blob: &Blob) -> Result<Option<File>, Error> {
        let opened = self.blobs.file(&blob.key, blob.size).await;
        opened.map_err(|error| unreadable(blob, error))
    }

    /// Makes a blob of another repository one of this one too, without a byte being moved. Without
    /// `from`, any repository that has it will do.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository>
    ///
    /// # Errors
    /// Of the stores, or [`Error::ReadOnly`]. A source without the blob is no error but `false`, and so is
    /// a blob of which the store has not all bytes.
    pub async fn mount(
        &self,
        to: &RepoName,
        from: Option<&RepoName>,
        digest: &Digest,
    ) -> Result<bool, Error> {
        self.may_write()?;
        let found = match from {
            Some(from) => self.metadata.blob(from, digest).await?,
            None => match self.metadata.next_key(digest).await? {
                NextKey::Live { key, size } => Some(BlobRow { key, size }),
                NextKey::Free { .. } => None,
            },
        };
        let Some(row) = found else { return Ok(false) };
        if !self.is_whole(&Blob::of(digest, row)).await? {
            return Ok(false);
        }
        Ok(self
            .metadata
            .mount(to, from, digest, SystemTime::now())
            .await?)
    }

    /// Takes a blob out of a repository. No byte is freed by it: other repositories may have the blob,
    /// and what no repository has lies there until it is collected, which is still to come.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`]; [`Error::BlobInUse`] while a manifest of the repository names it.
    pub async fn delete_blob(&self, repo: &RepoName, digest: &Digest) -> Result<(), Error> {
        self.may_delete()?;
        match self.metadata.delete_blob(repo, digest).await? {
            BlobDeleted::Done => Ok(()),
            BlobDeleted::Unknown => Err(Error::BlobUnknown(*digest)),
            BlobDeleted::InUse(manifest) => Err(Error::BlobInUse {
                digest: *digest,
                manifest,
            }),
        }
    }
}

/// What reading a blob failed for. Bytes that are not there are named as what they are.
fn unreadable(blob: &Blob, error: StoreError) -> Error {
    match error {
        StoreError::Missing(_) | StoreError::Truncated { .. } => Error::BlobDamaged {
            digest: blob.digest,
            source: error,
        },
        error => error.into(),
    }
}
