//! Layers appended, exchanged and flattened.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::filesystem::Limits;
use dockhand_client::image::{Image, select};
use dockhand_client::layers::{Compression, LayerFile};
use dockhand_client::rewrite::{
    Append, Base, BaseImages, BaseState, Flatten, Rebase, RewriteOptions, base_check, bases,
    rewrite, scratch,
};
use dockhand_client::{ErrorKind, Store};
use dockhand_oci::{Algorithm, MediaType};
use serde_json::json;

use crate::filesystem::exported;
use crate::registry::Registry;
use crate::rewrite::{digest_of, edits, named, put_index, write};
use crate::tars::Is::{File, Hard};
use crate::tars::{contents, gzip, put_image, tag, tar, zstd};

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn append(paths: &[PathBuf]) -> Append {
    let mut layers = Vec::new();
    for path in paths {
        layers.push(LayerFile::read(path).await.unwrap());
    }
    Append {
        layers,
        created: None,
        created_by: None,
    }
}

#[tokio::test]
async fn layers_are_appended_as_they_are() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let store: Arc<dyn Store> = Arc::new(app.clone());
    put_index(&*store, &["linux/amd64", "linux/arm64"], "1").await;
    let folder = tempfile::tempdir().unwrap();
    let plain = tar(&[("new", File("new")), ("which", File("other"))]);
    let paths = [
        file(&folder, "plain.tar", &plain),
        file(&folder, "small.tgz", &gzip(&tar(&[("g", File("g"))]))),
        file(&folder, "z.tar.zst", &zstd(&tar(&[("z", File("z"))]))),
    ];
    let append = append(&paths).await;
    assert_eq!(append.layers[0].digest, append.layers[0].diff_id);
    let options = RewriteOptions::default();
    let made = rewrite(&store, &named("1"), &edits(append), &options)
        .await
        .unwrap();
    write(&made, &app, "2").await;
    for platform in ["linux/amd64", "linux/arm64"] {
        let image = select(&*store, &named("2"), Some(&platform.parse().unwrap()))
            .await
            .unwrap();
        let types: Vec<&str> = image.layers[1..]
            .iter()
            .map(|one| one.media_type.as_str())
            .collect();
        let expected = [
            MediaType::OCI_LAYER,
            MediaType::OCI_LAYER_GZIP,
            MediaType::OCI_LAYER_ZSTD,
        ];
        assert_eq!(types, expected);
        assert_eq!(image.layers[1].digest, Algorithm::Sha256.digest(&plain));
        let diff_ids = &image.config.rootfs.diff_ids;
        assert_eq!(
            diff_ids[2],
            Algorithm::Sha256
                .digest(&tar(&[("g", File("g"))]))
                .to_string()
        );
        let last = image.config.history.last().unwrap();
        assert_eq!(
            last.created_by.as_deref(),
            Some("dockhand append z.tar.zst")
        );
        assert_eq!((image.config.history.len(), diff_ids.len()), (4, 4));
        let merged = contents(&exported(&*store, &image, Limits::default()).await.unwrap());
        assert_eq!(
            (merged["which"].as_str(), merged["z"].as_str()),
            ("other", "z")
        );
        assert!(merged.contains_key(platform));
    }
}

#[tokio::test]
async fn an_image_begins_with_nothing() {
    let registry = Registry::start().await;
    let app = registry.repository("new");
    let folder = tempfile::tempdir().unwrap();
    let append = append(&[file(&folder, "a.tar", &tar(&[("a", File("x"))]))]).await;
    let (empty, what) = scratch(&"linux/arm64/v8".parse().unwrap());
    let options = RewriteOptions::default();
    let made = rewrite(&empty, &what, &edits(append.clone()), &options)
        .await
        .unwrap();
    let again = rewrite(&empty, &what, &edits(append), &options)
        .await
        .unwrap();
    assert_eq!(made.root, again.root, "it is not the same every time");
    let written = write(&made, &app, "1").await;
    let image = Image::read(&app, written).await.unwrap();
    assert_eq!(image.platform.to_string(), "linux/arm64/v8");
    let merged = contents(&exported(&app, &image, Limits::default()).await.unwrap());
    assert_eq!(merged.len(), 1);
}

#[tokio::test]
async fn files_that_are_no_layers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = tar(&[("a", File("x"))]);
    for (name, bytes, kind) in [
        ("text", Bytes::from_static(b"hello"), ErrorKind::Invalid),
        ("empty", Bytes::new(), ErrorKind::Invalid),
        ("json", Bytes::from(vec![b'{'; 4096]), ErrorKind::Invalid),
        ("cut.tgz", gzip(&whole).slice(..60), ErrorKind::Invalid),
        ("cut.tar", whole.slice(..700), ErrorKind::Invalid),
        (
            "a.zip",
            Bytes::from_static(b"PK\x03\x04...."),
            ErrorKind::Unsupported,
        ),
        ("up.tar", tar(&[("../a", File("x"))]), ErrorKind::Unsafe),
    ] {
        let path = file(&folder, name, &bytes);
        let error = LayerFile::read(&path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let missing = LayerFile::read(folder.path().join("missing"))
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let is_folder = LayerFile::read(folder.path()).await.unwrap_err();
    assert_eq!(is_folder.kind(), ErrorKind::Invalid);
    // Docker's media types have no word for zstd.
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let docker = put_image(&*store, &[], &json!({}), true).await;
    let options = RewriteOptions::default();
    for (bytes, fits) in [
        (zstd(&whole), false),
        (gzip(&whole), true),
        (whole.clone(), true),
    ] {
        let append = append(&[file(&folder, "layer", &bytes)]).await;
        let done = rewrite(&store, &digest_of(&docker), &edits(append), &options).await;
        match done {
            Ok(made) => {
                let layer = &made.root.parse().unwrap().links[1].descriptor;
                assert!(fits && layer.media_type.starts_with("application/vnd.docker."));
            }
            Err(error) => assert!(!fits && error.kind() == ErrorKind::Unsupported, "{error}"),
        }
    }
}

#[tokio::test]
async fn all_layers_become_one() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let store: Arc<dyn Store> = Arc::new(app.clone());
    let lower = gzip(&tar(&[
        ("a", File("old")),
        ("b", Hard("a")),
        ("gone", File("x")),
    ]));
    let upper = tar(&[("a", File("new")), (".wh.gone", File(""))]);
    let image = put_image(&*store, &[lower, upper], &json!({}), false).await;
    let before = Image::read(&*store, image.clone()).await.unwrap();
    let options = RewriteOptions::default();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let flatten = Flatten {
            compression,
            ..Flatten::default()
        };
        let made = rewrite(&store, &digest_of(&image), &edits(flatten), &options)
            .await
            .unwrap();
        let again = rewrite(&store, &digest_of(&image), &edits(flatten), &options)
            .await
            .unwrap();
        assert_eq!(
            made.root, again.root,
            "{compression:?}: not the same every time"
        );
        let flat = Image::read(&*store, write(&made, &app, "flat").await)
            .await
            .unwrap();
        assert_eq!((flat.layers.len(), flat.config.history.len()), (1, 1));
        let limits = Limits::default();
        let written = exported(&*store, &flat, limits).await.unwrap();
        assert_eq!(
            contents(&written),
            contents(&exported(&*store, &before, limits).await.unwrap())
        );
        let bytes = dockhand_client::read_small(&*store, &flat.layers[0], 1 << 20)
            .await
            .unwrap();
        let plain = match Compression::of(&bytes).unwrap() {
            Compression::None => bytes.to_vec(),
            Compression::Zstd => zstd_plain(&bytes),
            Compression::Gzip => {
                let mut plain = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
                plain
            }
        };
        let diff_id = Algorithm::Sha256.digest(&plain).to_string();
        assert_eq!(flat.config.rootfs.diff_ids, [diff_id]);
    }
}

fn zstd_plain(bytes: &[u8]) -> Vec<u8> {
    ::zstd::decode_all(bytes).unwrap()
}

/// The layers of a base in one version, what is built on it, and their configs.
#[tokio::test]
async fn an_image_moves_to_another_base() {
    let registry = Registry::start().await;
    let base = registry.repository("base");
    let app = registry.repository("app");
    let layer = |text: &'static str| gzip(&tar(&[("from", File(text)), (text, File(text))]));
    let old = put_image(
        &base,
        &[layer("old")],
        &json!({ "config": {
            "Env": ["PATH=/bin", "VERSION=1", "DROPPED=1"], "Cmd": ["bash"], "User": "root",
            "Labels": { "version": "1", "vendor": "v" },
        } }),
        false,
    )
    .await;
    let new = put_image(
        &base,
        &[layer("new"), layer("more")],
        &json!({ "config": {
            "Env": ["PATH=/bin", "VERSION=2", "ADDED=1"], "Cmd": ["sh"], "StopSignal": "SIGINT",
            "Labels": { "version": "2", "vendor": "v" },
        } }),
        false,
    )
    .await;
    let own = put_image(
        &app,
        &[layer("old"), layer("own")],
        &json!({ "config": {
            "Env": ["PATH=/own", "VERSION=1", "DROPPED=1", "OWN=1"], "Entrypoint": ["/own"],
            "User": "app", "Labels": { "version": "1", "vendor": "own" },
        } }),
        false,
    )
    .await;
    let store: Arc<dyn Store> = Arc::new(app.clone());
    let base_store: Arc<dyn Store> = Arc::new(base.clone());
    let images = |manifest| {
        let (store, name) = (Arc::clone(&base_store), "reg.example/base:1");
        async move {
            BaseImages::read(store, &digest_of(manifest), name)
                .await
                .unwrap()
        }
    };
    let rebase = Rebase {
        old: images(&old).await,
        new: images(&new).await,
    };
    let options = RewriteOptions::default();
    let made = rewrite(&store, &digest_of(&own), &edits(rebase), &options)
        .await
        .unwrap();
    // In the registry that has both, no layer moves.
    let here: Arc<dyn Store> = Arc::new(registry.repository("here"));
    let what = made.reference();
    let copied = copy(&made.store, &what, &here, &[], &CopyOptions::default())
        .await
        .unwrap();
    assert_eq!((copied.mounted, copied.blobs_sent), (3, 1));
    // To another registry, where no layer of either is.
    let far = Registry::start().await;
    let target = far.repository("rebased");
    let image = Image::read(&target, write(&made, &target, "1").await)
        .await
        .unwrap();
    let merged = contents(&exported(&target, &image, Limits::default()).await.unwrap());
    assert_eq!(merged["from"], "own");
    assert!(merged.contains_key("more") && !merged.contains_key("old"));
    let run = &image.config.config;
    assert_eq!(run.env, ["PATH=/own", "VERSION=2", "OWN=1", "ADDED=1"]);
    assert_eq!(
        (run.entrypoint.join(" "), run.cmd.len()),
        ("/own".to_owned(), 0)
    );
    assert_eq!(
        (run.user.as_str(), run.stop_signal.as_str()),
        ("app", "SIGINT")
    );
    assert_eq!(
        (
            run.labels["version"].as_str(),
            run.labels["vendor"].as_str()
        ),
        ("2", "own")
    );
    assert_eq!((image.config.history.len(), image.layers.len()), (3, 3));
    let annotations = image.manifest.parse().unwrap().annotations;
    let prefix = "org.opencontainers.image.base";
    assert_eq!(annotations[&format!("{prefix}.name")], "reg.example/base:1");
    assert_eq!(
        annotations[&format!("{prefix}.digest")],
        new.digest.to_string()
    );
    // What is not built on the old base is refused.
    let wrong = Rebase {
        old: images(&new).await,
        new: images(&old).await,
    };
    let error = rewrite(&store, &digest_of(&own), &edits(wrong), &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn a_base_is_watched() {
    let registry = Registry::start().await;
    let base = registry.repository("base");
    let store: Arc<dyn Store> = Arc::new(base.clone());
    let layer = |text: &'static str| gzip(&tar(&[("a", File(text))]));
    let first = put_image(&base, &[layer("1")], &json!({}), false).await;
    base.put_manifest(&first, &[tag("latest")]).await.unwrap();
    let built = put_image(&base, &[layer("1"), layer("own")], &json!({}), false).await;
    let name = "reg.example/base:latest".to_owned();
    let image = Image::read(&base, built.clone()).await.unwrap();
    assert_eq!(bases(&base, &digest_of(&built)).await.unwrap()[0].1, None);
    let with = |digest| Base {
        name: name.clone(),
        digest,
    };
    let state = |digest| {
        let (store, image, base) = (Arc::clone(&store), image.clone(), with(digest));
        async move {
            base_check(&image, &base, &*store, &named("latest"))
                .await
                .unwrap()
                .state
        }
    };
    assert_eq!(state(Some(first.digest)).await, BaseState::Current);
    assert_eq!(state(None).await, BaseState::SameLayers);
    let labelled = json!({ "config": { "Labels": { "a": "b" } } });
    let second = put_image(&base, &[layer("1")], &labelled, false).await;
    base.put_manifest(&second, &[tag("latest")]).await.unwrap();
    assert_eq!(state(Some(first.digest)).await, BaseState::SameLayers);
    let third = put_image(&base, &[layer("2")], &json!({}), false).await;
    base.put_manifest(&third, &[tag("latest")]).await.unwrap();
    assert_eq!(state(Some(first.digest)).await, BaseState::Moved);
    // An index is known by its own digest and by that of the image in it.
    let index = put_index(&base, &["linux/amd64", "linux/arm64"], "latest").await;
    assert_eq!(state(Some(index.digest)).await, BaseState::Current);
    let child = index.parse().unwrap().links[0].descriptor.digest;
    assert_eq!(state(Some(child)).await, BaseState::Current);
    assert_eq!(state(None).await, BaseState::Moved);
}
