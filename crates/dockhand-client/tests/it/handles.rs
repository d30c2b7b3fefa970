//! From a registry to its repositories, their tags, manifests and configs; and all of a repository at once.

use std::sync::Arc;

use dockhand_client::image::Image;
use dockhand_client::{ErrorKind, Page, RawManifest, Store};
use dockhand_oci::{Algorithm, MediaType, Reference, Tag};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use crate::peer::{Answer, Peer, Script, tagged};
use crate::registry::{Registry, blob, image};

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn everything_is_reached_from_the_registry() {
    let registry = Registry::start().await;
    let pushed = image(&registry.repository("team/app"), &[], &["1"]).await;
    let client = registry.client();
    let names: Vec<_> = client.catalog(Page::default()).try_collect().await.unwrap();
    let repository = client.repository(names[0].clone());
    assert_eq!(repository.repository_name().as_str(), "team/app");
    let found: Vec<Tag> = { repository.tags_paged(Page::default()) }
        .try_collect()
        .await
        .unwrap();
    assert_eq!(found, tags(&["1"]));
    let reference = Reference::Tag(found[0].clone());
    let head = repository.head_manifest(&reference).await.unwrap().unwrap();
    assert_eq!(head, pushed.descriptor());
    let manifest = repository.manifest(&reference).await.unwrap();
    assert_eq!(manifest.bytes, pushed.bytes);
    let image = Image::read(&repository, manifest).await.unwrap();
    assert_eq!(image.platform.to_string(), "linux/amd64");
    assert_eq!(image.config.created(), None);
    assert!(image.config_bytes.starts_with(b"{"));
}

#[tokio::test]
async fn what_tags_name_is_asked_for_without_the_manifests() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let one = image(&repository, &[], &["a", "b"]).await;
    let two = image(&repository, &["x".into()], &["c"]).await;
    let peer = Peer::start(Script::new().front(&registry.address)).await;
    let asked = tags(&["c", "gone", "a", "b"]);
    let found: Vec<_> = peer.repository().digests(asked.clone()).collect().await;
    let names: Vec<Tag> = found.iter().map(|(tag, _)| tag.clone()).collect();
    assert_eq!(names, asked);
    let digest = |at: usize| found[at].1.as_ref().unwrap().digest;
    assert_eq!(
        (digest(0), digest(2), digest(3)),
        (two.digest, one.digest, one.digest)
    );
    let gone = found[1].1.as_ref().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.to_string().contains("app:gone"), "{gone}");
    let gets = peer.matching("GET /v2/app/manifests/*");
    assert!(
        gets.iter().all(|seen| seen.path().ends_with("/gone")),
        "{:?}",
        peer.lines()
    );
    assert_eq!(peer.count("HEAD /v2/app/manifests/*"), 4);
}

#[tokio::test]
async fn a_repository_is_emptied_indexes_first() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let child = image(&repository, &[], &[]).await;
    let index = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [child.descriptor()],
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    let named = tags(&["1", "latest"]);
    repository.put_manifest(&index, &named).await.unwrap();
    let planned = repository.delete_all(true).await.unwrap();
    assert_eq!(repository.tags().await.unwrap().len(), 2);
    let deleted = repository.delete_all(false).await.unwrap();
    assert_eq!(
        (planned.tags, planned.manifests),
        (deleted.tags.clone(), deleted.manifests.clone())
    );
    assert_eq!(deleted.tags, named);
    for manifest in [&index, &child] {
        assert!(deleted.manifests.contains(&manifest.digest));
        let reference = Reference::Digest(manifest.digest);
        assert!(repository.find(&reference).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn tags_that_a_registry_did_not_take_at_once_are_put_one_by_one() {
    let (config, content) = blob(MediaType::OCI_CONFIG, "{}");
    for (took, more) in [
        (Some("a, c"), vec!["b"]),
        (Some("a,b,c"), vec![]),
        (None, vec!["a", "b", "c"]),
    ] {
        let script = Script::new().on("PUT /v2/app/manifests/*", move |seen| {
            let answer = Answer::new(201);
            match took.filter(|_| seen.path().contains("sha256:")) {
                Some(took) => answer.header("oci-tag", took),
                None => answer,
            }
        });
        let peer = Peer::start(script).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [],
        });
        let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
        assert_eq!(content, "{}");
        let named = tags(&["a", "b", "c"]);
        peer.repository()
            .put_manifest(&manifest, &named)
            .await
            .unwrap();
        let first = &peer.seen()[0];
        assert!(first.path().ends_with(&manifest.digest.to_string()));
        let asked: Vec<_> = first.parameters().into_iter().map(|(_, tag)| tag).collect();
        assert_eq!(asked, ["a", "b", "c"]);
        let seen = peer.seen();
        let mut alone: Vec<String> = { seen[1..].iter() }
            .map(|seen| seen.path().rsplit('/').next().unwrap().to_owned())
            .collect();
        alone.sort();
        assert_eq!(alone, more, "{took:?}");
    }
}

#[tokio::test]
async fn a_config_of_another_kind_is_no_image() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, "{}");
    repository
        .put_blob(&empty, Arc::new(bytes), None)
        .await
        .unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "x/y",
        "config": empty, "layers": [empty],
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    repository
        .put_manifest(&manifest, &tags(&["1"]))
        .await
        .unwrap();
    let read = repository.manifest(&tagged("1")).await.unwrap();
    assert_eq!(read.digest, Algorithm::Sha256.digest(&manifest.bytes));
    let error = Image::read(&repository, read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("x/y"), "{error}");
}
