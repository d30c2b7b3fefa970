//! The folder of a server that does not run, opened to be looked after.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::metadata::{Metadata, MetadataError, Opening};
use dockhand_registry::{Registry, Settings, StoreError, layout};
use tokio::io::{DuplexStream, duplex};

use super::Admin;

/// Bytes on their way in one direction: more than a request or a piece of an answer has.
const BUFFER: usize = 64 * 1024;

/// Why a folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoppedError {
    /// There is no registry in the folder.
    #[error("there is no registry in {}", .0.display())]
    None(PathBuf),
    /// Another process has it, or it cannot be read.
    #[error(transparent)]
    Blobs(#[from] StoreError),
    /// Its metadata cannot be opened.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// A folder that no server runs on as long as this lives.
#[derive(Debug)]
pub struct Stopped {
    admin: Arc<Admin>,
}

impl Stopped {
    /// Opens the folder, which must have a registry in it, and keeps servers off it.
    ///
    /// # Errors
    /// [`StoppedError`] says what is in the way.
    pub fn open(data: &Path) -> Result<Self, StoppedError> {
        let database = data.join(layout::DATABASE);
        // Nothing is made where somebody only looks.
        if !std::fs::metadata(&database).is_ok_and(|found| found.is_file() && found.len() > 0) {
            return Err(StoppedError::None(data.to_owned()));
        }
        let blobs = FileSystem::open(data)?;
        let metadata = Metadata::open_sqlite_as(&database, Opening::Existing)?;
        let registry = Registry::new(Arc::new(blobs), Arc::new(metadata), Settings::default());
        Ok(Self {
            admin: Admin::new(registry),
        })
    }

    /// A connection to its administration, as [`socket::connect`](super::socket::connect) gives one to a
    /// running server's.
    #[must_use]
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = duplex(BUFFER);
        tokio::spawn(Arc::clone(&self.admin).serve(ours));
        theirs
    }

    /// Finishes what was begun, and lets go of the folder.
    pub async fn close(self) {
        self.admin.registry.metadata().close().await;
    }
}
