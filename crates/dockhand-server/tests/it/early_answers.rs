//! Answers that are ready before their request is whole, to clients that write all before they read.
//!
//! <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use dockhand_registry::Settings;
use dockhand_server::{Options, Setup};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::connections::{Running, certificate, connect_tls, read_all, setup, start, tls_files};
use crate::support::TestServer;

const NO_UPLOAD: &str = "PATCH /v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000";
const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// More than the buffers of two sockets hold.
const LARGE: usize = 24 << 20;

/// A server that takes blobs of up to 1 MiB.
fn limited() -> Setup {
    let settings = Settings {
        blob_limit: 1 << 20,
        ..Settings::default()
    };
    Setup {
        settings,
        ..setup()
    }
}

/// Requests that are refused with `status`: the line, and where the answer says why.
fn refused() -> [(String, &'static str, &'static str); 5] {
    [
        (NO_UPLOAD.to_owned(), "404", "BLOB_UPLOAD_UNKNOWN"),
        (
            "PUT /v2/a/manifests/b".to_owned(),
            "413",
            "MANIFEST_INVALID",
        ),
        (
            format!("POST /v2/a/blobs/uploads/?digest={DIGEST}"),
            "413",
            "SIZE_INVALID",
        ),
        (
            "POST /v2/UPPER/blobs/uploads/".to_owned(),
            "400",
            "NAME_INVALID",
        ),
        ("PUT /v2/".to_owned(), "405", "UNSUPPORTED"),
    ]
}

/// Writes a request with a large body to its end, and only then reads.
async fn write_then_read(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
    chunked: bool,
) -> String {
    let framing = match chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {LARGE}"),
    };
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 1 << 16];
    for _ in 0..LARGE / piece.len() {
        if chunked {
            stream.write_all(b"10000\r\n").await.unwrap();
        }
        stream.write_all(&piece).await.unwrap();
        if chunked {
            stream.write_all(b"\r\n").await.unwrap();
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    stream.flush().await.unwrap();
    read_all(&mut stream).await
}

fn assert_refused(answer: &str, line: &str, status: &str, why: &str) {
    let begin = format!("HTTP/1.1 {status}");
    assert!(answer.starts_with(&begin), "{line}: {answer}");
    assert!(answer.contains(why), "{line}: {answer}");
    assert!(answer.contains("connection: close\r\n"), "{line}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{line}: {answer}");
}

#[tokio::test]
async fn an_early_answer_arrives() {
    let server = start(limited()).await;
    for (line, status, why) in refused() {
        for chunked in [false, true] {
            let stream = server.connect().await;
            let answer = write_then_read(stream, &line, chunked).await;
            assert_refused(&answer, &line, status, why);
        }
    }
}

#[tokio::test]
async fn an_early_answer_arrives_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let server = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..limited()
    })
    .await;
    for (line, status, why) in refused() {
        for chunked in [false, true] {
            let stream = connect_tls(server.address, roots.clone(), b"http/1.1").await;
            let answer = write_then_read(stream.unwrap(), &line, chunked).await;
            assert_refused(&answer, &line, status, why);
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_too() {
    let server = start(setup()).await;
    for (head, status) in [
        ("GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
        (
            "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400",
        ),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; LARGE]).await.unwrap();
        let answer = read_all(&mut stream).await;
        let begin = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&begin), "{head}: {answer}");
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_after_its_request() {
    let mut setup = setup();
    setup.limits.connections = 1;
    setup.limits.header_timeout = Duration::from_secs(20);
    let server = start(setup).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    first.read_u8().await.unwrap();
    for _ in 0..20 {
        let refused = server.talk(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    }
}

/// Sends a request whose body has `length` bytes, and another on the same connection.
async fn twice(server: &Running, line: &str, length: usize) -> String {
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(vec![b'x'; length]);
    bytes.extend(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    server.talk(&bytes).await
}

#[tokio::test]
async fn a_connection_goes_on_after_a_small_body() {
    let mut setup = limited();
    setup.settings.manifest_limit = 1 << 10;
    let server = start(setup).await;
    for (line, status, _) in refused()
        .into_iter()
        .filter(|(_, status, _)| *status != "413")
    {
        for length in [0, 1, 200 << 10] {
            let answers = twice(&server, &line, length).await;
            let begin = format!("HTTP/1.1 {status}");
            assert!(answers.starts_with(&begin), "{line}: {answers}");
            assert!(answers.contains("HTTP/1.1 200"), "{line}: {answers}");
        }
    }
    let answers = twice(&server, "PUT /v2/a/manifests/b", 200 << 10).await;
    assert!(answers.starts_with("HTTP/1.1 413"), "{answers}");
    assert!(answers.contains("HTTP/1.1 200"), "{answers}");
}

#[tokio::test]
async fn a_slow_body_ends_the_connection_with_its_answer() {
    let server = start(setup()).await;
    let line = format!("POST /v2/a/blobs/uploads/?digest={DIGEST}");
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    let answer = server.talk(head.as_bytes()).await;
    assert_refused(&answer, &line, "408", "BLOB_UPLOAD_INVALID");
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense");
    let answer = server.talk(head.as_bytes()).await;
    assert_refused(&answer, &line, "400", "BLOB_UPLOAD_INVALID");
}

/// What a second `PATCH` of `length` bytes is told while the first one goes on.
async fn second_patch(length: usize) -> (u16, bool) {
    let options = Options {
        body_idle: Duration::from_secs(3600),
        ..Options::default()
    };
    let server = TestServer::with(Settings::default(), options);
    let location = server.begin("a").await;
    let line = format!("PATCH {location}");
    let asked = Arc::new(Notify::new());
    let ask = Arc::clone(&asked);
    let endless = stream::poll_fn(move |_| {
        ask.notify_one();
        Poll::<Option<std::io::Result<&str>>>::Pending
    });
    let first = server.send(&line, &[], Body::from_stream(endless));
    let second = async {
        asked.notified().await;
        // The second waits for its turn, and there is nothing else to wait for.
        tokio::time::pause();
        let answer = server.send(&line, &[], vec![0; length]).await;
        tokio::time::resume();
        answer
    };
    tokio::select! {
        _ = first => panic!("the first has not ended"),
        answer = second => (answer.status.as_u16(), answer.header("connection") == "close"),
    }
}

#[tokio::test]
async fn a_second_patch_knows_whether_its_connection_goes_on() {
    assert_eq!(second_patch(10).await, (409, false));
    assert_eq!(second_patch(1 << 20).await, (409, true));
}
