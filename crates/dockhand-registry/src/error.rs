//! Every way in which the registry says no, and the one map from there to code and status.

use std::time::Duration;

use dockhand_oci::{
    DataError, Digest, ErrorCode, ManifestError, Mismatch, Reference, RepoName, Tag, UploadId,
};

use crate::blob_store::StoreError;
use crate::ingest::BodyError;
use crate::metadata::{MetadataError, Room};

/// Why an operation did not happen. The text is for the client; causes inside are for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has never held a manifest.
    #[error("repository `{0}` is not known to this registry")]
    RepositoryUnknown(RepoName),
    /// The repository has no such blob; another one may.
    #[error("blob {0} is not known to this repository")]
    BlobUnknown(Digest),
    /// The store does not have all bytes of a blob.
    #[error("blob {digest} is damaged in the store of this registry; push it again to repair it")]
    BlobDamaged {
        /// The blob.
        digest: Digest,
        /// What is wrong, with the place of the bytes.
        source: StoreError,
    },
    /// Deleting the blob would break a manifest.
    #[error("blob {digest} is in use by manifest {manifest} of this repository; delete that first")]
    BlobInUse {
        /// The blob.
        digest: Digest,
        /// A manifest that names it.
        manifest: Digest,
    },
    /// A blob is larger than this registry takes.
    #[error("the blob is larger than the {limit} bytes that this registry takes")]
    BlobTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The repository has no such manifest.
    #[error("manifest `{0}` is not known to this repository")]
    ManifestUnknown(Reference),
    /// The tag was never set.
    #[error("tag `{0}` is not known to this repository")]
    TagUnknown(Tag),
    /// A manifest names content that the repository does not have.
    #[error("the manifest names content that this repository does not have; push it first")]
    ManifestBlobUnknown(Vec<Digest>),
    /// A manifest gives a size that is not that of the content which the repository has.
    #[error(
        "the manifest gives {digest} a size of {declared} bytes, but the content has {stored}; push the manifest again with the right size"
    )]
    DescriptorSize {
        /// The content.
        digest: Digest,
        /// What the manifest gives.
        declared: u64,
        /// What the repository has.
        stored: u64,
    },
    /// A descriptor embeds content that is not what it describes.
    #[error("the manifest is not valid: the `data` of {0}")]
    DescriptorData(#[from] DataError),
    /// The document is not a manifest.
    #[error("the manifest is not valid: {0}")]
    ManifestInvalid(#[from] ManifestError),
    /// The document is larger than this registry takes.
    #[error("the manifest is larger than the {limit} bytes that this registry takes")]
    ManifestTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// More tags in one push than this registry takes.
    #[error("one push sets at most {limit} tags; push the manifest again with the others")]
    TooManyTags {
        /// The limit.
        limit: usize,
    },
    /// The content is not what was named.
    #[error(transparent)]
    DigestMismatch(#[from] Mismatch),
    /// There is no such upload in this repository; it may be done, cancelled or expired.
    #[error("upload {0} is not known to this repository; begin a new one")]
    UploadUnknown(UploadId),
    /// Another request has been writing to the upload for too long.
    #[error("another request is writing to upload {0}; ask for its status and go on from there")]
    UploadBusy(UploadId),
    /// The chunk does not begin where the upload stands.
    #[error("the upload stands at {at}, and the chunk begins at {start}; go on from {at}")]
    ChunkOutOfOrder {
        /// The upload, for the way back.
        id: UploadId,
        /// Where the upload stands.
        at: u64,
        /// Where the chunk begins.
        start: u64,
    },
    /// The body is not as long as was said.
    #[error("{declared} bytes were announced and {received} came")]
    SizeMismatch {
        /// What was announced.
        declared: u64,
        /// What came.
        received: u64,
    },
    /// Too many uploads are open at once, and all have bytes or are in use.
    #[error("too many uploads are open {0}; finish or cancel some, or wait until old ones expire")]
    TooManyUploads(Room),
    /// The upload has got bytes since somebody decided on it.
    #[error("upload {id} has {at} bytes now; look at it again before you drop it")]
    UploadMoved {
        /// The upload.
        id: UploadId,
        /// How many bytes it has.
        at: u64,
    },
    /// The condition of the request does not hold (any more).
    #[error("the condition does not hold: {}", current_words(.current.as_ref()))]
    PreconditionFailed {
        /// What stands there now.
        current: Option<Digest>,
    },
    /// Deleting is switched off.
    #[error("deleting is switched off in this registry")]
    DeleteDisabled,
    /// Writing is switched off.
    #[error("this registry is read-only")]
    ReadOnly,
    /// The body did not come to its end.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// There is no space left.
    #[error("the registry has no space left; what was stored before is safe")]
    Full,
    /// More writes wait than can be queued.
    #[error("the registry is busy; try again")]
    Busy,
    /// The store or the metadata cannot be reached or do not answer.
    #[error("the registry cannot write now; try again later")]
    Unavailable,
    /// Something broke that is not the client's doing.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn current_words(current: Option<&Digest>) -> String {
    match current {
        Some(digest) => format!("it is {digest} now"),
        None => "it does not exist".to_owned(),
    }
}

/// What an error is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code in the body.
    pub code: ErrorCode,
    /// The HTTP status, a number here because the rules do not know HTTP.
    pub status: u16,
    /// When it makes sense to try again.
    pub retry_after: Option<Duration>,
}

/// How long a client should wait when the registry is short of something.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Error {
    /// The code and the status of this error: the only such map, and without a wildcard.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        use ErrorCode as Code;
        let (code, status) = match self {
            Self::RepositoryUnknown(_) => (Code::NameUnknown, 404),
            Self::BlobUnknown(_) => (Code::BlobUnknown, 404),
            Self::BlobInUse { .. } | Self::DeleteDisabled | Self::ReadOnly => {
                (Code::Unsupported, 405)
            }
            Self::BlobTooLarge { .. } => (Code::SizeInvalid, 413),
            Self::ManifestUnknown(_) | Self::TagUnknown(_) => (Code::ManifestUnknown, 404),
            Self::ManifestBlobUnknown(_) => (Code::ManifestBlobUnknown, 400),
            Self::ManifestInvalid(_) | Self::DescriptorSize { .. } | Self::DescriptorData(_) => {
                (Code::ManifestInvalid, 400)
            }
            // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
            Self::ManifestTooLarge { .. } => (Code::ManifestInvalid, 413),
            Self::TooManyTags { .. } => (Code::TagInvalid, 414),
            Self::DigestMismatch(_) => (Code::DigestInvalid, 400),
            Self::UploadUnknown(_) => (Code::BlobUploadUnknown, 404),
            Self::UploadBusy(_) | Self::UploadMoved { .. } => (Code::BlobUploadInvalid, 409),
            Self::ChunkOutOfOrder { .. } => (Code::BlobUploadInvalid, 416),
            Self::SizeMismatch { .. } => (Code::SizeInvalid, 400),
            Self::TooManyUploads(_) => (Code::TooManyRequests, 429),
            Self::PreconditionFailed { .. } => (Code::PreconditionFailed, 412),
            Self::Body(error) => return error.answer(),
            Self::Full => (Code::Unavailable, 507),
            Self::Busy | Self::Unavailable => (Code::Unavailable, 503),
            Self::BlobDamaged { .. } | Self::Internal(_) => (Code::Unknown, 500),
        };
        let retry_after = match status {
            429 | 503 => Some(RETRY_AFTER),
            _ => None,
        };
        Answer {
            code,
            status,
            retry_after,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Missing(_)
            | StoreError::Truncated { .. }
            | StoreError::StageLost { .. }
            | StoreError::Io { .. } => Self::Internal(Box::new(error)),
        }
    }
}

impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Full => Self::Full,
            MetadataError::Busy => Self::Busy,
            MetadataError::ReadOnly => Self::ReadOnly,
            MetadataError::Unavailable => Self::Unavailable,
            error => Self::Internal(Box::new(error)),
        }
    }
}
