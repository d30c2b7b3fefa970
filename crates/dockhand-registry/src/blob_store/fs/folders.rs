//! Folders that survive a power cut.
//!
//! The name of a file is safe only when its folder has been synced, and the name of a folder only
//! when *its* folder has. That `mkdir` finds a folder says nothing: another writer may have made it
//! a moment ago. So what is safe is what this process has synced itself.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{failed, parent};
use crate::blob_store::{BlobKey, StoreError};

/// The root and the folders below it.
pub(super) struct Folders {
    root: PathBuf,
    /// Folders whose names are safe: the few above blobs and their shards, at most some 520.
    safe: Mutex<HashSet<String>>,
    /// A folder could not be synced: what has been renamed since may be lost, so nothing more is
    /// written until someone has looked at the disk.
    broken: AtomicBool,
    /// Nothing is to be written here at all.
    read_only: bool,
}

impl Folders {
    /// Makes the root, durably, with all above it that is missing.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let doing = || format!("making the folder {}", root.display());
        make_all(root).map_err(|e| failed(doing(), e))?;
        let root = root.canonicalize().map_err(|e| failed(doing(), e))?;
        Ok(Self {
            root,
            safe: Mutex::default(),
            broken: AtomicBool::new(false),
            read_only: false,
        })
    }

    /// Takes a root that is there, and writes nothing.
    pub(super) fn open_read_only(root: &Path) -> Result<Self, StoreError> {
        let found = root.canonicalize();
        let root =
            found.map_err(|e| failed(format!("opening the folder {}", root.display()), e))?;
        Ok(Self {
            root,
            safe: Mutex::default(),
            broken: AtomicBool::new(false),
            read_only: true,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses when a folder could not be synced before, and when nothing is to be written.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        let text = if self.read_only {
            "the store was opened for reading only"
        } else if self.broken.load(Ordering::Relaxed) {
            "the disk failed to sync a folder, so nothing more is written; \
             check the disk, then restart"
        } else {
            return Ok(());
        };
        let source = io::Error::new(ErrorKind::ReadOnlyFilesystem, text);
        Err(failed(
            format!("writing below {}", self.root.display()),
            source,
        ))
    }

    /// Makes `folder` and those above it, and makes their names safe.
    pub(super) fn create(&self, folder: &str) -> Result<(), StoreError> {
        if self.safe().contains(folder) {
            return Ok(());
        }
        let ends = folder
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([folder.len()]);
        for folder in ends.map(|end| &folder[..end]) {
            if !self.safe().contains(folder) {
                self.make(folder)?;
                self.sync(parent(folder))?;
                self.safe().insert(folder.to_owned());
            }
        }
        Ok(())
    }

    /// Makes `folder` in one that is there. Its name is not safe yet.
    fn make(&self, folder: &str) -> Result<(), StoreError> {
        let doing = || format!("making the folder {}", self.root.join(folder).display());
        self.try_make(folder).map_err(|e| failed(doing(), e))
    }

    fn try_make(&self, folder: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(folder)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    }

    /// Makes the folder that `key` lies in. Those above it are safe then, it is not yet.
    pub(super) fn prepare(&self, key: &BlobKey) -> Result<(), StoreError> {
        let folder = parent(key.as_str());
        self.create(parent(folder))?;
        match self.try_make(folder) {
            // Folders that were there have been removed: a push that is to heal that makes them again.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.safe().clear();
                self.create(parent(folder))?;
                self.make(folder)
            }
            made => made.map_err(|e| failed(format!("making the folder of {key:?}"), e)),
        }
    }

    /// Makes what has just got the name `key` safe. Its folder is its own, so just as new.
    pub(super) fn settle(&self, key: &BlobKey) -> Result<(), StoreError> {
        let folder = parent(key.as_str());
        self.sync(folder)?;
        self.sync(parent(folder))
    }

    /// Makes the names in `folder` safe. When the disk fails to, the store takes no more writes.
    pub(super) fn sync(&self, folder: &str) -> Result<(), StoreError> {
        let path = match folder {
            "" => self.root.clone(),
            _ => self.root.join(folder),
        };
        let doing = || format!("syncing the folder {}", path.display());
        let open = File::open(&path).map_err(|e| failed(doing(), e))?;
        open.sync_all().map_err(|e| {
            self.broken.store(true, Ordering::Relaxed);
            tracing::error!(path = %path.display(), error = %e, "a folder could not be synced");
            failed(doing(), e)
        })
    }

    /// A rename from one folder to the other works only within a file system.
    pub(super) fn refuse_two_file_systems(&self, a: &str, b: &str) -> Result<(), StoreError> {
        let device = |folder: &str| {
            let path = self.root.join(folder);
            let found = fs::metadata(&path).map(|found| found.dev());
            found.map_err(|e| failed(format!("looking at {}", path.display()), e))
        };
        if device(a)? == device(b)? {
            return Ok(());
        }
        let text = format!("{a} and {b} lie on two file systems; put both on one");
        let source = io::Error::new(ErrorKind::CrossesDevices, text);
        Err(failed(
            format!("opening the store in {}", self.root.display()),
            source,
        ))
    }

    fn safe(&self) -> MutexGuard<'_, HashSet<String>> {
        self.safe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As `create_dir_all`, and each new name is safe.
fn make_all(path: &Path) -> io::Result<()> {
    let above = match path.parent() {
        None => return Ok(()),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    if path.is_dir() {
        // Perhaps made by a process that was cut off before it synced. A parent that may not be
        // read is none that it could have made the folder in.
        let Ok(above) = File::open(above) else {
            return Ok(());
        };
        return above.sync_all();
    }
    make_all(above)?;
    match fs::create_dir(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    File::open(above)?.sync_all()
}
