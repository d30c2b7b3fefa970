//! What goes into the metadata and what comes out of it: plain data in the words of the specification.

mod manifest_put;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use dockhand_oci::{Digest, RepoName, UploadId};

pub use manifest_put::{Edge, ManifestPut, Precondition, Put};

use crate::blob_store::{BlobKey, Staged};

/// A blob that a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Where its bytes lie.
    pub key: BlobKey,
    /// How many bytes it has.
    pub size: u64,
}

/// A manifest with its bytes, exactly as they were pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRow {
    /// Its digest.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// The document.
    pub bytes: Bytes,
}

/// A page of a list that is ordered by its keys, byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyset {
    /// Only what comes after this; it need not exist (any more).
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// Rows of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    /// What is on the page, in order.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub more: bool,
}

/// Which referrers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersQuery {
    /// What they refer to.
    pub subject: Digest,
    /// Only those of these types; of any type when it is empty.
    pub artifact_types: Vec<String>,
    /// Only what comes after this digest, in the order of algorithm and hash.
    pub after: Option<Digest>,
    /// At most this many.
    pub limit: usize,
}

/// A manifest that refers to another one, as the list of referrers describes it.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its effective artifact type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// One change of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagEvent {
    /// Counts the changes of this tag from 1, and goes on when a deleted tag is set again.
    pub version: u64,
    /// Where it points since; nowhere when it was deleted.
    pub digest: Option<Digest>,
    /// Where it pointed before; nowhere when it did not exist.
    pub previous: Option<Digest>,
    /// When.
    pub at: SystemTime,
}

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Where the blob will go.
    pub repo: RepoName,
    /// Its identity.
    pub id: UploadId,
    /// Who begins it, such as an address; empty when that is not known.
    pub client: String,
    /// The state of its hash, before the first byte.
    pub hash: Vec<u8>,
    /// The time.
    pub now: SystemTime,
    /// How many may be open at once.
    pub limits: UploadLimits,
}

/// How many uploads may be open at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Of one client.
    pub per_client: u32,
    /// In one repository.
    pub per_repository: u32,
    /// In all of them.
    pub in_all: u32,
}

/// Where there is no room for another upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The client has as many as one may have.
    Client,
    /// The repository has as many as one may have.
    Repository,
    /// The registry has as many as it may have.
    All,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "by this client",
            Self::Repository => "in this repository",
            Self::All => "in this registry",
        })
    }
}

/// Whether an upload has begun, and at whose cost.
#[derive(Debug)]
pub struct Started<T> {
    /// Where it found no room; `None`: it has begun.
    pub refused: Option<Room>,
    /// Uploads without a byte that were ended to make room, also when that was not enough.
    pub gave_way: Vec<GaveWay<T>>,
}

/// An upload that was ended to make room for another one.
#[derive(Debug)]
pub struct GaveWay<T> {
    /// Its identity.
    pub id: UploadId,
    /// What was staged of it.
    pub staged: Staged,
    /// What keeps it out of use until its bytes are dropped.
    pub held: T,
}

/// An upload that is open, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// Its identity.
    pub id: UploadId,
    /// Where its blob will go.
    pub repo: RepoName,
    /// Who began it; empty when that is not known.
    pub client: String,
    /// When it began.
    pub started: SystemTime,
    /// When it last got bytes, or began.
    pub touched: SystemTime,
    /// How many of its bytes are safe.
    pub bytes: u64,
}

/// All uploads that are open, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadTotals {
    /// How many there are.
    pub open: u64,
    /// How many of them have no byte.
    pub empty: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

/// Since when an upload must have lain still to be dropped.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Any upload.
    pub any: SystemTime,
    /// One without a byte. Never before `any`.
    pub empty: SystemTime,
}

/// What became of an upload that is to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadDropped {
    /// It is gone; what was staged of it.
    Done(Staged),
    /// It was not there.
    Unknown,
    /// It has so many bytes, and not as many as it was to have.
    Moved(u64),
}

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// Counts its checkpoints: who writes the next one names the epoch that it began from.
    pub epoch: u64,
    /// What is durable of it.
    pub staged: Staged,
    /// The state of its hash behind those bytes.
    pub hash: Vec<u8>,
    /// When it began.
    pub started: SystemTime,
    /// Whether all its bytes came by finishing requests that were cut.
    pub cut_put: bool,
}

/// Where an upload is to stand from now on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The epoch that its writer began from.
    pub epoch: u64,
    /// What is durable of it.
    pub staged: Staged,
    /// The state of its hash behind those bytes.
    pub hash: Vec<u8>,
    /// Whether all its bytes came by finishing requests that were cut.
    pub cut_put: bool,
    /// The time.
    pub now: SystemTime,
}

/// Under what a blob may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextKey {
    /// Its bytes are there already.
    Live {
        /// Where.
        key: BlobKey,
        /// How many.
        size: u64,
    },
    /// They are not: the generation to adopt them under.
    Free {
        /// It has never been used.
        generation: u32,
    },
}

/// Verified and durable bytes that become a blob of a repository.
#[derive(Clone, Debug)]
pub struct BlobCommit {
    /// The repository.
    pub repo: RepoName,
    /// The digest.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// The generation that they were adopted under; `None`: those of the live row are used.
    pub generation: Option<u32>,
    /// The upload that is over with this.
    pub upload: Option<UploadId>,
    /// The time.
    pub now: SystemTime,
}

/// What became of a [`BlobCommit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Our bytes are the blob.
    Stored,
    /// A live blob was there, and the repository has it now.
    Existed {
        /// Our bytes, if they lie under another key than the live ones: garbage.
        surplus: Option<BlobKey>,
    },
    /// There is no live blob (any more), or the generation was used up meanwhile. Nothing has
    /// changed: ask for the [`NextKey`] and adopt again.
    Gone,
}

/// What became of a delete. Unless it was done, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// It was not there.
    Unknown,
    /// The precondition does not hold.
    PreconditionFailed {
        /// What stands there.
        current: Option<Digest>,
    },
}

/// What became of the delete of a blob. Unless it was done, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobDeleted {
    /// The repository does not have it any more.
    Done,
    /// The repository did not have it.
    Unknown,
    /// A manifest of the repository links it.
    InUse(Digest),
}
