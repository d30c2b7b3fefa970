//! Failures as registries, and what stands before them, report them.

use dockhand_client::{Client, Connection, ErrorKind, ProxySettings, Store, TlsSettings};
use dockhand_oci::Digest;
use serde_json::json;

use crate::peer::{Answer, Authority, Peer, Script, small_image, tagged};

#[tokio::test]
async fn errors_say_what_the_registry_said() {
    let both = json!({ "errors": [
        { "code": "DENIED", "message": "no" }, { "code": "X_UNKNOWN_CODE", "message": "" },
    ] });
    for (answer, kind, text) in [
        (
            Answer::error(404, "MANIFEST_UNKNOWN"),
            ErrorKind::NotFound,
            "404 Not Found: MANIFEST_UNKNOWN: so it is",
        ),
        (
            Answer::json(403, &both),
            ErrorKind::Denied,
            "403 Forbidden: DENIED: no: X_UNKNOWN_CODE",
        ),
        (Answer::html(404), ErrorKind::NotFound, "404 Not Found"),
        (Answer::new(404), ErrorKind::NotFound, "404 Not Found"),
        (
            Answer::new(400)
                .header("content-type", "text/plain")
                .body("no\r\n\x1b[31msuch\tthing\n"),
            ErrorKind::Refused,
            "400 Bad Request: no [31msuch thing",
        ),
        (Answer::new(418), ErrorKind::Refused, "418 I'm a teapot"),
        (
            Answer::json(409, &json!("just text")),
            ErrorKind::Conflict,
            "409 Conflict: \"just text\"",
        ),
        (
            Answer::json(400, &json!({ "errors": null })),
            ErrorKind::Refused,
            "400 Bad Request",
        ),
        (
            Answer::json(400, &json!({ "errors": ["plain"] })),
            ErrorKind::Refused,
            "400 Bad Request",
        ),
        (
            Answer::error(404, "NAME_UNKNOWN").header("x-request-id", "id-7"),
            ErrorKind::NotFound,
            "404 Not Found: NAME_UNKNOWN: so it is (request id-7)",
        ),
    ] {
        let peer = Peer::start(Script::new().on("GET *", move |_| answer.clone())).await;
        let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let start = format!(
            "cannot get the manifest app:1 at {}: {text}",
            peer.address()
        );
        assert!(
            error.to_string().starts_with(&start),
            "{error} is not {start}"
        );
        assert!(!error.to_string().contains(['\n', '\x1b', '<']), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_registry_is_told_apart() {
    for (answer, fine) in [
        (Answer::json(200, &json!({})), true),
        (Answer::new(200), true),
        (
            Answer::new(200)
                .header("docker-distribution-api-version", "registry/2.0")
                .body("x"),
            true,
        ),
        (Answer::html(200), false),
        (Answer::new(200).body("hello"), false),
    ] {
        let peer = Peer::start(Script::new().on("GET /v2/", move |_| answer.clone())).await;
        match peer.client().ping().await {
            Ok(ping) => assert!(fine, "{ping:?}"),
            Err(error) => {
                assert!(!fine, "{error}");
                assert_eq!(error.kind(), ErrorKind::Protocol);
                assert!(error.to_string().contains("is no registry"), "{error}");
            }
        }
        assert_eq!(peer.lines(), ["GET /v2/"]);
    }
}

#[tokio::test]
async fn a_registry_that_denies_what_is_not_there_can_be_written_to() {
    // Artifactory answers 403 to a tag that does not exist yet.
    let script = Script::new()
        .on("HEAD *", |_| Answer::new(403))
        .on("GET *", |_| Answer::error(403, "DENIED"))
        .on("PUT *", |_| Answer::new(201));
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    assert_eq!(repository.find(&tagged("1")).await.unwrap(), None);
    let error = repository.resolve(&tagged("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let (manifest, ..) = small_image();
    repository
        .put_manifest(&manifest, &["1".parse().unwrap()])
        .await
        .unwrap();
}

#[tokio::test]
async fn registries_that_do_not_delete_say_so() {
    let digest: Digest = small_image().0.digest;
    let peer =
        Peer::start(Script::new().on("DELETE *", |_| Answer::error(405, "UNSUPPORTED"))).await;
    let repository = peer.repository();
    let errors = [
        repository
            .delete_tag(&"1".parse().unwrap())
            .await
            .unwrap_err(),
        repository.delete_blob(&digest).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(peer.count("DELETE *"), 2);
}

fn client(registry: &str, tls: TlsSettings) -> Client {
    let mut connection = Connection::to(registry).unwrap();
    connection.auth = dockhand_client::Auth::Anonymous;
    connection.proxy = ProxySettings::None;
    connection.tls = tls;
    connection.retries.count = 0;
    Client::new(connection).unwrap()
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings {
        authorities: vec![authority.file()],
        ..TlsSettings::default()
    }
}

#[tokio::test]
async fn certificates_are_checked_and_what_is_wrong_is_named() {
    let script = || Script::new().on("GET *", |_| Answer::json(200, &json!({})));
    let good = Authority::new(&["127.0.0.1", "localhost"], false);
    let peer = Peer::start_tls(&good, script()).await;
    let ping = client(&peer.url(), trusting(&good)).ping().await.unwrap();
    assert_eq!(ping.host, peer.address());
    let anything = TlsSettings {
        insecure: true,
        ..TlsSettings::default()
    };
    client(&peer.url(), anything).ping().await.unwrap();

    let (misnamed, expired) = (
        Authority::new(&["other.example"], false),
        Authority::new(&["127.0.0.1"], true),
    );
    let misnamed_peer = Peer::start_tls(&misnamed, script()).await;
    let expired_peer = Peer::start_tls(&expired, script()).await;
    let plain = Peer::start(script()).await;
    let plain_url = plain.url().replace("http:", "https:");
    for (url, tls, text) in [
        (
            peer.url(),
            TlsSettings::default(),
            "not from a known authority",
        ),
        (misnamed_peer.url(), trusting(&misnamed), "for another name"),
        (expired_peer.url(), trusting(&expired), "has expired"),
        (plain_url, TlsSettings::default(), "does not speak TLS"),
    ] {
        let error = client(&url, tls).ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    // A bad certificate is no reason to go on without TLS.
    assert_eq!(misnamed_peer.lines(), [""; 0]);
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_when_it_was_named() {
    let script = || Script::new().on("GET *", |_| Answer::json(200, &json!({})));
    let own = Authority::itself(&["127.0.0.1"]);
    let peer = Peer::start_tls(&own, script()).await;
    client(&peer.url(), trusting(&own)).ping().await.unwrap();
    let other = Authority::itself(&["127.0.0.1"]);
    let misnamed = Authority::itself(&["other.example"]);
    let misnamed_peer = Peer::start_tls(&misnamed, script()).await;
    for (url, tls, text) in [
        // With and without saying that it is TLS.
        (peer.url(), trusting(&other), "made for an authority"),
        (
            peer.address(),
            TlsSettings::default(),
            "made for an authority",
        ),
        (misnamed_peer.url(), trusting(&misnamed), "for another name"),
    ] {
        let error = client(&url, tls).ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    let plain = peer.url().replace("https:", "http:");
    let error = client(&plain, trusting(&own)).ping().await.unwrap_err();
    assert!(error.to_string().contains("without TLS"), "{error}");
}

#[tokio::test]
async fn a_registry_that_never_was_is_given_up_soon() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut connection = Connection::to(&address).unwrap();
    connection.proxy = ProxySettings::None;
    connection.retries.first = std::time::Duration::from_millis(1);
    let error = Client::new(connection).unwrap().ping().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Connect, 2),
        "{error}"
    );
}

#[tokio::test]
async fn a_local_registry_with_tls_is_found_without_saying_so() {
    let authority = Authority::new(&["127.0.0.1"], false);
    let script = Script::new().on("GET *", |_| Answer::json(200, &json!({})));
    let peer = Peer::start_tls(&authority, script).await;
    let client = client(&peer.address(), trusting(&authority));
    client.ping().await.unwrap();
    client.ping().await.unwrap();
    assert_eq!(peer.lines(), ["GET /v2/", "GET /v2/"]);
}

#[tokio::test]
async fn a_connection_that_is_cut_while_tls_is_set_up_is_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cutting = tokio::spawn(async move {
        for cut in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut greeting = vec![0; 4096];
            let read = tokio::io::AsyncReadExt::read(&mut socket, &mut greeting).await;
            assert!(read.unwrap() > 0);
            if cut == 1 {
                return;
            }
        }
    });
    let mut connection = Connection::to(&format!("https://127.0.0.1:{port}")).unwrap();
    connection.auth = dockhand_client::Auth::Anonymous;
    connection.proxy = ProxySettings::None;
    connection.retries.first = std::time::Duration::from_millis(1);
    connection.retries.count = 1;
    let error = Client::new(connection).unwrap().ping().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Connect, 2),
        "{error}"
    );
    cutting.await.unwrap();
}
