//! What breaks while content is sent: the bytes that the registry kept are not sent again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dockhand_client::{Client, ErrorKind, FileSource, Repository, Retries, Store, Timeouts};

use crate::peer::{Answer, Intake, Peer, Script, Seen, layer, send, small_image, tagged};
use crate::registry::Registry;

const BEGIN: &str = "POST /v2/app/blobs/uploads/";

/// A registry that begins an upload at `/up/1` and ends it with 201, when nothing comes between.
fn uploads() -> Script {
    Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/1"))
        .on("PUT /up/*", |_| Answer::new(201))
        .on("DELETE /up/*", |_| Answer::new(204))
}

/// What an upload says of itself when it has so many bytes.
fn has(bytes: usize) -> Answer {
    Answer::new(204)
        .header("location", "/up/1")
        .header("range", &format!("0-{}", bytes.saturating_sub(1)))
}

fn puts(peer: &Peer) -> Vec<Seen> {
    peer.matching("PUT /up/*")
}

#[tokio::test]
async fn a_commit_that_fails_once_is_repeated_without_the_bytes() {
    let (blob, content) = layer(1, 500_000);
    let length = content.len();
    let faults = Script::new()
        .once("PUT /up/1", |_| Answer::new(503))
        .on("GET /up/1", move |_| has(length));
    let peer = Peer::start(faults.then(uploads())).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    let puts = puts(&peer);
    assert_eq!(puts.len(), 2);
    assert!(puts[0].body == content);
    assert_eq!(puts[1].body, Bytes::new());
    assert_eq!(puts[1].parameter("digest"), Some(blob.digest.to_string()));
    assert_eq!((peer.count("POST *"), peer.count("GET /up/1")), (1, 1));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_to_be_done() {
    let registry = Registry::start().await;
    let (blob, content) = layer(2, 500_000);
    for lost in [Answer::new(503), Answer::none(), Answer::html(502)] {
        let script = Script::new().alter("PUT *uploads*", move |_, _| lost.clone());
        let peer = Peer::start(script.front(&registry.address)).await;
        let repository = peer.repository();
        send(&repository, &blob, &content).await.unwrap();
        assert_eq!(peer.count("PUT *"), 1, "{:?}", peer.lines());
        assert!(repository.has_blob(&blob).await.unwrap());
        registry
            .repository("app")
            .delete_blob(&blob.digest)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_lost_is_begun_anew() {
    let (blob, content) = layer(3, 500_000);
    for status in [404, 405, 500] {
        let faults = Script::new()
            .once("PUT /up/1", |_| Answer::new(503))
            .on("GET /up/1", move |_| Answer::new(status))
            .on("HEAD /v2/app/blobs/*", |_| Answer::new(404));
        let peer = Peer::start(faults.then(uploads())).await;
        send(&peer.repository(), &blob, &content).await.unwrap();
        assert_eq!(peer.count(BEGIN), 2, "{status}: {:?}", peer.lines());
        let puts = puts(&peer);
        assert_eq!(puts.len(), 2, "{status}");
        assert!(puts.iter().all(|put| put.body == content), "{status}");
    }
}

#[tokio::test]
async fn a_registry_that_does_not_say_what_it_kept_is_not_guessed_at() {
    let (blob, content) = layer(4, 500_000);
    let faults = Script::new()
        .take("PUT /up/1", Intake::Cut(200_000), |_| Answer::none())
        .on("GET /up/1", |_| Answer::new(204));
    let peer = Peer::start(faults.then(uploads())).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    // It may have kept some: only a new session is sure to have none.
    assert_eq!(peer.count(BEGIN), 2, "{:?}", peer.lines());
    assert!(puts(&peer)[1].body == content);
}

#[tokio::test]
async fn a_body_that_is_cut_goes_on_at_the_byte_that_the_registry_has() {
    let (blob, content) = layer(5, 8 << 20);
    for kept in [0, 1_000_000, 8 << 20] {
        let faults = Script::new()
            .take("PUT /up/1", Intake::Cut(1_000_000), |_| Answer::none())
            .on("GET /up/1", move |_| has(kept));
        let peer = Peer::start(faults.then(uploads())).await;
        send(&peer.repository(), &blob, &content).await.unwrap();
        let puts = puts(&peer);
        assert_eq!((puts.len(), peer.count(BEGIN)), (2, 1), "{kept}");
        assert!(puts[1].body == content[kept..], "{kept}");
        let range = match kept {
            1_000_000 => Some(format!("{kept}-{}", content.len() - 1)),
            _ => None,
        };
        assert_eq!(puts[1].header("content-range"), range.as_deref(), "{kept}");
    }
}

#[tokio::test]
async fn a_registry_that_claims_more_bytes_than_there_are_has_something_else() {
    let (blob, content) = layer(6, 5000);
    let faults = Script::new()
        .once("PUT /up/1", |_| Answer::new(503))
        .on("GET /up/1", |_| has(9000));
    let peer = Peer::start(faults.then(uploads())).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert_eq!(peer.count(BEGIN), 2);
    assert!(puts(&peer)[1].body == content);
}

/// `app` with timeouts that a test can wait for.
fn hasty(peer: &Peer, retries: u32) -> Repository {
    let mut connection = peer.connection();
    connection.timeouts = Timeouts {
        answer: Duration::from_millis(300),
        connect: Duration::from_millis(300),
        idle: Duration::from_millis(300),
    };
    connection.retries = Retries {
        count: retries,
        ..connection.retries
    };
    let client = Client::new(connection).unwrap();
    client.repository("app".parse().unwrap())
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    let bounded = tokio::time::timeout(Duration::from_secs(60), work).await;
    bounded.expect("it hangs")
}

#[tokio::test]
async fn a_registry_that_falls_silent_during_an_upload_is_a_timeout() {
    // More than the sockets hold, and less: the body is stuck, or only the answer is missing.
    for length in [32 << 20, 10_000] {
        let (blob, content) = layer(7, length);
        let silent = |_: &Seen| Answer::silent();
        let faults = Script::new()
            .take("PUT /up/1", Intake::Silent(1000), silent)
            .on("GET /up/1", silent);
        let peer = Peer::start(faults.then(uploads())).await;
        let repository = hasty(&peer, 1);
        let error = bounded(send(&repository, &blob, &content))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("nothing came for"), "{error}");
        assert_eq!(peer.count("PUT *"), 1);
        assert_eq!(peer.count("GET /up/1"), 2, "{:?}", peer.lines());
        assert_eq!(peer.count(BEGIN), 1);
    }
}

#[tokio::test]
async fn an_upload_goes_on_after_silence() {
    let (blob, content) = layer(8, 32 << 20);
    let silent = |_: &Seen| Answer::silent();
    let faults = Script::new()
        .take("PUT /up/1", Intake::Silent(70_000), silent)
        .on("GET /up/1", |_| has(70_000));
    let peer = Peer::start(faults.then(uploads())).await;
    bounded(send(&hasty(&peer, 2), &blob, &content))
        .await
        .unwrap();
    assert!(puts(&peer)[1].body == content[70_000..]);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_put_once_is_put() {
    let (manifest, ..) = small_image();
    for fault in [
        Answer::new(500),
        Answer::error(500, "NEVER_HEARD_OF"),
        Answer::none(),
    ] {
        let stored = Arc::new(Mutex::new(Bytes::new()));
        let kept = Arc::clone(&stored);
        let script = Script::new()
            .once("PUT /v2/app/manifests/1", move |_| fault.clone())
            .on("PUT /v2/app/manifests/1", move |seen| {
                *kept.lock().unwrap() = seen.body.clone();
                Answer::new(201)
            });
        let peer = Peer::start(script).await;
        let tags = ["1".parse().unwrap()];
        peer.repository()
            .put_manifest(&manifest, &tags)
            .await
            .unwrap();
        assert_eq!(*stored.lock().unwrap(), manifest.bytes);
        let kinds: Vec<_> = peer
            .seen()
            .iter()
            .map(|put| put.header("content-type").unwrap().to_owned())
            .collect();
        assert_eq!(
            kinds,
            [manifest.media_type.clone(), manifest.media_type.clone()]
        );
    }
}

#[tokio::test]
async fn a_source_that_breaks_is_no_fault_of_the_registry() {
    let (blob, content) = layer(9, 5000);
    let peer = Peer::start(uploads()).await;
    let short = content.slice(..4000);
    let error = send(&peer.repository(), &blob, &short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
    assert_eq!(peer.count("POST *"), 1);
    assert!(peer.repository().manifest(&tagged("1")).await.is_err());
    // Nor is one that has nothing, which another session would not change.
    let missing = Arc::new(FileSource::new("there/is/no/such/file"));
    let put = peer.repository().put_blob(&blob, missing, None).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(peer.count("POST *"), 2);
}

#[tokio::test]
async fn content_that_is_not_the_blob_is_never_sent_to_its_end() {
    // This registry takes anything for anything.
    let peer = Peer::start(uploads()).await;
    let (blob, content) = layer(9, 500_000);
    let mut other = content.to_vec();
    other[0] ^= 1;
    let error = send(&peer.repository(), &blob, &Bytes::from(other)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    let whole = |put: &Seen| put.body.len() == content.len();
    assert!(!puts(&peer).iter().any(whole), "{:?}", peer.lines());
}
