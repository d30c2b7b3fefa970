//! Blobs: read, mounted from another repository, deleted.

use std::fs::File;
use std::ops::Range;
use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName};

use crate::blob_store::{BlobKey, BlobStream};
use crate::error::Error;
use crate::metadata::BlobDeleted;
use crate::registry::Registry;

/// A blob of a repository, found but not read.
#[derive(Clone, Debug)]
pub struct Blob {
    /// How many bytes it has.
    pub size: u64,
    key: BlobKey,
}

impl Registry {
    /// Finds a blob through a repository that has it.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] when this repository has no such blob, whatever others have.
    pub async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Blob, Error> {
        let row = self.metadata.blob(repo, digest).await?;
        let row = row.ok_or(Error::BlobUnknown(*digest))?;
        Ok(Blob {
            size: row.size,
            key: row.key,
        })
    }

    /// Reads a range of a blob; it must lie within its size.
    ///
    /// # Errors
    /// Of the store. Once the stream runs, trouble is an item of it: never a short, clean end.
    pub async fn read_blob(&self, blob: &Blob, range: Range<u64>) -> Result<BlobStream, Error> {
        Ok(self.blobs.read(&blob.key, range).await?)
    }

    /// The file with the bytes of a blob, where the store has one, for a server that lets the kernel
    /// send it. It may be shorter than the blob's size when it is damaged: who sends must notice.
    ///
    /// # Errors
    /// Of the store.
    pub async fn blob_file(&self, blob: &Blob) -> Result<Option<File>, Error> {
        Ok(self.blobs.file(&blob.key).await?)
    }

    /// Makes a blob of another repository one of this one too, without a byte being moved. Without
    /// `from`, any repository that has it will do.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository>
    ///
    /// # Errors
    /// Of the metadata, or [`Error::ReadOnly`]. A source without the blob is no error but `false`.
    pub async fn mount(
        &self,
        to: &RepoName,
        from: Option<&RepoName>,
        digest: &Digest,
    ) -> Result<bool, Error> {
        self.may_write()?;
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
