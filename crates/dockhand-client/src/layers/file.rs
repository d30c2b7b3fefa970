//! A tar file on disk that is to become a layer.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dockhand_oci::{Algorithm, Digest, Hasher};
use tokio::task;

use super::{Compression, decompress, each_member, unreadable};
use crate::filesystem::Limits;
use crate::{Error, ErrorKind, Result};

/// A tar file that can be a layer as it is, with what a manifest and a config say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFile {
    /// Where it is. It must stay as it is until it was written somewhere.
    pub path: PathBuf,
    /// How it is compressed.
    pub compression: Compression,
    /// The digest of the file.
    pub digest: Digest,
    /// How many bytes the file has.
    pub size: u64,
    /// The digest of the tar file without its compression.
    pub diff_id: Digest,
}

impl LayerFile {
    /// Looks at a file: both of its digests, and whether it is a tar file to its end.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is none, [`ErrorKind::Unsafe`] when a path in it has `..`.
    pub async fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let doing = format!("take {} as a layer", path.display());
        let read = task::spawn_blocking(move || Self::read_here(path)).await;
        let read = read.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
        read.map_err(|error| error.doing(doing))
    }

    fn read_here(path: PathBuf) -> Result<Self> {
        let failed = |error| Error::io(&path, error);
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let message = format!("{} is a folder", path.display());
            return Err(Error::new(ErrorKind::Invalid, message).with_hint("make a tar file of it"));
        }
        let (raw, raw_hash) = Hashed::new(io::BufReader::with_capacity(256 * 1024, file));
        let (compression, plain) = decompress(raw)?;
        let (mut plain, plain_hash) = Hashed::new(plain);
        let tar = each_member(&mut plain, &Limits::default(), |_, _| Ok(()));
        let rest = tar.and_then(|()| io::copy(&mut plain, &mut io::sink()).map_err(unreadable));
        rest.map_err(|error| match error.kind() {
            ErrorKind::Protocol => {
                let message = format!("{} is no tar file: {error}", path.display());
                Error::new(ErrorKind::Invalid, message)
            }
            _ => error,
        })?;
        drop(plain);
        let (hasher, plain_hasher) = (finished(&raw_hash), finished(&plain_hash));
        if hasher.length() == 0 || hasher.length() != metadata.len() {
            let message = match hasher.length() {
                0 => format!("{} is empty", path.display()),
                _ => format!("{} goes on after its end", path.display()),
            };
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self {
            path,
            compression,
            size: hasher.length(),
            digest: hasher.finish(),
            diff_id: plain_hasher.finish(),
        })
    }
}

type Shared = std::sync::Arc<std::sync::Mutex<Hasher>>;

fn finished(hasher: &Shared) -> Hasher {
    let guard = hasher
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    guard.clone()
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hasher: Shared,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R) -> (Self, Shared) {
        let hasher = Shared::new(Hasher::new(Algorithm::Sha256).into());
        let shared = Shared::clone(&hasher);
        (Self { inner, hasher }, shared)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut hasher = self
            .hasher
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        hasher.update(&buffer[..read]);
        Ok(read)
    }
}
