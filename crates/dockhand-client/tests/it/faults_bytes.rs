//! Uploads where both sides count bytes differently.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dockhand_client::{ErrorKind, Store};

use crate::peer::{Answer, Intake, Peer, Script, Seen, layer, send};

const BEGIN: &str = "POST /v2/app/blobs/uploads/";

/// What an upload says of itself when it has so many bytes.
fn has(bytes: usize) -> Answer {
    let range = format!("0-{}", bytes.saturating_sub(1));
    Answer::new(204)
        .header("location", "/up/1")
        .header("range", &range)
}

/// A registry that takes uploads at `/up/1`.
fn uploads() -> Script {
    Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/1"))
        .on("PUT /up/*", |_| Answer::new(201))
        .on("DELETE /up/*", |_| Answer::new(204))
}

#[tokio::test]
async fn a_source_that_is_longer_than_said_is_not_committed() {
    for (said, extra) in [(5000, 1), (5000, 300_000), (0, 1)] {
        let (_, longer) = layer(1, said + extra);
        let content = longer.slice(..said);
        let digest = dockhand_oci::Algorithm::Sha256.digest(&content);
        let blob = dockhand_oci::Descriptor::new("x/y", digest, said as u64);
        let peer = Peer::start(uploads()).await;
        let error = send(&peer.repository(), &blob, &longer).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::SizeMismatch,
            "{said}+{extra}: {error}"
        );
        let puts = peer.matching("PUT *");
        assert!(said == 0 || puts.iter().all(|put| put.body.len() < said));
        assert!(said > 0 || puts.is_empty());
        assert!(peer.count("P* *") <= 2, "{:?}", peer.lines());
        // What is as long as it was said is taken.
        send(&peer.repository(), &blob, &content).await.unwrap();
    }
}

/// The first byte that a request brings.
fn start(seen: &Seen) -> usize {
    let range = seen.header("content-range").unwrap_or("0-");
    range.split('-').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_registry_that_kept_less_than_it_took_gets_the_rest() {
    let (blob, content) = layer(2, 10 << 20);
    let stored = Arc::new(Mutex::new(Vec::<u8>::new()));
    let (one, two, three) = (
        Arc::clone(&stored),
        Arc::clone(&stored),
        Arc::clone(&stored),
    );
    let patch = move |seen: &Seen| {
        let mut stored = one.lock().unwrap();
        if start(seen) != stored.len() {
            return Answer::error(416, "RANGE_INVALID");
        }
        // It says that it took the first piece, and keeps half of it.
        let kept = if stored.is_empty() {
            seen.body.len() / 2
        } else {
            seen.body.len()
        };
        stored.extend_from_slice(&seen.body[..kept]);
        Answer::accepted("/up/1")
    };
    let put = move |seen: &Seen| {
        let mut stored = two.lock().unwrap();
        if start(seen) != stored.len() {
            return Answer::error(416, "RANGE_INVALID");
        }
        stored.extend_from_slice(&seen.body);
        Answer::new(201)
    };
    let script = Script::new()
        .once("PUT /up/1", |_| Answer::html(413))
        .on("PATCH /up/1", patch)
        .on("PUT /up/1", put)
        .on("GET /up/1", move |_| has(three.lock().unwrap().len()));
    let peer = Peer::start(script.then(uploads())).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert!(*stored.lock().unwrap() == content);
    assert_eq!(peer.count("GET /up/1"), 1, "{:?}", peer.lines());
}

#[tokio::test]
async fn a_registry_that_refuses_every_range_is_reported() {
    let (blob, content) = layer(3, 10 << 20);
    let script = Script::new()
        .once("PUT /up/1", |_| Answer::html(413))
        .on("PATCH /up/1", |_| Answer::error(416, "RANGE_INVALID"))
        .on("GET /up/1", |_| has(5000));
    let peer = Peer::start(script.then(uploads())).await;
    let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 416, "{error}");
    assert!(peer.lines().len() < 20, "{}", peer.lines().len());
}

#[tokio::test]
async fn none_and_one_byte_are_told_apart() {
    // The byte was kept, and `0-0` is said of it: to send it again is one too many.
    let (blob, content) = layer(4, 5000);
    let script = Script::new()
        .once(BEGIN, |_| Answer::accepted("/up/1"))
        .on(BEGIN, |_| Answer::accepted("/up/2"))
        .take("PUT /up/1", Intake::Cut(1), |_| Answer::none())
        .on("GET /up/1", |_| has(1))
        .on("PUT /up/1", |_| Answer::error(400, "DIGEST_INVALID"))
        .then(uploads());
    let peer = Peer::start(script).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert!(peer.matching("PUT /up/2")[0].body == content);
    // Content that is really another is not sent without end.
    let script = Script::new()
        .once("PUT /up/1", |_| Answer::new(503))
        .on("GET /up/1", |_| has(0))
        .on("PUT /up/1", |_| Answer::error(400, "DIGEST_INVALID"))
        .then(uploads());
    let peer = Peer::start(script).await;
    let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert_eq!(peer.count("PUT *"), 3);

    let script = Script::new()
        .on("PATCH /up/1", |_| Answer::accepted("/up/1"))
        .on("GET /up/1", |_| has(1))
        .then(uploads());
    let peer = Peer::start(script).await;
    let mut upload = peer.repository().begin_upload().await.unwrap();
    assert_eq!(upload.status().await.unwrap(), 0);
    upload
        .append(Arc::new(Bytes::from_static(b"x")), 1)
        .await
        .unwrap();
    assert_eq!(upload.status().await.unwrap(), 1);
}

#[tokio::test]
async fn ranges_that_no_number_can_have_are_no_ranges() {
    let (blob, content) = layer(5, 5000);
    for range in [
        "0-18446744073709551615",
        "0-18446744073709551614",
        "0--1",
        "x",
        "-",
    ] {
        let script = Script::new()
            .once("PUT /up/1", |_| Answer::new(503))
            .on("GET /up/1", move |_| {
                Answer::new(204).header("range", range)
            })
            .then(uploads());
        let peer = Peer::start(script).await;
        send(&peer.repository(), &blob, &content).await.unwrap();
        let puts = peer.matching("PUT *");
        assert_eq!((puts.len(), peer.count(BEGIN)), (2, 2), "{range}");
        assert!(puts[1].body == content, "{range}");
        let mut upload = peer.repository().begin_upload().await.unwrap();
        upload.status().await.unwrap();
        upload.append(Arc::new(content.clone()), 10).await.ok();
    }
}

#[tokio::test]
async fn patience_begins_anew_with_every_mebibyte_that_arrives() {
    let (blob, content) = layer(6, 16 << 20);
    let mut script = Script::new();
    for cut in 1..8_usize {
        script = script
            .take("PUT /up/1", Intake::Cut(2 << 20), |_| Answer::none())
            .once("GET /up/1", move |_| has(cut * (2 << 20)));
    }
    let peer = Peer::start(script.then(uploads())).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert_eq!((peer.count("PUT *"), peer.count(BEGIN)), (8, 1));
}

#[tokio::test]
async fn a_source_that_may_not_be_mounted_from_is_sent() {
    let (blob, content) = layer(7, 5000);
    for status in [401, 403, 404] {
        let script = Script::new()
            .when(
                BEGIN,
                |seen| seen.parameter("mount").is_some(),
                move |_| Answer::error(status, "DENIED"),
            )
            .then(uploads());
        let peer = Peer::start(script).await;
        let from = dockhand_client::Origin {
            host: peer.address(),
            repository: "base".parse().unwrap(),
        };
        let repository = peer.repository();
        let moved = repository
            .put_blob(&blob, Arc::new(content.clone()), Some(&from))
            .await
            .unwrap();
        assert_eq!(moved, dockhand_client::Moved::Sent, "{status}");
        assert!(peer.matching("PUT *")[0].body == content);
    }
}
