//! A blob over several connections at once, in order: where each connection has its limit, several
//! together are faster.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dockhand_oci::Descriptor;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::Repository;
use crate::{BlobSource, ByteStream, Error, ErrorKind, Result};

/// How much one request asks for, in bytes: at 20 ms a round trip a fifth of the time of such a part
/// is waiting at 50 MB/s.
pub(crate) const PART: u64 = 4 * 1024 * 1024;
/// How many parts of one blob are on their way at once.
const LANES: usize = 8;
/// How many parts of all blobs may be in memory: 48 MiB.
pub(crate) const PARTS_MAX: usize = 12;
/// From this size on a blob is worth more than one connection, in bytes.
const WORTH: u64 = 32 * 1024 * 1024;

/// A blob of a repository, to be read in parallel parts.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    pub(crate) repository: Repository,
    pub(crate) blob: Descriptor,
}

#[async_trait]
impl BlobSource for Ranges {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let size = self.blob.size;
        let no_ranges = self
            .repository
            .client
            .habits
            .no_ranges
            .load(Ordering::Relaxed);
        if no_ranges || size.saturating_sub(offset) < WORTH {
            return self.repository.read_blob(&self.blob, offset).await;
        }
        let starts = (offset..size).step_by(usize::try_from(PART).unwrap_or(usize::MAX));
        let (repository, blob) = (self.repository.clone(), self.blob.clone());
        let parts = stream::iter(starts).map(move |start| {
            let (repository, blob) = (repository.clone(), blob.clone());
            async move { part(&repository, &blob, start, (start + PART).min(size)).await }
        });
        let way = Way::Parts(parts.buffered(LANES).map_ok(Part::into_bytes).boxed());
        let state = Some((self.clone(), way, offset));
        Ok(stream::unfold(state, |state| async move {
            let (ranges, way, at) = state?;
            ranges.next(way, at).await
        })
        .boxed())
    }
}

/// How the next bytes come.
enum Way {
    Parts(ByteStream),
    /// On one connection, from a registry that was found to send no parts.
    Whole(ByteStream),
}

/// The next bytes, and how it goes on behind them.
type Next = Option<(Result<Bytes>, Option<(Ranges, Way, u64)>)>;

impl Ranges {
    async fn next(self, mut way: Way, at: u64) -> Next {
        loop {
            let (Way::Parts(stream) | Way::Whole(stream)) = &mut way;
            let error = match stream.next().await? {
                Ok(bytes) => {
                    let after = at.saturating_add(bytes.len() as u64);
                    return Some((Ok(bytes), Some((self, way, after))));
                }
                Err(error) => error,
            };
            if matches!(way, Way::Whole(_)) || error.kind() != ErrorKind::Unsupported {
                return Some((Err(error), None));
            }
            drop(way);
            way = match self.repository.read_blob(&self.blob, at).await {
                Ok(stream) => Way::Whole(stream),
                Err(error) => return Some((Err(error), None)),
            };
        }
    }
}

/// A part in memory, and the leave to have it there.
struct Part {
    bytes: Bytes,
    /// Kept until the part's turn has come. Waiting parts of a blob are let in in their order, so the
    /// next one to be read is never kept out by those behind it.
    _leave: OwnedSemaphorePermit,
}

impl Part {
    fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

async fn part(repository: &Repository, blob: &Descriptor, start: u64, end: u64) -> Result<Part> {
    let parts = Arc::clone(&repository.client.habits.parts);
    let leave = parts
        .acquire_owned()
        .await
        .map_err(|error| Error::new(ErrorKind::Io, "the client is closed").with_source(error))?;
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(length);
    let mut stream = repository.read_part(blob, start, end).await?;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(Part {
        bytes: bytes.freeze(),
        _leave: leave,
    })
}
