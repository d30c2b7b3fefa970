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
    /// None when the folder is only read, and has never been held.
    _lock: Option<File>,
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
        let locked = lock.try_lock();
        held(locked, &mut lock).map_err(|e| failed(doing(), e))?;
        sign(&mut lock).map_err(|e| failed(doing(), e))?;
        Ok(Self { _lock: Some(lock) })
    }

    /// Shares the folder with others that only read, or says who writes. The lock file is not written,
    /// nor made: where there is none, nobody can hold it.
    pub(super) fn share(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(LOCK);
        let doing = || format!("sharing the lock {}", path.display());
        let mut lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self { _lock: None }),
            Err(e) => return Err(failed(doing(), e)),
        };
        let locked = lock.try_lock_shared();
        held(locked, &mut lock).map_err(|e| failed(doing(), e))?;
        Ok(Self { _lock: Some(lock) })
    }
}

/// Whether a lock was taken; otherwise who has it.
fn held(locked: Result<(), TryLockError>, lock: &mut File) -> io::Result<()> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(e)) => Err(e),
        Err(TryLockError::WouldBlock) => {
            let text = format!(
                "{} holds the folder; stop it first, or use another folder",
                holder(lock)
            );
            Err(io::Error::new(io::ErrorKind::WouldBlock, text))
        }
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
