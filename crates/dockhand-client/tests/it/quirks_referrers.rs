//! Referrers where registries do not list them: the tag that stands in, read and written.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dockhand_client::{ErrorKind, Filter, RawManifest, Store};
use dockhand_oci::{Algorithm, Descriptor, Digest, MediaType};
use serde_json::{Value, json};

use crate::peer::{Answer, Peer, Script, Seen};

const FALLBACK: &str = "* /v2/app/manifests/sha256-*";

fn subject() -> Digest {
    Algorithm::Sha256.digest(b"the subject")
}

fn referrer(kind: &str, seed: &str) -> Descriptor {
    let digest = Algorithm::Sha256.digest(seed.as_bytes());
    let mut descriptor = Descriptor::new(MediaType::OCI_MANIFEST, digest, 100);
    descriptor.artifact_type = Some(kind.to_owned());
    descriptor
}

fn index(referrers: &[Descriptor]) -> Answer {
    let body: Value = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": referrers,
    });
    Answer::new(200)
        .header("content-type", MediaType::OCI_INDEX)
        .body(body.to_string())
}

/// A manifest with the subject.
fn signature(seed: &str) -> RawManifest {
    let config = Descriptor::new(MediaType::OCI_EMPTY, Algorithm::Sha256.digest(b"{}"), 2);
    let subject = Descriptor::new(MediaType::OCI_MANIFEST, subject(), 11);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "x/sig",
        "config": config, "layers": [], "subject": subject, "annotations": { "seed": seed },
    });
    RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string())
}

#[tokio::test]
async fn every_way_of_having_no_list_leads_to_the_tag() {
    let page = Peer::start(
        Script::new()
            .on("GET /busy", |_| Answer::html(429))
            .on("GET /page", |_| Answer::html(200)),
    )
    .await;
    let (busy, plain) = (
        format!("{}/busy", page.url()),
        format!("{}/page", page.url()),
    );
    for (name, answer) in [
        ("404", Answer::error(404, "NOT_FOUND")),
        ("404 without a body", Answer::new(404)),
        ("404 page", Answer::html(404)),
        ("400", Answer::error(400, "UNSUPPORTED")),
        ("405", Answer::error(405, "UNSUPPORTED")),
        ("406", Answer::new(406)),
        ("page", Answer::html(200)),
        ("redirect to a page", Answer::to(302, &plain)),
        ("redirect to a page that is busy", Answer::to(303, &busy)),
    ] {
        let listed = referrer("x/sig", "one");
        let served = index(std::slice::from_ref(&listed));
        let script = Script::new()
            .on("GET /v2/app/referrers/*", move |_| answer.clone())
            .on(FALLBACK, move |_| served.clone());
        let peer = Peer::start(script).await;
        let repository = peer.repository();
        for _ in 0..2 {
            let found = repository.referrers(&subject()).await.unwrap();
            assert_eq!(found, std::slice::from_ref(&listed), "{name}");
        }
        // What the registry cannot do is remembered.
        assert_eq!(
            peer.count("GET /v2/app/referrers/*"),
            1,
            "{name}: {:?}",
            peer.lines()
        );
        let tag = format!("/v2/app/manifests/sha256-{}", subject().hex());
        assert_eq!(peer.count(&format!("GET {tag}")), 2, "{name}");
    }
}

#[tokio::test]
async fn no_tag_means_no_referrers_and_failures_are_failures() {
    for status in [404, 403] {
        let script = Script::new().on(FALLBACK, move |_| Answer::new(status));
        let peer = Peer::start(script).await;
        assert_eq!(
            peer.repository().referrers(&subject()).await.unwrap(),
            [],
            "{status}"
        );
    }
    for (answer, kind) in [
        (Answer::error(404, "NAME_UNKNOWN"), ErrorKind::NotFound),
        (Answer::new(401), ErrorKind::Unauthorized),
        (Answer::new(403), ErrorKind::Denied),
        (Answer::new(500), ErrorKind::Server),
    ] {
        let script = Script::new().on("GET /v2/app/referrers/*", move |_| answer.clone());
        let peer = Peer::start(script).await;
        let error = peer.repository().referrers(&subject()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(peer.count(FALLBACK), 0);
    }
}

#[tokio::test]
async fn a_registry_that_does_not_filter_is_filtered_here() {
    let all = [referrer("x/sig", "one"), referrer("x/sbom", "two")];
    let (listed, linked) = (index(&all), index(&all));
    let link = format!("</v2/app/referrers/{}?page=2>; rel=\"next\"", subject());
    for (name, answer) in [
        ("not filtered", listed),
        ("with a page that comes again", linked.header("link", &link)),
    ] {
        let script = Script::new().on("GET /v2/app/referrers/*", move |_| answer.clone());
        let peer = Peer::start(script).await;
        let filter = Filter::of_type("x/sbom");
        let found = peer
            .repository()
            .referrers_of(&subject(), &filter)
            .await
            .unwrap();
        assert_eq!(found, all[1..], "{name}");
        let asked = peer.seen()[0].parameter("artifactType");
        assert_eq!(asked.as_deref(), Some("x/sbom"), "{name}");
        assert_eq!(peer.count(FALLBACK), 0);
    }
}

/// A registry without referrers that keeps what is put under the tag.
fn keeps_tag(etag: bool) -> (Script, Arc<Mutex<Option<Bytes>>>) {
    let kept = Arc::new(Mutex::new(None::<Bytes>));
    let (read, written) = (Arc::clone(&kept), Arc::clone(&kept));
    let tagged = |bytes: &Bytes| format!("\"{}\"", Algorithm::Sha256.digest(bytes));
    let script = Script::new()
        .on("GET /v2/app/manifests/sha256-*", move |_| {
            match &*read.lock().unwrap() {
                None => Answer::error(404, "MANIFEST_UNKNOWN"),
                Some(bytes) => {
                    let answer = Answer::new(200).header("content-type", MediaType::OCI_INDEX);
                    let answer = answer.body(bytes.clone());
                    if etag {
                        answer.header("etag", &tagged(bytes))
                    } else {
                        answer
                    }
                }
            }
        })
        .on("PUT /v2/app/manifests/sha256-*", move |seen| {
            let mut kept = written.lock().unwrap();
            let now = kept.as_ref().map(tagged);
            let wrong = match seen.header("if-match") {
                Some(wanted) => now.as_deref() != Some(wanted),
                None => seen.header("if-none-match").is_some() && now.is_some(),
            };
            if etag && wrong {
                return Answer::new(412);
            }
            *kept = Some(seen.body.clone());
            Answer::new(201)
        })
        .on("PUT *", |_| Answer::new(201));
    (script, kept)
}

fn digests(kept: &Mutex<Option<Bytes>>) -> Vec<String> {
    let kept = kept.lock().unwrap();
    let index: Value = serde_json::from_slice(kept.as_ref().unwrap()).unwrap();
    let listed = index["manifests"].as_array().unwrap().iter();
    let mut found: Vec<String> = listed
        .map(|one| {
            assert_eq!(one["artifactType"], "x/sig");
            one["digest"].as_str().unwrap().to_owned()
        })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn what_is_put_is_listed_under_the_tag_once() {
    for etag in [true, false] {
        let (script, kept) = keeps_tag(etag);
        let peer = Peer::start(script).await;
        let repository = peer.repository();
        let manifests: Vec<_> = ["a", "b", "c", "d"].map(signature).into();
        let puts = manifests
            .iter()
            .map(|one| repository.put_manifest(one, &[]));
        futures_util::future::try_join_all(puts).await.unwrap();
        // Once more: it is there already.
        repository.put_manifest(&manifests[0], &[]).await.unwrap();
        let mut expected: Vec<_> = manifests.iter().map(|one| one.digest.to_string()).collect();
        expected.sort();
        assert_eq!(digests(&kept), expected, "{etag}");
    }
}

#[tokio::test]
async fn a_change_that_somebody_else_overwrites_is_made_again() {
    for etag in [true, false] {
        let (script, kept) = keeps_tag(etag);
        let (other, mine) = (signature("other"), signature("mine"));
        let stolen = {
            let listed = [referrer("x/sig", "other")];
            index(&listed).body
        };
        // Just before, or just after, this client's own write comes another.
        let theirs = Arc::clone(&kept);
        let first = move |_: &Seen| {
            *theirs.lock().unwrap() = Some(stolen.clone());
            if etag {
                Answer::new(412)
            } else {
                Answer::new(201)
            }
        };
        let script = Script::new()
            .once("PUT /v2/app/manifests/sha256-*", first)
            .then(script);
        let peer = Peer::start(script).await;
        peer.repository().put_manifest(&mine, &[]).await.unwrap();
        let mut expected = [
            Algorithm::Sha256.digest(b"other").to_string(),
            mine.digest.to_string(),
        ];
        expected.sort();
        assert_eq!(digests(&kept), expected, "{etag}");
        assert_ne!(other.digest, mine.digest);
    }
}

#[tokio::test]
async fn a_registry_that_lists_itself_needs_no_tag() {
    let said = |_: &Seen| Answer::new(201).header("oci-subject", &subject().to_string());
    let peer = Peer::start(Script::new().on("PUT *", said)).await;
    let manifest = signature("a");
    peer.repository()
        .put_manifest(&manifest, &[])
        .await
        .unwrap();
    assert_eq!(
        peer.lines(),
        [format!("PUT /v2/app/manifests/{}", manifest.digest)]
    );
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let answer = |seen: &Seen| {
        let page: u32 = seen
            .parameter("page")
            .map_or(0, |page| page.parse().unwrap());
        let one = |number: u32| {
            let digest = format!("sha256:{number:064x}");
            json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 10 })
        };
        let some: Vec<_> = (page * 30_000..(page + 1) * 30_000).map(one).collect();
        let next = format!("</v2/app/referrers/x?page={}>; rel=\"next\"", page + 1);
        let list = json!({ "schemaVersion": 2, "manifests": some });
        Answer::json(200, &list).header("link", &next)
    };
    let peer = Peer::start(Script::new().on("GET *", answer)).await;
    let subject = Algorithm::Sha256.digest(b"subject");
    let listed = peer.repository().referrers(&subject).await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::SizeMismatch);
}
