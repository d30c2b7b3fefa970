//! What lies in a data folder, looked at before anything in it is made.
//!
//! An empty registry in the place of one that has lost its database takes pushes, and nobody notices
//! until somebody pulls. So a database is created only in a folder that holds nothing of a registry,
//! or when that is asked for ([`Start::New`]). The decision is [`Folder::opening`], the only one.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use dockhand_oci::UploadId;

use crate::layout::{BLOBS, DATABASE, LOG, REPOSITORIES, UPLOADS};
use crate::metadata::Opening;

/// How a registry is to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the registry in the folder. A folder without one gets an empty registry.
    #[default]
    Usual,
    /// With an empty registry, also beside what is left of another one.
    New,
    /// With the registry in the folder, of which nothing is written.
    ReadOnly,
}

/// What lies in a data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// Bytes of the database; `None` when there is none.
    database: Option<u64>,
    /// Bytes of the database's log.
    log: u64,
    blobs: bool,
    /// Whether the folder of the blobs holds anything, be it empty folders.
    shards: bool,
    uploads: bool,
    /// The repositories of a CNCF Distribution registry.
    repositories: bool,
}

/// Why a registry does not start with a folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder cannot be looked at.
    #[error("cannot look at {path}: {source}", path = path.display())]
    Look {
        /// What was looked at.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The data of a CNCF Distribution registry, which has its repositories in files.
    #[error(
        "{root} holds the data of a CNCF Distribution registry ({REPOSITORIES}) and no database of dockhand; \
         its repositories cannot be read yet, so the registry would be empty",
        root = root.display()
    )]
    Distribution {
        /// The data folder.
        root: PathBuf,
    },
    /// A registry without its database.
    #[error(
        "{root} holds {found}, but {database}; without it all repositories, tags and manifests would be missing",
        root = root.display(),
        database = if *.empty { format!("its database {DATABASE} is empty (0 bytes)") } else { format!("its database {DATABASE} is missing") }
    )]
    NoDatabase {
        /// The data folder.
        root: PathBuf,
        /// What is there.
        found: String,
        /// Whether the database is a file of 0 bytes.
        empty: bool,
    },
    /// A log without its database: a new database would delete it.
    #[error(
        "{root} holds {LOG}, the log of a database that is missing or empty; a new database would delete it",
        root = root.display()
    )]
    LogLeft {
        /// The data folder.
        root: PathBuf,
    },
    /// The blobs that the database names are not there.
    #[error(
        "{root} holds a database that names blobs, but {BLOBS} is missing or empty",
        root = root.display()
    )]
    NoBlobs {
        /// The data folder.
        root: PathBuf,
    },
    /// There is nothing to read.
    #[error(
        "{root} holds no registry, and a read-only server creates none",
        root = root.display()
    )]
    Nothing {
        /// The data folder.
        root: PathBuf,
    },
}

impl Folder {
    /// Looks at a folder, which need not exist. Changes nothing. Reads a few hundred directory entries
    /// at most, however many blobs there are.
    ///
    /// # Errors
    /// [`FolderError::Look`].
    pub fn look(root: &Path) -> Result<Self, FolderError> {
        let at = |path: &str| root.join(path);
        Ok(Self {
            database: length(&at(DATABASE))?,
            log: length(&at(LOG))?.unwrap_or_default(),
            blobs: holds_below(&at(BLOBS), BLOB_DEPTH)?,
            shards: holds_below(&at(BLOBS), 0)?,
            uploads: holds_upload(&at(UPLOADS))?,
            repositories: holds_below(&at(REPOSITORIES), 0)?,
            root: root.to_owned(),
        })
    }

    /// How to open the database.
    ///
    /// # Errors
    /// What speaks against starting with this folder.
    pub fn opening(&self, start: Start) -> Result<Opening, FolderError> {
        let root = || self.root.clone();
        let missing = self.is_new();
        let found = self.found();
        if missing && self.log > 0 {
            return Err(FolderError::LogLeft { root: root() });
        }
        if missing && start != Start::New {
            if self.repositories {
                return Err(FolderError::Distribution { root: root() });
            }
            if !found.is_empty() {
                let empty = self.database.is_some();
                return Err(FolderError::NoDatabase {
                    root: root(),
                    found,
                    empty,
                });
            }
        }
        match start {
            Start::New => Ok(Opening::New),
            Start::ReadOnly if missing => Err(FolderError::Nothing { root: root() }),
            Start::ReadOnly => Ok(Opening::ReadOnly),
            // A start that was cut off leaves a database without tables, beside nothing.
            Start::Usual if found.is_empty() => Ok(Opening::Any),
            Start::Usual => Ok(Opening::Existing),
        }
    }

    /// Whether it has no database yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self.database, None | Some(0))
    }

    /// Refuses a folder whose blobs are lost as a whole, for a database that names some.
    ///
    /// # Errors
    /// [`FolderError::NoBlobs`].
    pub fn needs_blobs(&self) -> Result<(), FolderError> {
        if self.shards {
            Ok(())
        } else {
            Err(FolderError::NoBlobs {
                root: self.root.clone(),
            })
        }
    }

    /// What is left of a registry besides its database, in words.
    fn found(&self) -> String {
        let parts = [
            (self.blobs, format!("blobs ({BLOBS})")),
            (self.uploads, format!("unfinished uploads ({UPLOADS})")),
        ];
        let there: Vec<String> = parts
            .into_iter()
            .filter_map(|(there, words)| there.then_some(words))
            .collect();
        there.join(" and ")
    }
}

impl FolderError {
    /// What the operator can do.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Look { .. } => "check the path and the permissions of the data folder",
            Self::Distribution { .. } => {
                "name another folder with --data and copy the images from the running registry \
                 (`dockhand sync`), or add --new to start with an empty registry in this folder; \
                 the files of the other registry are left alone"
            }
            Self::NoDatabase { .. } => {
                "restore the database from a backup, check that everything is mounted, or add --new \
                 to start with an empty registry; the blobs stay, and pushes write them again"
            }
            Self::LogLeft { .. } => {
                "restore the database that belongs to the log, or move the log away and add --new to \
                 start with an empty registry"
            }
            Self::NoBlobs { .. } => {
                "restore the blobs from a backup, or check that everything is mounted; to start \
                 without them, so that pushes bring them back, create the folder \
                 docker/registry/v2/blobs/sha256"
            }
            Self::Nothing { .. } => "check the path and that everything is mounted",
        }
    }
}

/// Levels of folders between that of the blobs and that of one blob: algorithm and shard. An entry
/// below them is a blob; empty shards, at most 256 for each algorithm, are none.
const BLOB_DEPTH: u32 = 2;

/// The length of a file; `None` when there is none.
fn length(path: &Path) -> Result<Option<u64>, FolderError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(cannot_look(path, source)),
    }
}

/// Whether a folder holds anything so many levels below it.
fn holds_below(folder: &Path, depth: u32) -> Result<bool, FolderError> {
    for entry in entries(folder)? {
        let entry = entry.map_err(|source| cannot_look(folder, source))?;
        if depth == 0 || holds_below(&entry.path(), depth - 1)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a folder holds the bytes of an upload. Other files may lie there: the name is a common one.
fn holds_upload(folder: &Path) -> Result<bool, FolderError> {
    for entry in entries(folder)? {
        let name = entry
            .map_err(|source| cannot_look(folder, source))?
            .file_name();
        let id = name.to_str().and_then(|name| name.split('.').next());
        if id.is_some_and(|id| id.parse::<UploadId>().is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The entries of a folder; none when there is no folder.
fn entries(
    folder: &Path,
) -> Result<impl Iterator<Item = io::Result<fs::DirEntry>> + use<>, FolderError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if is_absent(&error) => Ok(None.into_iter().flatten()),
        Err(source) => Err(cannot_look(folder, source)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn cannot_look(path: &Path, source: io::Error) -> FolderError {
    FolderError::Look {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
