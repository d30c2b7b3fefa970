//! What a manifest claims of its content is checked before it is stored.

use dockhand_oci::{Algorithm, Digest};
use dockhand_registry::Settings;
use dockhand_server::Options;
use insta::assert_snapshot;

use crate::support::{Answered, OCI_INDEX, OCI_MANIFEST, TestServer};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// Pushes an image whose config is `{}` and whose one layer has these fields.
async fn push(server: &TestServer, layer: &str) -> Answered {
    let config = server.push_blob("app", b"{}").await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{{layer}}}]}}"#
    );
    let headers = [("content-type", OCI_MANIFEST)];
    server
        .send("PUT /v2/app/manifests/v1", &headers, manifest)
        .await
}

fn layer(media_type: &str, digest: &Digest, size: u64, more: &str) -> String {
    format!(r#""mediaType":"{media_type}","digest":"{digest}","size":{size}{more}"#)
}

#[tokio::test]
async fn a_size_that_is_not_that_of_the_stored_blob_is_refused() {
    let server = TestServer::new();
    let blob = server.push_blob("app", b"hello").await;
    let refused = push(&server, &layer(LAYER, &blob, 4, "")).await;
    assert_snapshot!(refused.show(), @r#"
    400 Bad Request
    content-length: 347
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"MANIFEST_INVALID","detail":{"declared":4,"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","stored":5},"message":"the manifest gives sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 a size of 4 bytes, but the content has 5; push the manifest again with the right size"}]}
    "#);
    assert_eq!(server.get("/v2/app/manifests/v1").await.status, 404);
    assert_eq!(push(&server, &layer(LAYER, &blob, 5, "")).await.status, 201);
}

#[tokio::test]
async fn a_size_that_is_not_that_of_a_stored_manifest_is_refused() {
    let server = TestServer::new();
    let child = server.push_image("app", "v1", b"layer").await;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{child}","size":7}}]}}"#
    );
    let headers = [("content-type", OCI_INDEX)];
    let refused = server
        .send("PUT /v2/app/manifests/i", &headers, index)
        .await;
    assert_eq!(refused.status, 400);
    let told = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        told.contains("MANIFEST_INVALID") && told.contains("7 bytes"),
        "{told}"
    );
}

#[tokio::test]
async fn sizes_are_not_compared_when_that_is_switched_off() {
    let settings = Settings {
        check_sizes: false,
        ..Settings::default()
    };
    let server = TestServer::with(settings, Options::default());
    let blob = server.push_blob("app", b"hello").await;
    assert_eq!(push(&server, &layer(LAYER, &blob, 4, "")).await.status, 201);
}

#[tokio::test]
async fn a_layer_may_be_missing_only_where_clients_fetch_it_elsewhere() {
    let server = TestServer::new();
    let absent = Algorithm::Sha256.digest(b"absent");
    let urls = r#","urls":["https://example.com/layer"]"#;
    for (what, media_type, more, status) in [
        (
            "a non-distributable layer with a URL",
            NONDISTRIBUTABLE,
            urls,
            201,
        ),
        ("without one", NONDISTRIBUTABLE, "", 400),
        ("with an empty list", NONDISTRIBUTABLE, r#","urls":[]"#, 400),
        (
            "with a path",
            NONDISTRIBUTABLE,
            r#","urls":["/layer"]"#,
            400,
        ),
        ("an ordinary layer with a URL", LAYER, urls, 400),
        ("an ordinary layer", LAYER, "", 400),
    ] {
        let answer = push(&server, &layer(media_type, &absent, 6, more)).await;
        assert_eq!(answer.status, status, "{what}");
        if status == 400 {
            let body = String::from_utf8_lossy(&answer.body);
            assert!(body.contains("MANIFEST_BLOB_UNKNOWN"), "{what}: {body}");
        }
    }
    let settings = Settings {
        sparse: true,
        ..Settings::default()
    };
    let sparse = TestServer::with(settings, Options::default());
    assert_eq!(
        push(&sparse, &layer(LAYER, &absent, 6, "")).await.status,
        201
    );
}

#[tokio::test]
async fn embedded_data_must_be_the_content() {
    let server = TestServer::new();
    let blob = server.push_blob("app", b"hello").await;
    for (what, data, problem) in [
        ("the content", "aGVsbG8=", None),
        ("other content", "SEVMTE8=", Some("has the digest sha256:")),
        ("longer content", "aGVsbG8h", Some("has 6 bytes")),
        ("no base64", "aGVsbG8", Some("is not base64")),
        ("nothing", "", Some("has 0 bytes")),
    ] {
        let more = format!(r#","data":"{data}""#);
        let answer = push(&server, &layer(LAYER, &blob, 5, &more)).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        match problem {
            None => assert_eq!(answer.status, 201, "{what}: {body}"),
            Some(problem) => {
                assert_eq!(answer.status, 400, "{what}");
                assert!(body.contains("MANIFEST_INVALID"), "{what}: {body}");
                assert!(body.contains(problem), "{what}: {body}");
            }
        }
    }
}

/// Clients read embedded data wherever a descriptor stands.
#[tokio::test]
async fn embedded_data_is_checked_in_every_descriptor() {
    let server = TestServer::new();
    let child = server.push_image("app", "v1", b"layer").await;
    let config = server.push_blob("app", b"{}").await;
    let described = |media_type: &str, digest: &Digest, size: usize, data: &str| {
        let size = u64::try_from(size).unwrap();
        let more = format!(r#","data":"{data}""#);
        format!("{{{}}}", layer(media_type, digest, size, &more))
    };
    let manifest = server.get("/v2/app/manifests/v1").await.body;
    let (right, wrong) = ("e30=", "e31=");
    let other = "A".repeat(manifest.len().div_ceil(3) * 4);
    let config_type = "application/vnd.oci.image.config.v1+json";
    let plain = format!("{{{}}}", layer(config_type, &config, 2, ""));
    for (what, media_type, body, status) in [
        (
            "a config",
            OCI_MANIFEST,
            format!(
                r#""config":{},"layers":[]"#,
                described(config_type, &config, 2, right)
            ),
            201,
        ),
        (
            "another config",
            OCI_MANIFEST,
            format!(
                r#""config":{},"layers":[]"#,
                described(config_type, &config, 2, wrong)
            ),
            400,
        ),
        (
            "another subject",
            OCI_MANIFEST,
            format!(
                r#""config":{plain},"layers":[],"subject":{}"#,
                described(OCI_MANIFEST, &child, manifest.len(), &other)
            ),
            400,
        ),
        (
            "another child",
            OCI_INDEX,
            format!(
                r#""manifests":[{}]"#,
                described(OCI_MANIFEST, &child, manifest.len(), &other)
            ),
            400,
        ),
    ] {
        let document = format!(r#"{{"schemaVersion":2,{body}}}"#);
        let headers = [("content-type", media_type)];
        let answer = server
            .send("PUT /v2/app/manifests/v2", &headers, document)
            .await;
        assert_eq!(answer.status, status, "{what}: {}", answer.show());
        if status == 400 {
            assert_eq!(answer.code(), "MANIFEST_INVALID", "{what}");
            let told = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(told.contains("the `data` of"), "{what}: {told}");
        }
    }
}
