//! Bytes that can be read again from any point: what an upload needs to survive a broken connection.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::io::AsyncSeekExt;
use tokio_util::io::ReaderStream;

use crate::{Error, Result};

/// Bytes as they come. An error ends it.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// How much is read from a file at once: enough to keep the system calls cheap, small beside the
/// memory that a transfer may take.
const FILE_CHUNK: usize = 256 * 1024;

/// Bytes that can be opened more than once, at any offset.
#[async_trait]
pub trait BlobSource: Send + Sync {
    /// The bytes from `offset` to the end.
    ///
    /// # Errors
    /// What keeps the source from being read.
    async fn open(&self, offset: u64) -> Result<ByteStream>;
}

#[async_trait]
impl BlobSource for Bytes {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        Ok(stream::iter([Ok(self.slice(start..))]).boxed())
    }
}

/// The bytes of a file.
#[derive(Clone, Debug)]
pub struct FileSource(PathBuf);

impl FileSource {
    /// The file at `path`; it is opened when its bytes are asked for.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

#[async_trait]
impl BlobSource for FileSource {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let path = self.0.clone();
        let failed = |error| Error::io(&path, error);
        let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
        }
        let stream = ReaderStream::with_capacity(file, FILE_CHUNK);
        Ok(stream.map_err(move |error| Error::io(&path, error)).boxed())
    }
}
