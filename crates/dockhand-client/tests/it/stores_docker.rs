//! Archives of `docker save` and for `docker load`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::{Archive, ArchiveWriter, ErrorKind, Memory, RawManifest, Store, read_small};
use dockhand_oci::{Algorithm, LinkKind, MediaType, Platform, Reference};
use serde_json::{Value, json};
use tar::EntryType as Type;

use crate::registry::{blob, bytes, image};
use crate::stores::{by_tag, index, tag};
use crate::stores_archive::tar_of;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// What Docker before 25 saved: two images that share layers by links, the last layer compressed as
/// other tools do it. `lie` stands where the first layer should.
fn old_form(lie: Option<&[u8]>) -> Vec<u8> {
    let (one, two) = (bytes(1, 2000), bytes(2, 700));
    let packed = gzip(&two);
    let ids = [&one, &two].map(|layer| Algorithm::Sha256.digest(layer));
    let rootfs = json!({ "type": "layers", "diff_ids": [ids[0], ids[1], ids[0]] });
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": rootfs }).to_string();
    let rootfs = json!({ "type": "layers", "diff_ids": [ids[0]] });
    let base = json!({ "os": "linux", "architecture": "amd64", "rootfs": rootfs }).to_string();
    let list = json!([
        { "Config": "app.json", "RepoTags": ["app:1", "ghcr.io/team/app:1.0"],
          "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"] },
        { "Config": "base.json", "RepoTags": null, "Layers": ["a/layer.tar"] },
    ]);
    let (file, link) = (Type::Regular, Type::Symlink);
    tar_of(&[
        ("a/", Type::Directory, "", &[]),
        ("a/VERSION", file, "", b"1.0"),
        ("a/layer.tar", file, "", lie.unwrap_or(&one)),
        ("b/layer.tar", file, "", &packed),
        ("c/layer.tar", link, "../a/layer.tar", &[]),
        ("app.json", file, "", config.as_bytes()),
        ("base.json", file, "", base.as_bytes()),
        ("manifest.json", file, "", list.to_string().as_bytes()),
        ("repositories", file, "", b"{}"),
    ])
}

async fn opened(folder: &Path, content: &[u8]) -> dockhand_client::Result<Archive> {
    let path = folder.join("x.tar");
    std::fs::write(&path, content).unwrap();
    Archive::open(path).await
}

#[tokio::test]
async fn what_old_dockers_saved_becomes_images() {
    let folder = tempfile::tempdir().unwrap();
    let archive = opened(folder.path(), &old_form(None)).await.unwrap();
    assert_eq!(archive.tags().await.unwrap(), [tag("1"), tag("1.0")]);
    let root = archive.manifest(&by_tag("1")).await.unwrap();
    assert_eq!(root.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(archive.manifest(&by_tag("1.0")).await.unwrap(), root);
    let links = root.parse().unwrap().links;
    let types: Vec<&str> = { links.iter() }
        .map(|link| link.descriptor.media_type.as_str())
        .collect();
    let plain = MediaType::OCI_LAYER;
    let wanted = [
        MediaType::OCI_CONFIG,
        plain,
        MediaType::OCI_LAYER_GZIP,
        plain,
    ];
    assert_eq!(types, wanted);
    let mut contents = Vec::new();
    for link in &links {
        contents.push(
            read_small(&archive, &link.descriptor, 1 << 20)
                .await
                .unwrap(),
        );
    }
    assert_eq!(
        (&contents[1], &contents[3]),
        (&bytes(1, 2000), &bytes(1, 2000))
    );
    assert_eq!(contents[2], gzip(&bytes(2, 700)));
    // The same archive has the same digests, however it is packed.
    let again = opened(folder.path(), &gzip(&old_form(None))).await.unwrap();
    assert_eq!(again.manifest(&by_tag("1")).await.unwrap(), root);
}

#[tokio::test]
async fn a_saved_layer_that_is_not_what_its_config_says_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let archive = opened(folder.path(), &old_form(Some(&[1; 2000])))
        .await
        .unwrap();
    let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(archive), Arc::new(Memory::new()));
    let error = copy(&from, &by_tag("1"), &to, &[], &CopyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn broken_saves_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = Type::Regular;
    let none = br#"{"rootfs":{"diff_ids":[]}}"#;
    let list = br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]"#;
    let one = format!(
        r#"{{"rootfs":{{"diff_ids":["{}"]}}}}"#,
        Algorithm::Sha256.digest(b"l")
    );
    type Entries<'a> = &'a [(&'a str, Type, &'a str, &'a [u8])];
    let cases: [(Entries<'_>, &str); 6] = [
        (&[("repositories", file, "", b"{}")], "before 1.10"),
        (
            &[("hello.txt", file, "", b"hello")],
            "neither index.json nor manifest.json",
        ),
        (
            &[("manifest.json", file, "", b"{}")],
            "manifest.json cannot be read",
        ),
        (&[("manifest.json", file, "", list)], "c.json is missing"),
        (
            &[
                ("manifest.json", file, "", list),
                ("c.json", file, "", none),
            ],
            "has 0 layers and manifest.json 1",
        ),
        (
            &[
                ("manifest.json", file, "", list),
                ("c.json", file, "", one.as_bytes()),
            ],
            "layer l.tar is missing",
        ),
    ];
    for (entries, message) in cases {
        let error = opened(folder.path(), &tar_of(entries))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// The files of an archive.
fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name, content);
    }
    files
}

#[tokio::test]
async fn docker_is_told_of_each_image_with_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let name = "docker.io/library/app".parse().unwrap();
    let writer = ArchiveWriter::docker(&path, Some(&name)).await.unwrap();
    image(&writer, &[bytes(1, 10)], &["1", "latest"]).await;
    let second = image(&writer, &[bytes(2, 10), bytes(3, 10)], &["latest"]).await;
    writer.finish().await.unwrap();
    let files = unpacked(&path);
    let list: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(list[0]["RepoTags"], json!(["app:1"]));
    assert_eq!(list[1]["RepoTags"], json!(["app:latest"]));
    let layers = list[1]["Layers"].as_array().unwrap();
    let contents: Vec<&Vec<u8>> = { layers.iter() }
        .map(|name| &files[name.as_str().unwrap()])
        .collect();
    assert_eq!(contents, [&bytes(2, 10).to_vec(), &bytes(3, 10).to_vec()]);
    let config = &files[list[1]["Config"].as_str().unwrap()];
    assert!(serde_json::from_slice::<Value>(config).unwrap()["rootfs"].is_object());
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let names = &index["manifests"][1]["annotations"];
    assert_eq!(
        names["io.containerd.image.name"],
        json!("docker.io/library/app:latest")
    );
    assert_eq!(names["org.opencontainers.image.ref.name"], json!("latest"));
    // Read again, the manifests are what they were.
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.manifest(&by_tag("latest")).await.unwrap(), second);
    assert_eq!(archive.tags().await.unwrap(), [tag("1"), tag("latest")]);
}

async fn zstd_image(store: &dyn Store) -> RawManifest {
    let (layer, content) = blob(
        MediaType::OCI_LAYER_ZSTD,
        zstd::encode_all(&b"x"[..], 1).unwrap(),
    );
    store
        .put_blob(&layer, Arc::new(content), None)
        .await
        .unwrap();
    let (config, content) = blob(MediaType::OCI_CONFIG, "{}");
    store
        .put_blob(&config, Arc::new(content), None)
        .await
        .unwrap();
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    store.put_manifest(&manifest, &[tag("zstd")]).await.unwrap();
    manifest
}

async fn artifact(store: &dyn Store) {
    let (config, content) = blob("application/vnd.cncf.helm.config.v1+json", "{}");
    store
        .put_blob(&config, Arc::new(content), None)
        .await
        .unwrap();
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    store
        .put_manifest(&manifest, &[tag("chart")])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_docker_cannot_load_is_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let memory = Memory::new();
    let root = index(&memory, &["index"]).await;
    zstd_image(&memory).await;
    artifact(&memory).await;
    let from: Arc<dyn Store> = Arc::new(memory);
    let options = CopyOptions::default();
    for (name, hint) in [
        ("index", "--platform"),
        ("zstd", "oci-archive:"),
        ("chart", "oci-archive:"),
    ] {
        let to: Arc<dyn Store> = Arc::new(ArchiveWriter::docker(&path, None).await.unwrap());
        let error = copy(&from, &by_tag(name), &to, &[], &options)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}");
        let layers: Vec<_> = root.parse().unwrap().links;
        assert!(!to.has_blob(&layers[0].descriptor).await.unwrap());
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn one_platform_of_an_index_comes_as_the_image_that_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let memory = Memory::new();
    let root = index(&memory, &["1"]).await;
    let from: Arc<dyn Store> = Arc::new(memory);
    let name = "team/app".parse().unwrap();
    let to: Arc<dyn Store> = Arc::new(ArchiveWriter::docker(&path, Some(&name)).await.unwrap());
    let options = CopyOptions {
        platforms: vec!["linux/arm64".parse::<Platform>().unwrap()],
        ..CopyOptions::default()
    };
    let copied = copy(&from, &by_tag("1"), &to, &[tag("1")], &options)
        .await
        .unwrap();
    to.finish().await.unwrap();
    let child = &root.parse().unwrap().links[1].descriptor;
    assert_eq!(copied.descriptor.digest, child.digest);
    let archive = Archive::open(&path).await.unwrap();
    let manifest = archive.manifest(&by_tag("1")).await.unwrap();
    assert_eq!(manifest.digest, child.digest);
    for link in manifest.parse().unwrap().links {
        assert_ne!(link.kind, LinkKind::Manifest);
        let content: Bytes = read_small(&archive, &link.descriptor, 1 << 20)
            .await
            .unwrap();
        assert_eq!(content.len() as u64, link.descriptor.size);
    }
    let by_digest = Reference::Digest(child.digest);
    assert_eq!(
        archive.resolve(&by_digest).await.unwrap().digest,
        child.digest
    );
}
