//! Copies between two registries of our own.

use std::sync::Arc;

use dockhand_client::copy::{CopyOptions, copy, keep_platforms, plan};
use dockhand_client::sizes::size_of;
use dockhand_client::{ErrorKind, Layout, Memory, RawManifest, Store, Unobserved, validate};
use dockhand_oci::{MediaType, Reference, Tag};

use crate::peer::Watch;
use crate::registry::{Registry, blob, bytes, image};
use crate::repositories::attach;

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Pushes an index of two platforms.
async fn index(store: &dyn Store, name: &str) -> RawManifest {
    let mut children = Vec::new();
    for (seed, architecture) in [(1, "amd64"), (2, "arm64")] {
        let layers = [bytes(seed, 50_000), bytes(99, 20_000)];
        let child = image(store, &layers, &[]).await;
        let mut descriptor = serde_json::to_value(child.descriptor()).unwrap();
        descriptor["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture });
        descriptor["unknown"] = "kept".into();
        children.push(descriptor);
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children,
        "annotations": { "b": "2", "a": "1" },
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    store.put_manifest(&index, &[tag(name)]).await.unwrap();
    index
}

#[tokio::test]
async fn an_index_is_copied_byte_for_byte_and_once() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let from: Arc<dyn Store> = Arc::new(here.repository("app"));
    let to: Arc<dyn Store> = Arc::new(there.repository("copy/of/app"));
    let index = index(&*from, "1").await;
    let what = Reference::Tag(tag("1"));
    let options = CopyOptions::default();
    let tags = [tag("1"), tag("latest")];
    let planned = plan(&from, &what, &to, &tags, &options).await.unwrap();
    assert!(!planned.unchanged);
    assert_eq!((planned.manifests.len(), planned.blobs.len()), (3, 4));
    let copied = copy(&from, &what, &to, &tags, &options).await.unwrap();
    assert_eq!(copied.descriptor.digest, index.digest);
    assert_eq!(
        (copied.blobs_sent, copied.manifests, copied.existed),
        (4, 3, 0)
    );
    assert_eq!(copied.bytes_sent, planned.bytes);
    for tag in tags.clone() {
        assert_eq!(to.manifest(&Reference::Tag(tag)).await.unwrap(), index);
    }
    let again = copy(&from, &what, &to, &tags, &options).await.unwrap();
    assert_eq!(
        (again.blobs_sent, again.manifests, again.existed),
        (0, 0, 1)
    );
    assert!(
        plan(&from, &what, &to, &tags, &options)
            .await
            .unwrap()
            .unchanged
    );
    // Another repository of the same registry moves no byte.
    let beside: Arc<dyn Store> = Arc::new(there.repository("beside"));
    let mounted = copy(&to, &what, &beside, &tags, &options).await.unwrap();
    assert_eq!((mounted.mounted, mounted.bytes_sent), (4, 0));
}

#[tokio::test]
async fn a_chosen_platform_comes_alone() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let from: Arc<dyn Store> = Arc::new(here.repository("app"));
    let to: Arc<dyn Store> = Arc::new(there.repository("app"));
    let index = index(&*from, "1").await;
    let what = Reference::Tag(tag("1"));
    let mut options = CopyOptions {
        platforms: vec!["linux/arm64".parse().unwrap()],
        ..Default::default()
    };
    let copied = copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    // The image itself, as others copy it.
    let image = index.parse().unwrap().links[1].descriptor.digest;
    assert_eq!(copied.descriptor.digest, image);
    assert_eq!(to.manifest(&what).await.unwrap().digest, image);
    let again = copy(&from, &what, &to, &[tag("1")], &options).await;
    assert_eq!(again.unwrap().manifests, 0);
    options.platforms = vec!["linux/s390x".parse().unwrap()];
    let error = copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("linux/amd64, linux/arm64"),
        "{error}"
    );
}

#[tokio::test]
async fn referrers_and_digest_tags_come_along() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let from: Arc<dyn Store> = Arc::new(here.repository("app"));
    let to: Arc<dyn Store> = Arc::new(there.repository("app"));
    let subject = image(&*from, &[bytes(5, 1000)], &["1"]).await;
    let signature = attach(&*from, &subject, "example/signature").await;
    let about = attach(&*from, &signature, "example/about").await;
    let named = format!("{}.sig", subject.digest.to_string().replace(':', "-"));
    let cosign = image(&*from, &[bytes(6, 10)], &[&named]).await;
    let what = Reference::Tag(tag("1"));
    let options = CopyOptions {
        referrers: true,
        digest_tags: true,
        ..Default::default()
    };
    copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    for (subject, expected) in [(&subject, &signature), (&signature, &about)] {
        let found = to.referrers(&subject.digest).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].digest, expected.digest);
    }
    let found = to.manifest(&Reference::Tag(tag(&named))).await.unwrap();
    assert_eq!(found, cosign);
    // A second time nothing is sent, although everything is looked at.
    let again = copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    assert_eq!((again.bytes_sent, again.blobs_sent), (0, 0));
}

/// Puts an index of these manifests.
async fn index_of(store: &dyn Store, children: &[&RawManifest], tags: &[Tag]) -> RawManifest {
    let children: Vec<_> = children.iter().map(|child| child.descriptor()).collect();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children,
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    store.put_manifest(&index, tags).await.unwrap();
    index
}

#[tokio::test]
async fn what_is_listed_comes_before_all_that_list_it() {
    let registry = Registry::start().await;
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    let to: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let leaf = image(&*from, &[bytes(1, 10)], &[]).await;
    let inner = index_of(&*from, &[&leaf], &[]).await;
    let outer = index_of(&*from, &[&inner], &[]).await;
    // Each is listed by the root and, deeper, by one of the others.
    let root = index_of(&*from, &[&outer, &inner, &leaf], &[tag("1")]).await;
    let what = Reference::Tag(tag("1"));
    let options = CopyOptions::default();
    let planned = plan(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    let order: Vec<_> = planned.manifests.iter().map(|one| one.digest).collect();
    assert_eq!(order, [&leaf, &inner, &outer, &root].map(|one| one.digest));
    let copied = copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    assert_eq!(copied.manifests, 4);
    assert_eq!(to.manifest(&what).await.unwrap(), root);
}

/// What BuildKit writes with `--cache-to type=registry`: blobs stand where an index has manifests.
#[tokio::test]
async fn an_index_of_blobs_is_copied_with_them() {
    let registry = Registry::start().await;
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    let to: Arc<dyn Store> = Arc::new(registry.repository("cache"));
    let folder = tempfile::tempdir().unwrap();
    let layout: Arc<dyn Store> = Arc::new(Layout::create(folder.path()).await.unwrap());
    let blobs = [
        blob(MediaType::OCI_LAYER_GZIP, bytes(1, 5000)),
        blob("application/vnd.buildkit.cacheconfig.v0", "{}"),
    ];
    for (blob, content) in &blobs {
        from.put_blob(blob, Arc::new(content.clone()), None)
            .await
            .unwrap();
    }
    let children = blobs.map(|(blob, _)| blob);
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children,
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    from.put_manifest(&index, &[tag("main")]).await.unwrap();
    let what = Reference::Tag(tag("main"));
    let options = CopyOptions::default();
    for (from, to) in [(&from, &to), (&to, &layout)] {
        let copied = copy(from, &what, to, &[tag("main")], &options)
            .await
            .unwrap();
        assert_eq!((copied.manifests, copied.blobs_sent), (1, 2));
        assert_eq!(to.manifest(&what).await.unwrap(), index);
        let found = validate(to, &what, false, &Unobserved).await.unwrap();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert_eq!((found.manifests, found.blobs, found.bytes), (1, 2, 5002));
        let size = size_of(&**to, &what).await.unwrap();
        assert_eq!(size.total, 5002 + index.bytes.len() as u64);
        assert_eq!(size.images[0].layers, [5000, 2]);
    }
}

#[tokio::test]
async fn an_image_for_two_platforms_stays_for_the_one_that_is_meant() {
    let store = Memory::new();
    let child = image(&store, &[bytes(1, 10)], &[]).await.descriptor();
    let entries = ["v6", "v7"].map(|variant| {
        let mut entry = serde_json::to_value(&child).unwrap();
        entry["platform"] =
            serde_json::json!({ "os": "linux", "architecture": "arm", "variant": variant });
        entry
    });
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries,
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    let wanted = ["linux/arm/v7".parse().unwrap()];
    let kept = keep_platforms(&index, &wanted)
        .unwrap()
        .parse()
        .unwrap()
        .links;
    assert_eq!(kept.len(), 1);
    let platform = kept[0].descriptor.platform.as_ref().unwrap();
    assert_eq!(platform.to_string(), "linux/arm/v7");
}

#[tokio::test]
async fn layers_that_are_not_distributable_are_told() {
    let (from, to) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
    let (config, content) = blob(MediaType::OCI_CONFIG, "{}");
    from.put_blob(&config, Arc::new(content), None)
        .await
        .unwrap();
    let (mut layer, _) = blob(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "far",
    );
    layer.urls = vec!["https://example.com/far".to_owned()];
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer],
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    from.put_manifest(&manifest, &[tag("1")]).await.unwrap();
    let watch = Arc::<Watch>::default();
    let options = CopyOptions {
        observer: Arc::clone(&watch) as _,
        ..CopyOptions::default()
    };
    let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (from, to);
    let what = Reference::Tag(tag("1"));
    copy(&from, &what, &to, &[tag("1")], &options)
        .await
        .unwrap();
    let told = "1 layer is not distributable and was not copied: the `urls` in the manifest say where to get them";
    assert_eq!(watch.warnings(), [told]);
}
