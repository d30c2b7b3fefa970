//! Manifests: byte for byte, by tag and digest, several tags at once, with subjects, deleted.

use dockhand_oci::Algorithm;
use dockhand_registry::Settings;
use dockhand_server::Options;
use insta::assert_snapshot;

use crate::support::{OCI_INDEX, OCI_MANIFEST, TestServer, image};

#[tokio::test]
async fn pushed_and_pulled_byte_for_byte() {
    let server = TestServer::new();
    let config = server.push_blob("app", b"{}").await;
    let odd = format!(
        "\u{20}\n{} \t",
        image(&config, 2, &[], r#", "zzz" : {"a":1.50}"#)
    );
    let digest = Algorithm::Sha256.digest(odd.as_bytes());
    let put = server
        .send(
            "PUT /v2/app/manifests/v1",
            &[("content-type", OCI_MANIFEST)],
            odd.clone(),
        )
        .await;
    assert_snapshot!(put.show(), @r#"
    201 Created
    content-length: 0
    docker-content-digest: sha256:05731760da0a018a79980ef74285b023832cf65dbf4af755996766766a32378a
    docker-distribution-api-version: registry/2.0
    etag: "sha256:05731760da0a018a79980ef74285b023832cf65dbf4af755996766766a32378a"
    location: http://registry.test/v2/app/manifests/sha256:05731760da0a018a79980ef74285b023832cf65dbf4af755996766766a32378a
    oci-tag: v1
    x-content-type-options: nosniff
    x-request-id: <id>
    "#);
    for reference in ["v1".to_owned(), digest.to_string()] {
        let got = server.get(&format!("/v2/app/manifests/{reference}")).await;
        assert_eq!(got.body, odd, "{reference}");
        let head = server
            .send(&format!("HEAD /v2/app/manifests/{reference}"), &[], "")
            .await;
        assert_eq!(head.headers.len(), got.headers.len());
        for (name, value) in &got.headers {
            if name != "x-request-id" {
                assert_eq!(
                    head.headers.get(name),
                    Some(value),
                    "HEAD is GET without its body"
                );
            }
        }
    }
    assert_snapshot!(server.send("HEAD /v2/app/manifests/v1", &[], "").await.show(), @r#"
    200 OK
    content-length: 270
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:05731760da0a018a79980ef74285b023832cf65dbf4af755996766766a32378a
    docker-distribution-api-version: registry/2.0
    etag: "sha256:05731760da0a018a79980ef74285b023832cf65dbf4af755996766766a32378a"
    x-content-type-options: nosniff
    x-request-id: <id>
    "#);
}

#[tokio::test]
async fn by_digest_of_either_algorithm() {
    let server = TestServer::new();
    let config = server.push_blob("app", b"{}").await;
    let manifest = image(&config, 2, &[], "");
    let type_ = [("content-type", OCI_MANIFEST)];
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(manifest.as_bytes());
        let line = format!("PUT /v2/app/manifests/{digest}?tag=a-{algorithm}&tag=b-{algorithm}");
        let put = server.send(&line, &type_, manifest.clone()).await;
        assert_eq!(put.status, 201);
        assert_eq!(put.header("docker-content-digest"), digest.to_string());
        let tags: Vec<_> = put.headers.get_all("oci-tag").iter().collect();
        assert_eq!(tags, [&format!("a-{algorithm}"), &format!("b-{algorithm}")]);
        let got = server
            .get(&format!("/v2/app/manifests/b-{algorithm}"))
            .await;
        assert_eq!(got.header("docker-content-digest"), digest.to_string());
    }
    let wrong = Algorithm::Sha256.digest(b"else");
    let refused = server
        .send(&format!("PUT /v2/app/manifests/{wrong}"), &type_, manifest)
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "DIGEST_INVALID")
    );
}

#[tokio::test]
async fn missing_content_is_named() {
    let server = TestServer::new();
    let (a, b) = (
        Algorithm::Sha256.digest(b"a"),
        Algorithm::Sha256.digest(b"b"),
    );
    let manifest = image(&a, 1, &[(b, 1)], "");
    let put = server
        .send(
            "PUT /v2/app/manifests/v1",
            &[("content-type", OCI_MANIFEST)],
            manifest,
        )
        .await;
    assert_snapshot!(put.show(), @r#"
    400 Bad Request
    content-length: 576
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":{"digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},"message":"the manifest names sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb, which this repository does not have; push it first"},{"code":"MANIFEST_BLOB_UNKNOWN","detail":{"digest":"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},"message":"the manifest names sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d, which this repository does not have; push it first"}]}
    "#);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{a}","size":1}}]}}"#
    );
    let put = server
        .send(
            "PUT /v2/app/manifests/v1",
            &[("content-type", OCI_INDEX)],
            index.clone(),
        )
        .await;
    assert_eq!(put.code(), "MANIFEST_BLOB_UNKNOWN");
    let lenient = TestServer::with(
        Settings {
            sparse: true,
            ..Settings::default()
        },
        Options::default(),
    );
    lenient.push_manifest("app", "v1", OCI_INDEX, &index).await;
}

/// What BuildKit writes with `--cache-to type=registry`: blobs stand where an index has manifests.
#[tokio::test]
async fn an_index_of_blobs_needs_its_blobs() {
    let server = TestServer::new();
    let layer = Algorithm::Sha256.digest(b"layer");
    let config = server.push_blob("cache", b"{}").await;
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[
        {{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":5}},
        {{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"{config}","size":2}}]}}"#
    );
    let put = "PUT /v2/cache/manifests/main";
    let type_ = [("content-type", OCI_INDEX)];
    let refused = server.send(put, &type_, index.clone()).await;
    assert_eq!(refused.code(), "MANIFEST_BLOB_UNKNOWN");
    let names = |digest: &dyn ToString| refused.show().contains(&digest.to_string());
    assert!(names(&layer) && !names(&config), "{}", refused.show());
    server.push_blob("cache", b"layer").await;
    assert_eq!(server.send(put, &type_, index.clone()).await.status, 201);
    assert_eq!(server.get("/v2/cache/manifests/main").await.body, index);
    // What is needed cannot be deleted.
    let delete = format!("DELETE /v2/cache/blobs/{layer}");
    assert_eq!(server.send(&delete, &[], "").await.status, 405);
}

#[tokio::test]
async fn a_plus_in_a_filter_is_a_plus() {
    let server = TestServer::new();
    let subject = server.push_image("app", "v1", b"layer").await;
    let config = server.push_blob("app", b"{}").await;
    for kind in [
        "application/vnd.example.sbom+json",
        "application/vnd.example.sbom",
    ] {
        let more = format!(
            r#","artifactType":"{kind}","subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}}"#
        );
        let manifest = image(&config, 2, &[], &more);
        let reference = Algorithm::Sha256.digest(manifest.as_bytes()).to_string();
        server
            .push_manifest("app", &reference, OCI_MANIFEST, &manifest)
            .await;
    }
    for plus in ["+", "%2B", "%2b"] {
        let filter = format!("artifactType=application/vnd.example.sbom{plus}json");
        let found = server
            .get(&format!("/v2/app/referrers/{subject}?{filter}"))
            .await;
        let found = found.json()["manifests"].as_array().unwrap().clone();
        assert_eq!(found.len(), 1, "{plus}");
        assert_eq!(
            found[0]["artifactType"],
            "application/vnd.example.sbom+json"
        );
    }
}

#[tokio::test]
async fn referrers_with_and_without_a_filter() {
    let server = TestServer::new();
    let subject = server.push_image("app", "v1", b"layer").await;
    let config = server.push_blob("app", b"{}").await;
    let refers = |kind: &str, note: &str| {
        image(
            &config,
            2,
            &[],
            &format!(
                r#","artifactType":"{kind}","annotations":{{"note":"{note}"}},"subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}}"#
            ),
        )
    };
    let put = server
        .send(
            "PUT /v2/app/manifests/sig",
            &[("content-type", OCI_MANIFEST)],
            refers("a/sig", "1"),
        )
        .await;
    assert_eq!(put.header("oci-subject"), subject.to_string());
    server
        .push_manifest("app", "sbom", OCI_MANIFEST, &refers("a/sbom", "2"))
        .await;
    let all = server.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!(all.header("content-type"), OCI_INDEX);
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    let some = server
        .get(&format!(
            "/v2/app/referrers/{subject}?artifactType=a%2Fsbom"
        ))
        .await;
    assert_snapshot!(some.show(), @r#"
    200 OK
    content-length: 291
    content-type: application/vnd.oci.image.index.v1+json
    docker-distribution-api-version: registry/2.0
    oci-filters-applied: artifactType
    x-content-type-options: nosniff
    x-request-id: <id>

    {"manifests":[{"annotations":{"note":"2"},"artifactType":"a/sbom","digest":"sha256:0f152a77c8127d29220a4b78bd0f670466c7c77cd78c4a0e52bf25fa57d7fd54","mediaType":"application/vnd.oci.image.manifest.v1+json","size":458}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}
    "#);
    let first = server
        .get(&format!("/v2/app/referrers/{subject}?n=1"))
        .await;
    let next = first
        .header("link")
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap()
        .to_owned();
    let second = server.get(&next).await;
    assert_eq!(second.json()["manifests"].as_array().unwrap().len(), 1);
    assert_ne!(second.json()["manifests"], first.json()["manifests"]);
    assert_eq!(second.header("link"), "");
    let none = Algorithm::Sha256.digest(b"none");
    assert_snapshot!(server.get(&format!("/v2/nowhere/referrers/{none}")).await.show(), @r#"
    200 OK
    content-length: 88
    content-type: application/vnd.oci.image.index.v1+json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}
    "#);
}

#[tokio::test]
async fn the_referrers_tag_counts_too() {
    let server = TestServer::new();
    let subject = server.push_image("app", "v1", b"layer").await;
    let old = server
        .push_image("app", "old-signature", b"signature")
        .await;
    let size = server
        .get(&format!("/v2/app/manifests/{old}"))
        .await
        .body
        .len();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{old}","size":{size},"artifactType":"a/old"}}]}}"#
    );
    let tag = subject.to_string().replace(':', "-");
    server.push_manifest("app", &tag, OCI_INDEX, &index).await;
    let listed = server
        .get(&format!("/v2/app/referrers/{subject}"))
        .await
        .json();
    assert_eq!(listed["manifests"][0]["digest"], old.to_string());
    assert_eq!(listed["manifests"][0]["artifactType"], "a/old");
    server
        .send(&format!("DELETE /v2/app/manifests/{tag}"), &[], "")
        .await;
    let listed = server
        .get(&format!("/v2/app/referrers/{subject}"))
        .await
        .json();
    assert_eq!(listed["manifests"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_tag_goes_alone_and_a_manifest_takes_its_tags() {
    let server = TestServer::new();
    let digest = server.push_image("app", "a", b"layer").await;
    for tag in ["b", "c"] {
        let bytes = server.get("/v2/app/manifests/a").await.body;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        server.push_manifest("app", tag, OCI_MANIFEST, &text).await;
    }
    assert_eq!(
        server
            .send("DELETE /v2/app/manifests/a", &[], "")
            .await
            .status,
        202
    );
    assert_eq!(
        server
            .send("DELETE /v2/app/manifests/a", &[], "")
            .await
            .code(),
        "MANIFEST_UNKNOWN"
    );
    assert_eq!(
        server
            .get(&format!("/v2/app/manifests/{digest}"))
            .await
            .status,
        200
    );
    let delete = format!("DELETE /v2/app/manifests/{digest}");
    assert_eq!(server.send(&delete, &[], "").await.status, 202);
    assert_eq!(server.get("/v2/app/manifests/b").await.status, 404);
    let tags = server.get("/v2/app/tags/list").await;
    assert_eq!(
        (
            tags.status.as_u16(),
            tags.json()["tags"].to_string().as_str()
        ),
        (200, "[]")
    );
    let history = server.get("/v2/app/_dockhand/tags/b/history").await.json();
    assert_eq!(history["history"][0]["digest"], serde_json::Value::Null);
    assert_eq!(history["history"][1]["digest"], digest.to_string());
}

#[tokio::test]
async fn deleting_and_writing_can_be_switched_off() {
    let kept = TestServer::with(
        Settings {
            delete: false,
            ..Settings::default()
        },
        Options::default(),
    );
    let digest = kept.push_image("app", "a", b"layer").await;
    for reference in ["a".to_owned(), digest.to_string()] {
        let answered = kept
            .send(&format!("DELETE /v2/app/manifests/{reference}"), &[], "")
            .await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (405, "UNSUPPORTED")
        );
    }
    let blob = kept.push_blob("app", b"free").await;
    assert_eq!(
        kept.send(&format!("DELETE /v2/app/blobs/{blob}"), &[], "")
            .await
            .status,
        405
    );
    let frozen = TestServer::with(
        Settings {
            read_only: true,
            ..Settings::default()
        },
        Options::default(),
    );
    for line in [
        "POST /v2/app/blobs/uploads/".to_owned(),
        format!("POST /v2/app/blobs/uploads/?mount={blob}&from=b"),
        format!("POST /v2/app/blobs/uploads/?digest={blob}"),
        "PUT /v2/app/manifests/v1".to_owned(),
        "DELETE /v2/app/manifests/v1".to_owned(),
    ] {
        let answered = frozen
            .send(&line, &[("content-type", OCI_MANIFEST)], "{}")
            .await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (405, "UNSUPPORTED"),
            "{line}"
        );
    }
}
