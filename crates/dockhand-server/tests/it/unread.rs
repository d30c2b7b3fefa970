//! Requests that are answered below the handlers, because they cannot be read: they get what others get.

use std::time::Duration;

use dockhand_server::Setup;
use insta::assert_snapshot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::RootCertStore;

use crate::connections::{certificate, connect_tls, read_all, setup, start, tls_files};
use crate::observed::Kept;

const GET: &str = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
const MALFORMED: &str = "GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n";

/// An answer with what differs from run to run blanked.
fn blanked(answer: &str) -> String {
    let lines = answer
        .split("\r\n")
        .map(|line| match line.split_once(": ") {
            Some((name @ ("date" | "x-request-id"), value)) => {
                assert!(!value.is_empty(), "{line}");
                format!("{name}: <{name}>")
            }
            _ => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_malformed_request_gets_an_error_document() {
    let server = start(setup()).await;
    let answer = server.talk(MALFORMED.as_bytes()).await;
    assert_snapshot!(blanked(&answer), @r#"
    HTTP/1.1 400 Bad Request
    content-type: application/json
    content-length: 128
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <x-request-id>
    connection: close
    date: <date>

    {"errors":[{"code":"UNSUPPORTED","message":"the request is not valid HTTP: its first line or one of its headers is malformed"}]}
    "#);
}

#[tokio::test]
async fn what_is_too_long_to_read_gets_one_too() {
    let server = start(setup()).await;
    let url = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    assert_snapshot!(blanked(&server.talk(url.as_bytes()).await), @r#"
    HTTP/1.1 414 URI Too Long
    content-type: application/json
    content-length: 102
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <x-request-id>
    connection: close
    date: <date>

    {"errors":[{"code":"UNSUPPORTED","message":"the URL of the request is too long; send a shorter one"}]}
    "#);
    let head = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n",
        "a".repeat(300_000)
    );
    assert_snapshot!(blanked(&server.talk(head.as_bytes()).await), @r#"
    HTTP/1.1 431 Request Header Fields Too Large
    content-type: application/json
    content-length: 115
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <x-request-id>
    connection: close
    date: <date>

    {"errors":[{"code":"UNSUPPORTED","message":"the head of the request is too large; send fewer or shorter headers"}]}
    "#);
}

#[tokio::test]
async fn so_it_is_after_other_requests_on_the_connection() {
    let server = start(setup()).await;
    let unknown = "HEAD /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\n\r\n";
    // At once, and each when the one before is answered.
    let at_once = server
        .talk(format!("{GET}{unknown}{MALFORMED}").as_bytes())
        .await;
    let mut stream = server.connect().await;
    let mut one_by_one = String::new();
    for request in [GET, unknown, MALFORMED] {
        stream.write_all(request.as_bytes()).await.unwrap();
        if request == MALFORMED {
            one_by_one += &read_all(&mut stream).await;
        } else {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            one_by_one += &String::from_utf8_lossy(&bytes[..count]);
        }
    }
    for answers in [at_once, one_by_one] {
        let statuses: Vec<_> = answers
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| &answer[..3])
            .collect();
        assert_eq!(statuses, ["200", "404", "400"], "{answers}");
        assert_eq!(answers.matches("x-request-id: ").count(), 3, "{answers}");
        assert!(answers.contains("is not valid HTTP:"), "{answers}");
    }
}

#[tokio::test]
async fn so_it_is_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let server = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..setup()
    })
    .await;
    let mut stream = connect_tls(server.address, roots, b"http/1.1")
        .await
        .unwrap();
    stream.write_all(MALFORMED.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("is not valid HTTP:"), "{answer}");
}

#[tokio::test]
async fn it_is_a_line_in_the_log_and_counted() {
    let log = Kept::default();
    let _guard = log.begin();
    let mut setup = setup();
    setup.metrics = true;
    setup.options.metrics_path = Some("/metrics".to_owned());
    let server = start(setup).await;
    let answer = server.talk(MALFORMED.as_bytes()).await;
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    let lines = log.access();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = format!(
        "request={} peer=127.0.0.1 method=\"OTHER\" path=\"*\" status=400",
        id.unwrap()
    );
    assert!(lines[0].contains(&expected), "{lines:?}");
    let get = GET
        .replace("/v2/", "/metrics")
        .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let metrics = server.talk(get.as_bytes()).await;
    let counted =
        r#"dockhand_http_requests_total{method="OTHER",endpoint="unread",status="400"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn plain_http_on_a_port_with_tls_is_told_so() {
    let log = Kept::default();
    let _guard = log.begin();
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let server = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..setup()
    })
    .await;
    for request in [GET, "G"] {
        let answer = server.talk(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_snapshot!(blanked(&server.talk(GET.as_bytes()).await), @r#"
    HTTP/1.1 400 Bad Request
    content-type: application/json
    content-length: 133
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <x-request-id>
    connection: close
    date: <date>

    {"errors":[{"code":"UNSUPPORTED","message":"this port takes HTTPS only, and the request came over plain HTTP; use an https:// URL"}]}
    "#);
    assert_eq!(log.access().len(), 3);
    // Who speaks TLS goes on, even when the first byte is late.
    connect_tls(server.address, roots, b"http/1.1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_handshake_is_a_line_in_the_log_and_silence_is_none() {
    let log = Kept::default();
    let _guard = log.begin();
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let server = start(Setup {
        tls: Some(tls_files(folder.path())),
        ..setup()
    })
    .await;
    drop(server.connect().await);
    server.talk(b"").await;
    assert!(
        connect_tls(server.address, RootCertStore::empty(), b"http/1.1")
            .await
            .is_err()
    );
    server.talk(b"\x16\x03\x01\x00\x04\x63\x00\x00\x00").await;
    server.talk(b"\x16\x03\x01").await;
    let failures = || {
        let lines = log.lines().into_iter();
        lines
            .filter(|line| line.contains("a TLS handshake failed"))
            .collect::<Vec<_>>()
    };
    // The server may log a moment after the client has seen the end.
    for _ in 0..100 {
        if failures().len() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = failures();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.contains("address=127.0.0.1:")),
        "{lines:?}"
    );
    assert!(
        lines[0].contains("does not trust the certificate"),
        "{lines:?}"
    );
    assert!(
        lines[2].contains("did not finish it within 300ms"),
        "{lines:?}"
    );
}
