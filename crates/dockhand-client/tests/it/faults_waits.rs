//! Waits: how long, for what, and for whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_client::{
    BlobSource, ByteStream, Client, ErrorKind, Repository, Result, Store, Timeouts,
};
use futures_util::StreamExt;

use crate::peer::{Answer, Peer, Script, Watch, fetch, layer, small_image, tagged};

fn repository(peer: &Peer, change: impl FnOnce(&mut dockhand_client::Connection)) -> Repository {
    let mut connection = peer.connection();
    change(&mut connection);
    let client = Client::new(connection).unwrap();
    client.repository("app".parse().unwrap())
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    let bounded = tokio::time::timeout(Duration::from_secs(20), work).await;
    bounded.expect("it hangs")
}

#[tokio::test]
async fn a_registry_that_never_answers_is_asked_twice_and_no_more() {
    let peer = Peer::start(Script::new().on("* /*", |_| Answer::silent())).await;
    let repository = repository(&peer, |connection| {
        let short = Duration::from_millis(100);
        connection.timeouts = Timeouts {
            connect: short,
            answer: short,
            idle: short,
        };
        assert_eq!(connection.retries.count, 5);
    });
    let error = bounded(repository.manifest(&tagged("1")))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_eq!(peer.lines().len(), 2);
}

#[tokio::test]
async fn a_body_that_only_drips_is_silent() {
    let (blob, content) = layer(1, 1000);
    let drip = Duration::from_millis(100);
    let answer = move |_: &_| Answer::new(200).body(content.clone()).dripping(drip);
    let peer = Peer::start(Script::new().on("GET *", answer)).await;
    let repository = repository(&peer, |connection| {
        connection.timeouts.idle = Duration::from_millis(400);
        connection.retries.count = 0;
    });
    let error = bounded(fetch(&repository, &blob)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let error = bounded(repository.tags()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn an_error_is_not_waited_for_longer_than_it_is_worth() {
    let never = |_: &_| {
        let answer = Answer::new(404).header("content-length", "100");
        answer.body("x").silent_after(1)
    };
    let peer = Peer::start(Script::new().on("GET *", never)).await;
    let error = bounded(peer.repository().manifest(&tagged("1")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn who_waits_for_a_lane_waits_for_the_pause_as_well() {
    let (manifest, ..) = small_image();
    let script = Script::new()
        .once("GET /v2/app/manifests/1", |_| {
            let answer = Answer::error(429, "TOOMANYREQUESTS").header("retry-after", "1");
            answer.after(Duration::from_millis(300))
        })
        .on("GET *", move |_| Answer::manifest(&manifest));
    let peer = Peer::start(script).await;
    let repository = repository(&peer, |connection| connection.lanes = 1);
    let (first, second) = (tagged("1"), tagged("2"));
    let later = async {
        while peer.lines().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        repository.manifest(&second).await
    };
    let begun = Instant::now();
    let (first, second) = tokio::join!(repository.manifest(&first), later);
    assert_eq!(first.unwrap(), second.unwrap());
    let times: Vec<_> = peer.seen().iter().map(|seen| seen.at - begun).collect();
    assert_eq!(times.len(), 3);
    let all = times[1..]
        .iter()
        .all(|time| *time >= Duration::from_secs(1));
    assert!(all, "{times:?}");
}

#[tokio::test]
async fn a_pause_is_not_shortened_by_who_asks_for_less() {
    let (manifest, ..) = small_image();
    let script = Script::new()
        .once("GET /v2/app/manifests/1", |_| {
            Answer::error(429, "TOOMANYREQUESTS").header("retry-after", "1")
        })
        .once("GET /v2/app/manifests/2", |_| {
            let answer = Answer::error(429, "TOOMANYREQUESTS");
            answer.after(Duration::from_millis(200))
        })
        .on("GET *", move |_| Answer::manifest(&manifest));
    let peer = Peer::start(script).await;
    let watch = Arc::<Watch>::default();
    let client = Client::with_observer(peer.connection(), Arc::clone(&watch) as _).unwrap();
    let repository = client.repository("app".parse().unwrap());
    let (first, second) = (tagged("1"), tagged("2"));
    let begun = Instant::now();
    let (first, second) = tokio::join!(repository.manifest(&first), repository.manifest(&second));
    assert_eq!(first.unwrap(), second.unwrap());
    let times: Vec<_> = peer.seen().iter().map(|seen| seen.at - begun).collect();
    assert_eq!(times.len(), 4);
    let late = times[2..]
        .iter()
        .all(|time| *time >= Duration::from_secs(1));
    assert!(late, "{times:?}");
}

#[tokio::test]
async fn what_is_gone_after_a_lost_answer_was_deleted() {
    let (blob, _) = layer(2, 10);
    let tag = "1".parse().unwrap();
    let lost = Script::new().once("DELETE *", |_| Answer::none());
    let peer = Peer::start(lost).await;
    peer.repository().delete_blob(&blob.digest).await.unwrap();
    let peer = Peer::start(Script::new().once("DELETE *", |_| Answer::new(502))).await;
    peer.repository().delete_tag(&tag).await.unwrap();
    // Without a lost answer it is what it says.
    let peer = Peer::start(Script::new()).await;
    let error = peer
        .repository()
        .delete_blob(&blob.digest)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = peer.repository().delete_tag(&tag).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn patience_begins_anew_with_every_mebibyte() {
    let (blob, content) = layer(3, 16 << 20);
    let served = content.clone();
    // Cut eight times, each time two mebibytes further on: more often than there are retries.
    let part = move |seen: &crate::peer::Seen| {
        let range = seen.header("range").unwrap_or("bytes=0-");
        let from = range.strip_prefix("bytes=").unwrap().split('-').next();
        let at: usize = from.unwrap().parse().unwrap();
        let said = format!("bytes {at}-{}/{}", served.len() - 1, served.len());
        let answer = Answer::new(if at == 0 { 200 } else { 206 }).body(served.slice(at..));
        answer.header("content-range", &said).cut_after(2 << 20)
    };
    let peer = Peer::start(Script::new().on("GET *", part)).await;
    assert!(fetch(&peer.repository(), &blob).await.unwrap() == content);
    assert_eq!(peer.lines().len(), 8);
}

/// A source that is slow to open and to read, as another registry may be.
struct Slow(Bytes);

#[async_trait]
impl BlobSource for Slow {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let pause = Duration::from_millis(900);
        tokio::time::sleep(pause).await;
        let rest = self.0.open(offset).await?;
        let slow = rest.then(move |chunk| async move {
            tokio::time::sleep(pause).await;
            chunk
        });
        Ok(slow.boxed())
    }
}

#[tokio::test]
async fn who_takes_the_bytes_is_not_blamed_for_who_gives_them() {
    let (blob, content) = layer(4, 5000);
    let script = Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT *", |_| Answer::new(201));
    let peer = Peer::start(script).await;
    let repository = repository(&peer, |connection| {
        let short = Duration::from_millis(250);
        connection.timeouts = Timeouts {
            connect: short,
            answer: short,
            idle: short,
        };
    });
    let source = Arc::new(Slow(content));
    repository.put_blob(&blob, source, None).await.unwrap();
    assert_eq!(peer.count("PUT *"), 1);
}

#[tokio::test]
async fn a_header_that_is_given_twice_is_sent_twice() {
    let peer = Peer::start(Script::new()).await;
    let repository = repository(&peer, |connection| {
        for value in ["one", "two"] {
            let value = http::HeaderValue::from_static(value);
            connection.headers.append("x-team", value);
        }
    });
    repository.manifest(&tagged("1")).await.unwrap_err();
    let seen = peer.seen();
    let sent: Vec<_> = seen[0].headers.get_all("x-team").iter().collect();
    assert_eq!(sent, ["one", "two"]);
}
