//! The file of a stage, and the order in which it is made safe. Everything here may wait for the
//! disk.
//!
//! When a step fails, what is not safe is dropped again: a full disk gets its space back, and an
//! upload that had safe bytes goes on from them. After a failed fsync nobody knows which bytes the
//! kernel threw away, and asking again would say yes; so that stage is dropped whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::Place;
use crate::blob_store::fs::syscalls::write_all_at;
use crate::blob_store::fs::{APART, failed, remove};
use crate::blob_store::{BlobKey, StoreError};
use crate::layout::UPLOADS;

/// An open stage.
pub(super) struct StageFile {
    file: Arc<File>,
    length: u64,
    /// Whether the name of the file is new, so that its folder has to be synced.
    new: bool,
}

impl StageFile {
    /// Opens a stage that has safe bytes, and drops what is behind them.
    pub(super) fn reopen(place: &Place) -> Result<Self, StoreError> {
        let (id, wanted) = (place.id, place.safe);
        let file = match OpenOptions::new().write(true).open(place.path()) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(StoreError::StageLost {
                    id,
                    wanted,
                    found: 0,
                });
            }
            opened => opened.map_err(|e| place.failed("opening", e))?,
        };
        let metadata = file.metadata().map_err(|e| place.failed("looking at", e))?;
        let found = metadata.len();
        if found < wanted {
            return Err(StoreError::StageLost { id, wanted, found });
        }
        if metadata.nlink() > 1 {
            return Self::detach(place);
        }
        if found > wanted {
            file.set_len(wanted)
                .map_err(|e| place.failed("cutting", e))?;
        }
        Ok(Self {
            file: Arc::new(file),
            length: wanted,
            new: false,
        })
    }

    /// Gives a stage bytes of its own. An adoption that did not get to its end left them shared with
    /// the name of a blob, which perhaps is one by now and must not change.
    fn detach(place: &Place) -> Result<Self, StoreError> {
        let copying = |e| place.failed("copying", e);
        let (path, apart) = (place.path(), place.path_apart());
        let copy = || -> io::Result<File> {
            // What a crash left there may be one more name of this very file.
            remove(&apart)?;
            let mut file = File::create_new(&apart)?;
            let mut from = File::open(&path)?.take(place.safe);
            io::copy(&mut from, &mut file)?;
            file.sync_all()?;
            fs::rename(&apart, &path)?;
            Ok(file)
        };
        let file = copy()
            .inspect_err(|_| drop(remove(&apart)))
            .map_err(copying)?;
        place.shared.folders.sync(UPLOADS)?;
        Ok(Self {
            file: Arc::new(file),
            length: place.safe,
            new: false,
        })
    }

    /// Makes the file of a stage without safe bytes. What an interrupted writer left is dropped by
    /// its name: the bytes could be a blob's as well.
    fn create(place: &Place) -> Result<Self, StoreError> {
        let path = place.path();
        let make = || OpenOptions::new().write(true).create_new(true).open(&path);
        let made = match make() {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => remove(&path).and_then(|()| make()),
            made => made,
        };
        let file = made.map_err(|e| place.failed("making", e))?;
        Ok(Self {
            file: Arc::new(file),
            length: 0,
            new: true,
        })
    }

    /// Writes a batch behind what is there; the file is made if there is none.
    pub(super) fn put(
        place: &Place,
        file: Option<Self>,
        batch: &[Bytes],
    ) -> Result<Self, StoreError> {
        let mut stage = match file {
            Some(stage) => stage,
            None => Self::create(place)?,
        };
        let mut slices: Vec<_> = batch.iter().map(|chunk| IoSlice::new(chunk)).collect();
        match write_all_at(&stage.file, &mut slices, stage.length) {
            Ok(()) => {
                stage.length += batch.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
                Ok(stage)
            }
            Err(e) => {
                stage.undo(place);
                Err(place.failed("writing", e))
            }
        }
    }

    /// Makes the bytes safe, and the name if it is new.
    pub(super) fn sync(self, place: &Place) -> Result<(), StoreError> {
        place.shared.folders.writable()?;
        flush(&self.file, place)?;
        if self.new {
            place
                .shared
                .folders
                .sync(UPLOADS)
                .inspect_err(|_| place.forget())?;
        }
        Ok(())
    }

    /// Makes the stage the blob under `key`.
    pub(super) fn adopt(self, place: &Place, key: &BlobKey) -> Result<(), StoreError> {
        place.shared.folders.writable()?;
        let found = self
            .file
            .metadata()
            .map_err(|e| place.failed("looking at", e))?
            .len();
        if found != self.length {
            return Err(StoreError::StageLost {
                id: place.id,
                wanted: self.length,
                found,
            });
        }
        flush(&self.file, place)?;
        let folders = &place.shared.folders;
        { folders.prepare(key) }
            .and_then(|()| self.rename(place, key))
            .inspect_err(|_| self.undo(place))?;
        folders.settle(key)
    }

    /// Gives the stage the name of the blob. When it fails, the blob does not have these bytes.
    fn rename(&self, place: &Place, key: &BlobKey) -> Result<(), StoreError> {
        let (from, to) = (place.path(), place.shared.folders.root().join(key.as_str()));
        let apart = place.path_apart();
        // Bytes that were acknowledged stay in the stage until the blob is one: after a crash in
        // between, the upload goes on where it stood.
        let renamed = match place.safe {
            0 => fs::rename(from, to),
            _ => link_over(|name| fs::hard_link(&from, name), &to, &apart),
        };
        renamed.map_err(|e| place.failed(&format!("naming {key:?}"), e))
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// A job that makes the bytes safe that are there when it runs.
    pub(super) fn flush_later(
        &self,
        place: Arc<Place>,
    ) -> impl FnOnce() -> Result<(), StoreError> + Send + 'static {
        let file = self.file.clone();
        move || flush(&file, &place)
    }

    /// Takes back what is not safe.
    fn undo(&self, place: &Place) {
        if place.safe == 0 {
            place.forget();
        } else if let Err(error) = self.file.set_len(place.safe) {
            tracing::warn!(id = %place.id, %error, "a stage could not be cut back");
        }
    }
}

fn flush(file: &File, place: &Place) -> Result<(), StoreError> {
    file.sync_all().map_err(|e| {
        tracing::error!(id = %place.id, error = %e, "a stage could not be synced and is dropped");
        place.forget();
        place.failed("syncing", e)
    })
}

/// Gives a file the name `to`, in the place of whatever has that name. When it fails, the file does
/// not have the name. `link` gives it a name that nothing has yet; `apart` is a name for the time being,
/// among the uploads: what a crash leaves under it goes with its upload.
pub(super) fn link_over(
    link: impl Fn(&Path) -> io::Result<()>,
    to: &Path,
    apart: &Path,
) -> io::Result<()> {
    match link(to) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    remove(apart)?;
    link(apart)?;
    let renamed = fs::rename(apart, to);
    // When both are names of one file already, a rename does nothing and leaves both.
    if let Err(error) = remove(apart) {
        tracing::warn!(path = %apart.display(), %error, "a spare name could not be removed");
    }
    renamed
}

impl Place {
    fn path(&self) -> PathBuf {
        self.shared.stage_path(self.id)
    }

    pub(super) fn path_apart(&self) -> PathBuf {
        self.path().with_extension(APART)
    }

    /// Drops the file, after an error that is reported anyway.
    fn forget(&self) {
        if let Err(error) = self.shared.remove_stage(self.id) {
            tracing::warn!(id = %self.id, %error, "a stage could not be removed");
        }
    }

    pub(super) fn failed(&self, verb: &str, error: io::Error) -> StoreError {
        failed(format!("{verb} the stage of upload {}", self.id), error)
    }
}
