#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::future::poll_fn;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;

/// How long is lingered on a connection.
async fn lingered(mut ours: DuplexStream) -> Duration {
    let (begun, mut linger) = (Instant::now(), Linger::new());
    poll_fn(|context| linger.poll(&mut ours, context)).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_client() {
    let (ours, mut theirs) = duplex(1 << 16);
    let sending = tokio::spawn(async move {
        theirs.write_all(&vec![0; 20 << 20]).await.unwrap();
    });
    assert_eq!(lingered(ours).await, Duration::ZERO);
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_client_is_silent() {
    let (ours, mut theirs) = duplex(1 << 16);
    theirs.write_all(b"the last").await.unwrap();
    assert_eq!(lingered(ours).await, SILENCE);
    drop(theirs);
}

#[tokio::test(start_paused = true)]
async fn it_ends_after_a_while() {
    let (ours, mut theirs) = duplex(1 << 16);
    let sending = tokio::spawn(async move {
        while theirs.write_all(b"now and then").await.is_ok() {
            sleep(SILENCE / 2).await;
        }
    });
    assert_eq!(lingered(ours).await, TIME);
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_ends_after_so_many_bytes() {
    let (ours, mut theirs) = duplex(1 << 16);
    let sending = tokio::spawn(async move {
        let (mut sent, some) = (0, vec![0; 1 << 16]);
        while theirs.write_all(&some).await.is_ok() {
            sent += some.len();
        }
        sent
    });
    assert_eq!(lingered(ours).await, Duration::ZERO);
    let sent = sending.await.unwrap();
    assert!((BYTES..BYTES + (1 << 18)).contains(&sent), "{sent}");
}
