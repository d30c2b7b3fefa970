//! Bytes on their way into a file: hashed and written off the async threads, visible when proved.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dockhand_oci::Descriptor;
use futures_util::StreamExt;
use tempfile::NamedTempFile;

use crate::verify::Verifier;
use crate::{ByteStream, Error, ErrorKind, Result};

/// How much is hashed and written by one task: enough to make the change of threads cheap, and small
/// beside the memory that a copy over many lanes may take.
const BATCH: usize = 256 * 1024;
/// Names of files that are being written begin so.
pub(super) const STAGED: &str = ".dockhand-";

/// Runs what reads or writes files where it may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        let message = "a task that reads or writes files broke off";
        Err(Error::new(ErrorKind::Io, message).with_source(error))
    })
}

/// What verified bytes are written to.
pub(super) trait Sink: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Writes `bytes`, which must be `blob`, to `sink`, and gives it back when they were.
pub(super) async fn drain<S: Sink>(sink: S, blob: &Descriptor, mut bytes: ByteStream) -> Result<S> {
    let mut state = (sink, Verifier::new(blob));
    let mut batch: Vec<Bytes> = Vec::new();
    let mut held = 0;
    loop {
        let chunk = bytes.next().await.transpose()?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            held += chunk.len();
            batch.push(chunk);
        }
        if held >= BATCH || (ended && held > 0) {
            let full = std::mem::take(&mut batch);
            held = 0;
            state = blocking(move || {
                let (mut sink, mut verifier) = state;
                for chunk in full {
                    verifier.update(&chunk)?;
                    sink.write(&chunk)?;
                }
                Ok((sink, verifier))
            })
            .await?;
        }
        if ended {
            let (sink, verifier) = state;
            verifier.finish()?;
            return Ok(sink);
        }
    }
}

/// A new file under a name that nobody looks for; gone when it is dropped.
struct Staged {
    file: NamedTempFile,
    to: PathBuf,
}

impl Staged {
    fn new(folder: &Path, to: PathBuf) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        // As any other file: the mask of the process takes away what it should.
        builder
            .prefix(STAGED)
            .permissions(Permissions::from_mode(0o666));
        let file = builder.tempfile_in(folder);
        let file = file.map_err(|error| Error::io(folder, error))?;
        Ok(Self { file, to })
    }

    /// Makes the file durable, then visible.
    fn land(self) -> Result<()> {
        let failed = |error| Error::io(&self.to, error);
        self.file.as_file().sync_all().map_err(failed)?;
        let to = self.to.clone();
        let file = self.file.persist(&to);
        file.map_err(|error| Error::io(&to, error.error))?;
        sync_folder(&to)
    }
}

impl Sink for Staged {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| Error::io(&self.to, error))
    }
}

/// Writes `bytes`, which must be `blob`, to the file `to`. They are staged in `folder`, of the same file
/// system.
pub(super) async fn write_verified(
    folder: &Path,
    to: PathBuf,
    blob: &Descriptor,
    bytes: ByteStream,
) -> Result<()> {
    let folder = folder.to_owned();
    let staged = blocking(move || {
        create_parent(&to)?;
        Staged::new(&folder, to)
    })
    .await?;
    let staged = drain(staged, blob, bytes).await?;
    blocking(move || staged.land()).await
}

/// Replaces the file `to` by these bytes, at once. It waits, so call it where that is fine.
pub(super) fn replace(to: &Path, bytes: &[u8]) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let mut staged = Staged::new(folder, to.to_owned())?;
    staged.write(bytes)?;
    staged.land()
}

/// Makes the folder of `path`, and those above it.
pub(super) fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
            sync_folder(parent)
        }
        _ => Ok(()),
    }
}

/// Makes the name of `path` durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::io(folder, error))
}

/// A file's size; `None` when nothing is there.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when it is no file but a link or device, which may lead anywhere.
pub(super) fn plain_size(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => {
            let message = format!("{} is no plain file", path.display());
            Err(Error::new(ErrorKind::Unsafe, message))
        }
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(Error::io(path, error)),
    }
}

/// Whether there is nothing under a name.
fn absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Reads a file of at most `max` bytes; `None` when nothing is there.
pub(super) fn read_plain(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    match plain_size(path)? {
        None => Ok(None),
        Some(size) if size > max => {
            let message = format!(
                "{} has {size} bytes, more than the {max} that are read into memory",
                path.display()
            );
            Err(Error::new(ErrorKind::SizeMismatch, message))
        }
        Some(_) => match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(Error::io(path, error)),
        },
    }
}
