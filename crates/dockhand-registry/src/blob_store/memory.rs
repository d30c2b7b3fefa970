//! Blobs and stages in memory: for tests, and for a registry that may forget everything when it ends.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{UploadId, Verified};
use futures_util::stream::{self, StreamExt};

use super::{BlobKey, BlobStore, BlobStream, StageWriter, Staged, StoreError};

/// What [`Memory::new`] holds at most: room to try things out, and still no way for a client to
/// take the memory of a whole machine.
const LIMIT: u64 = 1 << 30;

/// A store in memory. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Memory {
    held: Arc<Mutex<Held>>,
    used: Arc<AtomicU64>,
    limit: u64,
}

/// Bytes lie in the pieces in which they came.
#[derive(Default)]
struct Held {
    blobs: HashMap<BlobKey, Vec<Bytes>>,
    stages: HashMap<UploadId, Vec<Bytes>>,
}

impl Memory {
    /// A store that holds up to 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    /// A store that holds up to `limit` bytes, stages and what is still being read included; beyond
    /// it, writing answers [`StoreError::Full`].
    #[must_use]
    pub fn with_limit(limit: u64) -> Self {
        Self {
            held: Arc::default(),
            used: Arc::default(),
            limit,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a batch into one piece that counts against the limit for as long as anyone has it.
    fn keep(&self, batch: &[Bytes]) -> Result<Bytes, StoreError> {
        let size: usize = batch.iter().map(Bytes::len).sum();
        let add = |used: u64| {
            used.checked_add(size as u64)
                .filter(|sum| *sum <= self.limit)
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .map_err(|_| StoreError::Full)?;
        Ok(Bytes::from_owner(Counted {
            bytes: batch.concat(),
            used: self.used.clone(),
        }))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.used.load(Ordering::Relaxed);
        write!(f, "Memory({used} of {} bytes)", self.limit)
    }
}

/// Bytes that are counted until they are dropped.
struct Counted {
    bytes: Vec<u8>,
    used: Arc<AtomicU64>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.used
            .fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn length(&self, key: &BlobKey) -> Result<u64, StoreError> {
        let length = self.held().blobs.get(key).map(|pieces| length(pieces));
        length.ok_or_else(|| StoreError::Missing(key.clone()))
    }

    async fn read(
        &self,
        key: &BlobKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        let pieces = self.held().blobs.get(key).cloned();
        let pieces = pieces.ok_or_else(|| StoreError::Missing(key.clone()))?;
        let found = length(&pieces);
        if found < size {
            let (key, wanted) = (key.clone(), size);
            return Err(StoreError::Truncated { key, wanted, found });
        }
        let pieces = cut(&pieces, &range);
        Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
    }

    async fn file(&self, _key: &BlobKey, _size: u64) -> Result<Option<File>, StoreError> {
        Ok(None)
    }

    async fn stage(
        &self,
        id: UploadId,
        staged: &Staged,
    ) -> Result<Box<dyn StageWriter>, StoreError> {
        let mut held = self.held();
        let pieces = held.stages.remove(&id).unwrap_or_default();
        let pieces = cut(&pieces, &(0..staged.length));
        let found = length(&pieces);
        if found < staged.length {
            return Err(StoreError::StageLost {
                id,
                wanted: staged.length,
                found,
            });
        }
        if found > 0 {
            held.stages.insert(id, pieces.clone());
        }
        Ok(Box::new(Stage {
            store: self.clone(),
            id,
            pieces,
        }))
    }

    async fn read_staged(&self, id: UploadId, staged: &Staged) -> Result<BlobStream, StoreError> {
        let wanted = staged.length;
        let pieces = self
            .held()
            .stages
            .get(&id)
            .map(|pieces| cut(pieces, &(0..wanted)));
        let pieces = pieces.unwrap_or_default();
        let found = length(&pieces);
        let lost = StoreError::StageLost { id, wanted, found };
        let lost = (found < wanted).then_some(Err(lost));
        Ok(stream::iter(pieces.into_iter().map(Ok).chain(lost)).boxed())
    }

    async fn discard(&self, id: UploadId, _staged: &Staged) -> Result<(), StoreError> {
        self.held().stages.remove(&id);
        Ok(())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.held().blobs.remove(key);
        Ok(())
    }

    async fn staged(&self) -> Result<Vec<UploadId>, StoreError> {
        Ok(self.held().stages.keys().copied().collect())
    }
}

/// A writer; what it has is nobody else's until it is synced or adopted.
struct Stage {
    store: Memory,
    id: UploadId,
    pieces: Vec<Bytes>,
}

#[async_trait]
impl StageWriter for Stage {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        self.pieces.push(self.store.keep(&chunks)?);
        Ok(())
    }

    async fn sync(self: Box<Self>) -> Result<Staged, StoreError> {
        let staged = Staged {
            length: length(&self.pieces),
            notes: Vec::new(),
        };
        if staged.length > 0 {
            self.store.held().stages.insert(self.id, self.pieces);
        }
        Ok(staged)
    }

    async fn adopt(self: Box<Self>, proof: &Verified, key: &BlobKey) -> Result<(), StoreError> {
        let (wanted, found) = (proof.size(), length(&self.pieces));
        if wanted != found {
            return Err(StoreError::StageLost {
                id: self.id,
                wanted,
                found,
            });
        }
        self.store.held().blobs.insert(key.clone(), self.pieces);
        Ok(())
    }
}

fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// The part of `pieces` that lies in `range`; it shares their memory.
fn cut(pieces: &[Bytes], range: &Range<u64>) -> Vec<Bytes> {
    let mut from = 0;
    let mut found = Vec::new();
    for piece in pieces {
        let to = from + piece.len() as u64;
        let (start, end) = (range.start.clamp(from, to), range.end.clamp(from, to));
        if start < end {
            // Both lie within the piece, so they fit its usize.
            found.push(piece.slice((start - from) as usize..(end - from) as usize));
        }
        from = to;
    }
    found
}
