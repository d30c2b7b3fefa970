//! Why the metadata could not be read or written.

use std::path::PathBuf;

use super::sql::DbError;

/// The cause below a [`MetadataError`], for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation on the metadata did not happen, or is not known to have happened.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// No space is left. Nothing has changed, reads go on, and writes do when there is space.
    #[error("the disk that holds the metadata is full")]
    Full,
    /// More wait than can be served in time. Nothing has changed.
    #[error("the metadata is busy")]
    Busy,
    /// The metadata is closed, or a write failed in a way after which none may follow: what the
    /// disk holds is decided by recovery, at the next start.
    #[error("the metadata takes no writes; restart the registry to recover it")]
    Unavailable,
    /// The metadata was opened for reading. Nothing has changed.
    #[error("the metadata was opened for reading only")]
    ReadOnly,
    /// The database has no tables, where one with tables is needed.
    #[error("{path} is a database without any tables", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The database has tables, where a new one is to be made.
    #[error("{path} holds a registry already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// What was read is not what was written.
    #[error("the metadata is damaged, found while {doing}")]
    Corrupt {
        /// What was being done.
        doing: &'static str,
        /// What was wrong.
        source: Cause,
    },
    /// The file belongs to a newer version, or to something else.
    #[error("{path}: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why it is refused, and what to do.
        reason: String,
    },
    /// Anything else.
    #[error("the metadata failed while {doing}")]
    Other {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: Cause,
    },
}

impl MetadataError {
    /// Whether the write that it answers has surely not happened, and never will.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Full | Self::Busy | Self::ReadOnly)
    }
}

impl DbError {
    /// What it means when it came up while reading.
    pub(super) fn reading(self, doing: &'static str) -> MetadataError {
        match self {
            Self::Full(_) => MetadataError::Full,
            Self::Busy(_) => MetadataError::Busy,
            Self::Corrupt(_) | Self::Damaged(_) => MetadataError::Corrupt {
                doing,
                source: Box::new(self),
            },
            Self::Io(_) | Self::Other(_) => MetadataError::Other {
                doing,
                source: Box::new(self),
            },
        }
    }

    /// What it means when it came up while writing.
    pub(super) fn writing(self, doing: &'static str) -> MetadataError {
        match self {
            Self::Io(source) => {
                tracing::error!(doing, error = %source, "the disk of the metadata failed");
                MetadataError::Unavailable
            }
            error => error.reading(doing),
        }
    }
}
