//! Bytes without a row: who takes them back, and who must not.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Digest, RepoName};
use futures_util::{StreamExt, stream};

use crate::blob_store::fs::FileSystem;
use crate::metadata::Metadata;
use crate::{Chunk, Error, Registry, Settings};

fn repo() -> RepoName {
    "app".parse().unwrap()
}

fn chunk(bytes: &Bytes) -> Chunk {
    Chunk {
        range: None,
        offset: None,
        length: None,
        body: stream::iter([Ok(bytes.clone())]).boxed(),
    }
}

fn content(number: u32) -> (Bytes, Digest) {
    let bytes = Bytes::from(number.to_be_bytes().to_vec());
    let digest = Algorithm::Sha256.digest(&bytes);
    (bytes, digest)
}

fn registry(folder: &Path) -> Registry {
    let blobs = Arc::new(FileSystem::open(folder).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    Registry::new(blobs, metadata, Settings::default())
}

fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

/// Pushes in one request, or by an upload that has half of its bytes already.
async fn push(registry: &Registry, number: u32, by_upload: bool) -> Result<(), Error> {
    let (bytes, digest) = content(number);
    if !by_upload {
        return registry
            .put_blob(&repo(), digest, chunk(&bytes))
            .await
            .map(drop);
    }
    let id = registry
        .start_upload(&repo(), Algorithm::Sha256, "")
        .await?
        .id;
    registry
        .append(&repo(), id, chunk(&bytes.slice(..2)))
        .await?;
    let rest = chunk(&bytes.slice(2..));
    if let Err(error) = registry.finish_upload(&repo(), id, digest, rest).await {
        // What was acknowledged of the upload is still there.
        assert_eq!(registry.upload_status(&repo(), id).await?.offset, 2);
        registry.cancel_upload(&repo(), id).await?;
        return Err(error);
    }
    Ok(())
}

#[tokio::test]
async fn a_push_that_the_metadata_refuse_leaves_no_bytes() {
    for by_upload in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path());
        registry.metadata.play_full(true).await;
        let mut stored = 0;
        let refused = loop {
            match push(&registry, stored, by_upload).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 1000, "the metadata never get full");
        };
        assert!(matches!(refused, Error::Full), "{refused:?}");
        let blobs = folder.path().join("docker");
        assert_eq!(files_below(&blobs), stored as usize);

        registry.metadata.play_full(false).await;
        push(&registry, stored, by_upload).await.unwrap();
        let (_, digest) = content(stored);
        let blob = registry.blob(&repo(), &digest).await.unwrap();
        let mut read = registry.read_blob(&blob, 0..blob.size).await.unwrap();
        assert_eq!(read.next().await.unwrap().unwrap(), content(stored).0);
    }
}

#[tokio::test]
async fn bytes_that_may_be_a_blob_stay() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    registry.metadata.play_broken().await;
    let unknown = push(&registry, 1, false).await.unwrap_err();
    assert!(matches!(unknown, Error::Unavailable), "{unknown:?}");
    assert_eq!(files_below(&folder.path().join("docker")), 1);
}

#[tokio::test]
async fn bytes_that_a_row_names_are_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    push(&registry, 1, false).await.unwrap();
    registry.take_back(&content(1).1, 1).await;
    assert_eq!(files_below(&folder.path().join("docker")), 1);
}

/// Another push of the same digest may have put its bytes there, and is about to write its row.
#[tokio::test]
async fn nothing_is_taken_back_while_somebody_else_pushes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let (_, digest) = content(1);
    let pushing = registry.adoptions.begin(&digest).await;
    let (other, digest_again) = (registry.clone(), digest);
    let taking = tokio::spawn(async move { other.take_back(&digest_again, 1).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!taking.is_finished(), "it did not wait for the push");
    drop(pushing);
    push(&registry, 1, false).await.unwrap();
    taking.await.unwrap();
    push(&registry, 1, false).await.unwrap();
    let blob = registry.blob(&repo(), &digest).await.unwrap();
    assert!(registry.blob_file(&blob).await.unwrap().is_some());
}
