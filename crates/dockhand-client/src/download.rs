//! A blob into a file: verified before the file has its name, and going on where it stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockhand_oci::Descriptor;
use futures_util::StreamExt;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

use crate::store::{Store, StoreBlob};
use crate::verify::Verifier;
use crate::{BlobSource, Error, Event, Moved, Observer, Result};

/// How much is read back or written at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Downloads `blob` to `path`. While it is on its way, its bytes are in `path` with `.part` at the end;
/// when that is there already, from a run that was cut off, only the rest is fetched. The file appears
/// under its name only when all of it is what the digest says.
///
/// # Errors
/// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) when the content is another; then
/// nothing is left. [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written; what was
/// written stays for the next time.
pub async fn download(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    path: &Path,
    observer: &dyn Observer,
) -> Result<()> {
    observer.event(&Event::Started(blob.clone()));
    let part = part_of(path);
    let kept = resume(&part, blob).await?;
    let wrong = match fetch(store, blob, &part, kept, observer).await {
        Err(error) if is_wrong(&error) => error,
        other => {
            other?;
            return finish(&part, path, blob, observer).await;
        }
    };
    // What an earlier run left may be from another time; the whole is tried once.
    fs::remove_file(&part)
        .await
        .map_err(|error| Error::io(&part, error))?;
    let had_part = Verifier::new(blob);
    match fetch(store, blob, &part, had_part, observer).await {
        Ok(()) => finish(&part, path, blob, observer).await,
        Err(error) if is_wrong(&error) => {
            fs::remove_file(&part).await.ok();
            Err(wrong)
        }
        Err(error) => Err(error),
    }
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

/// Hashes what an earlier run left of it.
async fn resume(part: &Path, blob: &Descriptor) -> Result<Verifier> {
    let failed = |error| Error::io(part, error);
    let mut verifier = Verifier::new(blob);
    let mut file = match File::open(part).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(verifier),
        Err(error) => return Err(failed(error)),
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).await.map_err(failed)?;
        if read == 0 {
            return Ok(verifier);
        }
        if verifier.update(&chunk[..read]).is_err() {
            // Longer than the blob: it is something else.
            fs::remove_file(part).await.map_err(failed)?;
            return Ok(Verifier::new(blob));
        }
    }
}

/// Fetches what is missing behind what `verifier` has seen.
async fn fetch(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    part: &Path,
    mut verifier: Verifier,
    observer: &dyn Observer,
) -> Result<()> {
    let failed = |error| Error::io(part, error);
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
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(part)
        .await
        .map_err(failed)?;
    let mut file = BufWriter::with_capacity(CHUNK, file);
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
    file.get_ref().sync_all().await.map_err(failed)?;
    verifier.finish()
}

async fn finish(
    part: &Path,
    path: &Path,
    blob: &Descriptor,
    observer: &dyn Observer,
) -> Result<()> {
    fs::rename(part, path)
        .await
        .map_err(|error| Error::io(path, error))?;
    observer.event(&Event::Done(blob.clone(), Moved::Sent));
    Ok(())
}
