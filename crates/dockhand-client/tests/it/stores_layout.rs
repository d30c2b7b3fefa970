//! Layout folders: many writers, the names that other tools write, and what is wrong in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockhand_client::{
    BlobSource, ByteStream, ErrorKind, Layout, Moved, Result, Store, read_small,
};
use dockhand_oci::{MediaType, Reference};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::registry::{blob, bytes, image};
use crate::stores::{by_tag, index, tag};

fn list(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("index.json")).unwrap()).unwrap()
}

fn entries(dir: &Path) -> Vec<Value> {
    list(dir)["manifests"].as_array().unwrap().clone()
}

/// Everything below a folder.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_lose_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4_u64 {
        let dir = folder.path().to_owned();
        tasks.spawn(async move {
            let layout = Layout::create(dir).await.unwrap();
            for turn in 0..8 {
                let name = format!("{writer}-{turn}");
                let layer = bytes(writer * 100 + turn, 500);
                image(&layout, &[layer], &[&name]).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let layout = Layout::open(folder.path()).await.unwrap();
    assert_eq!(layout.tags().await.unwrap().len(), 32);
    assert_eq!(entries(folder.path()).len(), 32);
    let left = files(folder.path());
    assert!(
        !left.iter().any(|name| name.starts_with(".dockhand-")),
        "{left:?}"
    );
}

#[tokio::test]
async fn what_an_index_lists_is_no_entry_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let root = index(&layout, &["1"]).await;
    let names = |dir: &Path| -> Vec<Value> {
        { entries(dir).into_iter() }
            .map(|entry| entry["digest"].clone())
            .collect()
    };
    assert_eq!(names(folder.path()), [json!(root.digest)]);
    // Not even when it is put once more.
    let child = root.parse().unwrap().links[0].descriptor.digest;
    let manifest = layout.manifest(&Reference::Digest(child)).await.unwrap();
    layout.put_manifest(&manifest, &[]).await.unwrap();
    assert_eq!(names(folder.path()), [json!(root.digest)]);
    let refused = layout.delete_manifest(&child).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    // With a name of its own it is.
    layout
        .put_manifest(&manifest, &[tag("amd64")])
        .await
        .unwrap();
    assert_eq!(layout.tags().await.unwrap(), [tag("1"), tag("amd64")]);
    let mark = std::fs::read_to_string(folder.path().join("oci-layout")).unwrap();
    assert_eq!(mark, r#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[tokio::test]
async fn names_of_other_tools_are_read_and_unknown_fields_stay() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let one = image(&layout, &[bytes(1, 10)], &[]).await;
    let two = image(&layout, &[bytes(2, 10)], &[]).await;
    let entry = |manifest: &dockhand_client::RawManifest, names: Value| {
        json!({ "mediaType": manifest.media_type, "digest": manifest.digest,
                "size": manifest.bytes.len(), "annotations": names, "odd": [1] })
    };
    let whole = "org.opencontainers.image.ref.name";
    let containerd = "io.containerd.image.name";
    let text = json!({ "schemaVersion": 2, "strange": true, "manifests": [
        entry(&one, json!({ whole: "docker.io/library/app:3.1" })),
        entry(&one, json!({ whole: "both", containerd: "ghcr.io/a/b:both" })),
        entry(&one, json!({ containerd: "ghcr.io/a/b:only" })),
        entry(&one, json!({ whole: "x.example/a:same" })),
        entry(&two, json!({ whole: "x.example/b:same" })),
        entry(&two, json!({ whole: "no tag at all!" })),
    ]});
    std::fs::write(folder.path().join("index.json"), text.to_string()).unwrap();
    let tags = ["3.1", "both", "only", "same"].map(tag);
    assert_eq!(layout.tags().await.unwrap(), tags);
    for name in ["3.1", "both", "only"] {
        assert_eq!(
            layout.manifest(&by_tag(name)).await.unwrap().digest,
            one.digest
        );
    }
    let unclear = layout.resolve(&by_tag("same")).await.unwrap_err();
    assert_eq!(unclear.kind(), ErrorKind::Conflict);
    assert!(
        unclear
            .to_string()
            .contains("x.example/a:same, x.example/b:same"),
        "{unclear}"
    );
    layout
        .put_manifest(&two, &[tag("same"), tag("3.1")])
        .await
        .unwrap();
    for name in ["same", "3.1"] {
        assert_eq!(
            layout.resolve(&by_tag(name)).await.unwrap().digest,
            two.digest
        );
    }
    let list = list(folder.path());
    assert_eq!(list["strange"], json!(true));
    assert_eq!(list["manifests"][0]["odd"], json!([1]));
}

/// Bytes that stop coming.
struct Stuck(Bytes);

#[async_trait::async_trait]
impl BlobSource for Stuck {
    async fn open(&self, _: u64) -> Result<ByteStream> {
        let first = stream::iter([Ok(self.0.clone())]);
        Ok(first.chain(stream::pending()).boxed())
    }
}

#[tokio::test]
async fn a_dropped_transfer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let before = files(folder.path());
    let (wanted, content) = blob(MediaType::OCI_LAYER, bytes(1, 900_000));
    let stuck = Arc::new(Stuck(content.slice(..600_000)));
    let put = layout.put_blob(&wanted, stuck, None);
    let ended = tokio::time::timeout(Duration::from_millis(200), put).await;
    assert!(ended.is_err());
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn a_blob_cut_short_by_others_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let (wanted, content) = blob(MediaType::OCI_LAYER, bytes(1, 1000));
    let path = folder.path().join("blobs/sha256").join(wanted.digest.hex());
    std::fs::write(&path, &content[..10]).unwrap();
    assert!(!layout.has_blob(&wanted).await.unwrap());
    let cut = read_small(&layout, &wanted, 1000).await.unwrap_err();
    assert_eq!(cut.kind(), ErrorKind::SizeMismatch);
    let moved = layout.put_blob(&wanted, Arc::new(content.clone()), None);
    assert_eq!(moved.await.unwrap(), Moved::Sent);
    assert_eq!(read_small(&layout, &wanted, 1000).await.unwrap(), content);
}

#[tokio::test]
async fn a_link_instead_of_a_blob_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path().join("x")).await.unwrap();
    let (wanted, content) = blob(MediaType::OCI_LAYER, bytes(1, 1000));
    let outside = folder.path().join("outside");
    std::fs::write(&outside, &content).unwrap();
    let path = folder
        .path()
        .join("x/blobs/sha256")
        .join(wanted.digest.hex());
    std::os::unix::fs::symlink(&outside, path).unwrap();
    let refused = layout.blob(&wanted, 0).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsafe);
    assert!(refused.to_string().contains("no plain file"), "{refused}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("x");
    let layout = Layout::create(&dir).await.unwrap();
    let root = image(&layout, &[bytes(1, 10)], &["1"]).await;
    let links = root.parse().unwrap().links;
    let messages = [("config", &links[0]), ("layer", &links[1])];
    for (word, link) in messages {
        let digest = link.descriptor.digest;
        std::fs::remove_file(dir.join("blobs/sha256").join(digest.hex())).unwrap();
        let error = layout.blob(&link.descriptor, 0).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let wanted = format!("{word} {digest} is missing from oci:{}", dir.display());
        assert_eq!(error.to_string(), wanted);
    }
    let error = layout.resolve(&by_tag("2")).await.unwrap_err();
    let wanted = format!("there is no tag 2 in oci:{}; it has 1", dir.display());
    assert_eq!(error.to_string(), wanted);
}

#[tokio::test]
async fn what_is_no_layout_is_neither_read_nor_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let absent = Layout::open(dir.join("absent")).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    let empty = Layout::open(dir).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::NotFound);
    std::fs::write(dir.join("letter.txt"), "dear").unwrap();
    let full = Layout::create(dir).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Conflict);
    assert_eq!(files(dir), BTreeSet::from(["letter.txt".to_owned()]));
    let other = dir.join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("oci-layout"), r#"{"imageLayoutVersion":"2.0"}"#).unwrap();
    let newer = Layout::open(&other).await.unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Unsupported);
    std::fs::write(
        other.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    std::fs::write(other.join("index.json"), "[").unwrap();
    let broken = Layout::open(&other)
        .await
        .unwrap()
        .tags()
        .await
        .unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Protocol);
}
