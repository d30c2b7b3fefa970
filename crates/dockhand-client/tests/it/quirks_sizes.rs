//! What registries say of lengths and parts, also wrongly.

use std::sync::Arc;

use dockhand_client::{ErrorKind, Store, Unobserved, download};
use dockhand_oci::Algorithm;

use crate::peer::{Answer, Peer, Script, fetch, layer, small_image, tagged};

#[tokio::test]
async fn a_registry_that_sends_no_parts_is_read_on_one_connection() {
    let (blob, content) = layer(1, 40 << 20);
    let served = content.clone();
    let script = Script::new().on("GET *", move |_| Answer::new(200).body(served.clone()));
    let peer = Peer::start(script).await;
    let store: Arc<dyn Store> = Arc::new(peer.repository());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blob");
    download(&store, &blob, &path, &Unobserved).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    // Once that is known, nothing is read that is thrown away.
    let before = peer.lines().len();
    download(&store, &blob, &path, &Unobserved).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(peer.lines().len() - before, 1);
    assert_eq!(peer.seen()[before].header("range"), None);
    assert!(before <= 10, "{before}");
}

#[tokio::test]
async fn a_blob_that_is_said_to_have_another_length_is_not_even_read() {
    let (blob, content) = layer(2, 1000);
    for answer in [
        Answer::new(200).body(content.slice(..900)),
        Answer::new(200).body([&content[..], &content[..]].concat()),
        Answer::new(206)
            .header("content-range", "bytes 0-899/900")
            .body(content.slice(..900)),
    ] {
        let peer = Peer::start(Script::new().on("GET *", move |_| answer.clone())).await;
        let error = fetch(&peer.repository(), &blob).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
        assert_eq!(peer.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_head_that_says_nothing_of_the_length_is_not_believed() {
    let (manifest, blob, content) = small_image();
    let (one, two) = (manifest.clone(), content.clone());
    let script = Script::new()
        .on("HEAD *", move |seen| {
            let answer = Answer::manifest(&one).header("content-length", "0");
            match seen.path().contains("manifests") {
                true => answer,
                false => Answer::new(200).header("content-length", "0"),
            }
        })
        .on("GET /v2/app/blobs/*", move |_| {
            let said = format!("bytes 0-0/{}", two.len());
            let answer = Answer::new(206).header("content-range", &said);
            answer.body(two.slice(..1))
        });
    let one = manifest.clone();
    let script = script.on("GET *", move |_| Answer::manifest(&one));
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    let size = repository.blob_size(&blob.digest).await.unwrap();
    assert_eq!(size, Some(content.len() as u64));
    let found = repository.resolve(&tagged("1")).await.unwrap();
    assert_eq!(found, manifest.descriptor());
    // The empty blob has no bytes indeed.
    let before = peer.lines().len();
    let empty = Algorithm::Sha256.digest(b"");
    assert_eq!(repository.blob_size(&empty).await.unwrap(), Some(0));
    assert_eq!(peer.lines().len() - before, 1);
}

#[tokio::test]
async fn a_part_of_something_of_unknown_length_says_nothing_of_the_whole() {
    let (blob, content) = layer(3, 1000);
    let script = Script::new()
        .on("HEAD *", |_| Answer::new(405))
        .on("GET *", move |_| {
            let answer = Answer::new(206).header("content-range", "bytes 0-0/*");
            answer.body(content.slice(..1))
        });
    let peer = Peer::start(script).await;
    let error = peer.repository().blob_size(&blob.digest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}
