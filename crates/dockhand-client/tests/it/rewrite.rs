//! Edits of images and indexes.

use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::image::{Image, images, select};
use dockhand_client::rewrite::{Changes, Edit, RewriteOptions, Rewritten, rewrite};
use dockhand_client::{ErrorKind, RawManifest, Repository, Store};
use dockhand_oci::{MediaType, Reference};
use serde_json::{Value, json};

use crate::registry::{Registry, blob};
use crate::tars::Is::File;
use crate::tars::{gzip, put_image, tag, tar};

/// Puts an index of an image for each of these platforms, and an attestation about each.
pub(crate) async fn put_index(store: &dyn Store, platforms: &[&str], name: &str) -> RawManifest {
    let mut children = String::new();
    for platform in platforms {
        let (os, architecture) = platform.split_once('/').unwrap();
        let layer = gzip(&tar(&[("which", File("x")), (*platform, File("y"))]));
        let config = json!({ "architecture": architecture, "os": os });
        let image = put_image(store, &[layer], &config, false).await;
        // Written by hand, to see that what is not touched stays as it was.
        children.push_str(&format!(
            r#"{{ "mediaType":"{}",  "size": {}, "digest":"{}", "x-unknown": 1.0,
                "platform": {{"os":"{os}", "architecture":"{architecture}"}} }},"#,
            MediaType::OCI_MANIFEST,
            image.bytes.len(),
            image.digest,
        ));
        let (config, bytes) = blob(
            MediaType::OCI_CONFIG,
            format!("{{\"about\":\"{platform}\"}}"),
        );
        store
            .put_blob(&config, Arc::new(bytes), None)
            .await
            .unwrap();
        let attestation = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [],
        });
        let attestation = RawManifest::new(MediaType::OCI_MANIFEST, attestation.to_string());
        store.put_manifest(&attestation, &[]).await.unwrap();
        let mut listed = serde_json::to_value(attestation.descriptor()).unwrap();
        listed["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        listed["annotations"] = json!({
            "vnd.docker.reference.digest": image.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        });
        children.push_str(&format!("{listed},"));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}],"annotations":{{"z":"1","a":"2"}}}}"#,
        MediaType::OCI_INDEX,
        children.trim_end_matches(','),
    );
    let index = RawManifest::new(MediaType::OCI_INDEX, index);
    store.put_manifest(&index, &[tag(name)]).await.unwrap();
    index
}

pub(crate) fn edits(edit: impl Edit + 'static) -> Vec<Arc<dyn Edit>> {
    vec![Arc::new(edit)]
}

pub(crate) fn named(name: &str) -> Reference {
    Reference::Tag(tag(name))
}

pub(crate) fn digest_of(manifest: &RawManifest) -> Reference {
    Reference::Digest(manifest.digest)
}

/// Writes what was made under a tag.
pub(crate) async fn write(made: &Rewritten, to: &Repository, name: &str) -> RawManifest {
    let to: Arc<dyn Store> = Arc::new(to.clone());
    let options = CopyOptions::default();
    copy(&made.store, &made.reference(), &to, &[tag(name)], &options)
        .await
        .unwrap();
    to.manifest(&named(name)).await.unwrap()
}

fn label(key: &str, value: &str) -> Changes {
    Changes {
        labels: vec![(key.to_owned(), Some(value.to_owned()))],
        ..Changes::default()
    }
}

fn children(index: &RawManifest) -> Vec<String> {
    let document: Value = serde_json::from_slice(&index.bytes).unwrap();
    let list = document["manifests"].as_array().unwrap();
    list.iter()
        .map(|child| child["digest"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_edit_reaches_every_platform_and_nothing_else() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let store: Arc<dyn Store> = Arc::new(app.clone());
    let index = put_index(&*store, &["linux/amd64", "linux/arm64"], "1").await;
    let made = rewrite(
        &store,
        &named("1"),
        &edits(label("by", "me")),
        &RewriteOptions::default(),
    )
    .await
    .unwrap();
    assert_eq!((made.images.len(), made.dropped.len()), (2, 2));
    // Nothing is written before it is copied.
    assert!(app.find(&made.reference()).await.unwrap().is_none());
    let elsewhere = registry.repository("elsewhere");
    let written = write(&made, &elsewhere, "2").await;
    assert_eq!(children(&written).len(), 2);
    for image in images(&elsewhere, &named("2")).await.unwrap() {
        assert_eq!(image.config.config.labels["by"], "me");
        assert_eq!(image.config.other["unknown"], json!({ "kept": 1.0 }));
        let manifest = String::from_utf8(image.manifest.bytes.to_vec()).unwrap();
        assert!(manifest.contains("\"unknown\":[1.5]") && manifest.contains("\"kept\":\"yes\""));
    }
    let text = String::from_utf8(written.bytes.to_vec()).unwrap();
    assert!(
        text.contains(r#""x-unknown":1.0"#)
            && text.ends_with(r#""annotations":{"z":"1","a":"2"}}"#)
    );
    // The same edit once more changes nothing, nor does none.
    let store: Arc<dyn Store> = Arc::new(elsewhere);
    for edits in [edits(label("by", "me")), edits(Changes::default())] {
        let again = rewrite(&store, &named("2"), &edits, &RewriteOptions::default())
            .await
            .unwrap();
        assert_eq!(again.root, written);
        assert!(again.images.iter().all(|image| image.before == image.after));
    }
    assert_ne!(index.digest, written.digest);
}

#[tokio::test]
async fn only_the_platforms_that_are_meant_change() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let store: Arc<dyn Store> = Arc::new(app.clone());
    let index = put_index(&*store, &["linux/amd64", "linux/arm64"], "1").await;
    let options = RewriteOptions {
        platforms: vec!["linux/arm64".parse().unwrap()],
        index_annotations: vec![("new".into(), Some("3".into())), ("z".into(), None)],
    };
    let made = rewrite(&store, &named("1"), &edits(label("a", "b")), &options)
        .await
        .unwrap();
    let written = write(&made, &app, "2").await;
    let (before, after) = (children(&index), children(&written));
    assert_eq!(after[..2], before[..2]);
    assert_eq!(
        after.len(),
        3,
        "the attestation about the changed image is gone"
    );
    assert_ne!(after[2], before[2]);
    // What is not touched is the same, white space included.
    let text = String::from_utf8(written.bytes.to_vec()).unwrap();
    let original = String::from_utf8(index.bytes.to_vec()).unwrap();
    let end = original.find("unknown/unknown").unwrap_or(400);
    assert_eq!(text[..end.min(400)], original[..end.min(400)]);
    assert!(
        text.ends_with(r#""annotations":{"a":"2","new":"3"}}"#),
        "{text}"
    );
    for (platforms, what) in [("linux/s390x", "1"), ("windows/amd64", "1")] {
        let options = RewriteOptions {
            platforms: vec!["linux/amd64".parse().unwrap(), platforms.parse().unwrap()],
            ..RewriteOptions::default()
        };
        let error = rewrite(&store, &named(what), &edits(label("a", "b")), &options)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error
                .to_string()
                .contains("it has linux/amd64, linux/arm64"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn everything_that_can_be_set_is_set() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    let store: Arc<dyn Store> = Arc::new(app.clone());
    let config = json!({
        "created": "2020-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/bin", "GONE=1"], "Cmd": ["old"], "Entrypoint": ["/old"], "User": "root",
            "Labels": { "gone": "1", "kept": "2" }, "Healthcheck": { "Test": ["NONE"] },
        },
    });
    let layer = gzip(&tar(&[("a", File("x"))]));
    let image = put_image(&*store, &[layer], &config, true).await;
    let some = |text: &str| Some(text.to_owned());
    let changes = Changes {
        labels: vec![("gone".into(), None), ("new".into(), some("3"))],
        env: vec![
            ("GONE".into(), None),
            ("PATH".into(), some("/usr/bin")),
            ("A".into(), some("b")),
        ],
        entrypoint: Some(vec!["/new".into(), "-x".into()]),
        cmd: None,
        user: some("app"),
        workdir: some("/srv"),
        expose: vec!["80".into(), "53/udp".into()],
        annotations: vec![("kept".into(), None), ("note".into(), some("yes"))],
        created: Some("2024-05-06T07:08:09Z".parse().unwrap()),
        platform: Some("linux/arm64/v8".parse().unwrap()),
    };
    let options = RewriteOptions::default();
    let made = rewrite(&store, &digest_of(&image), &edits(changes), &options)
        .await
        .unwrap();
    let written = write(&made, &app, "new").await;
    assert_eq!(written.media_type, MediaType::DOCKER_MANIFEST);
    let document: Value = serde_json::from_slice(&written.bytes).unwrap();
    assert_eq!(document["annotations"], json!({ "note": "yes" }));
    assert_eq!(document["config"]["mediaType"], MediaType::DOCKER_CONFIG);
    let read = Image::read(&*store, written).await.unwrap();
    let run = &read.config.config;
    assert_eq!(run.env, ["PATH=/usr/bin", "A=b"]);
    assert_eq!(
        (run.entrypoint.join(" "), run.cmd.len()),
        ("/new -x".to_owned(), 0)
    );
    assert_eq!(
        (run.user.as_str(), run.working_dir.as_str()),
        ("app", "/srv")
    );
    assert_eq!(run.exposed_ports, ["53/udp", "80/tcp"]);
    assert_eq!(
        run.labels.keys().map(String::as_str).collect::<Vec<_>>(),
        ["kept", "new"]
    );
    assert!(run.other.contains_key("Healthcheck"));
    assert_eq!(read.config.created.as_deref(), Some("2024-05-06T07:08:09Z"));
    assert_eq!(read.platform.to_string(), "linux/arm64/v8");
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let image = put_image(&*store, &[], &json!({}), false).await;
    let expose = Changes {
        expose: vec!["http".into()],
        ..Changes::default()
    };
    let nameless = Changes {
        annotations: vec![(String::new(), Some("x".into()))],
        ..Changes::default()
    };
    for changes in [expose, nameless] {
        let options = RewriteOptions::default();
        let error = rewrite(&store, &digest_of(&image), &edits(changes), &options).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let options = RewriteOptions {
        index_annotations: vec![("a".into(), None)],
        ..RewriteOptions::default()
    };
    let error = rewrite(&store, &digest_of(&image), &[], &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // An artifact is no image.
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, Bytes::from_static(b"{}"));
    store.put_blob(&empty, Arc::new(bytes), None).await.unwrap();
    let artifact = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "example/x",
        "config": empty, "layers": [],
    });
    let artifact = RawManifest::new(MediaType::OCI_MANIFEST, artifact.to_string());
    store.put_manifest(&artifact, &[]).await.unwrap();
    let options = RewriteOptions::default();
    let error = rewrite(&store, &digest_of(&artifact), &[], &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("example/x"), "{error}");
}

#[tokio::test]
async fn one_image_is_chosen() {
    let registry = Registry::start().await;
    let app = registry.repository("app");
    put_index(&app, &["linux/amd64", "linux/arm64", "linux/riscv64"], "1").await;
    let riscv = "linux/riscv64".parse().unwrap();
    let image = select(&app, &named("1"), Some(&riscv)).await.unwrap();
    assert_eq!(image.platform, riscv);
    let windows = "windows/amd64".parse().unwrap();
    let error = select(&app, &named("1"), Some(&windows)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("linux/amd64, linux/arm64, linux/riscv64"),
        "{error}"
    );
    put_index(&app, &["plan9/mips"], "2").await;
    let only = select(&app, &named("2"), None).await.unwrap();
    assert_eq!(only.platform.to_string(), "plan9/mips");
}
