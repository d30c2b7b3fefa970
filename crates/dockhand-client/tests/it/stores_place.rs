//! Places, from the text to the image.

use std::path::Path;
use std::sync::Arc;

use dockhand_client::copy::{CopyOptions, copy};
use dockhand_client::{
    Client, Connection, Error, ErrorKind, Layout, Memory, Place, RawManifest, Result, Store,
};
use dockhand_oci::{ImageRef, MediaType, Reference};

use crate::registry::{Registry, bytes, image};
use crate::stores::by_tag;

/// Every registry by plain HTTP on this machine.
fn registries(image: &ImageRef) -> Result<Client> {
    Client::new(Connection::to(&image.registry)?)
}

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

async fn open(text: &str) -> Result<(Arc<dyn Store>, Reference)> {
    place(text).open(&registries).await
}

/// Copies `from` to the place `to`, as a command does it.
async fn put(from: &Arc<dyn Store>, to: &str) {
    let (store, tags) = place(to).create(&registries).await.unwrap();
    let options = CopyOptions::default();
    copy(from, &by_tag("1"), &store, &tags, &options)
        .await
        .unwrap();
    store.finish().await.unwrap();
}

#[tokio::test]
async fn an_image_is_found_by_the_text_that_it_was_written_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let registry = Registry::start().await;
    let memory = Memory::new();
    let root = image(&memory, &[bytes(1, 5000)], &["1"]).await;
    let from: Arc<dyn Store> = Arc::new(memory);
    let texts = [
        format!("{}/team/app:3", registry.address),
        format!("docker://{}/team/other", registry.address),
        format!("oci:{}:3", path("layout")),
        format!("ocidir://{}:4", path("layout")),
        format!("oci:{}:ghcr.io/team/app:3", path("layout")),
        format!("oci-archive:{}:3", path("oci.tar")),
        format!("oci-archive:{}", path("unnamed.tar")),
        format!("docker-archive:{}:app:3", path("docker.tar")),
        format!("docker-archive:{}:app", path("latest.tar")),
        format!("docker-archive:{}", path("anonymous.tar")),
        format!("dir:{}", path("dir")),
    ];
    for text in &texts {
        put(&from, text).await;
        let (store, reference) = open(text).await.unwrap();
        assert_eq!(store.manifest(&reference).await.unwrap(), root, "{text}");
    }
    let files = [
        "oci.tar",
        "unnamed.tar",
        "docker.tar",
        "latest.tar",
        "dir",
        "layout",
    ];
    for name in files {
        let (store, reference) = Place::at(path(name)).open(&registries).await.unwrap();
        assert_eq!(store.manifest(&reference).await.unwrap(), root, "{name}");
    }
    let by_digest = format!("oci:{}@{}", path("layout"), root.digest);
    let (store, reference) = open(&by_digest).await.unwrap();
    assert_eq!(reference, Reference::Digest(root.digest));
    assert_eq!(store.tags().await.unwrap().len(), 2);
}

#[tokio::test]
async fn which_image_is_meant_must_be_clear() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let text = format!("oci:{dir}");
    let layout = Layout::create(dir).await.unwrap();
    let none = open(&text).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
    let one = image(&layout, &[bytes(1, 10)], &["1"]).await;
    assert_eq!(open(&text).await.unwrap().1, Reference::Digest(one.digest));
    image(&layout, &[bytes(2, 10)], &["2"]).await;
    let unclear = open(&text).await.unwrap_err();
    assert_eq!(unclear.kind(), ErrorKind::Conflict);
    assert!(
        unclear.to_string().contains("name one of 1, 2"),
        "{unclear}"
    );
    let latest = image(&layout, &[bytes(3, 10)], &["latest"]).await;
    assert_eq!(
        open(&text).await.unwrap().1,
        Reference::Digest(latest.digest)
    );
    let absent = open(&format!("{text}:team/app:9")).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(
        absent.to_string().contains("it has 1, 2, latest"),
        "{absent}"
    );
}

#[tokio::test]
async fn everything_that_is_listed_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("oci:{}", folder.path().display());
    let memory = Memory::new();
    let root = image(&memory, &[bytes(1, 10)], &["1"]).await;
    let from: Arc<dyn Store> = Arc::new(memory);
    for name in [":plain", ":team/a:v1", ":ghcr.io/team/b:v1"] {
        put(&from, &format!("{text}{name}")).await;
    }
    let layout = Layout::open(folder.path()).await.unwrap();
    let nameless = image(&layout, &[bytes(2, 10)], &[]).await;
    let subject = root.descriptor();
    let referrer = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "x/y",
        "config": subject, "layers": [], "subject": subject,
    });
    let referrer = RawManifest::new(MediaType::OCI_MANIFEST, referrer.to_string());
    layout.put_manifest(&referrer, &[]).await.unwrap();
    let entries = layout.entries().await.unwrap().unwrap();
    let shown: Vec<_> = { entries.iter() }
        .map(|entry| (entry.to_string(), entry.digest, entry.subject))
        .collect();
    let expected = [
        ("plain".to_owned(), root.digest, None),
        ("team/a:v1".to_owned(), root.digest, None),
        ("ghcr.io/team/b:v1".to_owned(), root.digest, None),
        (nameless.digest.to_string(), nameless.digest, None),
        (
            referrer.digest.to_string(),
            referrer.digest,
            Some(root.digest),
        ),
    ];
    assert_eq!(shown, expected);
    for entry in &entries {
        let sign = if entry.is_nameless() { '@' } else { ':' };
        let (_, reference) = open(&format!("{text}{sign}{entry}")).await.unwrap();
        let found = layout.resolve(&reference).await.unwrap();
        assert_eq!(found.digest, entry.digest, "{entry}");
    }
    // A registry has tags alone, a folder of skopeo one image.
    let registry = Registry::start().await;
    let entries = registry.repository("app").entries().await.unwrap();
    assert_eq!(entries, None);
    let dir = format!("dir:{}", folder.path().join("dir").display());
    put(&from, &dir).await;
    assert_eq!(open(&dir).await.unwrap().0.entries().await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_written_says_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let refused = |error: Option<Error>, hint: &str| {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.hint().unwrap().contains(hint), "{error}");
    };
    let unclear = Place::at(&path).create(&registries).await;
    refused(unclear.err(), "oci-archive:");
    let digest = dockhand_oci::Algorithm::Sha256.digest(b"");
    let chosen = format!("oci:{}@{digest}", path.display());
    refused(place(&chosen).create(&registries).await.err(), "name a tag");
    assert!(!path.exists());
    let absent = Place::at(Path::new("/absent/x.tar"))
        .open(&registries)
        .await;
    assert_eq!(absent.err().unwrap().kind(), ErrorKind::NotFound);
}
