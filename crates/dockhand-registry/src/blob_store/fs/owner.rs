//! The lock that keeps a second process out of the folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::failed;
use crate::blob_store::StoreError;
use crate::layout::LOCK;

/// Longest text of a lock file that is looked at: a process number has ten digits at most.
const TEXT_MAX: u64 = 32;

/// Holds the folder until it is dropped or the process ends, however it ends.
pub(super) struct Owner {
    _lock: File,
}

impl Owner {
    /// Takes the folder, or says who has it.
    pub(super) fn take(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(LOCK);
        let doing = || format!("taking the lock {}", path.display());
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| failed(doing(), e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(failed(doing(), e)),
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "{} holds the folder; stop it first, or use another folder",
                    holder(&mut lock)
                );
                return Err(failed(
                    doing(),
                    io::Error::new(io::ErrorKind::WouldBlock, text),
                ));
            }
        }
        sign(&mut lock).map_err(|e| failed(doing(), e))?;
        Ok(Self { _lock: lock })
    }
}

/// Writes who we are, for whoever is refused. Only read by people, so it need not be durable.
fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.take(TEXT_MAX).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}
