//! The lock of a layout's list: held by one process at a time, free again when it dies.

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
    let failed = |error| Error::io(path, error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(path).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
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
