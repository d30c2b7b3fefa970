//! The contract of every place: what is put is found again, whatever keeps it.

use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::{
    Archive, ArchiveWriter, BlobSource, ByteStream, Directory, ErrorKind, Layout, Memory, Moved,
    RawManifest, Result, Store, read_small, read_verified,
};
use dockhand_oci::{MediaType, Reference, Tag};
use futures_util::StreamExt;

use crate::registry::{Registry, blob, bytes, image};
use crate::repositories::attach;

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) fn by_tag(text: &str) -> Reference {
    Reference::Tag(tag(text))
}

/// Puts an index of two platforms, which share a layer.
pub(crate) async fn index(store: &dyn Store, tags: &[&str]) -> RawManifest {
    let mut children = Vec::new();
    for (seed, architecture) in [(1, "amd64"), (2, "arm64")] {
        let layers = [bytes(seed, 300_000), bytes(99, 20_000)];
        let child = image(store, &layers, &[]).await;
        let mut descriptor = serde_json::to_value(child.descriptor()).unwrap();
        descriptor["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture });
        children.push(descriptor);
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children,
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    let tags: Vec<Tag> = tags.iter().map(|text| tag(text)).collect();
    store.put_manifest(&index, &tags).await.unwrap();
    index
}

/// A source that nobody may open.
struct Forbidden;

#[async_trait::async_trait]
impl BlobSource for Forbidden {
    async fn open(&self, _: u64) -> Result<ByteStream> {
        panic!("what is here already was read again")
    }
}

/// Blobs: put once, verified, read from anywhere.
async fn keeps_blobs(store: &dyn Store) {
    let (large, content) = blob(MediaType::OCI_LAYER, bytes(7, 700_001));
    assert!(!store.has_blob(&large).await.unwrap());
    let absent = store.blob(&large, 0).await.err().unwrap();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    let source = Arc::new(content.clone());
    let moved = store.put_blob(&large, source, None).await.unwrap();
    assert_eq!(moved, Moved::Sent);
    assert!(store.has_blob(&large).await.unwrap());
    let again = store.put_blob(&large, Arc::new(Forbidden), None);
    assert_eq!(again.await.unwrap(), Moved::Existed);
    assert_eq!(read_small(store, &large, 1 << 20).await.unwrap(), content);
    for offset in [1, 512, 262_144, 700_000, 700_001] {
        let mut rest = store.blob(&large, offset).await.unwrap();
        let mut read = Vec::new();
        while let Some(chunk) = rest.next().await {
            read.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(read, content[usize::try_from(offset).unwrap()..]);
    }
    let (empty, nothing) = blob("application/x-nothing", Bytes::new());
    store
        .put_blob(&empty, Arc::new(nothing), None)
        .await
        .unwrap();
    assert!(store.has_blob(&empty).await.unwrap());
    assert_eq!(read_small(store, &empty, 1).await.unwrap(), Bytes::new());
}

/// What is not what it was called does not come in, and what comes after it does.
async fn refuses_other_content(store: &dyn Store) {
    let (wanted, content) = blob(MediaType::OCI_LAYER, bytes(8, 400_000));
    let mut other = content.to_vec();
    other[399_999] ^= 1;
    let shorter = content.slice(..399_999);
    let longer = [&content[..], b"x"].concat();
    let mut wrong = vec![Bytes::from(other), shorter];
    // A registry is sent no more than was announced, which is what was wanted then.
    if store.origin().is_none() {
        wrong.push(longer.into());
    }
    for wrong in wrong {
        let failed = store.put_blob(&wanted, Arc::new(wrong), None).await;
        let kind = failed.unwrap_err().kind();
        let mismatch = [ErrorKind::DigestMismatch, ErrorKind::SizeMismatch];
        assert!(
            mismatch.contains(&kind) || store.origin().is_some(),
            "{kind:?}"
        );
        assert!(!store.has_blob(&wanted).await.unwrap());
    }
    store
        .put_blob(&wanted, Arc::new(content), None)
        .await
        .unwrap();
    assert!(store.has_blob(&wanted).await.unwrap());
    let mut lie = RawManifest::new(
        MediaType::OCI_INDEX,
        r#"{"schemaVersion":2,"manifests":[]}"#,
    );
    lie.digest = wanted.digest;
    assert!(store.put_manifest(&lie, &[]).await.is_err());
}

/// Manifests by digest, with their bytes as they were.
async fn keeps_manifests(store: &dyn Store) -> RawManifest {
    let root = index(store, &["1", "latest"]).await;
    let by_digest = Reference::Digest(root.digest);
    assert_eq!(store.manifest(&by_digest).await.unwrap(), root);
    assert_eq!(store.resolve(&by_digest).await.unwrap(), root.descriptor());
    for child in root.parse().unwrap().links {
        let reference = Reference::Digest(child.descriptor.digest);
        let manifest = store.manifest(&reference).await.unwrap();
        assert_eq!(manifest.media_type, MediaType::OCI_MANIFEST);
        for link in manifest.parse().unwrap().links {
            let mut read = read_verified(store, &link.descriptor).await.unwrap();
            while let Some(chunk) = read.next().await {
                chunk.unwrap();
            }
        }
    }
    let nobody = Reference::Digest(blob("", "nobody").0.digest);
    for absent in [nobody, by_tag("absent")] {
        let error = store.manifest(&absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let error = store.resolve(&absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(store.find(&absent).await.unwrap().is_none());
    }
    root
}

/// Tags: several for one manifest, and each can move.
async fn keeps_tags(store: &dyn Store, root: &RawManifest) {
    let sorted = || async {
        let mut tags = store.tags().await.unwrap();
        tags.sort();
        tags
    };
    assert_eq!(sorted().await, [tag("1"), tag("latest")]);
    for name in ["1", "latest"] {
        assert_eq!(store.manifest(&by_tag(name)).await.unwrap(), *root);
        assert_eq!(
            store.resolve(&by_tag(name)).await.unwrap(),
            root.descriptor()
        );
        let found = store.find(&by_tag(name)).await.unwrap();
        assert_eq!(found.unwrap().digest, root.digest);
    }
    let next = image(store, &[bytes(3, 1000)], &["2", "latest"]).await;
    assert_eq!(sorted().await, [tag("1"), tag("2"), tag("latest")]);
    assert_eq!(store.manifest(&by_tag("latest")).await.unwrap(), next);
    assert_eq!(store.manifest(&by_tag("1")).await.unwrap(), *root);
}

/// Referrers, also of a manifest that an index lists.
async fn lists_referrers(store: &dyn Store, root: &RawManifest) {
    assert_eq!(store.referrers(&root.digest).await.unwrap(), []);
    let child = Reference::Digest(root.parse().unwrap().links[0].descriptor.digest);
    let child = store.manifest(&child).await.unwrap();
    for subject in [root.clone(), child] {
        let note = attach(store, &subject, "application/vnd.test.note").await;
        let found = store.referrers(&subject.digest).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].digest, note.digest);
        let kind = found[0].artifact_type.as_deref();
        assert_eq!(kind, Some("application/vnd.test.note"));
    }
}

/// Tags and manifests go away, and nothing else.
async fn deletes(store: &dyn Store, root: &RawManifest) {
    let gone = |error: dockhand_client::Error| assert_eq!(error.kind(), ErrorKind::NotFound);
    store.delete_tag(&tag("1")).await.unwrap();
    gone(store.resolve(&by_tag("1")).await.unwrap_err());
    gone(store.delete_tag(&tag("1")).await.unwrap_err());
    let by_digest = Reference::Digest(root.digest);
    assert_eq!(store.manifest(&by_digest).await.unwrap(), *root);
    let other = store.resolve(&by_tag("2")).await.unwrap();
    store.delete_manifest(&other.digest).await.unwrap();
    for name in ["2", "latest"] {
        gone(store.resolve(&by_tag(name)).await.unwrap_err());
    }
    gone(
        store
            .manifest(&Reference::Digest(other.digest))
            .await
            .unwrap_err(),
    );
    gone(store.delete_manifest(&other.digest).await.unwrap_err());
    assert_eq!(store.tags().await.unwrap(), []);
    assert_eq!(store.manifest(&by_digest).await.unwrap(), *root);
}

async fn contract(store: &dyn Store) {
    keeps_blobs(store).await;
    refuses_other_content(store).await;
    let root = keeps_manifests(store).await;
    keeps_tags(store, &root).await;
    lists_referrers(store, &root).await;
    deletes(store, &root).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&Memory::new()).await;
}

#[tokio::test]
async fn a_repository_keeps_the_contract() {
    let registry = Registry::start().await;
    contract(&registry.repository("team/app")).await;
}

#[tokio::test]
async fn a_layout_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b");
    contract(&Layout::create(&dir).await.unwrap()).await;
    // A second value sees what the first one wrote.
    let layout = Layout::open(&dir).await.unwrap();
    assert!(
        layout
            .has_blob(&blob("", bytes(7, 700_001)).0)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn an_archive_keeps_the_contract_while_it_is_written_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let writer = ArchiveWriter::oci(&path).await.unwrap();
    keeps_blobs(&writer).await;
    refuses_other_content(&writer).await;
    let root = keeps_manifests(&writer).await;
    keeps_tags(&writer, &root).await;
    lists_referrers(&writer, &root).await;
    for refused in [
        writer.delete_tag(&tag("1")).await,
        writer.delete_manifest(&root.digest).await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    writer.finish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.manifest(&by_tag("1")).await.unwrap(), root);
    assert_eq!(archive.referrers(&root.digest).await.unwrap().len(), 1);
    let (large, content) = blob("", bytes(7, 700_001));
    assert_eq!(
        read_small(&archive, &large, 1 << 20).await.unwrap(),
        content
    );
    let refused = archive.put_manifest(&root, &[]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_folder_in_skopeos_form_keeps_all_of_the_contract_but_tags() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::create(folder.path().join("x")).await.unwrap();
    keeps_blobs(&directory).await;
    refuses_other_content(&directory).await;
    let root = keeps_manifests(&directory).await;
    lists_referrers(&directory, &root).await;
    assert_eq!(directory.tags().await.unwrap(), []);
    let manifest = folder.path().join("x/manifest.json");
    assert_eq!(std::fs::read(manifest).unwrap(), root.bytes);
    let child = root.parse().unwrap().links[0].descriptor.digest.hex();
    let child = folder.path().join(format!("x/{child}.manifest.json"));
    assert!(child.is_file());
}

/// From memory through every place and back, with referrers.
#[tokio::test]
async fn an_image_comes_through_every_place_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let origin = Memory::new();
    let root = index(&origin, &["1"]).await;
    attach(&origin, &root, "application/vnd.test.note").await;
    let options = CopyOptions {
        referrers: true,
        ..CopyOptions::default()
    };
    let registry = Registry::start().await;
    let mut from: Arc<dyn Store> = Arc::new(origin);
    for place in ["layout", "archive", "registry", "directory", "memory"] {
        let to: Arc<dyn Store> = match place {
            "layout" => Arc::new(Layout::create(path(place)).await.unwrap()),
            "archive" => Arc::new(ArchiveWriter::oci(path(place)).await.unwrap()),
            "directory" => Arc::new(Directory::create(path(place)).await.unwrap()),
            "registry" => Arc::new(registry.repository("through")),
            _ => Arc::new(Memory::new()),
        };
        let what = Reference::Digest(root.digest);
        copy(&from, &what, &to, &[tag("1")], &options)
            .await
            .unwrap();
        to.finish().await.unwrap();
        from = match place {
            "archive" => Arc::new(Archive::open(path(place)).await.unwrap()),
            _ => to,
        };
    }
    assert_eq!(from.manifest(&by_tag("1")).await.unwrap(), root);
    assert_eq!(from.referrers(&root.digest).await.unwrap().len(), 1);
    keeps_children(&*from, &root).await;
}

async fn keeps_children(store: &dyn Store, root: &RawManifest) {
    for child in root.parse().unwrap().links {
        let reference = Reference::Digest(child.descriptor.digest);
        let manifest = store.manifest(&reference).await.unwrap();
        for link in manifest.parse().unwrap().links {
            read_small(store, &link.descriptor, 1 << 20).await.unwrap();
        }
    }
}
