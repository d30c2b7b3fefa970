//! What nothing needs any more: in layouts, and in folders whose image was replaced.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::{
    Archive, ArchiveWriter, Directory, ErrorKind, Layout, Memory, Place, RawManifest, Store,
    Unobserved, validate,
};
use dockhand_oci::{Algorithm, Descriptor, ImageRef, MediaType, Reference};
use serde_json::json;

use crate::registry::{Registry, blob, bytes, image};
use crate::repositories::attach;
use crate::stores::{by_tag, index, tag};

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// All that an image needs, by the digits of its digests.
async fn all_of(store: &dyn Store, root: &RawManifest) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![root.clone()];
    while let Some(manifest) = open.pop() {
        all.insert(manifest.digest.hex());
        for link in manifest.parse().unwrap().links {
            let digest = link.descriptor.digest;
            all.insert(digest.hex());
            if link.kind == dockhand_oci::LinkKind::Manifest {
                open.push(store.manifest(&digest.into()).await.unwrap());
            }
        }
    }
    all
}

#[tokio::test]
async fn a_layout_gives_back_what_nothing_needs_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let layout = Layout::create(dir).await.unwrap();
    let kept = index(&layout, &["kept"]).await;
    // It shares a layer with what is kept, and has a referrer, which has one itself.
    let layers = [bytes(99, 20_000), bytes(50, 3000)];
    let gone = image(&layout, &layers, &["gone", "also"]).await;
    let note = attach(&layout, &gone, "application/vnd.test.note").await;
    attach(&layout, &note, "application/vnd.test.note").await;
    let about = attach(&layout, &kept, "application/vnd.test.note").await;
    let loose = image(&layout, &[bytes(60, 10)], &[]).await;
    drop(layout);
    std::fs::write(dir.join(".dockhand-left"), "half").unwrap();
    let blobs = dir.join("blobs/sha256");
    std::fs::write(blobs.join("readme"), "not ours").unwrap();
    let before = names(&blobs);

    let layout = Layout::open(dir).await.unwrap();
    assert!(
        layout
            .prune(&[gone.digest], false)
            .await
            .unwrap()
            .content
            .is_empty()
    );
    assert_eq!(names(&blobs), before, "a name is left");
    layout.delete_tag(&tag("gone")).await.unwrap();
    layout.delete_tag(&tag("also")).await.unwrap();
    assert!(layout.prune(&[], false).await.unwrap().content.is_empty());
    let child = kept.parse().unwrap().links[0].descriptor.digest;
    let both = [gone.digest, child];
    let planned = layout.prune(&both, true).await.unwrap();
    assert_eq!(names(&blobs), before, "a dry run takes nothing away");
    let pruned = layout.prune(&both, false).await.unwrap();
    assert_eq!(pruned, planned);
    assert!(pruned.bytes > 3000);

    let mut expected = all_of(&layout, &kept).await;
    expected.extend(all_of(&layout, &about).await);
    expected.extend(all_of(&layout, &loose).await);
    expected.insert("readme".to_owned());
    assert_eq!(names(&blobs), expected);
    assert!(!names(dir).contains(".dockhand-left"));
    assert_eq!(layout.tags().await.unwrap(), [tag("kept")]);
    assert_eq!(layout.referrers(&kept.digest).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_pruned_while_somebody_writes_or_when_something_is_not_understood() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let writer = Layout::create(dir).await.unwrap();
    let (layer, content) = blob(MediaType::OCI_LAYER, bytes(1, 100));
    let put = writer.put_blob(&layer, Arc::new(content), None);
    put.await.unwrap();
    let layout = Layout::open(dir).await.unwrap();
    let refused = layout.prune(&[], false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(layout.has_blob(&layer).await.unwrap());
    let root = image(&writer, &[bytes(2, 10)], &["1"]).await;
    drop(writer);
    std::fs::write(dir.join("blobs/sha256").join(root.digest.hex()), "{}").unwrap();
    let refused = layout.prune(&[], false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(layout.has_blob(&layer).await.unwrap());
    std::fs::remove_file(dir.join("blobs/sha256").join(root.digest.hex())).unwrap();
    // What is not here needs nothing that is.
    let pruned = layout.prune(&[], false).await.unwrap();
    assert!(pruned.content.contains(&layer.digest));
    let refused = Memory::new().prune(&[], false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_tag_with_a_name_goes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    let nobody = |_: &ImageRef| unreachable!();
    let origin: Arc<dyn Store> = Arc::new(Memory::new());
    image(&*origin, &[bytes(1, 10)], &["1"]).await;
    let place = |text: String| text.parse::<Place>().unwrap();
    for name in ["a:1", "b:1"] {
        let (to, tags) = place(format!("oci:{dir}:{name}"))
            .create(&nobody)
            .await
            .unwrap();
        let options = CopyOptions::default();
        copy(&origin, &by_tag("1"), &to, &tags, &options)
            .await
            .unwrap();
    }
    let store = place(format!("oci:{dir}:c:1"))
        .store(&nobody)
        .await
        .unwrap();
    let absent = store.untag(&tag("1")).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    let store = place(format!("oci:{dir}:b:1"))
        .store(&nobody)
        .await
        .unwrap();
    store.untag(&tag("1")).await.unwrap();
    place(format!("oci:{dir}:a:1")).open(&nobody).await.unwrap();
    let gone = place(format!("oci:{dir}:b:1")).open(&nobody).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_folder_has_the_last_image_and_nothing_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("x");
    let origin: Arc<dyn Store> = Arc::new(Memory::new());
    let old = index(&*origin, &["old"]).await;
    let note = attach(&*origin, &old, "application/vnd.test.note").await;
    let child = old.parse().unwrap().links[0].descriptor.digest;
    let alone = image(&*origin, &[bytes(99, 20_000), bytes(8, 50)], &["alone"]).await;
    let digests = [
        old.digest,
        alone.digest,
        old.digest,
        child,
        note.digest,
        old.digest,
    ];
    for (turn, digest) in digests.into_iter().enumerate() {
        let to: Arc<dyn Store> = Arc::new(Directory::create(&dir).await.unwrap());
        let what = Reference::Digest(digest);
        let root = origin.manifest(&what).await.unwrap();
        let options = CopyOptions::default();
        copy(&origin, &what, &to, &[], &options).await.unwrap();
        to.finish().await.unwrap();
        let written = std::fs::read(dir.join("manifest.json")).unwrap();
        assert_eq!(written, root.bytes, "{turn}");
        std::fs::write(dir.join("signature-1"), "of the one before").unwrap();
        std::fs::write(dir.join("letter.txt"), "mine").unwrap();
        let mut expected: BTreeSet<String> = { all_of(&*origin, &root).await.into_iter() }
            .filter(|hex| *hex != root.digest.hex())
            .collect();
        if digest == old.digest {
            for link in old.parse().unwrap().links {
                let hex = link.descriptor.digest.hex();
                expected.remove(&hex);
                expected.insert(format!("{hex}.manifest.json"));
            }
        }
        let fixed = ["manifest.json", "version", "signature-1", "letter.txt"];
        expected.extend(fixed.map(str::to_owned));
        assert_eq!(names(&dir), expected, "{turn}");
    }
    std::fs::write(dir.join(".dockhand-left"), "half").unwrap();
    let to = Directory::create(&dir).await.unwrap();
    image(&to, &[bytes(1, 1)], &[]).await;
    to.finish().await.unwrap();
    assert!(!names(&dir).contains(".dockhand-left"));
    assert!(!names(&dir).contains("signature-1"));
    assert!(names(&dir).contains("letter.txt"));
}

#[tokio::test]
async fn every_place_keeps_images_of_longer_digests() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let registry = Registry::start().await;
    let origin: Arc<dyn Store> = Arc::new(Memory::new());
    let mut children = Vec::new();
    for seed in [1, 2] {
        let mut child = image(&*origin, &[bytes(seed, 100)], &[]).await;
        child.digest = Algorithm::Sha512.digest(&child.bytes);
        origin.put_manifest(&child, &[]).await.unwrap();
        let size = child.bytes.len() as u64;
        children.push(Descriptor::new(MediaType::OCI_MANIFEST, child.digest, size));
    }
    let root =
        json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children });
    let root = RawManifest::new(MediaType::OCI_INDEX, root.to_string());
    origin.put_manifest(&root, &[tag("1")]).await.unwrap();
    for place in ["directory", "layout", "archive", "registry"] {
        let to: Arc<dyn Store> = match place {
            "directory" => Arc::new(Directory::create(path(place)).await.unwrap()),
            "layout" => Arc::new(Layout::create(path(place)).await.unwrap()),
            "archive" => Arc::new(ArchiveWriter::oci(path(place)).await.unwrap()),
            _ => Arc::new(registry.repository("app")),
        };
        let options = CopyOptions::default();
        copy(&origin, &by_tag("1"), &to, &[tag("1")], &options)
            .await
            .unwrap();
        to.finish().await.unwrap();
        let back: Arc<dyn Store> = match place {
            "directory" => Arc::new(Directory::open(path(place)).await.unwrap()),
            "layout" => Arc::new(Layout::open(path(place)).await.unwrap()),
            "archive" => Arc::new(Archive::open(path(place)).await.unwrap()),
            _ => to,
        };
        let what = root.digest.into();
        let found = validate(&back, &what, false, &Unobserved).await.unwrap();
        assert!(found.problems.is_empty(), "{place}: {found:?}");
        assert_eq!((found.manifests, found.blobs), (3, 3), "{place}");
    }
    let layout = Layout::open(path("layout")).await.unwrap();
    assert!(layout.prune(&[], false).await.unwrap().content.is_empty());
}
