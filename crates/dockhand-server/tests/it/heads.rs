//! Heads of requests: how large they may be, over HTTP/1 and HTTP/2.

use bytes::Bytes;
use http::Request;

use crate::connections::{setup, start};

/// A request of exactly `size` bytes.
fn request(size: usize) -> String {
    let head = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let mut head = head.to_owned();
    while head.len() + 2 < size {
        // Not all in one header, and none too short to be one.
        let left = size - head.len() - 2;
        let whole = if left > 12_000 { 8_000 } else { left };
        head += &format!("X-A: {}\r\n", "b".repeat(whole - 7));
    }
    head + "\r\n"
}

#[tokio::test]
async fn a_head_may_have_what_is_configured_and_no_byte_more() {
    for limit in [4 << 10, 32 << 10, 200 << 10] {
        let mut setup = setup();
        setup.limits.header_bytes = limit;
        let server = start(setup).await;
        for (size, status) in [
            (limit / 2, "200"),
            (limit, "200"),
            (limit + 1, "431"),
            (limit * 5 / 4, "431"),
        ] {
            let request = request(size);
            assert_eq!(request.len(), size);
            let answer = server.talk(request.as_bytes()).await;
            let begin = format!("HTTP/1.1 {status}");
            assert!(answer.starts_with(&begin), "{size} of {limit}: {answer}");
        }
    }
}

#[tokio::test]
async fn forty_kibibytes_are_too_much_by_default() {
    let server = start(setup()).await;
    let answer = server.talk(request(40 << 10).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let said = "the head of the request has 40960 bytes, and at most 32768 are taken here";
    assert!(answer.contains(said), "{answer}");
}

#[tokio::test]
async fn http2_has_the_same_limit() {
    let server = start(setup()).await;
    let stream = server.connect().await;
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (size, status) in [(30 << 10, 200), (40 << 10, 431)] {
        let get = Request::get("http://x/v2/").header("x-a", "b".repeat(size));
        sender = sender.ready().await.unwrap();
        let (answer, _) = sender.send_request(get.body(()).unwrap(), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status, "{size}");
        let length = &answer.headers()["content-length"];
        assert!(length.to_str().unwrap() != "0", "{size}: an error document");
    }
    let _: h2::client::SendRequest<Bytes> = sender;
}

#[tokio::test]
async fn a_request_has_exactly_one_host() {
    let server = start(setup()).await;
    for (version, hosts, said) in [
        ("1.1", "Host: r.test:5000\r\n", None),
        ("1.1", "Host: [::1]:5000\r\n", None),
        ("1.1", "Host:\r\n", None),
        ("1.0", "", None),
        ("1.0", "Host: r.test\r\n", None),
        ("1.1", "", Some("has no `Host` header")),
        (
            "1.1",
            "Host: a\r\nHost: a\r\n",
            Some("more than one `Host`"),
        ),
        (
            "1.0",
            "Host: a\r\nHost: b\r\n",
            Some("more than one `Host`"),
        ),
        (
            "1.1",
            "Host: a b\r\n",
            Some("`Host` header of the request is not valid"),
        ),
        (
            "1.1",
            "Host: a/b\r\n",
            Some("`Host` header of the request is not valid"),
        ),
        (
            "1.1",
            "Host: user@a\r\n",
            Some("`Host` header of the request is not valid"),
        ),
        (
            "1.0",
            "Host: a:port\r\n",
            Some("`Host` header of the request is not valid"),
        ),
        (
            "1.1",
            "Host: \u{fc}\r\n",
            Some("`Host` header of the request is not valid"),
        ),
    ] {
        let request = format!("GET /v2/ HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        let answer = server.talk(request.as_bytes()).await;
        let status = if said.is_some() { 400 } else { 200 };
        assert!(
            answer.contains(&format!(" {status} ")),
            "{hosts:?}: {answer}"
        );
        assert!(answer.contains(said.unwrap_or("{}")), "{hosts:?}: {answer}");
        assert!(answer.contains("\r\nx-request-id: "), "{hosts:?}: {answer}");
    }
}

#[tokio::test]
async fn the_host_of_an_absolute_url_counts() {
    let server = start(setup()).await;
    let port = server.address.port();
    let request = format!(
        "POST http://r.test:{port}/v2/a/blobs/uploads/ HTTP/1.1\r\nHost: other.test:{port}\r\nConnection: close\r\n\r\n"
    );
    let answer = server.talk(request.as_bytes()).await;
    let location = format!("location: http://r.test:{port}/v2/a/blobs/uploads/");
    assert!(answer.contains(&location), "{answer}");
}
