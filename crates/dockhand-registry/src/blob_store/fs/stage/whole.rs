//! A small blob in one go: it gets a name only when its bytes are safe, so a crash leaves nothing.
//!
//! No stage, no folder that all writers share, and no rename from one folder to another, for which
//! the kernel lets only one at a time through: with 16 pushes at once, some 1.6 times as many per
//! second as by way of a stage. Only a blob that is there already is replaced by such a rename.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Place;
use super::file::link_over;
use crate::blob_store::fs::parent;
use crate::blob_store::fs::syscalls::{create_unnamed, name_it, write_all_at};
use crate::blob_store::{BlobKey, StoreError};

impl Place {
    /// Makes `batch` the blob under `key`. `false` when that cannot be done here: then the way
    /// by a stage is left.
    pub(super) fn adopt_whole(&self, batch: &[Bytes], key: &BlobKey) -> Result<bool, StoreError> {
        let (shared, folders) = (&self.shared, &self.shared.folders);
        if !shared.unnamed.load(Ordering::Relaxed) {
            return Ok(false);
        }
        folders.writable()?;
        folders.prepare(key)?;
        let path = folders.root().join(key.as_str());
        let file = match create_unnamed(&folders.root().join(parent(key.as_str()))) {
            Ok(file) => file,
            Err(e) => return self.by_stage(&e),
        };
        let mut slices: Vec<_> = batch.iter().map(|chunk| IoSlice::new(chunk)).collect();
        write_all_at(&file, &mut slices, 0).map_err(|e| self.failed("writing", e))?;
        file.sync_all().map_err(|e| self.failed("syncing", e))?;
        if let Err(e) = link_over(|name| name_it(&file, name), &path, &self.path_apart()) {
            return self.by_stage(&e);
        }
        folders.settle(key)?;
        Ok(true)
    }

    /// Leaves it to the way by a stage, which says in words what is wrong; for good, if the reason
    /// is that the file system has no files without a name, or that `/proc` is not to be seen.
    fn by_stage(&self, error: &io::Error) -> Result<bool, StoreError> {
        let never = [
            ErrorKind::Unsupported,
            ErrorKind::InvalidInput,
            ErrorKind::IsADirectory,
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
        ];
        if never.contains(&error.kind()) {
            tracing::debug!(%error, "small blobs go by way of a stage from now on");
            self.shared.unnamed.store(false, Ordering::Relaxed);
        }
        Ok(false)
    }
}
