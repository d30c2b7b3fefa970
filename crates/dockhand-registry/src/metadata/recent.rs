//! What was read a moment ago, for as long as nothing has changed it.
//!
//! Even a point read of SQLite takes and gives back a lock of the file, which costs as much as the
//! rest of a small request. So rows that were found are kept until any write that could make them
//! wrong: one that moves or deletes. Such writes are counted before they begin and after they are
//! committed; while one is under way nothing is answered from here, and what was kept before it is
//! never answered again. What is not there is not kept, so writes that only add need not be counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dockhand_oci::{Digest, Reference, RepoName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::records::{BlobRow, ManifestRow};

/// Blobs that are kept: some 300 bytes each.
const BLOBS: usize = 8192;
/// Manifests that are expected, at their usual size.
const MANIFESTS: usize = 2048;
/// And the bytes that they may have in all.
const MANIFEST_BYTES: u64 = 8 * 1024 * 1024;

/// Rows with the count of writes at which they were read.
#[derive(Debug)]
pub(super) struct Recent {
    writes: Arc<Writes>,
    blobs: Cache<(RepoName, Digest), (u64, BlobRow)>,
    manifests: Cache<(RepoName, Reference), (u64, ManifestRow), Bytes>,
}

#[derive(Debug, Default)]
struct Writes {
    under_way: AtomicU64,
    done: AtomicU64,
}

/// A write that could make kept rows wrong. It has to live until the write is committed, or will
/// never be: so it travels with the outcome.
#[derive(Debug)]
pub(super) struct Writing(Arc<Writes>);

/// A moment at which no such write is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<(RepoName, Reference), (u64, ManifestRow)> for Bytes {
    fn weight(&self, _: &(RepoName, Reference), (_, row): &(u64, ManifestRow)) -> u64 {
        row.bytes.len() as u64 + 512
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            writes: Arc::default(),
            blobs: Cache::new(BLOBS),
            manifests: Cache::with_weighter(MANIFESTS, MANIFEST_BYTES, Bytes),
        }
    }
}

impl Recent {
    /// Begins a write that moves or deletes.
    pub(super) fn writing(&self) -> Writing {
        self.writes.under_way.fetch_add(1, Ordering::SeqCst);
        Writing(Arc::clone(&self.writes))
    }

    /// The present, unless it is being changed. To be taken before the row is read.
    pub(super) fn moment(&self) -> Option<Moment> {
        let done = self.writes.done.load(Ordering::SeqCst);
        (self.writes.under_way.load(Ordering::SeqCst) == 0).then_some(Moment(done))
    }

    pub(super) fn blob(&self, now: Moment, key: &(RepoName, Digest)) -> Option<BlobRow> {
        let (at, row) = self.blobs.get(key)?;
        (at == now.0).then_some(row)
    }

    pub(super) fn keep_blob(&self, at: Moment, key: (RepoName, Digest), row: &BlobRow) {
        self.blobs.insert(key, (at.0, row.clone()));
    }

    pub(super) fn manifest(&self, now: Moment, key: &(RepoName, Reference)) -> Option<ManifestRow> {
        let (at, row) = self.manifests.get(key)?;
        (at == now.0).then_some(row)
    }

    pub(super) fn keep_manifest(&self, at: Moment, key: (RepoName, Reference), row: &ManifestRow) {
        self.manifests.insert(key, (at.0, row.clone()));
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use dockhand_oci::Algorithm;

    use super::*;
    use crate::layout::blob_key;

    #[test]
    fn nothing_is_answered_that_a_write_could_have_changed() {
        let recent = Recent::default();
        let digest = Algorithm::Sha256.digest(b"x");
        let key = ("app".parse::<RepoName>().unwrap(), digest);
        let row = BlobRow {
            key: blob_key(&digest, 1),
            size: 1,
        };
        let before = recent.moment().unwrap();
        recent.keep_blob(before, key.clone(), &row);
        assert!(recent.blob(before, &key).is_some());
        let writing = recent.writing();
        assert!(recent.moment().is_none(), "not while a write is under way");
        drop(writing);
        let after = recent.moment().unwrap();
        assert!(recent.blob(after, &key).is_none());
        // A read that began before the write must not be taken for what came after it.
        recent.keep_blob(before, key.clone(), &row);
        assert!(recent.blob(after, &key).is_none());
        recent.keep_blob(after, key.clone(), &row);
        assert!(recent.blob(after, &key).is_some());
    }
}
