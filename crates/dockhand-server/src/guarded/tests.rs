//! What is cut off and what is not, on a clock that stands still until everybody waits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::{Guarded, PREFACE, PROGRESS, Stalls};
use crate::activity::Activity;
use crate::unsent::Unsent;

const STALL: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(24 * 3600);

const HEAD: Duration = Duration::from_secs(10);

/// A connection whose client is to send heads within [`HEAD`], and the other end of it.
fn opened() -> (Guarded<DuplexStream>, DuplexStream, Activity) {
    let (ours, theirs) = duplex(1 << 16);
    let (activity, unsent) = (Activity::new(), Unsent::default());
    let stalls = Stalls {
        head: HEAD,
        write: STALL,
    };
    let guarded = Guarded::new(ours, stalls, activity.clone(), unsent);
    (guarded, theirs, activity)
}

/// An HTTP/2 connection, the other end of it, and the answers that wait on it.
async fn connection(room: usize) -> (Guarded<DuplexStream>, DuplexStream, Unsent) {
    let (ours, mut theirs) = duplex(room);
    let unsent = Unsent::default();
    let stalls = Stalls {
        head: HEAD,
        write: STALL,
    };
    let mut guarded = Guarded::new(ours, stalls, Activity::new(), unsent.clone());
    let mut read = *PREFACE;
    let (wrote, read) = tokio::join!(theirs.write_all(PREFACE), guarded.read_exact(&mut read));
    wrote.unwrap();
    read.unwrap();
    (guarded, theirs, unsent)
}

/// How long it takes until a read ends with a time-out; nothing when it never does.
async fn cut(guarded: &mut Guarded<DuplexStream>) -> Option<Duration> {
    let begun = Instant::now();
    let read = timeout(LONG, guarded.read_u8()).await.ok()?;
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    Some(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn nothing_unsent_means_no_limit() {
    let (mut guarded, _theirs, unsent) = connection(64).await;
    assert_eq!(cut(&mut guarded).await, None, "idle");
    drop(unsent.follow(Body::from("given up")));
    assert_eq!(cut(&mut guarded).await, None, "its body is dropped");
    let body = unsent.follow(Body::from("all of it"));
    body.collect().await.unwrap();
    assert_eq!(cut(&mut guarded).await, None, "its body is read");
    let _empty = unsent.follow(Body::empty());
    assert_eq!(cut(&mut guarded).await, None, "there is no body");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stays_unsent_is_cut_though_nothing_is_written() {
    let (mut guarded, _theirs, unsent) = connection(64).await;
    sleep(10 * STALL).await;
    let mut body = unsent.follow(Body::from("behind a shut window"));
    assert_eq!(cut(&mut guarded).await, Some(STALL), "the body is open");
    sleep(10 * STALL).await;
    let (mut guarded, _theirs, other) = connection(64).await;
    let mut other_body = other.follow(Body::from("as well"));
    let chunk = other_body.frame().await.unwrap().unwrap();
    drop(other_body);
    assert_eq!(chunk.data_ref().unwrap(), "as well");
    assert_eq!(cut(&mut guarded).await, Some(STALL), "its chunk is kept");
    drop(body.frame().await);
}

#[tokio::test(start_paused = true)]
async fn each_period_needs_a_kibibyte() {
    let (mut guarded, mut theirs, unsent) = connection(1 << 20).await;
    let _body = unsent.follow(Body::from("much"));
    for _ in 0..20 {
        guarded.write_all(&[1; PROGRESS]).await.unwrap();
        let almost = STALL - Duration::from_secs(1);
        let read = timeout(almost, guarded.read_u8()).await;
        assert!(read.is_err(), "a slow client is served");
    }
    let begun = Instant::now();
    let ended = loop {
        guarded.write_all(&[1; 8]).await.unwrap();
        if let Ok(ended) = timeout(STALL / 4, guarded.read_u8()).await {
            break ended;
        }
    };
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(begun.elapsed() <= STALL, "pings and the like do not count");
    theirs.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_waits_needs_a_kibibyte_too() {
    let (mut guarded, mut theirs, _) = connection(16).await;
    let taking = tokio::spawn(async move {
        let mut taken = 0_usize;
        while theirs.read_u8().await.is_ok() {
            taken += 1;
            sleep(STALL / 10).await;
        }
        taken
    });
    let error = guarded.write_all(&[1; 1 << 16]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(guarded);
    assert!(taking.await.unwrap() < PROGRESS);
}

#[tokio::test(start_paused = true)]
async fn an_old_wait_is_not_held_against_a_new_one() {
    let (mut guarded, mut theirs, _) = connection(16).await;
    for _ in 0..3 {
        let taking = async {
            sleep(STALL - Duration::from_secs(1)).await;
            theirs.read_exact(&mut [0; 32]).await.unwrap();
        };
        let writing = async {
            guarded.write_all(&[1; 32]).await.unwrap();
            guarded.flush().await.unwrap();
        };
        tokio::join!(taking, writing);
        sleep(10 * STALL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_head_has_to_come_at_once() {
    for begin in ["", "G", "GET / HTTP/1.1\r\nHo", "PRI * HT"] {
        let (mut guarded, mut theirs, _) = opened();
        theirs.write_all(begin.as_bytes()).await.unwrap();
        guarded.read_exact(&mut vec![0; begin.len()]).await.unwrap();
        assert_eq!(cut(&mut guarded).await, Some(HEAD), "{begin}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_counts_from_its_first_byte() {
    let (mut guarded, mut theirs, activity) = opened();
    for _ in 0..3 {
        theirs.write_all(b"GET").await.unwrap();
        guarded.read_exact(&mut [0; 3]).await.unwrap();
        let open = activity.begin();
        theirs.write_all(b"body").await.unwrap();
        guarded.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(cut(&mut guarded).await, None, "a request is open");
        drop(open);
        assert_eq!(cut(&mut guarded).await, None, "it is idle");
    }
    let begun = Instant::now();
    let ended = loop {
        theirs.write_all(b"x").await.unwrap();
        guarded.read_u8().await.unwrap();
        if let Ok(ended) = timeout(HEAD / 4, guarded.read_u8()).await {
            break ended;
        }
    };
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed(), HEAD, "a byte now and then does not help");
}

#[tokio::test(start_paused = true)]
async fn only_a_client_that_is_sending_is_waited_for_at_the_end() {
    for (what, sent, begins, closes, waits) in [
        ("nothing came", "", false, false, false),
        ("half a head came", "GET", false, false, true),
        ("a request was read", "GET", true, false, false),
        ("the client is gone", "GET", false, true, false),
    ] {
        let (mut guarded, mut theirs, activity) = opened();
        theirs.write_all(sent.as_bytes()).await.unwrap();
        guarded.read_exact(&mut vec![0; sent.len()]).await.unwrap();
        if begins {
            drop(activity.begin());
        }
        let mut theirs = (!closes).then_some(theirs);
        if closes {
            assert_eq!(guarded.read(&mut [0; 1]).await.unwrap(), 0);
        }
        let begun = Instant::now();
        guarded.shutdown().await.unwrap();
        assert_eq!(begun.elapsed() > Duration::ZERO, waits, "{what}");
        if let Some(theirs) = &mut theirs {
            assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0, "{what}");
        }
    }
}
