//! The locks of a layout: free again when the process that holds them dies.
//!
//! One is of the list, and held by one writer at a time. The other is of the folder of blobs: who writes
//! shares it with other writers, and who takes blobs away has it alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, ErrorKind, Result};

/// How long to wait for whoever holds it: writing the list takes milliseconds, on a slow network disk
/// perhaps seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for the lock file `path` and holds it as long as the value lives.
pub(super) fn take(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(path).map_err(|error| Error::io(path, error))?;
    wait(file, path, File::try_lock)
}

/// Shares the folder `path` with other writers. Nothing where the file system has no locks of folders.
pub(super) fn share(path: &Path) -> Result<Option<File>> {
    let folder = File::open(path).map_err(|error| Error::io(path, error))?;
    match wait(folder, path, File::try_lock_shared) {
        Ok(held) => Ok(Some(held)),
        Err(error) if error.kind() == ErrorKind::Conflict => Err(error),
        Err(_) => Ok(None),
    }
}

/// Has the folder `path` alone, or says that somebody writes to it.
pub(super) fn have(path: &Path) -> Result<File> {
    let failed = |error| Error::io(path, error);
    let folder = File::open(path).map_err(failed)?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::Error(error)) => Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another process writes to {}", path.display());
            let error = Error::new(ErrorKind::Conflict, message);
            Err(error.with_hint("try again when it is done"))
        }
    }
}

fn wait(
    file: File,
    path: &Path,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<File> {
    let failed = |error| Error::io(path, error);
    let begun = Instant::now();
    loop {
        match try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another process has held {} for more than {} s",
                    path.display(),
                    PATIENCE.as_secs()
                );
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
    }
}
