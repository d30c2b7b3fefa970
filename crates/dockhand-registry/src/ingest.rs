//! Bytes on their way in: hashed and written while they come, never read again.

use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::{ErrorCode, Hasher};
use futures_util::stream::{BoxStream, StreamExt};
use tokio::task::JoinHandle;

use crate::blob_store::StageWriter;
use crate::error::{Answer, Error};

/// What a client sends, as it comes.
pub type Body = BoxStream<'static, Result<Bytes, BodyError>>;

/// Why a body did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection was cut.
    #[error("the connection was cut before the body was whole")]
    Disconnected,
    /// Too little came for too long.
    #[error("less than 1 KiB of the body came within {0:?}")]
    TimedOut(Duration),
    /// It is larger than its kind may be.
    #[error("the body is larger than the {limit} bytes that are taken here")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// It is not well-formed on the wire.
    #[error("the body is malformed: {0}")]
    Malformed(String),
}

impl BodyError {
    pub(crate) const fn answer(&self) -> Answer {
        let (code, status) = match self {
            Self::Disconnected | Self::Malformed(_) => (ErrorCode::BlobUploadInvalid, 400),
            Self::TimedOut(_) => (ErrorCode::BlobUploadInvalid, 408),
            Self::TooLarge { .. } => (ErrorCode::SizeInvalid, 413),
        };
        Answer {
            code,
            status,
            retry_after: None,
        }
    }
}

/// How much is gathered before it is hashed and written in one go: large enough that the hop to
/// another thread (some 20 µs) is nothing beside the hash (180 µs), small enough that three of them
/// in flight per upload stay under a MiB.
const BATCH: usize = 256 * 1024;

/// How many pieces a batch has at most, so that a client which sends single bytes does not make us
/// keep a quarter of a million of them.
const CHUNKS: usize = 1024;

/// What is hashed where it is, because a hop to another thread would cost as much.
const INLINE: usize = 32 * 1024;

/// Streams `body` through the hash into the stage, until it ends, or `limit` bytes are in.
///
/// Reading, hashing and writing overlap. Whatever the outcome, all that was taken from the body has
/// gone both into the hash and to the writer, so that the two agree.
pub(crate) async fn ingest(
    body: &mut Body,
    writer: &mut dyn StageWriter,
    hash: Hasher,
    limit: u64,
) -> (Option<Hasher>, Result<(), Error>) {
    let mut hashing = Hashing::Here(Box::new(hash));
    let mut outcome = Ok(());
    let mut open = true;
    while open && outcome.is_ok() {
        let (batch, ended) = gather(body).await;
        match ended {
            Some(Ok(())) => open = false,
            Some(Err(error)) => outcome = Err(error.into()),
            None => {}
        }
        if batch.is_empty() {
            continue;
        }
        let hash = match hashing.wait().await {
            Ok(hash) => hash,
            Err(error) => return (None, Err(error)),
        };
        let size: usize = batch.iter().map(Bytes::len).sum();
        if hash.length() + size as u64 > limit {
            return (Some(*hash), Err(Error::BlobTooLarge { limit }));
        }
        hashing = Hashing::start(hash, batch.clone(), size);
        if let Err(error) = writer.write(batch).await {
            return (None, Err(error.into()));
        }
    }
    match hashing.wait().await {
        Ok(hash) => (Some(*hash), outcome),
        Err(error) => (None, Err(error)),
    }
}

/// Takes from the body until a batch is full; the second value says that the body is over.
async fn gather(body: &mut Body) -> (Vec<Bytes>, Option<Result<(), BodyError>>) {
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH && batch.len() < CHUNKS {
        match body.next().await {
            Some(Ok(chunk)) if chunk.is_empty() => {}
            Some(Ok(chunk)) => {
                size += chunk.len();
                batch.push(chunk);
            }
            Some(Err(error)) => return (batch, Some(Err(error))),
            None => return (batch, Some(Ok(()))),
        }
    }
    (batch, None)
}

/// A hash at rest, or one that is running on another thread.
enum Hashing {
    Here(Box<Hasher>),
    There(JoinHandle<Box<Hasher>>),
}

impl Hashing {
    fn start(mut hash: Box<Hasher>, batch: Vec<Bytes>, size: usize) -> Self {
        let run = move || {
            batch.iter().for_each(|chunk| hash.update(chunk));
            hash
        };
        if size <= INLINE {
            Self::Here(run())
        } else {
            Self::There(tokio::task::spawn_blocking(run))
        }
    }

    async fn wait(self) -> Result<Box<Hasher>, Error> {
        match self {
            Self::Here(hash) => Ok(hash),
            Self::There(running) => running.await.map_err(|e| Error::Internal(Box::new(e))),
        }
    }
}
