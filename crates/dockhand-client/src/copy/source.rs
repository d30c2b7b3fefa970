//! The blobs of a copy as they are read: counted for whoever watches, and asked for early.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use dockhand_oci::Digest;
use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::{BlobSource, ByteStream, Event, Observer, Result};

/// A source that says how far it was read.
pub(super) struct Counted {
    pub(super) inner: Arc<dyn BlobSource>,
    pub(super) digest: Digest,
    pub(super) observer: Arc<dyn Observer>,
    /// How much was told.
    pub(super) told: Arc<AtomicI64>,
}

#[async_trait]
impl BlobSource for Counted {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let stream = self.inner.open(offset).await?;
        let (digest, observer) = (self.digest, Arc::clone(&self.observer));
        let told = Arc::clone(&self.told);
        // A transfer that begins anew takes back what it said before.
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let back = offset - told.swap(offset, Ordering::Relaxed);
        if back != 0 {
            observer.event(&Event::Progress(digest, back));
        }
        let counted = stream.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                let length = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
                told.fetch_add(length, Ordering::Relaxed);
                observer.event(&Event::Progress(digest, length));
            }
        });
        Ok(counted.boxed())
    }
}

/// A source that is opened before anybody asks: the answer of the one registry is on its way while the
/// other one is asked for leave.
pub(super) struct Early {
    inner: Arc<dyn BlobSource>,
    opening: Mutex<Option<Opening>>,
}

/// The task is stopped when nobody wants its stream any more.
struct Opening(JoinHandle<Result<ByteStream>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Early {
    pub(super) fn new(inner: Arc<dyn BlobSource>) -> Self {
        let source = Arc::clone(&inner);
        let task = tokio::spawn(async move { source.open(0).await });
        Self {
            inner,
            opening: Mutex::new(Some(Opening(task))),
        }
    }
}

#[async_trait]
impl BlobSource for Early {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let opening = self.opening.lock().await.take();
        if offset == 0
            && let Some(mut opening) = opening
            && let Ok(opened) = (&mut opening.0).await
        {
            return opened;
        }
        self.inner.open(offset).await
    }
}
