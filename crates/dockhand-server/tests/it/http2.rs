//! HTTP/2 clients that hold on to what they ask for: windows shut, streams open.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::Algorithm;
use dockhand_server::Setup;
use h2::client::{self, SendRequest};
use http::Request;
use tokio::task::JoinHandle;

use crate::connections::{Running, setup, start};

/// Bounds hangs only.
const HANG: Duration = Duration::from_secs(20);
/// For clients that do not mean to go on.
const QUICK: Duration = Duration::from_millis(300);

/// A connection whose streams take `window` bytes each before they have to be asked for more.
async fn connect(
    server: &Running,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = server.connect().await;
    let mut builder = client::Builder::new();
    builder.initial_window_size(window);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    (sender.ready().await.unwrap(), tokio::spawn(connection))
}

/// A server with a blob in files that waits for `stall`, and the path of the blob.
async fn with_blob(folder: &Path, stall: Duration, bytes: &[u8]) -> (Running, String) {
    let mut setup = Setup {
        data: Some(folder.to_owned()),
        ..setup()
    };
    setup.limits.write_stall = stall;
    let server = start(setup).await;
    let digest = Algorithm::Sha256.digest(bytes);
    let (mut sender, _connection) = connect(&server, 1 << 16).await;
    let push = Request::post(format!("http://x/v2/a/blobs/uploads/?digest={digest}"));
    let (answer, mut body) = sender.send_request(push.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::copy_from_slice(bytes), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 201);
    (server, format!("http://x/v2/a/blobs/{digest}"))
}

#[tokio::test]
async fn a_client_that_never_opens_its_windows_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (server, blob) = with_blob(folder.path(), QUICK, &vec![7; 1 << 20]).await;
    // With a window of one byte, the last chunk is handed over and its body is gone.
    for (window, path) in [
        (0, blob.as_str()),
        (1, blob.as_str()),
        (0, "http://x/v2/"),
        (1, "http://x/v2/"),
    ] {
        let (mut sender, connection) = connect(&server, window).await;
        let mut answers = Vec::new();
        for _ in 0..8 {
            let get = Request::get(path).body(()).unwrap();
            sender = sender.ready().await.unwrap();
            let (answer, _) = sender.send_request(get, true).unwrap();
            answers.push(answer.await.unwrap());
        }
        assert!(answers.iter().all(|answer| answer.status() == 200));
        let ended = tokio::time::timeout(HANG, connection).await;
        let ended = ended.unwrap_or_else(|_| panic!("window {window}, {path}: it is kept"));
        drop((ended, answers));
    }
}

#[tokio::test]
async fn a_client_that_reads_is_served_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (server, blob) = with_blob(folder.path(), HANG, &bytes).await;
    let (mut sender, _connection) = connect(&server, 16 * 1024).await;
    let mut reading = Vec::new();
    for _ in 0..16 {
        let get = Request::get(blob.as_str()).body(()).unwrap();
        sender = sender.ready().await.unwrap();
        let (answer, _) = sender.send_request(get, true).unwrap();
        reading.push(tokio::spawn(async move {
            let (mut body, mut read) = (answer.await.unwrap().into_body(), Vec::new());
            while let Some(chunk) = body.data().await {
                let chunk = chunk.unwrap();
                body.flow_control().release_capacity(chunk.len()).unwrap();
                read.extend_from_slice(&chunk);
            }
            read
        }));
    }
    for reading in reading {
        assert!(reading.await.unwrap() == bytes);
    }
}
