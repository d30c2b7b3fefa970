//! The seam to where bytes lie: blobs by key, and the staging that they come from.
//!
//! Eight methods and a writer of three. It is cut so that an object store fits: nothing is ever
//! appended to an object, a stage may be made of parts of five MiB and more, and whatever a backend
//! has to remember of them travels in [`Staged::notes`], which the metadata keeps.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{UploadId, Verified};
use futures_util::stream::BoxStream;

pub mod contract;
pub mod fs;
pub mod memory;

/// The place of a blob's bytes, relative to the root of the store; made by [`crate::layout`] alone.
///
/// A key is never used twice for other bytes, so that a late delete cannot hit new ones.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(pub(crate) Arc<str>);

impl BlobKey {
    /// The key as a relative path with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a stage holds for sure: this many bytes survive a power cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Bytes that are durable.
    pub length: u64,
    /// What the backend must know to go on: part numbers, tags of parts. Empty for a file system.
    pub notes: Vec<u8>,
}

/// The bytes of a blob, in chunks. It ends with an error, never early, when bytes are lost after it
/// began.
pub type BlobStream = BoxStream<'static, Result<Bytes, StoreError>>;

/// Where bytes lie. Every method may be dropped at any await without harm to what is stored.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// How many bytes lie under `key`. None of them is read.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when nothing lies there.
    async fn length(&self, key: &BlobKey) -> Result<u64, StoreError>;

    /// Reads `range` of the `size` bytes under `key`; the caller knows the size from the metadata.
    ///
    /// # Errors
    /// [`StoreError::Missing`]; [`StoreError::Truncated`] when the store has fewer than `size` bytes, even
    /// if it has all of `range`.
    async fn read(
        &self,
        key: &BlobKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError>;

    /// The file that holds the `size` bytes under `key`, where the store keeps files: a server may have
    /// the kernel send them without ever seeing them. Nothing when only [`BlobStore::read`] will do.
    ///
    /// # Errors
    /// As [`BlobStore::read`].
    async fn file(&self, key: &BlobKey, size: u64) -> Result<Option<File>, StoreError>;

    /// Takes up the staging of an upload right behind what `staged` says is durable. Bytes that an
    /// interrupted writer left behind that point are dropped. Of two writers of one upload the
    /// rules let only one live at a time.
    async fn stage(
        &self,
        id: UploadId,
        staged: &Staged,
    ) -> Result<Box<dyn StageWriter>, StoreError>;

    /// Reads back what is durable in a stage. Only for an upload whose algorithm was named at its
    /// end and is not the one that ran: the rare case in which bytes have to be hashed again. (An
    /// object store may have to complete a temporary object to do it.)
    async fn read_staged(&self, id: UploadId, staged: &Staged) -> Result<BlobStream, StoreError>;

    /// Forgets the staging of an upload. Nothing staged is no error.
    async fn discard(&self, id: UploadId, staged: &Staged) -> Result<(), StoreError>;

    /// Deletes the bytes under `key`. Nothing there is no error.
    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError>;

    /// The uploads that have staging, known to the metadata or not: what a sweep at start compares.
    async fn staged(&self) -> Result<Vec<UploadId>, StoreError>;
}

/// Takes the bytes of one upload in.
#[async_trait]
pub trait StageWriter: Send {
    /// Takes the next bytes, in order. They are not durable yet.
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError>;

    /// Makes all that was written durable and ends this writer, so that the upload can go on later.
    async fn sync(self: Box<Self>) -> Result<Staged, StoreError>;

    /// Makes the stage the blob under `key`: durable, name and all, when it returns. `proof` says
    /// that these bytes have been hashed; its size is checked against what was written.
    /// Whatever lies under the key is replaced, at once: a reader has the old bytes or the new ones. They
    /// should be equal, and are not when the old ones are damaged. What was durable in the
    /// stage stays there until [`BlobStore::discard`], so that an upload can go on when the metadata
    /// did not come to know of the blob.
    async fn adopt(self: Box<Self>, proof: &Verified, key: &BlobKey) -> Result<(), StoreError>;
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There are no bytes under this key, though the metadata says there are.
    #[error("the bytes of {0:?} are missing from the store")]
    Missing(BlobKey),
    /// There are fewer bytes than the metadata says.
    #[error("the bytes of {key:?} end at {found} where {wanted} were expected")]
    Truncated {
        /// The blob.
        key: BlobKey,
        /// Where reading had to get to.
        wanted: u64,
        /// Where the bytes ended.
        found: u64,
    },
    /// No space, no inode, or a quota of the file system is used up.
    #[error("the store is full")]
    Full,
    /// The stage is not as the metadata says: bytes that were durable are gone.
    #[error("the staged bytes of upload {id} end at {found} where {wanted} were expected")]
    StageLost {
        /// The upload.
        id: UploadId,
        /// The durable length.
        wanted: u64,
        /// What is there.
        found: u64,
    },
    /// Anything else, with what was being done.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done to what.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
}
