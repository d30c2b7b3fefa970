//! Lists: order, pages, links, and what a client may ask for.

use dockhand_registry::Settings;
use dockhand_server::{Addressing, Options};
use insta::assert_snapshot;

use crate::support::{OCI_MANIFEST, TestServer, image};

async fn tagged(server: &TestServer, repo: &str, tags: &[&str]) {
    let config = server.push_blob(repo, b"{}").await;
    let manifest = image(&config, 2, &[], "");
    for tag in tags {
        server
            .push_manifest(repo, tag, OCI_MANIFEST, &manifest)
            .await;
    }
}

fn next(link: &str) -> Option<String> {
    dockhand_oci::Link::parse_next(link).map(str::to_owned)
}

#[tokio::test]
async fn tags_in_the_order_of_their_bytes_at_every_page_size() {
    let server = TestServer::new();
    let tags = [
        "a0", "a", "A", "aa", "a.", "0.1.20", "0.1.2", "_", "a-", "b",
    ];
    tagged(&server, "app", &tags).await;
    let mut sorted = tags;
    sorted.sort_unstable();
    for n in 1..=11 {
        let mut found = Vec::new();
        let mut uri = Some(format!("/v2/app/tags/list?n={n}"));
        while let Some(page) = uri {
            let answered = server.get(&page).await;
            let list = answered.json()["tags"].as_array().unwrap().clone();
            assert!(
                !list.is_empty() && list.len() <= n,
                "a link leads to something"
            );
            found.extend(list.iter().map(|tag| tag.as_str().unwrap().to_owned()));
            uri = next(answered.header("link"));
        }
        assert_eq!(found, sorted, "n={n}");
    }
    let after = server
        .get("/v2/app/tags/list?last=a.zzz-not-there")
        .await
        .json();
    assert_eq!(after["tags"], serde_json::json!(["a0", "aa", "b"]));
}

#[tokio::test]
async fn a_page_and_its_link() {
    let server = TestServer::new();
    tagged(&server, "team/app", &["v1", "v2", "v3"]).await;
    assert_snapshot!(server.get("/v2/team/app/tags/list?n=2").await.show(), @r#"
    200 OK
    content-length: 38
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    link: </v2/team/app/tags/list?last=v2&n=2>; rel="next"
    x-content-type-options: nosniff
    x-request-id: <id>

    {"name":"team/app","tags":["v1","v2"]}
    "#);
    assert_snapshot!(server.get("/v2/team/app/tags/list?n=2&last=v2").await.show(), @r#"
    200 OK
    content-length: 33
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"name":"team/app","tags":["v3"]}
    "#);
    assert_snapshot!(server.get("/v2/team/app/tags/list?n=0").await.show(), @r#"
    200 OK
    content-length: 29
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"name":"team/app","tags":[]}
    "#);
    let unknown = server.get("/v2/nobody/tags/list").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (404, "NAME_UNKNOWN")
    );
}

#[tokio::test]
async fn page_numbers() {
    let server = TestServer::with(
        Settings {
            page_limit: 2,
            ..Settings::default()
        },
        Options::default(),
    );
    tagged(&server, "app", &["a", "b", "c"]).await;
    for (n, count) in [("1", 1), ("2", 2), ("3", 2), ("99999999999999999999999", 2)] {
        let answered = server.get(&format!("/v2/app/tags/list?n={n}")).await;
        assert_eq!(
            answered.json()["tags"].as_array().unwrap().len(),
            count,
            "{n}"
        );
    }
    for n in ["-1", "x", "1.5", "", "%00", "1&n=2"] {
        for path in ["/v2/app/tags/list", "/v2/_catalog"] {
            let answered = server.get(&format!("{path}?n={n}")).await;
            let got = (answered.status.as_u16(), answered.code());
            assert_eq!(
                got,
                (400, "PAGINATION_NUMBER_INVALID".to_owned()),
                "{path} {n}"
            );
        }
    }
}

#[tokio::test]
async fn the_catalog_has_what_has_a_manifest() {
    let server = TestServer::new();
    tagged(&server, "a/b", &["v1"]).await;
    tagged(&server, "a-b", &["v1"]).await;
    tagged(&server, "gone", &["v1"]).await;
    server.begin("only/an/upload").await;
    let digest = server
        .get("/v2/gone/manifests/v1")
        .await
        .header("docker-content-digest")
        .to_owned();
    server
        .send(&format!("DELETE /v2/gone/manifests/{digest}"), &[], "")
        .await;
    assert_snapshot!(server.get("/v2/_catalog").await.show(), @r#"
    200 OK
    content-length: 30
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"repositories":["a-b","a/b"]}
    "#);
    let page = server.get("/v2/_catalog?n=1").await;
    assert_eq!(
        page.header("link"),
        "</v2/_catalog?last=a-b&n=1>; rel=\"next\""
    );
}

#[tokio::test]
async fn below_a_prefix_links_and_locations_have_it() {
    let addressing = Addressing {
        prefix: "/registry".to_owned(),
        ..Addressing::default()
    };
    let options = Options {
        addressing,
        ..Options::default()
    };
    let server = TestServer::with(Settings::default(), options);
    let begun = server
        .send("POST /registry/v2/app/blobs/uploads/", &[], "")
        .await;
    let location = begun.header("location").to_owned();
    assert!(location.starts_with("http://registry.test/registry/v2/app/blobs/uploads/"));
    assert_eq!(server.get(&location).await.header("location"), location);
}

#[tokio::test]
async fn history_of_a_tag_is_paged_newest_first() {
    let server = TestServer::new();
    let mut digests = Vec::new();
    for layer in [b"1", b"2", b"3"] {
        digests.push(server.push_image("app", "v", layer).await.to_string());
    }
    let page = server.get("/v2/app/_dockhand/tags/v/history?n=2").await;
    let events = page.json()["history"].clone();
    assert_eq!(events[0]["digest"], digests[2]);
    assert_eq!(events[0]["previous"], digests[1]);
    let rest = server.get(&next(page.header("link")).unwrap()).await.json();
    assert_eq!(rest["history"][0]["digest"], digests[0]);
    assert_eq!(
        server
            .get("/v2/app/_dockhand/tags/none/history")
            .await
            .status,
        404
    );
}
