//! Proxies and registries that refuse large bodies.

use std::sync::Arc;

use dockhand_client::{RawManifest, Store};
use dockhand_oci::MediaType;

use crate::peer::{Answer, Peer, Script, Seen, layer, send};
use crate::quirks_uploads::pieces;

const BEGIN: &str = "POST /v2/app/blobs/uploads/";
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The lengths of all bodies that blobs were sent in, those that were refused included.
fn lengths(peer: &Peer) -> Vec<usize> {
    let sent = |seen: &Seen| matches!(seen.method.as_str(), "PATCH" | "PUT");
    let seen = peer.seen().into_iter().filter(sent);
    seen.map(|one| one.body.len()).collect()
}

#[tokio::test]
async fn every_limit_down_to_64_kib_is_met_in_few_steps() {
    for (limit, size, expected) in [
        // What nginx allows by default, and a layer that is hardly larger.
        (MIB, 1_054_720, vec![1_054_720, MIB, 6144]),
        (
            100 * KIB,
            150_000,
            vec![150_000, 64 * KIB, 64 * KIB, 18_928],
        ),
        (64 * KIB, 65_537, vec![65_537, 64 * KIB, 1]),
        (
            256 * KIB,
            5 * MIB / 2,
            [vec![5 * MIB / 2, MIB], vec![256 * KIB; 10]].concat(),
        ),
    ] {
        let (blob, content) = layer(1, size);
        let (script, stored) = pieces(limit, 202, true);
        let peer = Peer::start(script).await;
        let repository = peer.repository();
        send(&repository, &blob, &content).await.unwrap();
        assert!(*stored.lock().unwrap() == content, "{limit}");
        assert_eq!(lengths(&peer), expected, "{limit}");
        // The host is known by now, whatever the repository.
        stored.lock().unwrap().clear();
        let before = peer.seen().len();
        send(&repository, &blob, &content).await.unwrap();
        let later = &peer.seen()[before..];
        assert!(later.iter().all(|one| one.body.len() <= limit), "{limit}");
        assert!(*stored.lock().unwrap() == content, "{limit}");
    }
}

#[tokio::test]
async fn blobs_that_are_refused_at_once_learn_the_same() {
    let (script, _) = pieces(MIB, 202, true);
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    let sizes = [1_054_720, 3 * MIB, 20 * MIB];
    let sending = sizes.iter().zip(1..).map(|(size, seed)| {
        let repository = repository.clone();
        async move {
            let (blob, content) = layer(seed, *size);
            send(&repository, &blob, &content).await
        }
    });
    for sent in futures_util::future::join_all(sending).await {
        sent.unwrap();
    }
    // Each whole blob and the steps on the way are refused once a blob at most, and no step is left out.
    let too_long = lengths(&peer).into_iter().filter(|length| *length > MIB);
    assert!(too_long.count() <= 3 + 3, "{:?}", lengths(&peer));
    assert!(lengths(&peer).iter().all(|length| *length != 256 * KIB));
}

#[tokio::test]
async fn a_limit_below_what_the_registry_wants_is_said() {
    let (blob, content) = layer(2, 3 * MIB);
    let (script, _) = pieces(512 * KIB, 202, true);
    let script = Script::new()
        .on(BEGIN, |_| {
            Answer::accepted("/up/0?s=begin").header("oci-chunk-min-length", "1048576")
        })
        .then(script);
    let peer = Peer::start(script).await;
    let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
    assert_eq!(lengths(&peer), [3 * MIB, MIB]);
    let text = error.to_string();
    for part in [
        "413 Payload Too Large",
        "a body of 1048576 bytes is too large",
        "no part below 1048576 bytes",
        "client_max_body_size",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Nothing smaller can be tried.
    let (small, content) = layer(3, 1000);
    let refusing = Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/1"))
        .on("PUT /up/1", |_| Answer::html(413));
    let peer = Peer::start(refusing).await;
    let error = send(&peer.repository(), &small, &content)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("a body of 1000 bytes"),
        "{error}"
    );
    assert_eq!(peer.count("PUT *"), 1);
}

#[tokio::test]
async fn a_blob_that_is_too_large_as_a_whole_is_not_sent_again_and_again() {
    let (blob, content) = layer(4, 40 * MIB);
    let (script, stored) = pieces(usize::MAX, 202, true);
    let refuse = move |_: &Seen| Answer::error(413, "SIZE_INVALID");
    let length = |seen: &Seen| -> usize { seen.header("content-length").unwrap().parse().unwrap() };
    let full = Arc::clone(&stored);
    let script = Script::new()
        .when("PUT *", move |seen| length(seen) > 16 * MIB, refuse)
        .when(
            "PATCH *",
            move |seen| full.lock().unwrap().len() + length(seen) > 20 * MIB,
            refuse,
        )
        .then(script);
    let peer = Peer::start(script).await;
    let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
    assert_eq!(lengths(&peer), [40 * MIB, 16 * MIB, 16 * MIB]);
    assert!(error.to_string().contains("the blob as a whole"), "{error}");
}

#[tokio::test]
async fn a_manifest_is_not_sent_in_parts_which_is_said() {
    let manifest = serde_json::json!({ "schemaVersion": 2, "manifests": [], "annotations": {} });
    let manifest = RawManifest::new(MediaType::OCI_INDEX, manifest.to_string());
    let length = manifest.bytes.len();
    let put = async |answer: Answer| {
        let script = Script::new().on("PUT *", move |_| answer.clone());
        let peer = Peer::start(script).await;
        let tags = ["1".parse().unwrap()];
        let put = peer.repository().put_manifest(&manifest, &tags).await;
        put.unwrap_err().to_string()
    };
    let text = put(Answer::html(413)).await;
    let hint = format!("has to take {length} bytes at once (nginx: client_max_body_size)");
    assert!(text.contains(&hint), "{text}");
    // The registry itself says enough.
    let text = put(Answer::error(413, "MANIFEST_INVALID")).await;
    assert!(text.ends_with("MANIFEST_INVALID: so it is"), "{text}");
}
