//! Credentials go where they belong and nowhere else: to no other host, into no error, into no log.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use dockhand_client::{
    Auth, Client, Connection, ErrorKind, ProxySettings, Store, TlsSettings, copy,
};
use http::HeaderValue;
use serde_json::json;

use crate::peer::{
    Answer, Authority, Peer, Script, Stored, Watch, fetch, layer, send, small_image, tagged,
};

/// A realm that credentials must not be shown to.
#[tokio::test]
async fn a_realm_that_gives_up_tls_or_leads_inside_gets_nothing() {
    let service = Peer::start(Script::new()).await;
    let authority = Authority::new(&["127.0.0.1"], false);
    for realm in [
        // TLS is not given up on the way to another host.
        service.other_url(),
        "http://169.254.169.254/latest".to_owned(),
        "https://[fe80::1]/token".to_owned(),
        "ftp://127.0.0.1/token".to_owned(),
    ] {
        let said = format!("Bearer realm=\"{realm}/token\"");
        let script = Script::new().on("* /*", move |_| Answer::challenge(&[&said]));
        let registry = Peer::start_tls(&authority, script).await;
        let mut connection = registry.connection();
        connection.auth = Stored::basic("me", "s3cret");
        connection.tls = TlsSettings {
            authorities: vec![authority.file()],
            ..TlsSettings::default()
        };
        connection.retries.count = 0;
        let repository = Client::new(connection)
            .unwrap()
            .repository("app".parse().unwrap());
        let error = repository.manifest(&tagged("1")).await.unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert_eq!(service.lines(), [""; 0], "{realm}");
        assert_eq!(registry.lines().len(), 1);
        assert!(!registry.everything().contains("authorization"));
    }
}

#[tokio::test]
async fn who_is_not_the_registry_cannot_ask_for_credentials() {
    // A storage that a redirect leads to, and an upload location on another host, ask for a password.
    let thief = Peer::start(Script::new()).await;
    let said = format!("Bearer realm=\"{}/token\",service=\"s\"", thief.url());
    let storage = Script::new().on("* /*", move |_| {
        Answer::challenge(&[&said, "Basic realm=\"x\""])
    });
    let storage = Peer::start(storage).await;
    let (bucket, place) = (
        format!("{}/bucket", storage.url()),
        format!("{}/up", storage.url()),
    );
    let script = Script::new()
        .on("GET *", move |_| Answer::to(307, &bucket))
        .on("POST *", move |_| Answer::accepted(&place));
    let registry = Peer::start(script).await;
    let (blob, content) = layer(1, 1000);
    for auth in [
        Stored::basic("me", "s3cret"),
        Stored::identity("s3cret"),
        Auth::Basic("me".to_owned(), "s3cret".into()),
        Auth::Bearer("s3cret".into()),
        Auth::ApiKey(None, "s3cret".into()),
    ] {
        let repository = registry.repository_as(auth);
        let error = fetch(&repository, &blob).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        let error = send(&repository, &blob, &content).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    }
    assert_eq!(thief.lines(), [""; 0]);
    assert!(
        storage
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_token_service_that_redirects_takes_no_password_along() {
    let thief = Peer::start(Script::new()).await;
    let target = format!("{}/token", thief.url());
    let service = Script::new().on("* /token", move |_| Answer::to(307, &target));
    let service = Peer::start(service).await;
    let said = format!("Bearer realm=\"{}/token\",service=\"s\"", service.url());
    let registry =
        Peer::start(Script::new().on("* /*", move |_| Answer::challenge(&[&said]))).await;
    for auth in [Stored::basic("me", "s3cret"), Stored::identity("s3cret")] {
        let repository = registry.repository_as(auth);
        repository.manifest(&tagged("1")).await.unwrap_err();
    }
    assert!(!thief.everything().contains("authorization"));
    assert!(!thief.everything().contains("s3cret"));
}

#[tokio::test]
async fn a_copy_tells_neither_registry_of_the_other() {
    let (manifest, blob, content) = small_image();
    let (served, bytes) = (manifest.clone(), content.clone());
    let source = Script::new()
        .on("GET /v2/app/manifests/*", move |_| {
            Answer::manifest(&served)
        })
        .on("GET /v2/app/blobs/*", move |_| {
            Answer::new(200).body(bytes.clone())
        });
    let target = Script::new()
        .on("POST *", |_| Answer::accepted("/up/1"))
        .on("PUT *", |_| Answer::new(201));
    let (source, target) = (Peer::start(source).await, Peer::start(target).await);
    let from: Arc<dyn Store> = Arc::new(source.repository_as(Auth::Bearer("for-source".into())));
    let to: Arc<dyn Store> = Arc::new(target.repository_as(Auth::Bearer("for-target".into())));
    let tags = ["1".parse().unwrap()];
    let options = copy::CopyOptions::default();
    copy::copy(&from, &tagged("1"), &to, &tags, &options)
        .await
        .unwrap();
    assert!(target.matching("PUT /up/1")[0].body == content);
    assert!(!source.everything().contains("for-target"));
    assert!(!target.everything().contains("for-source"));
    let only = |peer: &Peer, token: &str| {
        let seen = peer.authorizations();
        assert_eq!(
            seen.keys().collect::<Vec<_>>(),
            [&Some(format!("Bearer {token}"))]
        );
    };
    only(&source, "for-source");
    only(&target, "for-target");
    assert_eq!(blob.size, content.len() as u64);
}

/// All that is logged, down to the traces of every library.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The texts that must not be seen, each of another kind.
const SECRETS: [&str; 7] = [
    "canary-password",
    "canary-token",
    "canary-identity",
    "canary-header",
    "canary-signature",
    "canary-proxy",
    "canary-session",
];

/// An error with its causes, in every form in which it may be printed.
fn printed(error: &dockhand_client::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        write!(text, " {found} {found:?}").unwrap();
        cause = found.source();
    }
    text
}

#[tokio::test]
async fn no_error_and_no_log_shows_a_credential() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, what other tests log first in threads of their own stays switched off.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    // Everything is answered, and then fails in each of these ways.
    let service = Script::new().on("* /token", |_| {
        Answer::json(
            200,
            &json!({ "token": "canary-token", "access_token": "canary-token" }),
        )
    });
    let service = Peer::start(service).await;
    let mut said = String::new();
    for answer in [
        Answer::none(),
        Answer::html(500),
        Answer::error(403, "DENIED"),
        Answer::to(
            307,
            "http://127.0.0.1:1/bucket?X-Amz-Signature=canary-signature",
        ),
        Answer::to(
            307,
            "http://me:canary-password@169.254.169.254/?sig=canary-signature",
        ),
        Answer::to(307, "/round?sig=canary-signature"),
        Answer::new(200).body("x"),
        Answer::new(200)
            .header("content-length", "5000")
            .body("x")
            .cut_after(1),
    ] {
        let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", service.url());
        let script = Script::new()
            .when(
                "* /*",
                |seen| seen.header("authorization").is_none(),
                move |_| Answer::challenge(&[&challenge]),
            )
            .on("POST *", |_| {
                Answer::accepted("/up/1?_state=canary-session")
            })
            .on("* /*", move |_| answer.clone());
        let registry = Peer::start(script).await;
        for auth in [
            Stored::basic("me", "canary-password"),
            Stored::identity("canary-identity"),
            Auth::Bearer("canary-token".into()),
            Auth::ApiKey(Some("me".to_owned()), "canary-password".into()),
        ] {
            let mut connection = registry.connection();
            connection.auth = auth;
            connection
                .headers
                .insert("x-key", HeaderValue::from_static("canary-header"));
            connection.retries.count = 1;
            let watch = Arc::<Watch>::default();
            let client = Client::with_observer(connection, Arc::clone(&watch) as _).unwrap();
            let repository = client.repository("app".parse().unwrap());
            let (blob, content) = layer(1, 2000);
            let (manifest, ..) = small_image();
            let tags = ["1".parse().unwrap()];
            let errors = [
                fetch(&repository, &blob).await.err(),
                send(&repository, &blob, &content).await.err(),
                repository.tags().await.err(),
                repository.put_manifest(&manifest, &tags).await.err(),
                repository.resolve(&tagged("1")).await.err(),
            ];
            for error in errors.iter().flatten() {
                said.push_str(&printed(error));
            }
            write!(said, "{client:?} {repository:?} {:?}", client.connection()).unwrap();
            write!(said, "{:?}", repository.begin_upload().await).unwrap();
            write!(said, "{:?}", watch.events()).unwrap();
        }
        assert!(
            registry.everything().contains("canary-token"),
            "the test is in vain"
        );
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("dockhand_client::http"),
        "nothing was logged"
    );
    for secret in SECRETS {
        let coded = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
        for (name, text) in [("an error", &said), ("the log", &logged)] {
            for form in [secret, &coded] {
                let at = text.find(form).map(|at| &text[at.saturating_sub(300)..at]);
                assert_eq!(at, None, "{name} shows {secret}");
            }
        }
    }
}

#[tokio::test]
async fn settings_print_without_what_is_secret_in_them() {
    let mut connection = Connection::to("registry.example").unwrap();
    connection.proxy = ProxySettings::Url("http://me:canary-proxy@proxy.example:3128".to_owned());
    let value = HeaderValue::from_static("canary-header");
    connection.headers.insert("authorization", value);
    for auth in [
        Auth::Basic("me".to_owned(), "canary-password".into()),
        Auth::Bearer("canary-token".into()),
        Stored::identity("canary-identity"),
    ] {
        connection.auth = auth;
        let text = format!("{connection:?} {connection:#?}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("registry.example"), "{text}");
    }
    connection.proxy = ProxySettings::Url("not a url canary-proxy".to_owned());
    let error = Client::new(connection).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        !printed(&error).contains("canary-proxy"),
        "{}",
        printed(&error)
    );
}

#[tokio::test]
async fn what_a_registry_repeats_of_a_credential_is_not_shown() {
    // The whole header, the token alone, the password in words, in each place that a message is made of.
    let repeat = |seen: &crate::peer::Seen| {
        let header = seen.header("authorization").unwrap_or_default().to_owned();
        let bare = header.split(' ').next_back().unwrap_or_default().to_owned();
        let pair = seen.basic_or_nothing();
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        format!(
            "you sent {header} ({bare}) {pair} {form} {:?}",
            seen.header("x-key")
        )
    };
    let bodies: [fn(String) -> Answer; 4] = [
        |said| {
            let error = json!({ "code": said, "message": said, "detail": [{ "it": said }] });
            Answer::json(403, &json!({ "errors": [error] }))
        },
        |said| {
            Answer::new(403)
                .header("content-type", "text/plain")
                .body(said)
        },
        |said| Answer::new(403).header("x-request-id", &said),
        |said| Answer::to(307, &format!("ftp://host/{said}")),
    ];
    let mut said = String::new();
    for body in bodies {
        let refuse = move |seen: &crate::peer::Seen| body(repeat(seen));
        let service = Peer::start(Script::new().on("* /token", refuse)).await;
        let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", service.url());
        let asking = Script::new().on("* /*", move |_| Answer::challenge(&[&challenge]));
        let asking = Peer::start(asking).await;
        let registry = Peer::start(Script::new().on("* /*", refuse)).await;
        let mut tried = vec![
            (&asking, Stored::basic("me", "canary-password")),
            (&asking, Stored::identity("canary-identity")),
        ];
        for auth in [
            Auth::Basic("me".to_owned(), "canary-password".into()),
            Auth::Bearer("canary-token".into()),
        ] {
            tried.push((&registry, auth));
        }
        for (peer, auth) in tried {
            let mut connection = peer.connection();
            connection.auth = auth;
            connection
                .headers
                .insert("x-key", HeaderValue::from_static("canary-header"));
            let watch = Arc::<Watch>::default();
            let client = Client::with_observer(connection, Arc::clone(&watch) as _).unwrap();
            let repository = client.repository("app".parse().unwrap());
            let error = repository.manifest(&tagged("1")).await.unwrap_err();
            said.push_str(&printed(&error));
            write!(said, "{:?} {:?}", error.errors(), watch.events()).unwrap();
        }
        assert!(registry.everything().contains("canary-token"));
        assert!(service.everything().contains("canary-identity"));
    }
    assert!(said.contains("you sent"), "the test is in vain");
    for secret in SECRETS {
        let coded = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
        for form in [secret, &coded] {
            let at = said.find(form).map(|at| &said[at.saturating_sub(300)..at]);
            assert_eq!(at, None, "{secret} is shown");
        }
    }
}
