//! Artifacts into our own server and out of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dockhand_client::artifact::{Artifact, ArtifactFile, PullOptions, discover, pull};
use dockhand_client::{ErrorKind, Filter, RawManifest, Store, Unobserved};
use dockhand_oci::{MediaType, Reference, Tag};

use crate::registry::{Registry, blob};

fn file(folder: &Path, name: &str, content: &str) -> ArtifactFile {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    ArtifactFile {
        path,
        media_type: "text/plain".into(),
        title: Some(format!("docs/{name}")),
    }
}

#[tokio::test]
async fn files_come_out_as_they_went_in() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("files"));
    let folder = tempfile::tempdir().unwrap();
    let artifact = Artifact {
        artifact_type: Some("example/docs".into()),
        files: vec![
            file(folder.path(), "a.txt", "first"),
            file(folder.path(), "b.txt", ""),
        ],
        annotations: BTreeMap::from([("who".into(), "me".into())]),
        ..Artifact::default()
    };
    let tag: Tag = "1".parse().unwrap();
    let pushed = artifact
        .push(&store, std::slice::from_ref(&tag), &Unobserved)
        .await
        .unwrap();
    let parsed = pushed.parse().unwrap();
    assert_eq!(parsed.artifact_type.as_deref(), Some("example/docs"));
    assert_eq!(parsed.annotations["who"], "me");
    let out = folder.path().join("out");
    let what = Reference::Tag(tag);
    let files = pull(&store, &what, &out, PullOptions::default(), &Unobserved)
        .await
        .unwrap();
    assert_eq!(files, [out.join("docs/a.txt"), out.join("docs/b.txt")]);
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), "first");
    assert_eq!(std::fs::read_to_string(&files[1]).unwrap(), "");
    let keep = PullOptions {
        keep_old: true,
        ..PullOptions::default()
    };
    let error = pull(&store, &what, &out, keep, &Unobserved)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_file_that_would_lie_elsewhere_is_refused_before_any_is_written() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("files"));
    let (layer, bytes) = blob("text/plain", "evil");
    store.put_blob(&layer, Arc::new(bytes), None).await.unwrap();
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, "{}");
    store.put_blob(&empty, Arc::new(bytes), None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(folder.path(), out.join("link")).unwrap();
    for title in ["../evil", "/evil", "a/../../evil", "link/evil"] {
        let mut titled = layer.clone();
        titled
            .annotations
            .insert("org.opencontainers.image.title".into(), title.into());
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "x/y",
            "config": empty, "layers": [titled],
        });
        let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
        store.put_manifest(&manifest, &[]).await.unwrap();
        let what = Reference::Digest(manifest.digest);
        let pulled = pull(&store, &what, &out, PullOptions::default(), &Unobserved).await;
        assert_eq!(pulled.unwrap_err().kind(), ErrorKind::Unsafe, "{title}");
        assert!(!folder.path().join("evil").exists());
    }
}

#[tokio::test]
async fn what_is_attached_is_discovered_with_what_is_attached_to_it() {
    let registry = Registry::start().await;
    let store: Arc<dyn Store> = Arc::new(registry.repository("app"));
    let folder = tempfile::tempdir().unwrap();
    let attach = |kind: &str, subject: Option<&RawManifest>| Artifact {
        artifact_type: Some(kind.into()),
        files: vec![file(folder.path(), "a", kind)],
        subject: subject.map(RawManifest::descriptor),
        ..Artifact::default()
    };
    let root = attach("x/root", None)
        .push(&store, &[], &Unobserved)
        .await
        .unwrap();
    let sbom = attach("x/sbom", Some(&root))
        .push(&store, &[], &Unobserved)
        .await
        .unwrap();
    attach("x/signature", Some(&root))
        .push(&store, &[], &Unobserved)
        .await
        .unwrap();
    let about = attach("x/signature", Some(&sbom))
        .push(&store, &[], &Unobserved)
        .await
        .unwrap();
    let found = discover(&store, &root.digest, 9, &Filter::default())
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    let sboms = Filter::of_type("x/sbom");
    let found = discover(&store, &root.digest, 9, &sboms).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].referrers[0].descriptor.digest, about.digest);
    let flat = discover(&store, &root.digest, 1, &sboms).await.unwrap();
    assert!(flat[0].referrers.is_empty());
}
