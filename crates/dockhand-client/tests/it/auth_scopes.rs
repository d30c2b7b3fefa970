//! What tokens are asked for: the scopes that are needed, and what a registry wants besides.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dockhand_client::{Auth, Client, Credential, CredentialSource, ErrorKind, Origin, Store};
use dockhand_oci::RepoName;
use serde_json::json;

use crate::auth_tokens::{SERVICE, challenge, gives, guarded, pull, scopes};
use crate::peer::{Answer, Peer, Script, Stored, layer};

#[tokio::test]
async fn what_a_registry_wants_besides_is_asked_for_at_once_the_next_time() {
    let service = Script::new().on(SERVICE, |seen| {
        let enough = scopes(seen)
            .iter()
            .any(|scope| scope == "repository:base:pull");
        let token = if enough { "t0ken" } else { "too-little" };
        Answer::json(200, &json!({ "token": token, "expires_in": 600 }))
    });
    let service = Peer::start(service).await;
    let said = challenge(&service, "repository:app:pull repository:base:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    let repository = registry.repository();
    for _ in 0..3 {
        pull(&repository).await.unwrap();
    }
    // One refusal, and no narrower token in between.
    assert_eq!((registry.lines().len(), service.lines().len()), (4, 1));
}

/// Who is asked for credentials, and for which repositories.
#[derive(Debug, Default)]
struct Namespaces(Mutex<Vec<Option<String>>>);

#[async_trait]
impl CredentialSource for Namespaces {
    async fn credential(
        &self,
        _: &str,
        repository: Option<&RepoName>,
    ) -> dockhand_client::Result<Option<Credential>> {
        let repository = repository.map(ToString::to_string);
        self.0.lock().unwrap().push(repository);
        Ok(Some(Credential::Basic("me".to_owned(), "s3cret".into())))
    }
}

fn uploads() -> Script {
    Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT /up/1", |_| Answer::new(201))
}

#[tokio::test]
async fn the_credential_is_that_of_the_repository_that_is_written_to() {
    let service = Peer::start(gives(json!({ "token": "t0ken" }))).await;
    let said = challenge(&service, "repository:app:pull,push repository:aaa:pull");
    let registry = Peer::start(guarded(&[said], uploads())).await;
    let asked = Arc::<Namespaces>::default();
    let repository = registry.repository_as(Auth::Challenge(Arc::clone(&asked) as _));
    let from = Origin {
        host: registry.address(),
        repository: "aaa".parse().unwrap(),
    };
    let (blob, content) = layer(1, 1000);
    repository
        .put_blob(&blob, Arc::new(content), Some(&from))
        .await
        .unwrap();
    assert_eq!(*asked.0.lock().unwrap(), [Some("app".to_owned())]);
}

#[tokio::test]
async fn the_one_scope_is_that_of_the_request_and_not_of_the_one_before() {
    let service = Script::new()
        .when(
            SERVICE,
            |seen| scopes(seen).len() > 1,
            |_| Answer::error(400, "INVALID_SCOPE"),
        )
        .then(gives(json!({ "token": "t0ken" })));
    let service = Peer::start(service).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], uploads())).await;
    let repository = registry.repository_as(Stored::basic("me", "s3cret"));
    pull(&repository).await.unwrap();
    let from = Origin {
        host: registry.address(),
        repository: "aaa".parse().unwrap(),
    };
    let (blob, content) = layer(1, 1000);
    let other = repository.sibling("zzz".parse().unwrap());
    other
        .put_blob(&blob, Arc::new(content), Some(&from))
        .await
        .unwrap();
    let asked: Vec<_> = service.seen().iter().map(scopes).collect();
    assert_eq!(asked[2], ["repository:zzz:pull,push"], "{asked:?}");
}

#[tokio::test]
async fn who_waits_for_a_token_service_in_trouble_does_not_begin_again() {
    let slow = |_: &_| Answer::new(500).after(Duration::from_millis(300));
    let service = Peer::start(Script::new().on(SERVICE, slow)).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    let mut connection = registry.connection();
    connection.retries.count = 1;
    let client = Client::new(connection).unwrap();
    let repository = client.repository("app".parse().unwrap());
    let pulled = futures_util::future::join_all((0..20).map(|_| pull(&repository))).await;
    for error in pulled {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Server);
    }
    // Two tries for all of them, and a few for stragglers; not two for each.
    assert!(service.lines().len() <= 10, "{}", service.lines().len());
}

#[tokio::test]
async fn more_is_asked_for_where_the_scope_is_not_enough() {
    let service = Script::new().on(SERVICE, |seen| {
        let enough = scopes(seen)
            .iter()
            .any(|scope| scope.starts_with("repository:base:"));
        Answer::json(
            200,
            &json!({ "token": if enough { "t0ken" } else { "too-little" } }),
        )
    });
    let service = Peer::start(service).await;
    let first = challenge(&service, "repository:app:pull");
    let more = challenge(&service, "repository:app:pull repository:base:pull");
    let more = format!("{more},error=\"insufficient_scope\"");
    let script = Script::new()
        .once("GET *", move |_| Answer::challenge(&[&first]))
        .then(guarded(&[more], Script::new()));
    let registry = Peer::start(script).await;
    pull(&registry.repository()).await.unwrap();
    let asked: Vec<_> = service.seen().iter().map(scopes).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0], ["repository:app:pull"]);
    assert_eq!(asked[1], ["repository:app:pull", "repository:base:pull"]);
}

#[tokio::test]
async fn a_service_that_takes_one_scope_gets_one() {
    let script = Script::new()
        .when(
            SERVICE,
            |seen| scopes(seen).len() > 1,
            |_| Answer::error(400, "INVALID_SCOPE"),
        )
        .then(gives(json!({ "token": "t0ken" })));
    let service = Peer::start(script).await;
    let said = challenge(&service, "repository:app:pull,push");
    let uploads = Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT /up/1", |_| Answer::new(201));
    let registry = Peer::start(guarded(&[said], uploads)).await;
    let (blob, content) = layer(2, 1000);
    let from = Origin {
        host: registry.address(),
        repository: "base".parse().unwrap(),
    };
    let repository = registry.repository_as(Stored::basic("me", "s3cret"));
    repository
        .put_blob(&blob, Arc::new(content), Some(&from))
        .await
        .unwrap();
    let asked: Vec<_> = service.seen().iter().map(scopes).collect();
    assert_eq!(
        asked[0],
        ["repository:app:pull,push", "repository:base:pull"]
    );
    assert_eq!(asked[1], ["repository:app:pull,push"]);
}
