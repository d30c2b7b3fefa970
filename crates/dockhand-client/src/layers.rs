//! Reads layers: whatever they are compressed by, verified, on a thread that may block.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/layer.md>. The first bytes say how a
//! layer is compressed; its media type is not asked, because many are wrong.

mod file;
mod member;
mod pipe;

use std::io::{self, Cursor, Read};

use dockhand_oci::Descriptor;
use tokio::sync::mpsc;
use tokio::task;

pub use file::LayerFile;
pub(crate) use member::{Kind, Member, each_member, too_much};
pub(crate) use pipe::{PipeReader, PipeWriter, pipe_into};

use crate::store::{Store, read_verified};
use crate::{Error, ErrorKind, Result};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// How many bytes tell the compressions apart.
const MAGIC: usize = 6;

impl Compression {
    /// How what begins with these bytes is compressed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when by something that no layer may be compressed by.
    pub fn of(first: &[u8]) -> Result<Self> {
        let foreign = match first {
            [0x1f, 0x8b, ..] => return Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Self::Zstd),
            // A frame to skip, which estargz's kin put in front: https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.2
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
            [b'B', b'Z', b'h', ..] => "bzip2",
            [b'P', b'K', 3, 4, ..] => "zip",
            _ => return Ok(Self::None),
        };
        let message = format!("it is compressed by {foreign}, which layers cannot be");
        Err(Error::new(ErrorKind::Unsupported, message)
            .with_hint("compress the tar file by gzip or zstd, or not at all"))
    }
}

/// The bytes of `reader` without their compression.
pub(crate) fn decompress<R: Read + Send + 'static>(
    mut reader: R,
) -> Result<(Compression, Box<dyn Read + Send>)> {
    let mut first = Vec::with_capacity(MAGIC);
    { &mut reader }
        .take(MAGIC as u64)
        .read_to_end(&mut first)
        .map_err(unreadable)?;
    let compression = Compression::of(&first)?;
    let whole = Cursor::new(first).chain(reader);
    let plain: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole).map_err(unreadable)?),
    };
    Ok((compression, plain))
}

/// What keeps a layer from being read.
pub(crate) fn unreadable(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::QuotaExceeded => ErrorKind::Unsafe,
        _ => ErrorKind::Protocol,
    };
    Error::new(kind, format!("the layer cannot be read: {error}")).with_source(error)
}

/// Runs `work` over the plain bytes of a layer, on a thread of its own. What it returns counts only when
/// all bytes of the blob turned out to be what the digest says; also when it did not read them all.
/// When this future is dropped, `work` finds its reader broken.
pub(crate) async fn with_layer<T, F>(store: &dyn Store, layer: &Descriptor, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Read) -> Result<T> + Send + 'static,
{
    let doing = || format!("read the layer {} of {}", layer.digest, store.name());
    let stream = read_verified(store, layer)
        .await
        .map_err(|error| error.doing(doing()))?;
    let (sender, receiver) = mpsc::channel(pipe::CHUNKS);
    let job = task::spawn_blocking(move || {
        let (_, mut plain) = decompress(PipeReader::new(receiver))?;
        work(&mut plain)
    });
    // The job ends in either case, and is waited for: what it writes must not come after the failure.
    let (pumped, done) = futures_util::future::join(pipe::pump(stream, sender), job).await;
    let done = done.map_err(|error| Error::new(ErrorKind::Io, format!("a task ended: {error}")))?;
    match (pumped, done) {
        (Err(error), _) | (Ok(()), Err(error)) => Err(error.doing(doing())),
        (Ok(()), Ok(done)) => Ok(done),
    }
}
