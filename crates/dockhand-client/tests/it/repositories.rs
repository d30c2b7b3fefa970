//! What a client does with one repository of our own server.

use std::sync::Arc;

use dockhand_client::{ErrorKind, Filter, Moved, Page, RawManifest, Store, read_small};
use dockhand_oci::{Digest, MediaType, Reference, Tag};
use futures_util::{StreamExt, TryStreamExt};

use crate::registry::{Registry, blob, bytes, image};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn what_is_put_is_got_again() {
    let registry = Registry::start().await;
    let repository = registry.repository("team/app");
    let ping = registry.client().ping().await.unwrap();
    assert_eq!(ping.api_version.as_deref(), Some("registry/2.0"));
    let manifest = image(
        &repository,
        &[bytes(1, 70_000), bytes(2, 0)],
        &["1", "latest"],
    )
    .await;
    for reference in [Reference::Tag(tag("1")), Reference::Digest(manifest.digest)] {
        assert_eq!(repository.manifest(&reference).await.unwrap(), manifest);
        assert_eq!(
            repository.resolve(&reference).await.unwrap(),
            manifest.descriptor()
        );
    }
    let layer = &manifest.parse().unwrap().links[1].descriptor;
    let got = read_small(&repository, layer, 1 << 20).await.unwrap();
    assert_eq!(got, bytes(1, 70_000));
    let mut tail = Vec::new();
    let mut stream = repository.blob(layer, 69_990).await.unwrap();
    while let Some(chunk) = stream.next().await {
        tail.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(tail, bytes(1, 70_000)[69_990..]);
    let mut tags = repository.tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, [tag("1"), tag("latest")]);
    let names: Vec<_> = registry
        .client()
        .catalog(Page::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names, ["team/app".parse().unwrap()]);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let registry = Registry::start().await;
    let repository = registry.repository("team/app");
    let error = repository
        .manifest(&Reference::Tag(tag("none")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(
        text.contains("team/app:none") && text.contains(&registry.address),
        "{text}"
    );
    let (absent, _) = blob("x/y", "absent");
    assert_eq!(repository.blob_size(&absent.digest).await.unwrap(), None);
    assert!(
        repository
            .find(&Reference::Digest(absent.digest))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_blob_is_sent_once_and_mounted_where_it_can_be() {
    let registry = Registry::start().await;
    let (one, two) = (registry.repository("one"), registry.repository("two"));
    let (blob, bytes) = blob("x/y", bytes(3, 300_000));
    let put = |store: dockhand_client::Repository, from: Option<dockhand_client::Origin>| {
        let (blob, bytes) = (blob.clone(), bytes.clone());
        async move {
            store
                .put_blob(&blob, Arc::new(bytes), from.as_ref())
                .await
                .unwrap()
        }
    };
    assert_eq!(put(one.clone(), None).await, Moved::Sent);
    assert_eq!(put(one.clone(), None).await, Moved::Existed);
    assert_eq!(put(two.clone(), one.origin()).await, Moved::Mounted);
    assert!(two.has_blob(&blob).await.unwrap());
    assert!(
        registry
            .repository("three")
            .mount(&blob.digest, None)
            .await
            .unwrap()
    );
    assert!(one.post_blob(&blob.digest, bytes.clone()).await.unwrap());
}

#[tokio::test]
async fn other_bytes_than_named_are_not_taken() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let (blob, _) = blob("x/y", "right");
    let wrong = bytes::Bytes::from_static(b"wrong");
    let error = repository
        .put_blob(&blob, Arc::new(wrong), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert!(!repository.has_blob(&blob).await.unwrap());
}

#[tokio::test]
async fn an_upload_goes_on_in_another_process() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let (blob, bytes) = blob("x/y", bytes(4, 100_000));
    let mut upload = repository.begin_upload().await.unwrap();
    upload
        .append(Arc::new(bytes.clone()), 40_000)
        .await
        .unwrap();
    let url = upload.url().to_owned();
    upload.keep();
    let mut upload = registry
        .repository("app")
        .resume_upload(&url)
        .await
        .unwrap();
    assert_eq!(upload.offset(), 40_000);
    upload
        .finish(&blob.digest, Some((Arc::new(bytes), 60_000)))
        .await
        .unwrap();
    assert!(repository.has_blob(&blob).await.unwrap());
    let upload = repository.begin_upload().await.unwrap();
    let url = upload.url().to_owned();
    upload.cancel().await.unwrap();
    let error = repository.resume_upload(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_tag_is_deleted_alone_and_a_manifest_with_its_tags() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let manifest = image(&repository, &[], &["a", "b", "c"]).await;
    repository.delete_tag(&tag("a")).await.unwrap();
    repository.replace_and_delete_tag(&tag("b")).await.unwrap();
    assert_eq!(repository.tags().await.unwrap(), [tag("c")]);
    assert_eq!(
        repository.tags_of(&manifest.digest).await.unwrap(),
        [tag("c")]
    );
    let planned = repository.delete_all(true).await.unwrap();
    assert_eq!(
        (planned.tags, planned.manifests),
        (vec![tag("c")], vec![manifest.digest])
    );
    repository.delete_manifest(&manifest.digest).await.unwrap();
    let reference = Reference::Digest(manifest.digest);
    assert!(repository.find(&reference).await.unwrap().is_none());
}

#[tokio::test]
async fn referrers_are_listed() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let subject = image(&repository, &[], &["1"]).await;
    let referrer = attach(&repository, &subject, "example/signature").await;
    let other = attach(&repository, &subject, "example/sbom").await;
    let found = repository.referrers(&subject.digest).await.unwrap();
    let mut digests: Vec<Digest> = found.iter().map(|one| one.digest).collect();
    digests.sort();
    let mut expected = vec![referrer.digest, other.digest];
    expected.sort();
    assert_eq!(digests, expected);
    let filter = Filter::of_type("example/sbom");
    let found = repository
        .referrers_of(&subject.digest, &filter)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, other.digest);
}

/// Attaches an artifact without content to `subject`.
pub(crate) async fn attach(store: &dyn Store, subject: &RawManifest, kind: &str) -> RawManifest {
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, "{}");
    store.put_blob(&empty, Arc::new(bytes), None).await.unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": kind,
        "config": empty, "layers": [empty], "subject": subject.descriptor(),
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    store.put_manifest(&manifest, &[]).await.unwrap();
    manifest
}
