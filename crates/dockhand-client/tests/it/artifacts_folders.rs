//! Folders in artifacts, as oras has them, and the files of subjects.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::artifact::{Artifact, ArtifactFile, FILE_TYPE, PullOptions, pull};
use dockhand_client::{ErrorKind, Memory, RawManifest, Result, Store, Unobserved, read_small};
use dockhand_oci::{Algorithm, Descriptor, MediaType};
use serde_json::json;

use crate::registry::blob;
use crate::tars::{Is, contents, gzip, tar};

const TITLE: &str = "org.opencontainers.image.title";
const UNPACK: &str = "io.deis.oras.content.unpack";
const PLAIN: &str = "io.deis.oras.content.digest";

fn file(path: &Path, title: &str) -> ArtifactFile {
    ArtifactFile {
        path: path.to_owned(),
        media_type: FILE_TYPE.into(),
        title: Some(title.into()),
    }
}

async fn push(
    store: &Arc<dyn Store>,
    files: Vec<ArtifactFile>,
    subject: Option<Descriptor>,
) -> RawManifest {
    let artifact = Artifact {
        artifact_type: Some("x/y".into()),
        files,
        subject,
        ..Artifact::default()
    };
    artifact.push(store, &[], &Unobserved).await.unwrap()
}

async fn pulled(store: &Arc<dyn Store>, what: &RawManifest, to: &Path) -> Result<()> {
    let what = what.digest.into();
    pull(store, &what, to, PullOptions::default(), &Unobserved).await?;
    Ok(())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_folder_is_packed_the_same_every_time_and_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut layers = Vec::new();
    for turn in ["one", "two"] {
        let site = folder.path().join(turn);
        std::fs::create_dir_all(site.join("css/empty")).unwrap();
        std::fs::write(site.join("index.html"), "<p>").unwrap();
        std::fs::write(site.join("css/.wh.main"), "no whiteout").unwrap();
        std::fs::write(site.join("run"), "#!/bin/sh").unwrap();
        let mode = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(site.join("run"), mode).unwrap();
        symlink("../index.html", site.join("css/up")).unwrap();
        let pushed = push(&store, vec![file(&site, "my/site")], None).await;
        layers.push(pushed.parse().unwrap().links[1].descriptor.clone());
        let out = folder.path().join(format!("out-{turn}"));
        pulled(&store, &pushed, &out).await.unwrap();
        let site = out.join("my/site");
        assert_eq!(read(&site.join("index.html")), "<p>");
        assert_eq!(read(&site.join("css/up")), "<p>");
        assert_eq!(read(&site.join("css/.wh.main")), "no whiteout");
        assert!(site.join("css/empty").is_dir());
        let mode = site.join("run").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        // A second time there is something in the way, and nothing is touched.
        let again = pulled(&store, &pushed, &out).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
    }
    assert_eq!(layers[0], layers[1]);
    let layer = &layers[0];
    assert_eq!(layer.media_type, MediaType::OCI_LAYER_GZIP);
    assert_eq!(layer.annotations[UNPACK], "true");
    let packed = read_small(&*store, layer, 1 << 20).await.unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
    assert_eq!(
        layer.annotations[PLAIN],
        Algorithm::Sha256.digest(&plain).to_string()
    );
    let names: Vec<String> = contents(&plain).into_keys().collect();
    let expected = [
        "",
        "/css",
        "/css/.wh.main",
        "/css/empty",
        "/css/up",
        "/index.html",
        "/run",
    ];
    assert_eq!(names, expected.map(|name| format!("my/site{name}")));
}

/// An artifact with this tar file as the folder `d`, and a file besides.
async fn by_hand(store: &Arc<dyn Store>, plain: &Bytes, said: &Bytes, more: &str) -> RawManifest {
    let (mut layer, bytes) = blob(MediaType::OCI_LAYER_GZIP, gzip(plain));
    store.put_blob(&layer, Arc::new(bytes), None).await.unwrap();
    let digest = Algorithm::Sha256.digest(said).to_string();
    for (key, value) in [(TITLE, "d"), (UNPACK, "true"), (PLAIN, &digest)] {
        layer.annotations.insert(key.into(), value.into());
    }
    let (mut other, bytes) = blob("text/plain", "other");
    store.put_blob(&other, Arc::new(bytes), None).await.unwrap();
    other.annotations.insert(TITLE.into(), more.into());
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, "{}");
    store.put_blob(&empty, Arc::new(bytes), None).await.unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "x/y",
        "config": empty, "layers": [layer, other],
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    store.put_manifest(&manifest, &[]).await.unwrap();
    manifest
}

#[tokio::test]
async fn a_folder_from_which_something_leads_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let good = tar(&[
        ("d/", Is::Directory),
        ("d/a", Is::File("x")),
        ("d/b", Is::Hard("d/a")),
    ]);
    for (name, plain, kind) in [
        (
            "up",
            tar(&[("d/../../x", Is::File("x"))]),
            ErrorKind::Unsafe,
        ),
        ("beside", tar(&[("e/x", Is::File("x"))]), ErrorKind::Unsafe),
        (
            "link",
            tar(&[("d/x", Is::Link("../../x"))]),
            ErrorKind::Unsafe,
        ),
        ("root", tar(&[("d/x", Is::Link("/etc"))]), ErrorKind::Unsafe),
        ("hard", tar(&[("d/x", Is::Hard("e/x"))]), ErrorKind::Unsafe),
        ("pipe", tar(&[("d/x", Is::Pipe)]), ErrorKind::Unsafe),
        ("file", tar(&[("d", Is::File("x"))]), ErrorKind::Protocol),
    ] {
        let artifact = by_hand(&store, &plain, &plain, "f").await;
        let out = folder.path().join(name);
        let error = pulled(&store, &artifact, &out).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(!out.join("d").exists(), "{name}");
    }
    let out = folder.path().join("out");
    let lie = by_hand(&store, &good, &Bytes::from_static(b"other"), "f").await;
    let error = pulled(&store, &lie, &out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let within = by_hand(&store, &good, &good, "d/a").await;
    let error = pulled(&store, &within, &out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(!out.join("d").exists());
    let artifact = by_hand(&store, &good, &good, "f").await;
    pulled(&store, &artifact, &out).await.unwrap();
    assert_eq!(read(&out.join("d/b")), "x");
    // What could not be unpacked is not packed.
    symlink("../../x", out.join("d/out")).unwrap();
    let artifact = Artifact {
        artifact_type: Some("x/y".into()),
        files: vec![file(&out.join("d"), "d")],
        ..Artifact::default()
    };
    let refused = artifact.push(&store, &[], &Unobserved).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
}

#[tokio::test]
async fn the_files_of_the_subject_come_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let path = |name: &str| folder.path().join(name);
    let mut subject = None;
    for name in ["first", "second", "third"] {
        std::fs::write(path(name), name).unwrap();
        let pushed = push(&store, vec![file(&path(name), name)], subject).await;
        subject = Some(pushed.descriptor());
    }
    let what = subject.unwrap().digest.into();
    for (include_subject, expected) in [
        (false, &["third"][..]),
        (true, &["first", "second", "third"]),
    ] {
        let options = PullOptions {
            include_subject,
            ..PullOptions::default()
        };
        let out = path(&format!("out-{include_subject}"));
        let files = pull(&store, &what, &out, options, &Unobserved)
            .await
            .unwrap();
        let expected: Vec<_> = expected.iter().map(|name| out.join(name)).collect();
        assert_eq!(files, expected);
    }
}

#[tokio::test]
async fn a_file_named_as_another_one_grows_comes_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let names = ["x", "x.part", "x.part.part"];
    let mut files = Vec::new();
    for name in names {
        let path = folder.path().join(name);
        std::fs::write(&path, name.repeat(100_000)).unwrap();
        files.push(file(&path, name));
    }
    let pushed = push(&store, files, None).await;
    for turn in 0..3 {
        let out = folder.path().join(format!("out{turn}"));
        pulled(&store, &pushed, &out).await.unwrap();
        for name in names {
            assert_eq!(read(&out.join(name)), name.repeat(100_000));
        }
    }
}

#[tokio::test]
async fn what_nobody_could_pull_is_not_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("d")).unwrap();
    for name in ["a", "b", "d/a"] {
        std::fs::write(path(name), name).unwrap();
    }
    for files in [
        [file(&path("a"), "x"), file(&path("b"), "./x")],
        [file(&path("d"), "d"), file(&path("d/a"), "d/a")],
        [file(&path("d/a"), "d/a"), file(&path("d"), "d")],
        [file(&path("a"), "x"), file(&path("b"), "../x")],
    ] {
        let artifact = Artifact {
            artifact_type: Some("x/y".into()),
            files: files.to_vec(),
            ..Artifact::default()
        };
        let refused = artifact.push(&store, &[], &Unobserved).await.unwrap_err();
        let kinds = [ErrorKind::Invalid, ErrorKind::Unsafe];
        assert!(kinds.contains(&refused.kind()), "{refused}");
    }
}
