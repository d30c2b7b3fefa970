//! `Expect: 100-continue`: a client that waits is asked for its body when somebody wants it, and only then.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connections::{Running, setup, start};

const NO_UPLOAD: &str = "PATCH /v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000";

/// Sends the head of a request that waits before it sends a body of `length`, and reads to the end.
async fn expect(server: &Running, line: &str, length: usize) -> String {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: {length}\r\n\r\n"
    );
    server.talk(head.as_bytes()).await
}

async fn begin(server: &Running) -> String {
    let begun = server
        .talk(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let mut lines = begun.lines();
    let location = lines.find_map(|line| line.strip_prefix("location: "));
    location.unwrap().to_owned()
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_asked_for() {
    let server = start(setup()).await;
    let upload = begin(&server).await;
    for (what, line, length, status) in [
        ("no upload", NO_UPLOAD, 10, "404"),
        ("no name", "POST /v2/UPPER/blobs/uploads/", 10, "400"),
        ("no tag", "PUT /v2/a/manifests/-bad", 10, "400"),
        ("no digest", &format!("PUT {upload}"), 10, "400"),
        ("too large", "PUT /v2/a/manifests/b", 1 << 30, "413"),
        ("no method", "PUT /v2/", 10, "405"),
        ("not needed", "POST /v2/a/blobs/uploads/", 10, "202"),
    ] {
        let answer = expect(&server, line, length).await;
        let begin = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&begin), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_wanted_is_asked_for() {
    let mut setup = setup();
    setup.options.body_idle = Duration::from_secs(20);
    let server = start(setup).await;
    let upload = begin(&server).await;
    let mut stream = server.connect().await;
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let asked = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut read = vec![0; asked.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), asked);
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn without_a_body_there_is_nothing_to_wait_for() {
    let server = start(setup()).await;
    let answer = expect(&server, NO_UPLOAD, 0).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}
