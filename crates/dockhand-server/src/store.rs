//! The stores of a server: opened or refused, and watched while it runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::blob_store::memory::Memory;
use dockhand_registry::folder::{Folder, Start};
use dockhand_registry::metadata::Metadata;
use dockhand_registry::{BlobStore, Gone, NotReady, Presence, Registry, StoreError, layout};

use crate::run::{RunError, Setup};

/// How often the files are compared with what is open: six calls of `stat`, away from requests. What is
/// acknowledged in this time after somebody deleted the folder is lost, so it is short.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Opens the stores of a registry. What lies in the folder decides whether, before anything is made.
pub(crate) async fn open(setup: &Setup) -> Result<Registry, RunError> {
    let settings = setup.settings.clone();
    let Some(root) = &setup.data else {
        let metadata = Arc::new(Metadata::in_memory()?);
        return Ok(Registry::new(Arc::new(Memory::new()), metadata, settings));
    };
    let start = match (settings.read_only, setup.new) {
        (true, _) => Start::ReadOnly,
        (false, true) => Start::New,
        (false, false) => Start::Usual,
    };
    let folder = Folder::look(root)?;
    let opening = folder.opening(start)?;
    // The blobs come first: they make the folder, and all that is missing above it, so that it
    // survives a power cut; and their lock keeps a second process off the metadata too.
    let blobs: Arc<dyn BlobStore> = Arc::new(if start == Start::ReadOnly {
        FileSystem::open_read_only(root)?
    } else {
        FileSystem::open(root)?
    });
    let metadata = Metadata::open_sqlite_as(&root.join(layout::DATABASE), opening)?;
    if metadata.names_blobs().await? {
        folder.needs_blobs()?;
    }
    if folder.is_new() {
        tracing::info!(folder = %root.display(), "made a new, empty registry");
    }
    let registry = Registry::new(blobs, Arc::new(metadata), settings);
    Ok(registry.watching(presence(root)?))
}

fn presence(root: &Path) -> Result<Presence, StoreError> {
    Presence::note(root).map_err(|source| StoreError::Io {
        doing: format!("looking at the files in {}", root.display()),
        source,
    })
}

/// Waits until the files of a registry are not those that it has open any more. From then on it takes
/// no more writes.
pub(crate) async fn gone(registry: &Registry) -> Gone {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match registry.look().await {
            Err(NotReady::Gone(gone)) => return gone,
            Err(error) => tracing::warn!(%error, "the data folder does not answer"),
            Ok(()) => {}
        }
    }
}
