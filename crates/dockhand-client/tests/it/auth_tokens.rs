//! Signing in with tokens, as registries and their token services do it.

use std::sync::Arc;

use dockhand_client::{Auth, Credential, ErrorKind, Repository, Store};
use serde_json::{Value, json};

use crate::peer::{Answer, Peer, Script, Seen, Stored, layer, send, small_image, tagged};

pub(crate) const SERVICE: &str = "GET /token";

/// A service that gives the token `t0ken` to anybody.
pub(crate) fn gives(answer: Value) -> Script {
    Script::new().on(SERVICE, move |_| Answer::json(200, &answer))
}

pub(crate) fn challenge(service: &Peer, scope: &str) -> String {
    let realm = format!("{}/token", service.url());
    format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"{scope}\"")
}

/// Rules that refuse whoever does not show `t0ken`.
pub(crate) fn guarded(challenges: &[String], then: Script) -> Script {
    let challenges = challenges.to_vec();
    let (manifest, ..) = small_image();
    Script::new()
        .when(
            "* /*",
            |seen| seen.header("authorization") != Some("Bearer t0ken"),
            move |_| {
                let challenges: Vec<&str> = challenges.iter().map(String::as_str).collect();
                Answer::challenge(&challenges)
            },
        )
        .then(then)
        .on("GET /v2/app/manifests/*", move |_| {
            Answer::manifest(&manifest)
        })
}

pub(crate) fn scopes(seen: &Seen) -> Vec<String> {
    let found = seen.parameters().into_iter();
    found
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value)
        .collect()
}

pub(crate) async fn pull(repository: &Repository) -> dockhand_client::Result<()> {
    repository.manifest(&tagged("1")).await.map(drop)
}

#[tokio::test]
async fn a_token_is_fetched_when_asked_for_and_used_again() {
    for answer in [
        json!({ "token": "t0ken" }),
        json!({ "access_token": "t0ken" }),
        json!({ "token": "t0ken", "access_token": "t0ken", "expires_in": 300 }),
        json!({ "token": "", "access_token": "t0ken", "expires_in": null }),
        // Shorter than it takes to use it.
        json!({ "token": "t0ken", "expires_in": 1, "issued_at": "2001-01-01T00:00:00Z" }),
        json!({ "token": "t0ken", "expires_in": -5, "refresh_token": "x" }),
        json!({ "token": "t0ken", "expires_in": 1e300 }),
    ] {
        let service = Peer::start(gives(answer.clone())).await;
        let said = challenge(&service, "repository:app:pull");
        let registry = Peer::start(guarded(&[said], Script::new())).await;
        let repository = registry.repository();
        for _ in 0..3 {
            pull(&repository).await.unwrap();
        }
        assert_eq!(
            service.lines(),
            ["GET /token?service=reg&scope=repository%3Aapp%3Apull"],
            "{answer}"
        );
        assert_eq!(service.seen()[0].header("authorization"), None);
        // One refusal, its repetition, and two more with the token at once.
        assert_eq!(registry.lines().len(), 4, "{answer}");
    }
}

#[tokio::test]
async fn many_requests_at_once_share_a_token() {
    let service = Peer::start(gives(json!({ "token": "t0ken", "expires_in": 300 }))).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    let repository = registry.repository();
    futures_util::future::try_join_all((0..20).map(|_| pull(&repository)))
        .await
        .unwrap();
    assert_eq!(service.lines().len(), 1);
}

#[tokio::test]
async fn challenges_come_in_many_forms() {
    let service = Peer::start(gives(json!({ "token": "t0ken" }))).await;
    let bearer = challenge(&service, "repository:app:pull");
    let realm = format!("{}/token", service.url());
    for challenges in [
        vec!["Basic realm=\"a, b\"".to_owned(), bearer.clone()],
        vec![format!("Basic realm=\"x\", {bearer}")],
        vec![format!("Negotiate, {bearer}, Basic realm=\"x\"")],
        vec![format!("bearer REALM={realm} , Service=reg")],
        // Without a scope, or with one of something else, what is needed is asked for.
        vec![format!(
            "Bearer realm=\"{realm}\",service=\"reg\",scope=\"\""
        )],
    ] {
        let before = service.lines().len();
        let registry = Peer::start(guarded(&challenges, Script::new())).await;
        pull(&registry.repository_as(Stored::basic("me", "s3cret")))
            .await
            .unwrap();
        let asked = &service.seen()[before..];
        assert_eq!(asked.len(), 1, "{challenges:?}");
        assert_eq!(asked[0].basic().as_deref(), Some("me:s3cret"));
        assert_eq!(scopes(&asked[0]), ["repository:app:pull"], "{challenges:?}");
        assert!(
            !registry.everything().contains("Basic "),
            "the password went to the registry"
        );
    }
}

#[tokio::test]
async fn basic_is_shown_where_it_is_asked_for_and_not_before() {
    let (manifest, ..) = small_image();
    let script = Script::new()
        .when(
            "* /*",
            |seen| seen.basic().as_deref() != Some("me:pass:word"),
            |_| Answer::challenge(&["Basic realm=\"x\""]),
        )
        .on("GET *", move |_| Answer::manifest(&manifest));
    let registry = Peer::start(script).await;
    let stored = Stored::new(Credential::Basic("me".to_owned(), "pass:word".into()));
    let repository = registry.repository_as(Auth::Challenge(Arc::clone(&stored) as _));
    pull(&repository).await.unwrap();
    pull(&repository).await.unwrap();
    let shown: Vec<_> = registry
        .seen()
        .iter()
        .map(|seen| seen.basic().is_some())
        .collect();
    assert_eq!(shown, [false, true, true]);
    assert_eq!(*stored.asked.lock().unwrap(), [registry.address()]);

    let (manifest, ..) = small_image();
    let open = Peer::start(Script::new().on("GET *", move |_| Answer::manifest(&manifest))).await;
    let stored = Stored::new(Credential::Basic("me".to_owned(), "pass:word".into()));
    pull(&open.repository_as(Auth::Challenge(Arc::clone(&stored) as _)))
        .await
        .unwrap();
    assert_eq!(
        *stored.asked.lock().unwrap(),
        [""; 0],
        "nobody asked for credentials"
    );
}

#[tokio::test]
async fn a_refusal_is_answered_once() {
    let service = Peer::start(gives(json!({ "token": "t0ken" }))).await;
    let said = challenge(&service, "repository:app:pull");
    for auth in [
        Auth::Anonymous,
        Stored::basic("me", "s3cret"),
        Auth::Bearer("wr0ng".into()),
        Auth::Basic("me".to_owned(), "s3cret".into()),
    ] {
        let said = said.clone();
        let refuses = Script::new().on("* /*", move |_| Answer::challenge(&[&said]));
        let registry = Peer::start(refuses).await;
        let error = pull(&registry.repository_as(auth.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(error.hint().is_some(), "{error}");
        let most = if matches!(auth, Auth::Anonymous | Auth::Challenge(_)) {
            2
        } else {
            1
        };
        assert!(
            registry.lines().len() <= most,
            "{auth:?}: {:?}",
            registry.authorizations()
        );
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced() {
    let script = Script::new()
        .once(SERVICE, |_| {
            Answer::json(200, &json!({ "token": "old", "expires_in": 3600 }))
        })
        .then(gives(json!({ "token": "t0ken", "expires_in": 3600 })));
    let service = Peer::start(script).await;
    let said = challenge(&service, "repository:app:pull");
    let (manifest, ..) = small_image();
    // The old one is good for a single pull.
    let refused = challenge(&service, "repository:app:pull");
    let takes_old = Script::new()
        .once("GET *", move |_| Answer::challenge(&[&refused]))
        .once("GET *", move |_| Answer::manifest(&manifest));
    let registry = Peer::start(takes_old.then(guarded(&[said], Script::new()))).await;
    let repository = registry.repository();
    pull(&repository).await.unwrap();
    pull(&repository).await.unwrap();
    assert_eq!((registry.lines().len(), service.lines().len()), (4, 2));
}

#[tokio::test]
async fn a_body_is_sent_again_after_signing_in() {
    let service = Peer::start(gives(json!({ "token": "t0ken" }))).await;
    let said = challenge(&service, "repository:app:pull,push");
    let (blob, content) = layer(1, 300_000);
    // The token runs out between the beginning of an upload and its end.
    let again = said.clone();
    let script = Script::new()
        .once("PUT /up/1", move |_| Answer::challenge(&[&again]))
        .then(guarded(&[said], Script::new()))
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT /up/1", |_| Answer::new(201));
    let registry = Peer::start(script).await;
    let sent = send(&registry.repository(), &blob, &content).await;
    // The service gives the same token again, which was just refused: that is no use.
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Unauthorized);

    let service = Script::new()
        .once(SERVICE, |_| {
            Answer::json(200, &json!({ "token": "first", "expires_in": 600 }))
        })
        .on(SERVICE, |_| {
            Answer::json(200, &json!({ "token": "t0ken", "expires_in": 600 }))
        });
    let service = Peer::start(service).await;
    let said = challenge(&service, "repository:app:pull,push");
    let script = Script::new()
        .when(
            "POST *",
            |seen| seen.header("authorization").is_some(),
            |_| Answer::accepted("/up/1"),
        )
        .then(guarded(&[said], Script::new()))
        .on("PUT /up/1", |_| Answer::new(201));
    let registry = Peer::start(script).await;
    send(&registry.repository(), &blob, &content).await.unwrap();
    let puts = registry.matching("PUT /up/1");
    assert_eq!(puts.len(), 2);
    assert!(puts[1].body == content);
}

#[tokio::test]
async fn a_token_service_in_trouble_is_tried_again_and_named() {
    let script = Script::new()
        .once(SERVICE, |_| Answer::new(503))
        .once(SERVICE, |_| Answer::none())
        .once(SERVICE, |_| {
            Answer::json(200, &json!({ "token": "t0ken" })).cut_after(5)
        })
        .then(gives(json!({ "token": "t0ken" })));
    let service = Peer::start(script).await;
    let said = challenge(&service, "repository:app:pull");
    let registry = Peer::start(guarded(&[said], Script::new())).await;
    pull(&registry.repository()).await.unwrap();
    assert_eq!((service.lines().len(), registry.lines().len()), (4, 2));

    for (answer, kind) in [
        (Answer::html(200), ErrorKind::Protocol),
        (
            Answer::json(200, &json!({ "t0ken": "x" })),
            ErrorKind::Protocol,
        ),
        (
            Answer::json(200, &json!({ "token": "bro\nken" })),
            ErrorKind::Config,
        ),
        (
            Answer::new(200).body(vec![b' '; 65_536]).endless(),
            ErrorKind::SizeMismatch,
        ),
        (Answer::new(500), ErrorKind::Server),
        (Answer::error(401, "UNAUTHORIZED"), ErrorKind::Unauthorized),
    ] {
        let service = Peer::start(Script::new().on(SERVICE, move |_| answer.clone())).await;
        let said = challenge(&service, "repository:app:pull");
        let registry = Peer::start(guarded(&[said], Script::new())).await;
        let error = pull(&registry.repository()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(registry.lines().len(), 1);
        assert!(
            service.lines().len() <= 6,
            "{error}: {}",
            service.lines().len()
        );
    }
}
