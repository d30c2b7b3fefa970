//! Blobs: whole, in parts, unchanged, unknown, deleted.

use insta::assert_snapshot;

use crate::support::{OCI_MANIFEST, TestServer, image};

#[tokio::test]
async fn a_blob_is_served_whole() {
    let server = TestServer::new();
    let digest = server.push_blob("team/app", b"hello").await;
    let answered = server.get(&format!("/v2/team/app/blobs/{digest}")).await;
    assert_snapshot!(answered.show(), @r#"
    200 OK
    accept-ranges: bytes
    cache-control: max-age=31536000
    content-length: 5
    content-type: application/octet-stream
    docker-content-digest: sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
    docker-distribution-api-version: registry/2.0
    etag: "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    x-content-type-options: nosniff
    x-request-id: <id>

    hello
    "#);
    let head = server
        .send(&format!("HEAD /v2/team/app/blobs/{digest}"), &[], "")
        .await;
    assert_eq!(head.headers.len(), answered.headers.len());
    assert_eq!(head.header("content-length"), "5");
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn head_has_no_ranges() {
    let server = TestServer::new();
    let digest = server.push_blob("app", b"0123456789").await;
    let line = format!("HEAD /v2/app/blobs/{digest}");
    for range in ["bytes=0-3", "bytes=-3", "bytes=10-", "bytes=99-100"] {
        let head = server.send(&line, &[("range", range)], "").await;
        assert_eq!(head.status, 200, "{range}");
        assert_eq!(head.header("content-length"), "10", "{range}");
        assert_eq!(head.header("content-range"), "", "{range}");
        assert_eq!(head.header("accept-ranges"), "bytes", "{range}");
    }
}

#[tokio::test]
async fn ranges() {
    let server = TestServer::new();
    let digest = server.push_blob("app", b"0123456789").await;
    let uri = format!("GET /v2/app/blobs/{digest}");
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-30", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=9-100", 206, "9", "bytes 9-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        ("bytes=5-4", 416, "", "bytes */10"),
        ("bytes=0-1,3-4", 200, "0123456789", ""),
        ("lines=0-1", 200, "0123456789", ""),
        ("nonsense", 200, "0123456789", ""),
    ] {
        let answered = server.send(&uri, &[("range", range)], "").await;
        assert_eq!(answered.status, status, "{range}");
        assert_eq!(answered.body, body, "{range}");
        assert_eq!(answered.header("content-range"), content_range, "{range}");
        if status != 416 {
            assert_eq!(
                answered.header("content-length"),
                body.len().to_string(),
                "{range}"
            );
        }
    }
    let etag = format!("\"{digest}\"");
    let same = [("range", "bytes=0-0"), ("if-range", etag.as_str())];
    assert_eq!(server.send(&uri, &same, "").await.body, "0");
    let other = [("range", "bytes=0-0"), ("if-range", "\"other\"")];
    assert_eq!(server.send(&uri, &other, "").await.body, "0123456789");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let server = TestServer::new();
    let digest = server.push_blob("app", b"hello").await;
    let uri = format!("GET /v2/app/blobs/{digest}");
    for tag in [
        format!("\"{digest}\""),
        format!("W/\"{digest}\""),
        digest.to_string(),
        "*".into(),
    ] {
        let answered = server.send(&uri, &[("if-none-match", &tag)], "").await;
        assert_eq!(answered.status, 304, "{tag}");
        assert_eq!(answered.header("etag"), format!("\"{digest}\""));
        assert!(answered.body.is_empty());
    }
    assert_eq!(
        server
            .send(&uri, &[("if-none-match", "\"x\"")], "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_blob_is_seen_only_through_a_repository_that_has_it() {
    let server = TestServer::new();
    let digest = server.push_blob("mine", b"secret").await;
    let foreign = server.get(&format!("/v2/other/blobs/{digest}")).await;
    assert_snapshot!(foreign.show(), @r#"
    404 Not Found
    content-length: 251
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"BLOB_UNKNOWN","detail":{"digest":"sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"},"message":"blob sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b is not known to this repository"}]}
    "#);
}

#[tokio::test]
async fn mounts() {
    let server = TestServer::new();
    let digest = server.push_blob("source", b"layer").await;
    let line = format!("POST /v2/target/blobs/uploads/?mount={digest}&from=source");
    assert_snapshot!(server.send(&line, &[], "").await.show(), @"
    201 Created
    content-length: 0
    docker-content-digest: sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85
    docker-distribution-api-version: registry/2.0
    location: http://registry.test/v2/target/blobs/sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85
    x-content-type-options: nosniff
    x-request-id: <id>
    ");
    assert_eq!(
        server.get(&format!("/v2/target/blobs/{digest}")).await.body,
        "layer"
    );
    let anonymous = format!("POST /v2/third/blobs/uploads/?mount={digest}");
    assert_eq!(server.send(&anonymous, &[], "").await.status, 201);
    let wrong = format!("POST /v2/fourth/blobs/uploads/?mount={digest}&from=nowhere");
    let answered = server.send(&wrong, &[], "").await;
    assert_eq!(answered.status, 202, "a mount that cannot be is an upload");
    for from in [
        "from=",
        "from=BAD",
        "from=a//b",
        "from=%ff",
        "from=source&from=source",
    ] {
        let line = format!("POST /v2/fifth/blobs/uploads/?mount={digest}&{from}");
        let answered = server.send(&line, &[], "").await;
        assert_eq!(answered.status, 202, "{from}");
        let location = answered.header("location").to_owned();
        let line = format!("HEAD /v2/fifth/blobs/{digest}");
        assert_eq!(server.send(&line, &[], "").await.status, 404, "{from}");
        assert_eq!(
            server
                .send(&format!("DELETE {location}"), &[], "")
                .await
                .status,
            204
        );
    }
    assert!(
        answered
            .header("location")
            .contains("/v2/fourth/blobs/uploads/")
    );
}

#[tokio::test]
async fn deletes() {
    let server = TestServer::new();
    let free = server.push_blob("app", b"free").await;
    let config = server.push_blob("app", b"{}").await;
    let used = server.push_blob("app", b"used").await;
    server
        .push_manifest(
            "app",
            "v1",
            OCI_MANIFEST,
            &image(&config, 2, &[(used, 4)], ""),
        )
        .await;
    let delete = |digest| format!("DELETE /v2/app/blobs/{digest}");
    assert_eq!(server.send(&delete(free), &[], "").await.status, 202);
    assert_eq!(
        server.get(&format!("/v2/app/blobs/{free}")).await.status,
        404
    );
    assert_eq!(
        server.send(&delete(free), &[], "").await.code(),
        "BLOB_UNKNOWN"
    );
    let refused = server.send(&delete(used), &[], "").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (405, "UNSUPPORTED")
    );
    assert_eq!(
        server.get(&format!("/v2/app/blobs/{used}")).await.status,
        200
    );
    // A blob that was deleted can be pushed again.
    server.push_blob("app", b"free").await;
    assert_eq!(
        server.get(&format!("/v2/app/blobs/{free}")).await.body,
        "free"
    );
}
