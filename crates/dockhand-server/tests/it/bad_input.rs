//! What clients get wrong: each has its code, its status and a sentence, and changes nothing.

use dockhand_registry::Settings;
use dockhand_server::Options;
use insta::assert_snapshot;

use crate::support::{OCI_INDEX, OCI_MANIFEST, TestServer, image};

#[tokio::test]
async fn paths_that_are_none() {
    let server = TestServer::new();
    let long_name = "a".repeat(256);
    let long_path = "/a".repeat(4000);
    let digest = format!("sha256:{}", "0".repeat(64));
    for (path, status, code) in [
        ("/v3/", 404, "UNSUPPORTED"),
        ("/v2/app", 404, "UNSUPPORTED"),
        ("/v2/app/", 404, "UNSUPPORTED"),
        ("/v2/UPPER/tags/list", 400, "NAME_INVALID"),
        ("/v2/a//b/tags/list", 400, "NAME_INVALID"),
        ("/v2/../../etc/passwd/tags/list", 400, "NAME_INVALID"),
        ("/v2/a%2fb/tags/list", 404, "UNSUPPORTED"),
        ("/v2/a%00b/tags/list", 404, "UNSUPPORTED"),
        ("/v2/a%ff/tags/list", 404, "UNSUPPORTED"),
        ("/v2/%2e%2e/tags/list", 400, "NAME_INVALID"),
        (&format!("/v2/{long_name}/tags/list"), 400, "NAME_INVALID"),
        (&format!("/v2{long_path}/tags/list"), 404, "UNSUPPORTED"),
        ("/v2/app/manifests/-x", 404, "MANIFEST_UNKNOWN"),
        ("/v2/app/manifests/sha256:bad", 400, "DIGEST_INVALID"),
        ("/v2/app/manifests/md5:00", 400, "DIGEST_INVALID"),
        ("/v2/app/blobs/sha256:bad", 400, "DIGEST_INVALID"),
        ("/v2/app/blobs/latest", 400, "DIGEST_INVALID"),
        ("/v2/app/referrers/latest", 400, "DIGEST_INVALID"),
        (
            "/v2/app/blobs/uploads/not-an-upload",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        ),
        ("/v2/app/blobs/uploads/..%2f..%2fetc", 404, "UNSUPPORTED"),
        (&format!("/v2/app/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        (
            &format!("/v2/app/manifests/{digest}"),
            404,
            "MANIFEST_UNKNOWN",
        ),
    ] {
        let answered = server.get(path).await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (status, code),
            "{path}"
        );
        let message = answered.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.len() > 10, "{path}: {message}");
    }
}

#[tokio::test]
async fn methods_that_an_endpoint_does_not_have() {
    let server = TestServer::new();
    let answered = server.send("POST /v2/app/tags/list", &[], "").await;
    assert_snapshot!(answered.show(), @r#"
    405 Method Not Allowed
    allow: GET, HEAD
    content-length: 93
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"UNSUPPORTED","message":"POST is not possible here; allowed: GET, HEAD"}]}
    "#);
    for line in [
        "TRACE /v2/",
        "OPTIONS /v2/",
        "PATCH /v2/app/manifests/v1",
        "GET /v2/app/blobs/uploads/",
        "FOO /v2/_catalog",
    ] {
        assert_eq!(server.send(line, &[], "").await.status, 405, "{line}");
    }
}

#[tokio::test]
async fn manifests_that_are_none() {
    let server = TestServer::new();
    let config = server.push_blob("app", b"{}").await;
    let good = image(&config, 2, &[], "");
    server
        .push_manifest("app", "kept", OCI_MANIFEST, &good)
        .await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let hybrid = good.replacen("\"layers\"", "\"manifests\":[],\"layers\"", 1);
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (what, media_type, bytes) in [
        ("empty", OCI_MANIFEST, String::new()),
        ("not JSON", OCI_MANIFEST, "hello".into()),
        ("a list", OCI_MANIFEST, "[]".into()),
        ("deep", OCI_MANIFEST, deep),
        (
            "no schemaVersion",
            OCI_MANIFEST,
            good.replacen("\"schemaVersion\":2,", "", 1),
        ),
        (
            "other version",
            OCI_MANIFEST,
            good.replacen(":2,", ":3,", 1),
        ),
        ("other type than said", OCI_INDEX, good.clone()),
        ("both kinds", OCI_MANIFEST, hybrid),
        (
            "twice the same key",
            OCI_MANIFEST,
            good.replacen('{', "{\"schemaVersion\":2,", 1),
        ),
        (
            "wrong type of a field",
            OCI_MANIFEST,
            good.replacen("\"layers\":[]", "\"layers\":7", 1),
        ),
        (
            "negative size",
            OCI_MANIFEST,
            good.replacen("\"size\":2", "\"size\":-2", 1),
        ),
        (
            "huge size",
            OCI_MANIFEST,
            good.replacen("\"size\":2", "\"size\":1e400", 1),
        ),
        (
            "bad digest",
            OCI_MANIFEST,
            good.replacen("sha256:", "sha256:zz", 1),
        ),
        ("schema 1", schema1, r#"{"schemaVersion":1}"#.into()),
        ("unknown type", "text/html", good.clone()),
        ("malformed type", ";;", good.clone()),
    ] {
        let answered = server
            .send(
                "PUT /v2/app/manifests/kept",
                &[("content-type", media_type)],
                bytes,
            )
            .await;
        let got = (answered.status.as_u16(), answered.code());
        assert_eq!(
            got,
            (400, "MANIFEST_INVALID".to_owned()),
            "{what}: {}",
            answered.show()
        );
    }
    assert_eq!(server.get("/v2/app/manifests/kept").await.body, good);
}

#[tokio::test]
async fn a_manifest_of_exactly_the_limit_and_one_byte_more() {
    let server = TestServer::new();
    let config = server.push_blob("app", b"{}").await;
    let limit = usize::try_from(Settings::default().manifest_limit).unwrap();
    let room = limit - image(&config, 2, &[], r#","annotations":{"a":""}"#).len();
    let fits = image(
        &config,
        2,
        &[],
        &format!(r#","annotations":{{"a":"{}"}}"#, "x".repeat(room)),
    );
    assert_eq!(fits.len(), limit);
    let type_ = [("content-type", OCI_MANIFEST)];
    let taken = server
        .send("PUT /v2/app/manifests/big", &type_, fits.clone())
        .await;
    assert_eq!(taken.status, 201, "{}", taken.show());
    let refused = server
        .send("PUT /v2/app/manifests/big", &type_, fits + " ")
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (413, "MANIFEST_INVALID")
    );
}

#[tokio::test]
async fn parameters_and_headers() {
    let server = TestServer::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    for (line, headers, status, code) in [
        (
            "POST /v2/app/blobs/uploads/?digest=sha256:x".into(),
            &[][..],
            400,
            "DIGEST_INVALID",
        ),
        (
            format!("POST /v2/app/blobs/uploads/?digest={digest}&digest={digest}"),
            &[],
            400,
            "DIGEST_INVALID",
        ),
        (
            "POST /v2/app/blobs/uploads/?mount=x&from=b".into(),
            &[],
            400,
            "DIGEST_INVALID",
        ),
        (
            "POST /v2/app/blobs/uploads/?digest-algorithm=md5".into(),
            &[],
            400,
            "DIGEST_INVALID",
        ),
        (
            "POST /v2/app/blobs/uploads/?digest=%ff".into(),
            &[],
            400,
            "UNSUPPORTED",
        ),
        ("PUT /v2/app/manifests/-bad".into(), &[], 400, "TAG_INVALID"),
        (
            "PUT /v2/app/manifests/v1?tag=-bad".into(),
            &[],
            400,
            "TAG_INVALID",
        ),
        (
            "PUT /v2/app/manifests/v1".into(),
            &[("if-match", "a"), ("if-none-match", "*")],
            400,
            "MANIFEST_INVALID",
        ),
    ] {
        let answered = server.send(&line, headers, "").await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (status, code),
            "{line}"
        );
    }
    let location = server.begin("app").await;
    for range in [
        "x",
        "5",
        "-5",
        "9-5",
        "0-99999999999999999999",
        "bytes",
        "0-1-2",
    ] {
        let answered = server
            .send(
                &format!("PATCH {location}"),
                &[("content-range", range)],
                "x",
            )
            .await;
        assert_eq!(answered.status, 416, "{range}");
    }
}

#[tokio::test]
async fn more_tags_than_one_push_may_set() {
    let settings = Settings {
        tags_limit: 3,
        ..Settings::default()
    };
    let server = TestServer::with(settings, Options::default());
    let config = server.push_blob("app", b"{}").await;
    let line = "PUT /v2/app/manifests/a?tag=b&tag=c&tag=d";
    let type_ = [("content-type", OCI_MANIFEST)];
    let answered = server.send(line, &type_, image(&config, 2, &[], "")).await;
    assert_eq!(
        (answered.status.as_u16(), answered.code().as_str()),
        (414, "TAG_INVALID")
    );
    assert_eq!(server.get("/v2/app/tags/list").await.status, 404);
}

#[tokio::test]
async fn too_many_uploads_and_too_large_blobs() {
    let mut settings = Settings {
        blob_limit: 10,
        ..Settings::default()
    };
    settings.uploads.per_repository = 2;
    let server = TestServer::with(settings, Options::default());
    let first = server.begin("app").await;
    for upload in [&first, &server.begin("app").await] {
        let patched = server.send(&format!("PATCH {upload}"), &[], "0").await;
        assert_eq!(patched.status, 202);
    }
    let refused = server.send("POST /v2/app/blobs/uploads/", &[], "").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "TOOMANYREQUESTS")
    );
    assert!(!refused.header("retry-after").is_empty());
    let moved = first.replace("offset=0", "offset=1");
    let large = server
        .send(&format!("PATCH {moved}"), &[], "0123456789")
        .await;
    assert_eq!(
        (large.status.as_u16(), large.code().as_str()),
        (413, "SIZE_INVALID")
    );
    server.send(&format!("DELETE {first}"), &[], "").await;
    server.begin("app").await;
}
