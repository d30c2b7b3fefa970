//! Blobs into files.

use std::sync::Arc;

use dockhand_client::{ErrorKind, Store, Unobserved, download};
use dockhand_oci::Descriptor;

use crate::registry::{Registry, blob, bytes};

#[tokio::test]
async fn a_blob_becomes_a_file_over_several_connections_and_goes_on_where_it_stopped() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    // Big enough for parts, and not a whole number of them.
    let (blob, content) = blob("x/y", bytes(7, (40 << 20) + 12_345));
    store
        .put_blob(&blob, Arc::new(content.clone()), None)
        .await
        .unwrap();
    let path = folder.path().join("blob");
    download(&store, &blob, &path, &Unobserved).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    let part = folder.path().join("again.part");
    std::fs::write(&part, &content[..30 << 20]).unwrap();
    let path = folder.path().join("again");
    download(&store, &blob, &path, &Unobserved).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    assert!(!part.exists());
}

#[tokio::test]
async fn a_part_of_something_else_is_not_built_upon() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    let (blob, content) = blob("x/y", bytes(8, 10_000));
    store
        .put_blob(&blob, Arc::new(content.clone()), None)
        .await
        .unwrap();
    for stale in [bytes(9, 5_000), bytes(9, 50_000)] {
        let path = folder.path().join("blob");
        std::fs::write(folder.path().join("blob.part"), &stale).unwrap();
        download(&store, &blob, &path, &Unobserved).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
    }
}

#[tokio::test]
async fn a_blob_of_another_size_than_said_leaves_no_file() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    let (blob, content) = blob("x/y", bytes(10, 10_000));
    store
        .put_blob(&blob, Arc::new(content), None)
        .await
        .unwrap();
    let short = Descriptor::new("x/y", blob.digest, 9_000);
    let path = folder.path().join("blob");
    let error = download(&store, &short, &path, &Unobserved)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn two_downloads_to_one_path_do_not_mix() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    let (blob, content) = blob("x/y", bytes(11, 10_000));
    let source = Arc::new(content.clone());
    store.put_blob(&blob, source, None).await.unwrap();
    let path = folder.path().join("blob");
    let part = folder.path().join("blob.part");
    std::fs::write(&part, &content[..5000]).unwrap();
    let other = std::fs::File::open(&part).unwrap();
    other.lock().unwrap();
    let error = download(&store, &blob, &path, &Unobserved)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(std::fs::read(&part).unwrap() == content[..5000]);
    drop(other);
    download(&store, &blob, &path, &Unobserved).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
}

#[tokio::test]
async fn what_is_not_there_leaves_nothing() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    let (blob, _) = blob("x/y", bytes(12, 10_000));
    let path = folder.path().join("blob");
    let error = download(&store, &blob, &path, &Unobserved)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
