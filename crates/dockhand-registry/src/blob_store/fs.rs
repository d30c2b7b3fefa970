//! Blobs as files on a local file system: what [`FileSystem`] does with each call.
//!
//! One process owns the folder. Reading stays on the thread of the request while the bytes are in
//! the page cache (`read`); everything that may wait for the disk runs on the blocking pool.
//! A blob is made of a stage in this order (`stage`): write, fsync of the file, rename, fsync of
//! its folder, fsync of that folder's parent. Only then is it there.

mod buffers;
mod folders;
mod owner;
mod read;
mod stage;
mod syscalls;
mod turns;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use dockhand_oci::UploadId;

use super::{BlobKey, BlobStore, BlobStream, StageWriter, Staged, StoreError};
use crate::layout::{BLOBS, UPLOADS};
use folders::Folders;
use owner::Owner;
use read::Reader;
use stage::Place;
use turns::Turns;

/// A store in a folder that this process owns.
pub struct FileSystem {
    shared: Arc<Shared>,
}

/// What the store and everything that it started share. The last of them gives the folder back.
struct Shared {
    folders: Folders,
    reader: Reader,
    turns: Arc<Turns>,
    /// Whether files without a name can be made here.
    unnamed: AtomicBool,
    _owner: Owner,
}

impl FileSystem {
    /// Takes the folder `root` over, and makes it when there is none. Blocks for a few fsyncs.
    ///
    /// # Errors
    /// [`StoreError::Io`] when another process holds the folder, when uploads and blobs lie on two
    /// file systems (a rename cannot cross them), or when the folder cannot be written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let folders = Folders::open(root)?;
        let owner = Owner::take(folders.root())?;
        folders.create(UPLOADS)?;
        folders.create(BLOBS)?;
        folders.refuse_two_file_systems(UPLOADS, BLOBS)?;
        Self::new(folders, owner)
    }

    /// Reads the folder `root` and changes nothing in it. Others may read it at the same time, nobody
    /// may write.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a process that writes holds the folder, or when it cannot be read.
    pub fn open_read_only(root: &Path) -> Result<Self, StoreError> {
        let folders = Folders::open_read_only(root)?;
        let owner = Owner::share(folders.root())?;
        Self::new(folders, owner)
    }

    fn new(folders: Folders, owner: Owner) -> Result<Self, StoreError> {
        let reader = Reader::open(folders.root())?;
        let turns = Arc::default();
        Ok(Self {
            shared: Arc::new(Shared {
                folders,
                reader,
                turns,
                unnamed: AtomicBool::new(true),
                _owner: owner,
            }),
        })
    }
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSystem({})", self.shared.folders.root().display())
    }
}

/// Ends the name of a copy that is about to take the place of a stage, or of a second name of it that
/// is about to take the place of a blob.
const APART: &str = "apart";

impl Shared {
    /// Removes the file of a stage, and a copy of it that a crash left. Waits for the disk.
    fn remove_stage(&self, id: UploadId) -> io::Result<()> {
        let path = self.stage_path(id);
        remove(&path.with_extension(APART))?;
        remove(&path)
    }

    fn stage_path(&self, id: UploadId) -> PathBuf {
        self.folders.root().join(UPLOADS).join(id.to_string())
    }
}

#[async_trait]
impl BlobStore for FileSystem {
    async fn length(&self, key: &BlobKey) -> Result<u64, StoreError> {
        self.shared.reader.blob_length(key).await
    }

    async fn read(
        &self,
        key: &BlobKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        self.shared.reader.blob(key, size, range).await
    }

    async fn file(&self, key: &BlobKey, size: u64) -> Result<Option<File>, StoreError> {
        self.shared.reader.blob_file(key, size).await.map(Some)
    }

    async fn stage(
        &self,
        id: UploadId,
        staged: &Staged,
    ) -> Result<Box<dyn StageWriter>, StoreError> {
        self.shared.folders.writable()?;
        let turn = self.shared.turns.enter(id).await?;
        let place = Arc::new(Place::new(self.shared.clone(), id, staged.length, turn));
        Ok(Box::new(stage::Stage::open(place).await?))
    }

    async fn read_staged(&self, id: UploadId, staged: &Staged) -> Result<BlobStream, StoreError> {
        self.shared.reader.stage(id, staged.length).await
    }

    async fn discard(&self, id: UploadId, _staged: &Staged) -> Result<(), StoreError> {
        let turn = self.shared.turns.enter(id).await?;
        let shared = self.shared.clone();
        blocking(move || {
            // Given back only when the file is gone, whoever stopped waiting for it.
            let _turn = turn;
            let removed = shared.remove_stage(id);
            removed.map_err(|e| failed(format!("removing the stage of upload {id}"), e))
        })
        .await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.shared.folders.writable()?;
        let (shared, key) = (self.shared.clone(), key.clone());
        blocking(move || {
            let path = shared.folders.root().join(key.as_str());
            match fs::remove_file(&path) {
                Ok(()) => shared.folders.sync(parent(key.as_str())),
                Err(e) if is_absent(&e) => Ok(()),
                Err(e) => Err(failed(format!("deleting {key:?}"), e)),
            }
        })
        .await
    }

    async fn staged(&self) -> Result<Vec<UploadId>, StoreError> {
        let folder = self.shared.folders.root().join(UPLOADS);
        blocking(move || {
            list(&folder).map_err(|e| failed(format!("listing {}", folder.display()), e))
        })
        .await
    }
}

/// The stages in a folder. What is no stage is left alone, and named in the log.
fn list(folder: &Path) -> io::Result<Vec<UploadId>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let id = entry.file_name().to_str().and_then(stage_of);
        match id {
            Some(id) if entry.file_type()?.is_file() => found.push(id),
            _ => tracing::warn!(
                path = %entry.path().display(),
                "this is no upload and is left alone; the folder should hold nothing else"
            ),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The upload that a file among the stages belongs to.
fn stage_of(name: &str) -> Option<UploadId> {
    let copy = name
        .strip_suffix(APART)
        .and_then(|name| name.strip_suffix('.'));
    copy.unwrap_or(name).parse().ok()
}

/// Unlinks a file; one that is not there is as good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if is_absent(&e) => Ok(()),
        done => done,
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The folder of a key or folder below the root; empty for the root itself.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Runs what may wait for the disk where waiting holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    finished(tokio::task::spawn_blocking(work).await)
}

/// The outcome of work on the blocking pool.
fn finished<T>(
    outcome: Result<Result<T, StoreError>, tokio::task::JoinError>,
) -> Result<T, StoreError> {
    outcome.unwrap_or_else(|e| Err(failed("waiting for the disk", io::Error::other(e))))
}

/// What the operating system refused, as an error of the store. A limit on the size of files
/// (`ulimit -f`) is a quota like others.
fn failed(doing: impl Into<String>, source: io::Error) -> StoreError {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::Full
        }
        _ => StoreError::Io {
            doing: doing.into(),
            source,
        },
    }
}
