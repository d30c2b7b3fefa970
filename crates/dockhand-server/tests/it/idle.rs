//! Connections that proxies and clients keep for later.

use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::Algorithm;
use dockhand_server::Setup;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connections::{certificate, connect_tls, read_all, setup, start, tls_files};

/// Bounds hangs only.
const HANG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// A server whose clients have so long for a head, and so long between requests.
fn with(head: Duration, idle: Duration) -> Setup {
    let mut setup = setup();
    setup.limits.header_timeout = head;
    setup.limits.idle_timeout = idle;
    setup
}

/// Asks on a connection that stays open.
async fn get(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    let request = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{}") {
        let count = stream.read_buf(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(count > 0 && text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(!text.contains("connection:"), "{text}");
    }
}

#[tokio::test]
async fn a_connection_outlives_the_time_for_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let plain = start(with(SHORT, HANG)).await;
    let tls = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..with(SHORT, HANG)
    })
    .await;
    let mut stream = plain.connect().await;
    let secure = connect_tls(tls.address, roots, b"http/1.1").await;
    let mut secure = secure.unwrap();
    for _ in 0..3 {
        get(&mut stream).await;
        get(&mut secure).await;
        tokio::time::sleep(2 * SHORT).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let plain = start(with(HANG, SHORT)).await;
    let tls = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..with(HANG, SHORT)
    })
    .await;
    let mut stream = plain.connect().await;
    get(&mut stream).await;
    assert_eq!(read_all(&mut stream).await, "", "closed, and nothing said");
    let secure = connect_tls(tls.address, roots, b"http/1.1").await;
    let mut secure = secure.unwrap();
    get(&mut secure).await;
    // Without a close_notify this would be an error.
    let mut rest = Vec::new();
    secure.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_on_a_kept_connection_too() {
    let server = start(with(SHORT, HANG)).await;
    let mut stream = server.connect().await;
    get(&mut stream).await;
    let (mut reading, mut writing) = stream.into_split();
    let sending = tokio::spawn(async move {
        let head = "GET /v2/ HTTP/1.1\r\n"
            .bytes()
            .chain(std::iter::repeat(b'x'));
        for byte in head {
            if writing.write_u8(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let mut rest = Vec::new();
    let read = tokio::time::timeout(HANG / 2, reading.read_to_end(&mut rest));
    let _ = read.await.expect("it is kept");
    assert!(rest.is_empty());
    sending.abort();
}

#[tokio::test]
async fn an_upload_that_takes_longer_is_not_idle() {
    let server = start(with(HANG, SHORT)).await;
    let digest = Algorithm::Sha256.digest(b"hello");
    let mut stream = server.connect().await;
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Less than `body_idle`, which is cut off by other means.
    tokio::time::sleep(SHORT + SHORT / 4).await;
    stream.write_all(b"lo").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let mut setup = with(SHORT, HANG);
    setup.limits.connections = 2;
    setup.options.body_idle = HANG;
    let server = start(setup).await;
    let mut kept = server.connect().await;
    get(&mut kept).await;
    let mut busy = server.connect().await;
    let digest = Algorithm::Sha256.digest(b"hello");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let request = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let let_in = async {
        while !server.talk(request).await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(SHORT).await;
        }
    };
    tokio::time::timeout(HANG / 2, let_in)
        .await
        .expect("there is no room");
    assert_eq!(read_all(&mut kept).await, "", "it was closed");
    busy.write_all(b"lo").await.unwrap();
    let answer = read_all(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

async fn http2(stream: TcpStream) -> (h2::client::SendRequest<Bytes>, Ended) {
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

type Ended = tokio::task::JoinHandle<Result<(), h2::Error>>;

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go_away() {
    let server = start(with(HANG, SHORT)).await;
    for requests in 0..2 {
        let (mut sender, ended) = http2(server.connect().await).await;
        for _ in 0..requests {
            let get = Request::get("http://x/v2/").body(()).unwrap();
            sender = sender.ready().await.unwrap();
            let (answer, _) = sender.send_request(get, true).unwrap();
            assert_eq!(answer.await.unwrap().status(), 200);
        }
        let ended = tokio::time::timeout(HANG / 2, ended).await;
        let ended = ended.unwrap_or_else(|_| panic!("it is kept after {requests} requests"));
        ended.unwrap().expect("it ends without an error");
    }
}

#[tokio::test]
async fn an_http2_connection_with_a_stream_is_not_idle() {
    let mut setup = with(SHORT, SHORT);
    setup.options.body_idle = HANG;
    let server = start(setup).await;
    let (mut sender, _ended) = http2(server.connect().await).await;
    let digest = Algorithm::Sha256.digest(b"hello");
    let post = Request::post(format!("http://x/v2/a/blobs/uploads/?digest={digest}"));
    sender = sender.ready().await.unwrap();
    let (answer, mut body) = sender.send_request(post.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"hel"), false).unwrap();
    tokio::time::sleep(4 * SHORT).await;
    body.send_data(Bytes::from_static(b"lo"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 201);
}

#[tokio::test]
async fn answers_are_dated() {
    let server = start(setup()).await;
    let answer = server
        .talk(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.matches("date: ").count(), 1, "{answer}");
}
