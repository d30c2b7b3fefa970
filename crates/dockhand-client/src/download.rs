//! A blob into a file: verified before the file has its name, and going on where it stopped.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockhand_oci::Descriptor;
use futures_util::StreamExt;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

use crate::store::{Store, StoreBlob};
use crate::verify::Verifier;
use crate::{BlobSource, Error, ErrorKind, Event, Moved, Observer, Result};

/// How much is read back or written at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// How often a file that loses its name while it is opened is looked for again.
const LOOKS_MAX: usize = 8;

/// Downloads `blob` to `path`. While it is on its way, its bytes are in `path` with `.part` at the end;
/// when that is there already, from a run that was cut off, only the rest is fetched. The file appears
/// under its name only when all of it is what the digest says.
///
/// # Errors
/// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) when the content is another; then
/// nothing is left. [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written; what was
/// written stays for the next time. [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when another
/// download to the same path is at work.
pub async fn download(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    path: &Path,
    observer: &dyn Observer,
) -> Result<()> {
    observer.event(&Event::Started(blob.clone()));
    if is_special(path).await {
        return pour(store, blob, path, observer).await;
    }
    let mut part = Part::open(path).await?;
    let kept = part.resume(blob).await?;
    let wrong = match part.fetch(store, blob, kept, observer).await {
        Ok(()) => return part.finish(path, blob, observer).await,
        Err(error) if is_wrong(&error) => error,
        Err(error) => return Err(part.kept(error).await),
    };
    // What an earlier run left may be from another time; the whole is tried once.
    part.empty().await?;
    match part.fetch(store, blob, Verifier::new(blob), observer).await {
        Ok(()) => part.finish(path, blob, observer).await,
        Err(error) if is_wrong(&error) => {
            part.remove().await;
            Err(wrong)
        }
        Err(error) => Err(part.kept(error).await),
    }
}

/// Whether there is a pipe or a device, in whose place no file is put.
async fn is_special(path: &Path) -> bool {
    let there = fs::metadata(path).await;
    there.is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Downloads `blob` into a pipe or a device, which has it before it is verified.
async fn pour(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    path: &Path,
    observer: &dyn Observer,
) -> Result<()> {
    let opened = fs::OpenOptions::new().write(true).open(path).await;
    let mut special = Part {
        file: opened.map_err(|error| Error::io(path, error))?,
        path: path.to_owned(),
    };
    let nothing = Verifier::new(blob);
    special.fetch(store, blob, nothing, observer).await?;
    observer.event(&Event::Done(blob.clone(), Moved::Sent));
    Ok(())
}

fn is_wrong(error: &Error) -> bool {
    use crate::ErrorKind::{DigestMismatch, SizeMismatch};
    matches!(error.kind(), DigestMismatch | SizeMismatch)
}

/// `path` with `.part` at the end.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The file of what has come so far, held against others that download the same.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    async fn open(path: &Path) -> Result<Self> {
        let path = part_of(path);
        let named = path.clone();
        let opened = tokio::task::spawn_blocking(move || open_locked(&named)).await;
        let opened = opened.map_err(|error| {
            let message = "the opening of the file was cut off";
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        let file = File::from_std(opened?);
        Ok(Self { path, file })
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(&self.path, error)
    }

    /// Hashes what an earlier run left of it.
    async fn resume(&mut self, blob: &Descriptor) -> Result<Verifier> {
        let mut verifier = Verifier::new(blob);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = self.file.read(&mut chunk).await;
            let read = read.map_err(|error| self.failed(error))?;
            if read == 0 {
                return Ok(verifier);
            }
            if verifier.update(&chunk[..read]).is_err() {
                // Longer than the blob: it is something else.
                self.empty().await?;
                return Ok(Verifier::new(blob));
            }
        }
    }

    async fn empty(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).await;
        emptied.map_err(|error| self.failed(error))
    }

    async fn remove(self) {
        fs::remove_file(&self.path).await.ok();
    }

    /// Stays for the next time, if there is anything in it.
    async fn kept(self, error: Error) -> Error {
        if self.file.metadata().await.is_ok_and(|data| data.len() == 0) {
            self.remove().await;
        }
        error
    }

    /// Fetches what is missing behind what `verifier` has seen.
    async fn fetch(
        &mut self,
        store: &Arc<dyn Store>,
        blob: &Descriptor,
        mut verifier: Verifier,
        observer: &dyn Observer,
    ) -> Result<()> {
        let source: Arc<dyn BlobSource> = match store.wide_source(blob) {
            Some(wide) => wide,
            None => Arc::new(StoreBlob {
                store: Arc::clone(store),
                blob: blob.clone(),
            }),
        };
        let told = |bytes: u64| {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            observer.event(&Event::Progress(blob.digest, bytes));
        };
        told(verifier.seen());
        let failed = |error| Error::io(&self.path, error);
        let mut file = BufWriter::with_capacity(CHUNK, &mut self.file);
        let mut stream = source.open(verifier.seen()).await?;
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    file.flush().await.map_err(failed)?;
                    return Err(error);
                }
            };
            verifier.update(&chunk)?;
            file.write_all(&chunk).await.map_err(failed)?;
            told(chunk.len() as u64);
        }
        file.flush().await.map_err(failed)?;
        verifier.finish()
    }

    async fn finish(self, path: &Path, blob: &Descriptor, observer: &dyn Observer) -> Result<()> {
        let synced = self.file.sync_all().await;
        synced.map_err(|error| self.failed(error))?;
        let renamed = fs::rename(&self.path, path).await;
        renamed.map_err(|error| Error::io(path, error))?;
        observer.event(&Event::Done(blob.clone(), Moved::Sent));
        Ok(())
    }
}

/// Opens the file for reading and appending, and keeps others from doing so.
fn open_locked(path: &Path) -> Result<std::fs::File> {
    let failed = |error| Error::io(path, error);
    let mut options = std::fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    for _ in 0..LOOKS_MAX {
        let file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(file),
            // Whoever had it has finished meanwhile, and taken its name away.
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => break,
        }
    }
    let message = format!("{} is written by another download", path.display());
    let error = Error::new(ErrorKind::Conflict, message);
    Err(error.with_hint("wait for it, or choose another path"))
}

/// Whether `path` still names this file.
#[cfg(unix)]
fn is_at(file: &std::fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let same = |one: std::fs::Metadata, other: std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    match (file.metadata(), path.metadata()) {
        (Ok(one), Ok(other)) => same(one, other),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &std::fs::File, _: &Path) -> bool {
    true
}
