//! The stores of blobs, from outside: the contract for each, and what only files can get wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod files;

use std::sync::{Arc, Mutex};

use dockhand_registry::BlobStore;
use dockhand_registry::blob_store::contract;
use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::blob_store::memory::Memory;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_to_the_contract() {
    contract::run(|| Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_keep_to_the_contract() {
    let folders = Mutex::new(Vec::new());
    contract::run(|| {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn BlobStore> = Arc::new(FileSystem::open(folder.path()).unwrap());
        folders.lock().unwrap().push(folder);
        store
    })
    .await;
}
