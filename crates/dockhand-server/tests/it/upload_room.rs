//! Room for uploads: who begins many that nobody finishes locks nobody out.

use dockhand_oci::Algorithm;
use dockhand_registry::Settings;
use dockhand_registry::metadata::UploadLimits;
use dockhand_server::{Addressing, Options};
use insta::assert_snapshot;

use crate::support::{Answered, TestServer};

/// A server with room for so many uploads, half of it for one client, behind a proxy that it trusts.
fn server(room: u32) -> TestServer {
    let settings = Settings {
        uploads: UploadLimits {
            per_client: room / 2,
            per_repository: room,
            in_all: room,
        },
        ..Settings::default()
    };
    let addressing = Addressing {
        trusted_proxies: vec!["192.0.2.1".parse().unwrap()],
        ..Addressing::default()
    };
    let options = Options {
        addressing,
        ..Options::default()
    };
    TestServer::with(settings, options)
}

async fn begin(server: &TestServer, client: &str, query: &str) -> Answered {
    let line = format!("POST /v2/app/blobs/uploads/{query}");
    server.send(&line, &[("x-forwarded-for", client)], "").await
}

/// Begins an upload and gives it a byte.
async fn begin_and_append(server: &TestServer, client: &str) -> Answered {
    let begun = begin(server, client, "").await;
    if begun.status != 202 {
        return begun;
    }
    let patch = format!("PATCH {}", begun.header("location"));
    server.send(&patch, &[], "x").await
}

#[tokio::test]
async fn a_client_that_floods_locks_nobody_out() {
    let server = server(20);
    let before = begin(&server, "192.0.2.8", "").await;
    for _ in 0..200 {
        for client in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
            assert_eq!(begin(&server, client, "").await.status, 202);
        }
    }
    // What another client had begun is still there, and it can begin more.
    let patch = format!("PATCH {}", before.header("location"));
    assert_eq!(server.send(&patch, &[], "x").await.status, 202);
    let unknown = Algorithm::Sha256.digest(b"nobody has this");
    let mount = format!("?mount={unknown}&from=other");
    assert_eq!(begin(&server, "192.0.2.9", &mount).await.status, 202);
    assert_eq!(begin(&server, "192.0.2.9", "").await.status, 202);
}

#[tokio::test]
async fn the_room_of_a_client_with_bytes_is_bounded() {
    let server = server(20);
    for _ in 0..10 {
        let begun = begin_and_append(&server, "203.0.113.1").await;
        assert_eq!(begun.status, 202);
    }
    assert_snapshot!(begin(&server, "203.0.113.1", "").await.show(), @r#"
    429 Too Many Requests
    content-length: 146
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    retry-after: 5
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"TOOMANYREQUESTS","message":"too many uploads are open by this client; finish or cancel some, or wait until old ones expire"}]}
    "#);
    for client in 0..10 {
        let client = format!("192.0.2.{client}");
        let begun = begin_and_append(&server, &client).await;
        assert_eq!(begun.status, 202, "{client}");
    }
    let full = begin(&server, "198.51.100.1", "").await;
    assert_eq!(
        (full.status.as_u16(), full.code().as_str()),
        (429, "TOOMANYREQUESTS")
    );
}

#[tokio::test]
async fn an_upload_that_gave_way_is_unknown() {
    let server = server(2);
    let first = begin(&server, "192.0.2.7", "").await;
    let second = begin(&server, "192.0.2.7", "").await;
    let get = async |begun: &Answered| server.get(begun.header("location")).await.status.as_u16();
    assert_eq!((get(&first).await, get(&second).await), (404, 204));
}
