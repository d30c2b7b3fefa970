//! Sizes, differences, and indexes made by hand.

use std::sync::Arc;

use dockhand_client::diff::{DiffOptions, diff};
use dockhand_client::image::Image;
use dockhand_client::rewrite::{IndexDraft, entries, entry_of};
use dockhand_client::sizes::{repository_size, size_of};
use dockhand_client::{ErrorKind, RawManifest, Store};
use dockhand_oci::{MediaType, Reference};
use serde_json::json;

use crate::registry::{Registry, bytes};
use crate::rewrite::{digest_of, named, put_index};
use crate::tars::Is::{Directory, File, Hard, Link};
use crate::tars::{an_image, gzip, put_image, tag, tar};

#[tokio::test]
async fn sizes_count_each_blob_once() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let (common, own) = (bytes(1, 10_000), bytes(2, 2_000));
    let one = put_image(&app, std::slice::from_ref(&common), &json!({}), false).await;
    let two = put_image(&app, &[common.clone(), own.clone(), own], &json!({}), false).await;
    for (manifest, names) in [(&one, vec!["a", "also-a"]), (&two, vec!["b"])] {
        let tags: Vec<_> = names.into_iter().map(tag).collect();
        app.put_manifest(manifest, &tags).await.unwrap();
    }
    let config = |manifest: &RawManifest| manifest.parse().unwrap().links[0].descriptor.size;
    let own_size = |manifest: &RawManifest| manifest.bytes.len() as u64 + config(manifest);
    let size = size_of(&app, &named("b")).await.unwrap();
    assert_eq!(size.total, 12_000 + own_size(&two));
    assert_eq!(size.images[0].layers, [10_000, 2_000, 2_000]);
    assert!(size.images[0].is_image);
    let whole = repository_size(&app, &[]).await.unwrap();
    assert_eq!(whole.total, 12_000 + own_size(&one) + own_size(&two));
    let said: Vec<_> = { whole.tags.iter() }
        .map(|one| (one.tag.as_str(), one.total, one.unique, one.shared))
        .collect();
    let (first, second) = (own_size(&one), own_size(&two));
    assert_eq!(
        said,
        [
            // Nothing becomes free with one of two tags of a manifest.
            ("a", 10_000 + first, 0, 10_000 + first),
            ("also-a", 10_000 + first, 0, 10_000 + first),
            ("b", 12_000 + second, 2_000 + second, 10_000),
        ]
    );
    assert_eq!(whole.items, 6);
    let index = put_index(&app, &["linux/amd64", "linux/arm64"], "index").await;
    let size = size_of(&app, &digest_of(&index)).await.unwrap();
    let platforms: Vec<_> = { size.images.iter() }.map(|one| one.is_image).collect();
    assert_eq!(platforms, [true, false, true, false]);
    let parts: u64 = size.images.iter().map(|one| one.total).sum();
    assert_eq!(size.total, parts + index.bytes.len() as u64);
    let none = repository_size(&app, &[tag("absent")]).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn images_differ_by_their_files() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let base = gzip(&tar(&[
        ("same", File("same")),
        ("etc/", Directory),
        ("gone", File("x")),
        ("changed", File("abc")),
        ("kind", File("x")),
        ("link", Link("same")),
    ]));
    let one = an_image(&store, std::slice::from_ref(&base)).await;
    let upper = tar(&[
        (".wh.gone", File("")),
        ("changed", File("abd")),
        ("kind", Link("same")),
        ("link", Link("etc")),
        ("etc/new", File("new")),
        // The same content by another way is the same file.
        ("same", File("same")),
        ("other", Hard("same")),
    ]);
    let two = an_image(&store, &[base, upper]).await;
    let options = DiffOptions::default();
    let found = diff((&store, &one), (&store, &two), options).await.unwrap();
    let said: Vec<String> = { found.files.iter() }
        .map(|change| {
            let sign = match (&change.before, &change.after) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            format!("{sign}{}", change.path)
        })
        .collect();
    let expected = [
        "~/changed",
        "+/etc/new",
        "-/gone",
        "~/kind",
        "~/link",
        "+/other",
    ];
    assert_eq!(said, expected);
    let pointers: Vec<&str> = { found.config.iter() }
        .map(|one| one.pointer.as_str())
        .collect();
    assert_eq!(pointers, ["/history/1", "/rootfs/diff_ids/1"]);
    assert!(found.manifest.iter().any(|one| one.pointer == "/layers/1"));
    let same = diff((&store, &one), (&store, &one), options).await.unwrap();
    assert!(same.is_empty());
    // The same files from other layers are the same files.
    let plain = an_image(&store, &[tar(&[("a", File("x"))])]).await;
    let packed = an_image(&store, &[gzip(&tar(&[("a", File("x"))]))]).await;
    let found = diff((&store, &plain), (&store, &packed), options)
        .await
        .unwrap();
    assert!(found.files.is_empty() && found.config.is_empty() && !found.manifest.is_empty());
}

#[tokio::test]
async fn an_index_is_made_by_hand() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let image = |architecture: &'static str, text: &'static str| {
        let app = app.clone();
        async move {
            let config = json!({ "architecture": architecture, "variant": "v9" });
            put_image(&app, &[tar(&[("a", File(text))])], &config, false).await
        }
    };
    let (arm, amd) = (image("arm64", "1").await, image("amd64", "2").await);
    let mut draft = IndexDraft::empty(false).unwrap();
    for manifest in [&arm, &amd] {
        for entry in entry_of(&app, manifest).await.unwrap() {
            assert!(draft.add(entry).is_none());
        }
    }
    draft.annotate(&[("a".into(), Some("b".into()))]).unwrap();
    let index = draft.finish().unwrap();
    assert_eq!(index.media_type, MediaType::OCI_INDEX);
    app.put_manifest(&index, &[tag("1")]).await.unwrap();
    let listed = entries(&index).unwrap();
    let platform = listed[0].descriptor.platform.as_ref().unwrap();
    assert_eq!(platform.to_string(), "linux/arm64/v9");
    // Another image for a platform takes the place of the first.
    let newer = image("arm64", "3").await;
    let mut draft = IndexDraft::of(&index).unwrap();
    let entry = entry_of(&app, &newer).await.unwrap().remove(0);
    assert_eq!(draft.add(entry).unwrap().descriptor.digest, arm.digest);
    let changed = draft.finish().unwrap();
    let digests: Vec<_> = { entries(&changed).unwrap().into_iter() }
        .map(|entry| entry.descriptor.digest)
        .collect();
    assert_eq!(digests, [newer.digest, amd.digest]);
    // An index brings its own entries, attestations included, and they go with their image.
    let other = put_index(&app, &["linux/amd64", "linux/s390x"], "2").await;
    let mut draft = IndexDraft::empty(true).unwrap();
    for entry in entry_of(&app, &other).await.unwrap() {
        draft.add(entry);
    }
    assert_eq!(draft.entries().len(), 4);
    let gone = draft
        .remove(&[], &["linux/s390x".parse().unwrap()])
        .unwrap();
    assert_eq!(gone.len(), 2);
    let error = draft.remove(&[arm.digest], &[]).unwrap_err();
    assert!(error.to_string().contains("it has linux/amd64"), "{error}");
    let docker = draft.finish().unwrap();
    assert_eq!(docker.media_type, MediaType::DOCKER_LIST);
    assert_eq!(docker.parse().unwrap().links.len(), 2);
    let error = entries(&amd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let store: Arc<dyn Store> = Arc::new(app);
    let read = Image::read(&*store, index).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::Unsupported);
    assert!(
        store
            .find(&Reference::Digest(docker.digest))
            .await
            .unwrap()
            .is_none()
    );
}
