//! A disk that is full, played by the limit on the size of files. It holds for the whole process,
//! so this stands alone in its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use dockhand_oci::{Algorithm, Hasher, UploadId};
use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::layout::blob_key;
use dockhand_registry::{BlobStore, Staged, StoreError};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

const LIMIT: usize = 1 << 20;
const ID: UploadId = UploadId::from_random(1);

#[tokio::test]
async fn a_full_disk_is_said_and_keeps_nothing_that_is_not_safe() {
    // SIGXFSZ, 25 wherever the limit exists, would end the process; once handled, writes fail.
    let _handled = signal(SignalKind::from_raw(25)).unwrap();
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(LIMIT as u64),
            maximum: None,
        },
    )
    .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let path = folder.path().join("uploads").join(ID.to_string());
    let half = Bytes::from(vec![1; LIMIT / 2]);

    let mut writer = store.stage(ID, &Staged::default()).await.unwrap();
    writer.write(vec![half.clone()]).await.unwrap();
    let staged = writer.sync().await.unwrap();

    for _ in 0..2 {
        // An upload that goes on: what was acknowledged stays.
        let mut writer = store.stage(ID, &staged).await.unwrap();
        let mut outcome = Ok(());
        for _ in 0..3 {
            outcome = outcome.and(writer.write(vec![half.clone()]).await);
        }
        assert!(matches!(outcome, Err(StoreError::Full)), "{outcome:?}");
        let after = writer.sync().await.unwrap_err();
        assert!(after.to_string().contains("earlier write"), "{after}");
        assert_eq!(path.metadata().unwrap().len(), staged.length);
    }

    // An upload in one go: nothing stays.
    let other = UploadId::from_random(2);
    let mut writer = store.stage(other, &Staged::default()).await.unwrap();
    for _ in 0..2 {
        writer
            .write(vec![half.clone(), half.clone()])
            .await
            .unwrap();
    }
    assert!(matches!(writer.sync().await, Err(StoreError::Full)));
    assert_eq!(store.staged().await.unwrap(), [ID]);

    // And what fits is taken.
    let mut writer = store.stage(ID, &staged).await.unwrap();
    writer.write(vec![half.clone()]).await.unwrap();
    let mut hash = Hasher::new(Algorithm::Sha256);
    hash.update(&half);
    hash.update(&half);
    let digest = hash.clone().finish();
    let key = blob_key(&digest, 1);
    writer
        .adopt(&hash.verify(&digest).unwrap(), &key)
        .await
        .unwrap();
    assert_eq!(
        folder.path().join(key.as_str()).metadata().unwrap().len(),
        LIMIT as u64
    );
}
