//! Stored credentials of every kind, as token services take them.

use std::sync::Arc;

use dockhand_client::{Auth, Client, Credential, ErrorKind, Store};
use dockhand_oci::Reference;
use serde_json::json;

use crate::auth_tokens::{SERVICE, challenge, gives, guarded, pull};
use crate::peer::{Answer, Peer, Script, Stored, Watch, small_image};

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let script = Script::new().on("POST /token", |_| {
        Answer::json(200, &json!({ "access_token": "t0ken" }))
    });
    let service = Peer::start(script).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    pull(&registry.repository_as(Stored::identity("1dentity")))
        .await
        .unwrap();
    let post = &service.seen()[0];
    for (name, value) in [
        ("grant_type", "refresh_token"),
        ("refresh_token", "1dentity"),
        ("service", "reg"),
        ("scope", "repository:app:pull"),
        ("client_id", "dockhand"),
    ] {
        assert_eq!(post.parameter(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        (post.target.as_str(), post.header("authorization")),
        ("/token", None)
    );
    assert!(!registry.everything().contains("1dentity"));

    // A service without the exchange.
    for status in [404, 405] {
        let script = gives(json!({ "token": "t0ken" })).on("POST *", move |_| Answer::new(status));
        let service = Peer::start(script).await;
        let said = challenge(&service, "repository:app:pull");
        let registry = Peer::start(guarded(&[said], Script::new())).await;
        pull(&registry.repository_as(Stored::identity("1dentity")))
            .await
            .unwrap();
        let methods: Vec<_> = service
            .seen()
            .iter()
            .map(|seen| seen.method.clone())
            .collect();
        assert_eq!(methods, ["POST", "GET"]);
        assert_eq!(
            service.seen()[1].basic().as_deref(),
            Some("<token>:1dentity")
        );
    }
}

#[tokio::test]
async fn a_credential_that_expired_keeps_nobody_from_what_is_public() {
    for status in [400, 401, 403] {
        let script = Script::new()
            .when(
                SERVICE,
                |seen| seen.basic().is_some(),
                move |_| Answer::error(status, "DENIED"),
            )
            .then(gives(json!({ "token": "t0ken" })));
        let service = Peer::start(script).await;
        let said = challenge(&service, "repository:app:pull");
        let registry = Peer::start(guarded(&[said], Script::new())).await;
        let mut connection = registry.connection();
        connection.auth = Stored::basic("me", "3xpired");
        let watch = Arc::<Watch>::default();
        let client = Client::with_observer(connection, Arc::clone(&watch) as _).unwrap();
        let repository = client.repository("app".parse().unwrap());
        pull(&repository).await.unwrap();
        pull(&repository).await.unwrap();
        let shown: Vec<_> = service
            .seen()
            .iter()
            .map(|seen| seen.basic().is_some())
            .collect();
        assert_eq!(shown, [true, false], "{status}");
        let warnings = watch.warnings();
        assert_eq!(warnings.len(), 1, "{status}: {warnings:?}");
        assert!(warnings[0].contains("refused"), "{warnings:?}");

        // Whoever wants to write is told, and not made anonymous.
        let (manifest, ..) = small_image();
        let error = repository
            .put_manifest(&manifest, &["1".parse().unwrap()])
            .await
            .unwrap_err();
        let expected = [
            ErrorKind::Refused,
            ErrorKind::Unauthorized,
            ErrorKind::Denied,
        ];
        assert!(expected.contains(&error.kind()), "{error}");
        assert!(
            service.seen()[2..]
                .iter()
                .all(|seen| seen.basic().is_some())
        );
    }
}

#[tokio::test]
async fn a_registry_token_goes_to_the_registry_as_it_is() {
    let service = Peer::start(Script::new()).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    let stored = Stored::new(Credential::Registry("t0ken".into()));
    let repository = registry.repository_as(Auth::Challenge(stored));
    let digest = small_image().0.digest;
    repository
        .manifest(&Reference::Digest(digest))
        .await
        .unwrap();
    assert_eq!(service.lines(), [""; 0]);
}
