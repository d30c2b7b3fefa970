//! All layers of an image made into one.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Algorithm, Descriptor, Digest, Hasher};
use tempfile::{NamedTempFile, TempPath};
use tokio::task;

use super::draft::{DraftLayer, raw};
use super::rebase::{BASE_DIGEST, BASE_NAME};
use super::{Draft, Edit};
use crate::filesystem::{Limits, Sink, TarSink, walk};
use crate::image::History;
use crate::layers::{Compression, Member};
use crate::{BlobSource, ByteStream, Error, ErrorKind, FileSource, Result};

/// Makes one layer of all: what the layers together show, without what upper layers replaced or deleted.
/// The same layers give the same layer. It is written to a temporary file first, because its digest must
/// be known before it can be sent.
#[derive(Clone, Copy, Debug)]
pub struct Flatten {
    /// What the layer is compressed by.
    pub compression: Compression,
    /// How much may come.
    pub limits: Limits,
}

impl Default for Flatten {
    fn default() -> Self {
        Self {
            compression: Compression::Gzip,
            limits: Limits::default(),
        }
    }
}

#[async_trait]
impl Edit for Flatten {
    async fn apply(&self, draft: &mut Draft) -> Result<()> {
        let media_type = draft.layer_type(self.compression)?;
        let layers = draft.layers()?;
        let read = |layer: &DraftLayer| {
            serde_json::from_str::<Descriptor>(layer.descriptor.get())
                .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))
        };
        let layers: Vec<Descriptor> = layers.iter().map(read).collect::<Result<_>>()?;
        let sink = FlatSink::new(self.compression)?;
        let store = Arc::clone(&draft.store);
        let sink = walk(&*store, &layers, self.limits, sink).await?;
        let flat = task::spawn_blocking(|| sink.end()).await;
        let flat = flat.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))??;
        let step = History {
            created: draft.config.get("created")?,
            created_by: Some("dockhand flatten".to_owned()),
            ..History::default()
        };
        let layer = DraftLayer {
            descriptor: raw(&Descriptor::new(media_type, flat.digest, flat.size))?,
            diff_id: flat.diff_id.to_string(),
        };
        draft.set_layers(&[layer], Some(&[raw(&step)?]))?;
        draft.bring(flat.digest, Arc::new(Spooled(flat.file)), None);
        // What it was built on cannot be told from it any more.
        draft.manifest.within("annotations", |annotations| {
            annotations.remove(BASE_NAME);
            annotations.remove(BASE_DIGEST);
            Ok(())
        })
    }
}

/// A tar file in a temporary file, which goes when nobody needs it.
pub(crate) struct Spooled(pub(crate) TempPath);

#[async_trait]
impl BlobSource for Spooled {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        FileSource::new(&self.0).open(offset).await
    }
}

pub(crate) struct Flat {
    pub(crate) file: TempPath,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// The digest of the tar file without its compression.
    pub(crate) diff_id: Digest,
}

/// Compresses and hashes what it gets into a file.
pub(crate) struct FlatSink {
    path: TempPath,
    tar: TarSink<Hashing<Encoder>>,
}

type Raw = Hashing<BufWriter<File>>;

/// Not boxed, because it must be taken apart at the end.
enum Encoder {
    None(Raw),
    Gzip(flate2::write::GzEncoder<Raw>),
    Zstd(zstd::stream::write::Encoder<'static, Raw>),
}

impl FlatSink {
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        let (file, path) = NamedTempFile::new().map_err(not_spooled)?.into_parts();
        let raw = Hashing::new(BufWriter::with_capacity(256 * 1024, file));
        let encoder = match compression {
            Compression::None => Encoder::None(raw),
            Compression::Gzip => {
                let level = flate2::Compression::default();
                Encoder::Gzip(flate2::write::GzEncoder::new(raw, level))
            }
            Compression::Zstd => {
                let encoder =
                    zstd::stream::write::Encoder::new(raw, zstd::DEFAULT_COMPRESSION_LEVEL);
                Encoder::Zstd(encoder.map_err(not_spooled)?)
            }
        };
        Ok(Self {
            path,
            tar: TarSink::new(Hashing::new(encoder)),
        })
    }

    pub(crate) fn end(self) -> Result<Flat> {
        let (plain, _) = self.tar.end()?;
        let raw = match plain.inner {
            Encoder::None(raw) => Ok(raw),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        };
        let mut raw = raw.map_err(not_spooled)?;
        raw.flush().map_err(not_spooled)?;
        Ok(Flat {
            file: self.path,
            size: raw.hasher.length(),
            digest: raw.hasher.finish(),
            diff_id: plain.hasher.finish(),
        })
    }
}

impl Sink for FlatSink {
    fn put(&mut self, member: &Member, content: &mut dyn Read) -> Result<()> {
        self.tar.put(member, content)
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(raw) => raw.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(raw) => raw.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Hashes what is written.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(Algorithm::Sha256),
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn not_spooled(error: io::Error) -> Error {
    let message = format!("the layer cannot be written to a temporary file: {error}");
    Error::new(ErrorKind::Io, message)
        .with_source(error)
        .with_hint("TMPDIR names the folder for temporary files")
}
