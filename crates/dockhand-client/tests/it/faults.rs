//! What breaks while content is read, with default settings: it is read all the same, and nothing twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dockhand_client::{
    Auth, Client, Connection, ErrorKind, ProxySettings, Retries, Store, Timeouts,
};
use dockhand_oci::Tag;

use crate::peer::{Answer, Peer, Script, Seen, Watch, fetch, layer, send, small_image, tagged};
use crate::registry::{Registry, bytes, image};

/// A client with every setting as it comes, but nobody's credentials and no proxy.
fn default_client(peer: &Peer, watch: &Arc<Watch>) -> Client {
    let mut connection = Connection::to(&peer.address()).unwrap();
    connection.auth = Auth::Anonymous;
    connection.proxy = ProxySettings::None;
    let observer = Arc::clone(watch);
    Client::with_observer(connection, observer).unwrap()
}

#[tokio::test]
async fn a_download_that_is_cut_goes_on_where_it_was_cut() {
    let registry = Registry::start().await;
    let (blob, content) = layer(1, 8 << 20);
    send(&registry.repository("app"), &blob, &content)
        .await
        .unwrap();
    let (half, last) = (content.len() / 2, content.len() - 1);
    let script = Script::new().front(&registry.address);
    let peer = Peer::start(script.alter("GET /v2/app/blobs/*", move |_, answer| {
        answer.cut_after(half)
    }))
    .await;
    let watch = Arc::<Watch>::default();
    let repository = default_client(&peer, &watch).repository("app".parse().unwrap());
    assert!(fetch(&repository, &blob).await.unwrap() == content);
    let gets = peer.matching("GET /v2/app/blobs/*");
    let ranges: Vec<_> = gets.iter().map(|get| get.header("range")).collect();
    assert_eq!(ranges, [None, Some(&*format!("bytes={half}-{last}"))]);
    assert_eq!(watch.waits().len(), 1);
}

#[tokio::test]
async fn a_download_that_falls_silent_goes_on_where_it_did() {
    let registry = Registry::start().await;
    let (blob, content) = layer(2, 100_000);
    send(&registry.repository("app"), &blob, &content)
        .await
        .unwrap();
    let script = Script::new().front(&registry.address);
    let peer = Peer::start(script.alter("GET /v2/app/blobs/*", |_, answer| {
        answer.silent_after(60_000)
    }))
    .await;
    let mut connection = peer.connection();
    connection.timeouts.idle = Duration::from_millis(300);
    let client = Client::new(connection).unwrap();
    let repository = client.repository("app".parse().unwrap());
    assert!(fetch(&repository, &blob).await.unwrap() == content);
    let gets = peer.matching("GET /v2/app/blobs/*");
    assert_eq!(gets[1].header("range"), Some("bytes=60000-99999"));
}

/// A fault in what is read, as a rule before the registry.
type Fault = fn(Script) -> Script;

#[tokio::test]
async fn passing_faults_of_reading_are_survived_with_one_more_request() {
    let faults: [(&str, &str, Fault); 7] = [
        ("manifest 503", "GET /v2/app/manifests/1", |script| {
            script.once("GET /v2/app/manifests/1", |_| Answer::new(503))
        }),
        ("manifest HEAD 500", "HEAD /v2/app/manifests/1", |script| {
            script.once("HEAD /v2/app/manifests/1", |_| Answer::new(500))
        }),
        ("manifest cut", "GET /v2/app/manifests/1", |script| {
            script.alter("GET /v2/app/manifests/1", |_, answer| answer.cut_after(50))
        }),
        ("no answer", "GET /v2/app/manifests/1", |script| {
            script.once("GET /v2/app/manifests/1", |_| Answer::none())
        }),
        ("blob 500", "GET /v2/app/blobs/*", |script| {
            script.once("GET /v2/app/blobs/*", |_| Answer::new(500))
        }),
        (
            "blob 500 with an unknown code",
            "GET /v2/app/blobs/*",
            |script| {
                script.once("GET /v2/app/blobs/*", |_| {
                    Answer::error(500, "NEVER_HEARD_OF")
                })
            },
        ),
        ("blob 502 from a proxy", "GET /v2/app/blobs/*", |script| {
            script.once("GET /v2/app/blobs/*", |_| Answer::html(502))
        }),
    ];
    let registry = Registry::start().await;
    let content = bytes(3, 50_000);
    let pushed = image(
        &registry.repository("app"),
        std::slice::from_ref(&content),
        &["1"],
    )
    .await;
    let layer = pushed.parse().unwrap().links[1].descriptor.clone();
    for (name, pattern, fault) in faults {
        let peer = Peer::start(fault(Script::new()).front(&registry.address)).await;
        let watch = Arc::<Watch>::default();
        let repository = default_client(&peer, &watch).repository("app".parse().unwrap());
        let found = repository.resolve(&tagged("1")).await.unwrap();
        assert_eq!(found, pushed.descriptor(), "{name}");
        assert_eq!(
            repository.manifest(&tagged("1")).await.unwrap(),
            pushed,
            "{name}"
        );
        assert_eq!(fetch(&repository, &layer).await.unwrap(), content, "{name}");
        assert_eq!(peer.count(pattern), 2, "{name}: {:?}", peer.lines());
        assert_eq!(peer.lines().len(), 4, "{name}: {:?}", peer.lines());
        assert_eq!(watch.waits().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_a_pause_gets_it_from_all_requests() {
    let (manifest, ..) = small_image();
    let served = manifest.clone();
    let script = Script::new()
        .once("GET /v2/app/manifests/1", |_| {
            Answer::error(429, "TOOMANYREQUESTS").header("retry-after", "1")
        })
        .on("GET /v2/app/manifests/*", move |_| {
            Answer::manifest(&served)
        });
    let peer = Peer::start(script).await;
    let watch = Arc::<Watch>::default();
    let repository = default_client(&peer, &watch).repository("app".parse().unwrap());
    let begun = Instant::now();
    let other = async {
        while watch.waits().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        repository.manifest(&tagged("2")).await.unwrap()
    };
    let first_tag = tagged("1");
    let (first, second) = tokio::join!(repository.manifest(&first_tag), other);
    assert_eq!((first.unwrap(), second), (manifest.clone(), manifest));
    assert_eq!(watch.waits(), [Duration::from_secs(1)]);
    let times: Vec<_> = peer.seen().iter().map(|seen| seen.at - begun).collect();
    assert_eq!(times.len(), 3);
    assert!(
        times[1..]
            .iter()
            .all(|time| *time >= Duration::from_secs(1)),
        "{times:?}"
    );
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_an_error_at_once() {
    let script = Script::new().on("GET /*", |_| Answer::new(429).header("retry-after", "4000"));
    let peer = Peer::start(script).await;
    let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(4000)));
    assert!(error.to_string().contains("4000 s"), "{error}");
    assert_eq!(peer.lines().len(), 1);
}

#[tokio::test]
async fn patience_ends_after_five_retries_wherever_they_were_needed() {
    let (blob, content) = layer(4, 1000);
    let failing = Peer::start(Script::new().on("GET /*", |_| Answer::new(503))).await;
    let error = fetch(&failing.repository(), &blob).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Server, 6));
    assert!(error.to_string().contains("tried 6 times"), "{error}");
    assert_eq!(failing.lines().len(), 6);

    // Each answer brings one byte more; that is not progress enough to go on without end.
    let part = move |seen: &Seen| {
        let range = seen.header("range").map_or("0", |range| {
            let range = range.strip_prefix("bytes=").unwrap();
            range.split_once('-').unwrap().0
        });
        let at: usize = range.parse().unwrap();
        let said = format!("bytes {at}-999/1000");
        let status = if at == 0 { 200 } else { 206 };
        let answer = Answer::new(status).header("content-range", &said);
        answer.body(content.slice(at..)).cut_after(1)
    };
    let cutting = Peer::start(Script::new().on("GET /*", part)).await;
    let error = fetch(&cutting.repository(), &blob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(cutting.lines().len(), 6);

    // Cut once, and then nothing but failures: the retries of both are not multiplied.
    let (_, content) = layer(4, 1000);
    let script = Script::new()
        .once("GET /*", move |_| {
            Answer::new(200).body(content.clone()).cut_after(500)
        })
        .on("GET /*", |_| Answer::new(503));
    let peer = Peer::start(script).await;
    let error = fetch(&peer.repository(), &blob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(peer.lines().len(), 7, "{:?}", peer.lines());
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    for (status, kind) in [
        (400, ErrorKind::Refused),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (416, ErrorKind::Refused),
        (418, ErrorKind::Refused),
        (501, ErrorKind::Unsupported),
        (507, ErrorKind::Server),
    ] {
        let peer = Peer::start(Script::new().on("GET /*", move |_| Answer::new(status))).await;
        let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
        assert_eq!((error.kind(), peer.lines().len()), (kind, 1), "{status}");
    }
}

#[tokio::test]
async fn a_silent_registry_is_a_timeout() {
    let peer = Peer::start(Script::new().on("GET /*", |_| Answer::silent())).await;
    let mut connection = peer.connection();
    connection.timeouts = Timeouts {
        answer: Duration::from_millis(200),
        connect: Duration::from_millis(200),
        idle: Duration::from_millis(200),
    };
    connection.retries = Retries {
        count: 1,
        ..connection.retries
    };
    let client = Client::new(connection).unwrap();
    let asked = client.ping();
    let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
    let error = asked.expect("it hangs").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_eq!(peer.lines(), ["GET /v2/", "GET /v2/"]);
}

#[tokio::test]
async fn nobody_there_is_said_plainly() {
    let port = Peer::start(Script::new()).await.port;
    let mut connection = Connection::to(&format!("127.0.0.1:{port}")).unwrap();
    connection.retries.first = Duration::from_millis(1);
    connection.proxy = ProxySettings::None;
    let client = Client::new(connection).unwrap();
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(
        text.contains("cannot ping the registry at 127.0.0.1"),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn copies_survive_faults_on_both_sides() {
    let (source, target) = (Registry::start().await, Registry::start().await);
    let layers = [bytes(5, 300_000), bytes(6, 2_000_000)];
    let pushed = image(&source.repository("app"), &layers, &["1"]).await;
    let reading = Script::new()
        .once("GET /v2/app/manifests/1", |_| Answer::new(503))
        .alter("GET /v2/app/blobs/*", |_, answer| {
            let half = answer.body.len() / 2;
            answer.cut_after(half)
        })
        .once("GET /v2/app/blobs/*", |_| Answer::new(500));
    let writing = Script::new()
        .once("POST *", |_| Answer::new(502))
        .once("PUT *uploads*", |_| Answer::new(503))
        .alter("PUT *uploads*", |_, _| Answer::none())
        .once("PUT *manifests*", |_| Answer::new(500));
    let reading = Peer::start(reading.front(&source.address)).await;
    let writing = Peer::start(writing.front(&target.address)).await;
    let from: Arc<dyn Store> = Arc::new(reading.repository());
    let to: Arc<dyn Store> = Arc::new(writing.repository());
    let tags: [Tag; 1] = ["2".parse().unwrap()];
    let what = tagged("1");
    let copied = dockhand_client::copy::copy(&from, &what, &to, &tags, &Default::default()).await;
    let copied = copied.unwrap();
    assert_eq!(
        (copied.descriptor, copied.blobs_sent),
        (pushed.descriptor(), 3)
    );
    let there = target.repository("app");
    assert_eq!(there.manifest(&tagged("2")).await.unwrap(), pushed);
    for (link, content) in pushed.parse().unwrap().links[1..].iter().zip(layers) {
        assert!(fetch(&there, &link.descriptor).await.unwrap() == content);
    }
}
