//! Archives that are read: an OCI layout in a tar file, or what `docker save` writes.
//!
//! Nothing is unpacked: the entries are found once, and content is read where it lies in the file. What
//! is compressed, or comes through a pipe, is first written out flat to a file without a name.

mod sink;
mod spool;
mod tarball;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::Digest;
use futures_util::stream::{self, StreamExt};

use super::catalogue::Catalogue;
use super::layout::{INDEX, INDEX_MAX, MARK, check_version};
use super::shelf::Shelf;
use super::staged::blocking;
use super::{MANIFEST_MAX, docker};
use crate::{ByteStream, Error, ErrorKind, Result};

pub(super) use tarball::{Slice, Tarball};
pub use writer::ArchiveWriter;

/// How much is read at once.
const CHUNK: u64 = 256 * 1024;

/// An archive of images, whichever form it has.
#[derive(Debug)]
pub struct Archive {
    label: String,
    file: Arc<File>,
    catalogue: Arc<Catalogue>,
    content: HashMap<Digest, Piece>,
}

/// Where the content of a digest is.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// In the file.
    Slice(Slice),
    /// In memory: it was made here.
    Made(Bytes),
}

impl Piece {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Slice(slice) => slice.size,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

/// What an archive has, by its form.
pub(super) struct Found {
    pub(super) catalogue: Catalogue,
    pub(super) content: HashMap<Digest, Piece>,
}

impl Archive {
    /// The archive in the file `path`, of any form that is known, plain or compressed by gzip or zstd.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no file, [`ErrorKind::Unsafe`] when an entry of it would be
    /// outside of it, [`ErrorKind::Protocol`] when it is no archive of images.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        blocking(move || {
            let label = path.display().to_string();
            let file = spool::open(&path)?;
            Self::read(file, label)
        })
        .await
    }

    /// The archive that comes through standard input, all of which is read before this returns.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn from_stdin() -> Result<Self> {
        blocking(|| {
            let label = "standard input".to_owned();
            let file = spool::stdin()?;
            Self::read(file, label)
        })
        .await
    }

    fn read(file: File, label: String) -> Result<Self> {
        let tarball = Tarball::scan(file, label)?;
        let (found, form) = if tarball.has(INDEX) {
            (layout(&tarball)?, "oci-archive")
        } else if tarball.has(docker::MANIFEST) {
            (docker::read(&tarball)?, "docker-archive")
        } else {
            return Err(docker::unknown_form(&tarball));
        };
        Ok(Self {
            label: format!("{form}:{}", tarball.label),
            file: tarball.file,
            catalogue: Arc::new(found.catalogue),
            content: found.content,
        })
    }
}

/// What a layout in a tar file has.
fn layout(tarball: &Tarball) -> Result<Found> {
    // `docker save` writes links for layers that images have in common; in a layout nothing needs them.
    if !tarball.has(docker::MANIFEST) {
        tarball.refuse_links()?;
    }
    if tarball.has(MARK) {
        check_version(&tarball.bytes(MARK, MANIFEST_MAX)?, &tarball.label)?;
    }
    let catalogue = Catalogue::parse(&tarball.bytes(INDEX, INDEX_MAX)?, &tarball.label)?;
    let mut content = HashMap::new();
    for (name, slice) in tarball.files() {
        let Some((algorithm, hex)) =
            { name.strip_prefix("blobs/") }.and_then(|x| x.split_once('/'))
        else {
            continue;
        };
        if let Ok(digest) = format!("{algorithm}:{hex}").parse() {
            content.insert(digest, Piece::Slice(slice));
        }
    }
    Ok(Found { catalogue, content })
}

#[async_trait]
impl Shelf for Archive {
    fn label(&self) -> String {
        self.label.clone()
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>> {
        Ok(Arc::clone(&self.catalogue))
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.content.get(digest).map(Piece::size))
    }

    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>> {
        Ok(match self.content.get(digest) {
            None => None,
            Some(Piece::Made(bytes)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.slice(start.min(bytes.len())..);
                Some(stream::iter([Ok(rest)]).boxed())
            }
            Some(Piece::Slice(slice)) => {
                let label = self.label.clone();
                Some(stream_slice(
                    Arc::clone(&self.file),
                    slice.from(offset),
                    label,
                ))
            }
        })
    }
}

/// The bytes of a part of a file, read as they are asked for.
fn stream_slice(file: Arc<File>, slice: Slice, label: String) -> ByteStream {
    let state = Some((file, slice, label));
    let chunks = stream::unfold(state, |state| async move {
        let (file, slice, label) = state?;
        if slice.size == 0 {
            return None;
        }
        let chunk = Slice {
            at: slice.at,
            size: slice.size.min(CHUNK),
        };
        let (reading, name) = (Arc::clone(&file), label.clone());
        match blocking(move || chunk.read(&reading, &name)).await {
            Ok(bytes) => Some((Ok(bytes), Some((file, slice.from(chunk.size), label)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    chunks.boxed()
}

/// A failure to make sense of an archive.
pub(super) fn malformed(label: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Protocol, format!("{label}: {what}"))
}
