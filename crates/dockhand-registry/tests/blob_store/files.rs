//! Files: what a crash, a second process or a stranger leaves in the folder.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Hasher, UploadId, Verified};
use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::layout::blob_key;
use dockhand_registry::{BlobKey, BlobStore, Staged, StoreError};
use futures_util::StreamExt;

const ID: UploadId = UploadId::from_random(0x1234);

fn verified(bytes: &[u8]) -> Verified {
    let mut hash = Hasher::new(Algorithm::Sha256);
    hash.update(bytes);
    hash.verify(&Algorithm::Sha256.digest(bytes)).unwrap()
}

fn key(bytes: &[u8]) -> BlobKey {
    blob_key(&Algorithm::Sha256.digest(bytes), 1)
}

async fn put(store: &FileSystem, bytes: &Bytes) -> BlobKey {
    let mut writer = store.stage(ID, &Staged::default()).await.unwrap();
    writer.write(vec![bytes.clone()]).await.unwrap();
    writer.adopt(&verified(bytes), &key(bytes)).await.unwrap();
    key(bytes)
}

async fn stage(store: &FileSystem, bytes: &Bytes) -> Staged {
    let mut writer = store.stage(ID, &Staged::default()).await.unwrap();
    writer.write(vec![bytes.clone()]).await.unwrap();
    writer.sync().await.unwrap()
}

async fn read(store: &FileSystem, key: &BlobKey, length: u64) -> Result<Vec<u8>, StoreError> {
    let mut stream = store.read(key, length, 0..length).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn blobs_lie_where_the_drawing_says_and_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    let bytes = Bytes::from(vec![7; 300_000]);
    let key = put(&FileSystem::open(&root).unwrap(), &bytes).await;
    assert_eq!(fs::read(root.join(key.as_str())).unwrap(), bytes);
    assert_eq!(files_below(&root.join("uploads")), 0);

    let store = FileSystem::open(&root).unwrap();
    assert_eq!(read(&store, &key, 300_000).await.unwrap(), bytes);
    store.delete(&key).await.unwrap();
    assert_eq!(files_below(&root.join("docker")), 0);
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileSystem::open(folder.path()).unwrap();
    let refused = FileSystem::open(folder.path()).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("process {} holds", std::process::id())),
        "{refused}"
    );
    assert!(refused.contains("dockhand.lock"), "{refused}");
    drop(first);
    FileSystem::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_an_error_and_never_a_short_body() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    for (size, left) in [
        (4096, 4095),
        (4096, 0),
        (600_000, 599_999),
        (600_000, 100_000),
    ] {
        let bytes = Bytes::from(vec![3; size]);
        let key = put(&store, &bytes).await;
        let file = fs::OpenOptions::new()
            .write(true)
            .open(folder.path().join(key.as_str()));
        file.unwrap().set_len(left).unwrap();
        match read(&store, &key, size as u64).await {
            Err(StoreError::Truncated { wanted, found, .. }) => {
                assert_eq!((wanted, found), (size as u64, left));
            }
            other => panic!("{size} cut to {left}: {:?}", other.map(|bytes| bytes.len())),
        }
        // Whoever pushes it again heals it.
        put(&store, &bytes).await;
        assert_eq!(read(&store, &key, size as u64).await.unwrap(), bytes);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_not_in_the_cache_comes_from_the_disk() {
    use rustix::fs::{Advice, fadvise};

    const PAGE: u64 = 4096;
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let bytes: Vec<u8> = (0..1_500_001_u32)
        .map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8)
        .collect();
    let bytes = Bytes::from(bytes);
    let key = put(&store, &bytes).await;
    let file = fs::File::open(folder.path().join(key.as_str())).unwrap();
    // Gaps at the start of a chunk, in its middle, at its end, and all of it.
    for gap in [
        0..1,
        5..9,
        60..66,
        200..u64::MAX / PAGE / 2,
        0..366,
        366..367,
    ] {
        let length = std::num::NonZeroU64::new((gap.end - gap.start) * PAGE);
        fadvise(&file, gap.start * PAGE, length, Advice::DontNeed).unwrap();
        assert_eq!(
            read(&store, &key, bytes.len() as u64).await.unwrap(),
            bytes,
            "gap {gap:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_leaves_bytes_behind_the_durable_ones_that_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let staged = stage(&store, &Bytes::from_static(b"durable")).await;
    drop(store);
    let path = folder.path().join("uploads").join(ID.to_string());
    fs::write(&path, b"durable and not so durable").unwrap();

    let store = FileSystem::open(folder.path()).unwrap();
    let mut writer = store.stage(ID, &staged).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"durable");
    writer
        .write(vec![Bytes::from_static(b" end")])
        .await
        .unwrap();
    let whole = b"durable end";
    writer.adopt(&verified(whole), &key(whole)).await.unwrap();
    assert_eq!(read(&store, &key(whole), 11).await.unwrap(), whole);
}

#[tokio::test]
async fn a_stage_that_lost_durable_bytes_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let staged = stage(&store, &Bytes::from_static(b"durable")).await;
    fs::write(folder.path().join("uploads").join(ID.to_string()), b"dur").unwrap();
    match store.stage(ID, &staged).await.err() {
        Some(StoreError::StageLost {
            id: ID,
            wanted: 7,
            found: 3,
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_changed_behind_our_back_does_not_become_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let bytes = Bytes::from(vec![1; 400_000]);
    let staged = stage(&store, &bytes).await;
    let writer = store.stage(ID, &staged).await.unwrap();
    let path = folder.path().join("uploads").join(ID.to_string());
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(399_999)
        .unwrap();
    let refused = writer.adopt(&verified(&bytes), &key(&bytes)).await;
    assert!(
        matches!(refused, Err(StoreError::StageLost { found: 399_999, .. })),
        "{refused:?}"
    );
    assert!(matches!(
        read(&store, &key(&bytes), 1).await,
        Err(StoreError::Missing(_))
    ));
}

#[tokio::test]
async fn a_crash_after_an_adoption_leaves_both_names_and_the_next_writer_parts_them() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path().join("uploads");
    let store = FileSystem::open(folder.path()).unwrap();
    let bytes = Bytes::from_static(b"acknowledged");
    let staged = stage(&store, &bytes).await;
    let writer = store.stage(ID, &staged).await.unwrap();
    writer.adopt(&verified(&bytes), &key(&bytes)).await.unwrap();
    drop(store);
    // And a crash while the names were being parted.
    fs::write(uploads.join(format!("{ID}.apart")), b"ackn").unwrap();

    let store = FileSystem::open(folder.path()).unwrap();
    assert_eq!(store.staged().await.unwrap(), [ID]);
    let mut writer = store.stage(ID, &staged).await.unwrap();
    writer
        .write(vec![Bytes::from_static(b" and more")])
        .await
        .unwrap();
    writer.sync().await.unwrap();
    assert_eq!(
        fs::read(uploads.join(ID.to_string())).unwrap(),
        b"acknowledged and more"
    );
    assert_eq!(read(&store, &key(&bytes), 12).await.unwrap(), bytes);

    // Begun anew, as a stage that the metadata knows nothing of: the blob is still not touched.
    let writer = store.stage(ID, &staged).await.unwrap();
    writer.adopt(&verified(&bytes), &key(&bytes)).await.unwrap();
    stage(&store, &Bytes::from_static(b"other")).await;
    assert_eq!(read(&store, &key(&bytes), 12).await.unwrap(), bytes);

    fs::write(uploads.join(format!("{ID}.apart")), b"ackn").unwrap();
    store.discard(ID, &staged).await.unwrap();
    assert_eq!(files_below(&uploads), 0);
    assert_eq!(files_below(&folder.path().join("docker")), 1);
}

#[tokio::test]
async fn a_crash_while_a_blob_was_replaced_leaves_a_name_that_goes_with_the_upload() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path().join("uploads");
    let store = FileSystem::open(folder.path()).unwrap();
    let bytes = Bytes::from_static(b"acknowledged");
    let key = put(&store, &bytes).await;
    let staged = stage(&store, &bytes).await;
    let (path, apart) = (
        uploads.join(ID.to_string()),
        uploads.join(format!("{ID}.apart")),
    );
    let adopt = async || {
        let writer = store.stage(ID, &staged).await.unwrap();
        writer.adopt(&verified(&bytes), &key).await.unwrap();
        assert_eq!(files_below(&folder.path().join("docker")), 1);
        assert_eq!(files_below(&uploads), 1);
    };
    adopt().await;
    // Before the name got its place, and after it did so in vain, for it was that file already.
    for original in [&path, &folder.path().join(key.as_str())] {
        fs::hard_link(original, &apart).unwrap();
        adopt().await;
        assert_eq!(read(&store, &key, 12).await.unwrap(), bytes);
    }
    fs::hard_link(&path, &apart).unwrap();
    store.discard(ID, &staged).await.unwrap();
    assert_eq!(files_below(&uploads), 0);
    assert_eq!(read(&store, &key, 12).await.unwrap(), bytes);
}

/// Long enough that the disk begins before the end, twice in each half.
#[tokio::test]
async fn a_large_blob_is_whole() {
    const BATCH: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let batch = |number: u8| Bytes::from(vec![number; BATCH]);
    let mut hash = Hasher::new(Algorithm::Sha256);
    let mut staged = Staged::default();
    for half in [0..80, 80..160] {
        let mut writer = store.stage(ID, &staged).await.unwrap();
        for number in half {
            hash.update(&batch(number));
            writer.write(vec![batch(number)]).await.unwrap();
        }
        staged = writer.sync().await.unwrap();
    }
    let proof = hash.clone().verify(&hash.finish()).unwrap();
    let key = blob_key(proof.digest(), 1);
    let writer = store.stage(ID, &staged).await.unwrap();
    writer.adopt(&proof, &key).await.unwrap();

    let mut stream = store.read(&key, 160 << 20, 0..160 << 20).await.unwrap();
    let mut at = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.first(), Some(&((at / BATCH) as u8)));
        assert_eq!(
            chunk.last(),
            Some(&(((at + chunk.len() - 1) / BATCH) as u8))
        );
        at += chunk.len();
    }
    assert_eq!(at, 160 << 20);
}

#[tokio::test]
async fn a_small_blob_never_has_a_stage() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let bytes = Bytes::from(vec![1; 256 * 1024]);
    let mut writer = store.stage(ID, &Staged::default()).await.unwrap();
    writer
        .write(vec![bytes.slice(..9), bytes.slice(9..)])
        .await
        .unwrap();
    assert_eq!(store.staged().await.unwrap(), []);
    drop(writer);
    assert_eq!(files_below(&folder.path().join("docker")), 0);
    put(&store, &bytes).await;
    assert_eq!(files_below(&folder.path().join("docker")), 1);
}

#[tokio::test]
async fn strangers_among_the_uploads_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(folder.path()).unwrap();
    let uploads = folder.path().join("uploads");
    fs::write(uploads.join("notes.txt"), b"mine").unwrap();
    fs::write(uploads.join(ID.to_string().to_uppercase() + "X"), b"mine").unwrap();
    fs::create_dir(uploads.join(UploadId::from_random(5).to_string())).unwrap();
    stage(&store, &Bytes::from_static(b"theirs")).await;
    assert_eq!(store.staged().await.unwrap(), [ID]);
    assert_eq!(fs::read(uploads.join("notes.txt")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_blob_is_not_read_through_a_link_that_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileSystem::open(&folder.path().join("data")).unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let key = put(&store, &Bytes::from_static(b"public")).await;
    let path = folder.path().join("data").join(key.as_str());
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    assert!(read(&store, &key, 6).await.is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn uploads_and_blobs_have_to_share_a_file_system() {
    // A second file system that needs no rights to be made: that of the processes.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/proc/self", folder.path().join("uploads")).unwrap();
    let refused = FileSystem::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("two file systems"), "{refused}");
}

#[tokio::test]
async fn a_store_that_is_only_read_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let refused = FileSystem::open_read_only(&root).unwrap_err().to_string();
    assert!(refused.contains("opening the folder"), "{refused}");
    assert!(!root.exists());
    let bytes = Bytes::from(vec![7; 300_000]);
    let writing = FileSystem::open(&root).unwrap();
    let key = put(&writing, &bytes).await;
    let refused = FileSystem::open_read_only(&root).unwrap_err();
    let StoreError::Io { source, .. } = &refused else {
        panic!("{refused}")
    };
    assert!(source.to_string().contains("holds the folder"), "{source}");
    drop(writing);
    // Two may read; nobody may write meanwhile, and without a lock file nobody can hold it.
    let lock = root.join("dockhand.lock");
    let written = lock.metadata().unwrap().modified().unwrap();
    let first = FileSystem::open_read_only(&root).unwrap();
    let second = FileSystem::open_read_only(&root).unwrap();
    assert!(FileSystem::open(&root).is_err());
    for store in [&first, &second] {
        assert_eq!(read(store, &key, 300_000).await.unwrap(), bytes);
        assert!(store.stage(ID, &Staged::default()).await.is_err());
        assert!(store.delete(&key).await.is_err());
    }
    drop((first, second));
    assert_eq!(lock.metadata().unwrap().modified().unwrap(), written);
    fs::remove_file(&lock).unwrap();
    drop(FileSystem::open_read_only(&root).unwrap());
    assert!(!lock.exists());
}
