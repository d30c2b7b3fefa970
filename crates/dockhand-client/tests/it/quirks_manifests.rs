//! Manifests where something else answers, and more tags than a URL can have.

use dockhand_client::{ErrorKind, Store};
use dockhand_oci::Tag;

use crate::peer::{Answer, Peer, Script, layer, send, small_image, tagged};
use crate::registry::Registry;

#[tokio::test]
async fn a_page_for_people_is_no_manifest() {
    for answer in [
        Answer::html(200),
        Answer::new(204),
        Answer::new(200).body("nothing of the kind"),
        Answer::json(200, &serde_json::json!(["none"])),
    ] {
        let peer = Peer::start(Script::new().on("* /*", move |_| answer.clone())).await;
        let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        let error = peer.repository().resolve(&tagged("1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn what_a_page_for_people_answers_to_is_not_done() {
    let (manifest, ..) = small_image();
    let (blob, content) = layer(1, 1000);
    let script = Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("* /*", |_| Answer::html(200));
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    let tags = ["1".parse().unwrap()];
    for error in [
        repository.put_manifest(&manifest, &tags).await.unwrap_err(),
        send(&repository, &blob, &content).await.unwrap_err(),
        repository.delete_blob(&blob.digest).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_only_called_a_page_is_one_of_the_registry() {
    let (manifest, ..) = small_image();
    let (blob, content) = layer(2, 1000);
    // As Google's registries answer.
    let html = |answer: Answer| answer.header("content-type", "text/html; charset=UTF-8");
    let script = Script::new()
        .on("POST *", move |_| {
            html(Answer::accepted("/up/1")).without_length()
        })
        .on("PUT /up/1", move |_| html(Answer::new(200)))
        .on("PUT *", move |_| html(Answer::new(201)).without_length());
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    send(&repository, &blob, &content).await.unwrap();
    let tags = ["1".parse().unwrap()];
    repository.put_manifest(&manifest, &tags).await.unwrap();
}

#[tokio::test]
async fn more_tags_than_a_url_can_have_are_put_all_the_same() {
    let (manifest, ..) = small_image();
    let peer = Peer::start(Script::new().on("PUT *", |_| Answer::new(201))).await;
    let tag = |number: u32| -> Tag { format!("{number:0100}").parse().unwrap() };
    let tags: Vec<Tag> = (0..100).map(tag).collect();
    peer.repository()
        .put_manifest(&manifest, &tags)
        .await
        .unwrap();
    let puts = peer.seen();
    assert!(puts.iter().all(|put| put.target.len() < 8000));
    for tag in tags {
        let path = format!("/v2/app/manifests/{tag}");
        assert!(puts.iter().any(|put| put.path() == path), "{tag}");
    }
}

#[tokio::test]
async fn a_tag_is_not_touched_where_nothing_can_be_deleted() {
    let registry = Registry::start().await;
    let (manifest, blob, content) = small_image();
    let there = registry.repository("app");
    send(&there, &blob, &content).await.unwrap();
    there
        .put_manifest(&manifest, &["1".parse().unwrap()])
        .await
        .unwrap();
    let refusing = Script::new().on("DELETE *", |_| Answer::error(405, "UNSUPPORTED"));
    let peer = Peer::start(refusing.front(&registry.address)).await;
    let error = peer
        .repository()
        .untag(&"1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("tag app:1"), "{error}");
    assert_eq!(peer.count("PUT */manifests/1"), 0, "{:?}", peer.lines());
    let found = there.resolve(&tagged("1")).await.unwrap();
    assert_eq!(found.digest, manifest.digest);
}

#[tokio::test]
async fn what_would_be_lost_is_known_or_an_error() {
    let registry = Registry::start().await;
    let (manifest, blob, content) = small_image();
    let there = registry.repository("app");
    send(&there, &blob, &content).await.unwrap();
    let tags: [Tag; 2] = ["1".parse().unwrap(), "2".parse().unwrap()];
    there.put_manifest(&manifest, &tags).await.unwrap();
    assert_eq!(there.tags_of(&manifest.digest).await.unwrap(), tags);
    for (path, status) in [("*/manifests/2", 403), ("*/referrers/*", 403)] {
        let failing = Script::new()
            .on(&format!("HEAD {path}"), move |_| Answer::new(status))
            .on(&format!("GET {path}"), move |_| Answer::new(status));
        let peer = Peer::start(failing.front(&registry.address)).await;
        let repository = peer.repository();
        let failed = match path.contains("referrers") {
            true => repository.delete_all(true).await.map(drop),
            false => repository.tags_of(&manifest.digest).await.map(drop),
        };
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Denied, "{path}");
    }
}
