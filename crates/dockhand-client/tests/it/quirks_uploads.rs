//! Where registries let blobs be uploaded to, and in what pieces.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dockhand_client::{Client, ErrorKind, Moved, Origin, Store};
use http::HeaderValue;

use crate::peer::{Answer, Intake, Peer, Script, Seen, layer, send};

const BEGIN: &str = "POST /v2/app/blobs/uploads/";

/// The lines of the peer after the one that begins an upload.
fn after_begin(peer: &Peer) -> Vec<String> {
    let lines = peer.lines();
    assert!(
        lines[0].starts_with("POST /v2/app/blobs/uploads/?mount=sha256%3A"),
        "{lines:?}"
    );
    lines[1..].to_vec()
}

#[tokio::test]
async fn locations_are_kept_letter_for_letter() {
    let (blob, content) = layer(1, 1000);
    let digest = blob.digest;
    for (location, target) in [
        ("/up/1", format!("/up/1?digest={digest}")),
        ("/up/1?", format!("/up/1?digest={digest}")),
        (
            "/up/1?_state=aB%2Fc+d%3D%3D&x",
            format!("/up/1?_state=aB%2Fc+d%3D%3D&x&digest={digest}"),
        ),
        ("BASE/up/1?a=b", format!("/up/1?a=b&digest={digest}")),
        ("//HOST/up/1", format!("/up/1?digest={digest}")),
        (
            "one%2Ftwo",
            format!("/v2/app/blobs/uploads/one%2Ftwo?digest={digest}"),
        ),
        (
            "?session=7",
            format!("/v2/app/blobs/uploads/?session=7&digest={digest}"),
        ),
    ] {
        let place = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&place);
        let script = Script::new()
            .on(BEGIN, move |_| Answer::accepted(&told.lock().unwrap()))
            .on("PUT *", |_| Answer::new(201));
        let peer = Peer::start(script).await;
        let absolute = location
            .replace("BASE", &peer.url())
            .replace("HOST", &peer.address());
        *place.lock().unwrap() = absolute;
        send(&peer.repository(), &blob, &content).await.unwrap();
        assert_eq!(after_begin(&peer), [format!("PUT {target}")], "{location}");
        assert!(peer.seen()[1].body == content);
    }
}

#[tokio::test]
async fn an_upload_to_another_host_goes_there_without_credentials() {
    let (blob, content) = layer(2, 1000);
    let storage = Peer::start(Script::new().on("PUT *", |_| Answer::new(201))).await;
    let location = format!("{}/bucket?X-Sig=aB%2F", storage.url());
    let script = Script::new().on(BEGIN, move |_| Answer::accepted(&location));
    let registry = Peer::start(script).await;
    let mut connection = registry.connection();
    connection.auth = dockhand_client::Auth::Basic("me".into(), "s3cret".into());
    connection
        .headers
        .insert("x-team", HeaderValue::from_static("s3cret-too"));
    let repository = Client::new(connection)
        .unwrap()
        .repository("app".parse().unwrap());
    send(&repository, &blob, &content).await.unwrap();
    let put = &storage.seen()[0];
    assert_eq!(
        put.target,
        format!("/bucket?X-Sig=aB%2F&digest={}", blob.digest)
    );
    assert!(put.body == content);
    for name in ["authorization", "x-team", "cookie", "referer"] {
        assert_eq!(put.header(name), None, "{name}");
    }
    let begin = &registry.seen()[0];
    assert_eq!(begin.basic().as_deref(), Some("me:s3cret"));
    assert_eq!(begin.header("x-team"), Some("s3cret-too"));
    assert_eq!(registry.lines().len(), 1);
}

#[tokio::test]
async fn a_redirected_upload_sends_its_body_to_where_it_leads() {
    let (blob, content) = layer(3, 300_000);
    for status in [307, 308] {
        let storage = Peer::start(Script::new().on("PUT *", |_| Answer::new(201))).await;
        let target = format!("{}/bucket?sig=1", storage.url());
        let script = Script::new()
            .on(BEGIN, |_| Answer::accepted("/up/1"))
            .on("PUT /up/1", move |_| Answer::to(status, &target));
        let registry = Peer::start(script).await;
        let auth = dockhand_client::Auth::Bearer("t0ken".into());
        send(&registry.repository_as(auth), &blob, &content)
            .await
            .unwrap();
        let put = &storage.seen()[0];
        assert_eq!(
            (put.target.as_str(), put.header("authorization")),
            ("/bucket?sig=1", None)
        );
        assert!(put.body == content);
    }
}

#[tokio::test]
async fn a_registry_that_gives_no_usable_place_is_refused() {
    let (blob, content) = layer(4, 1000);
    for location in [
        None,
        Some("ftp://host/up"),
        Some("http://169.254.169.254/up"),
    ] {
        let script = Script::new().on(BEGIN, move |_| match location {
            Some(location) => Answer::accepted(location),
            None => Answer::new(202),
        });
        let peer = Peer::start(script).await;
        let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{location:?}: {error}");
        assert_eq!(peer.lines().len(), 1);
    }
}

/// A registry that takes uploads in pieces of at most `max` bytes, and says at each step another place.
/// `status` is what it answers to a piece.
pub(crate) fn pieces(max: usize, status: u16, range: bool) -> (Script, Arc<Mutex<Vec<u8>>>) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let (kept, last) = (Arc::clone(&stored), Arc::clone(&stored));
    let refused = move |seen: &Seen| seen.body.len() > max;
    let script = Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/0?s=begin"))
        .on("PATCH /up/*", move |seen| {
            if refused(seen) {
                return Answer::html(413);
            }
            let mut kept = kept.lock().unwrap();
            kept.extend_from_slice(&seen.body);
            let answer =
                Answer::new(status).header("location", &format!("/up/{}?s=on", kept.len()));
            match range {
                true => answer.header("range", &format!("0-{}", kept.len() - 1)),
                false => answer.header("range", "0-0"),
            }
        })
        .on("PUT /up/*", move |seen| {
            if refused(seen) {
                return Answer::html(413);
            }
            last.lock().unwrap().extend_from_slice(&seen.body);
            Answer::new(201)
        })
        .on("DELETE /up/*", |_| Answer::new(204));
    (script, stored)
}

#[tokio::test]
async fn a_registry_behind_a_proxy_with_a_limit_gets_chunks() {
    let (blob, content) = layer(5, 10 << 20);
    // ECR answers 201 to a chunk, and some say the same range again and again.
    for (status, range) in [(202, true), (201, true), (202, false), (204, false)] {
        let (script, stored) = pieces(3 << 20, status, range);
        let peer = Peer::start(script).await;
        let repository = peer.repository();
        send(&repository, &blob, &content).await.unwrap();
        assert!(*stored.lock().unwrap() == content, "{status} {range}");
        // The place and the range move on from chunk to chunk.
        let patches = peer.matching("PATCH *");
        let taken: Vec<_> = patches
            .iter()
            .filter(|one| one.body.len() <= 3 << 20)
            .collect();
        let mut at = 0;
        for patch in &taken {
            let expected = format!("/up/{at}?s={}", if at == 0 { "begin" } else { "on" });
            assert_eq!(patch.target, expected);
            let range = format!("{at}-{}", at + patch.body.len() - 1);
            assert_eq!(patch.header("content-range"), Some(&*range));
            at += patch.body.len();
        }
        let before = peer.lines().len();
        // What was learned of the registry is not tried again.
        stored.lock().unwrap().clear();
        send(&repository, &blob, &content).await.unwrap();
        assert!(*stored.lock().unwrap() == content);
        let later = &peer.seen()[before..];
        assert!(
            later.iter().all(|one| one.body.len() <= 3 << 20),
            "{status} {range}"
        );
    }
}

#[tokio::test]
async fn a_limit_that_is_enforced_before_the_body_is_read_is_understood() {
    let (blob, content) = layer(6, 64 << 20);
    let (script, stored) = pieces(40 << 20, 202, true);
    let early = |_: &Seen| Answer::html(413);
    let script = Script::new()
        .take("PUT /up/*", Intake::None, early)
        .then(script);
    let peer = Peer::start(script).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert!(*stored.lock().unwrap() == content);
    assert!(peer.count("PATCH *") >= 1);
}

#[tokio::test]
async fn chunks_are_at_least_as_long_as_the_registry_wants() {
    let (blob, content) = layer(7, 10 << 20);
    let (script, stored) = pieces(9 << 20, 202, true);
    let script = Script::new()
        .on(BEGIN, |_| {
            Answer::accepted("/up/0?s=begin").header("oci-chunk-min-length", "8388608")
        })
        .then(script);
    let peer = Peer::start(script).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert!(*stored.lock().unwrap() == content);
    let lengths: Vec<_> = peer
        .matching("PATCH *")
        .iter()
        .map(|one| one.body.len())
        .collect();
    assert_eq!(lengths, [8 << 20]);
}

#[tokio::test]
async fn a_registry_that_refuses_chunks_never_sees_one() {
    // GCR: one PUT, whatever the size.
    let (blob, content) = layer(8, 40 << 20);
    let script = Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/1"))
        .on("PATCH *", |_| Answer::error(416, "UNSUPPORTED"))
        .on("PUT /up/1", |_| Answer::new(201));
    let peer = Peer::start(script).await;
    send(&peer.repository(), &blob, &content).await.unwrap();
    assert_eq!(peer.count("PATCH *"), 0);
    let put = &peer.matching("PUT *")[0];
    assert!(put.body == content);
    assert_eq!(
        put.header("content-length"),
        Some(&*content.len().to_string())
    );
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_limit_below_every_chunk_is_reported() {
    let (blob, content) = layer(9, 10 << 20);
    let script = Script::new()
        .on(BEGIN, |_| Answer::accepted("/up/1"))
        .on("DELETE *", |_| Answer::new(204))
        .on("P* /up/1", |_| Answer::html(413));
    let peer = Peer::start(script).await;
    let error = send(&peer.repository(), &blob, &content).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 413);
    let tried = peer.count("P* /up/1");
    assert!((2..10).contains(&tried), "{tried}");
}

#[tokio::test]
async fn mounts_are_asked_for_once_and_not_of_who_cannot() {
    let (blob, content) = layer(10, 1000);
    let from = |peer: &Peer, repository: &str| Origin {
        host: peer.address(),
        repository: repository.parse().unwrap(),
    };
    let sources = || -> Arc<dyn dockhand_client::BlobSource> { Arc::new(Bytes::new()) };
    let mounted = Peer::start(Script::new().on("POST *", |_| Answer::new(201))).await;
    let repository = mounted.repository();
    let base = from(&mounted, "base");
    let moved = repository
        .put_blob(&blob, sources(), Some(&base))
        .await
        .unwrap();
    assert_eq!(moved, Moved::Mounted);
    let moved = repository.put_blob(&blob, sources(), None).await.unwrap();
    assert_eq!(moved, Moved::Existed);
    assert_eq!(mounted.seen()[0].parameter("from").as_deref(), Some("base"));
    assert_eq!(mounted.seen()[1].parameter("from").as_deref(), Some("app"));

    // Quay of old refuses to mount: it is not asked again.
    let script = Script::new()
        .on("POST *", |seen| match seen.parameter("mount") {
            Some(_) => Answer::error(400, "UNSUPPORTED"),
            None => Answer::accepted("/up/1"),
        })
        .on("PUT *", |_| Answer::new(201));
    let refusing = Peer::start(script).await;
    let repository = refusing.repository();
    for _ in 0..2 {
        let elsewhere = from(&refusing, "base");
        let source = Arc::new(content.clone());
        let moved = repository
            .put_blob(&blob, source, Some(&elsewhere))
            .await
            .unwrap();
        assert_eq!(moved, Moved::Sent);
    }
    let asked: Vec<_> = refusing
        .matching("POST *")
        .iter()
        .map(|one| one.parameter("mount"))
        .collect();
    assert!(matches!(&asked[..], [Some(_), None, None]), "{asked:?}");

    // A blob of another registry is not named to this one: Docker Hub breaks the upload.
    let script = Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT *", |_| Answer::new(201));
    let foreign = Peer::start(script).await;
    let elsewhere = from(&refusing, "base");
    let source = Arc::new(content);
    foreign
        .repository()
        .put_blob(&blob, source, Some(&elsewhere))
        .await
        .unwrap();
    assert_ne!(foreign.seen()[0].parameter("from").as_deref(), Some("base"));
}
