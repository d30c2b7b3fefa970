//! Uploads by the rules: what HTTP cannot show.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_oci::{Algorithm, RepoName};
use futures_util::{StreamExt, stream};

use crate::blob_store::fs::FileSystem;
use crate::metadata::Metadata;
use crate::{Chunk, Error, Registry, Settings};

fn repo() -> RepoName {
    "app".parse().unwrap()
}

fn chunk(bytes: &'static [u8]) -> Chunk {
    Chunk {
        range: None,
        length: None,
        body: stream::iter([Ok(Bytes::from_static(bytes))]).boxed(),
    }
}

#[tokio::test]
async fn asking_for_an_upload_that_lost_its_bytes_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(FileSystem::open(folder.path()).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    let registry = Registry::new(blobs.clone(), metadata.clone(), Settings::default());
    let id = registry.start_upload(&repo(), Algorithm::Sha256).await;
    let id = id.unwrap().id;
    registry.append(&repo(), id, chunk(b"0123")).await.unwrap();
    fs::remove_file(folder.path().join("uploads").join(id.to_string())).unwrap();

    let read_only = Settings {
        read_only: true,
        ..Settings::default()
    };
    for registry in [
        &Registry::new(blobs, metadata.clone(), read_only),
        &registry,
    ] {
        let asked = registry.upload_status(&repo(), id).await;
        assert!(matches!(asked, Err(Error::UploadUnknown(_))), "{asked:?}");
        assert!(metadata.upload_known(id).await.unwrap());
    }
    // Whoever writes to it ends it.
    let appended = registry.append(&repo(), id, chunk(b"45")).await;
    assert!(
        matches!(appended, Err(Error::UploadUnknown(_))),
        "{appended:?}"
    );
    assert!(!metadata.upload_known(id).await.unwrap());
}
