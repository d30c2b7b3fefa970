//! How a registry is reached: through proxies, with client certificates, how patiently, how much of it is
//! logged.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockhand_client::connections::Connections;
use dockhand_client::credentials::Environment;
use dockhand_client::{Auth, Client, Connection, Driver, ErrorKind, ProxySettings};
use serde_json::json;
use tracing::level_filters::LevelFilter;

use crate::peer::{Answer, Authority, Peer, Script};

fn registry() -> Script {
    Script::new().on("GET *", |_| {
        Answer::json(200, &json!({})).header("docker-distribution-api-version", "registry/2.0")
    })
}

#[tokio::test]
async fn a_proxy_is_asked_instead() {
    let proxy = Peer::start(registry()).await;
    let mut connection = Connection::to("http://registry.invalid").unwrap();
    connection.auth = Auth::Anonymous;
    connection.retries.count = 0;
    connection.proxy = ProxySettings::Url(proxy.url().replace("//", "//me:secret@"));
    let ping = Client::new(connection).unwrap().ping().await.unwrap();
    assert_eq!(ping.host, "registry.invalid");
    let asked = &proxy.seen()[0];
    assert_eq!(asked.target, "http://registry.invalid/v2/");
    assert_eq!(asked.header("host"), Some("registry.invalid"));
    let shown = asked.header("proxy-authorization");
    assert_eq!(shown, Some("Basic bWU6c2VjcmV0"));
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new(&["127.0.0.1"], false);
    let peer = Peer::start_mutual_tls(&authority, registry()).await;
    let mut connection = peer.connection();
    connection.retries.count = 0;
    connection.tls.authorities = vec![authority.file()];
    let refused = Client::new(connection.clone()).unwrap().ping().await;
    let kind = refused.unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::Tls | ErrorKind::Connect),
        "{kind:?}"
    );
    connection.tls.identity = Some(authority.identity());
    let ping = Client::new(connection).unwrap().ping().await.unwrap();
    assert_eq!(ping.api_version.as_deref(), Some("registry/2.0"));
}

#[tokio::test]
async fn patience_is_a_setting() {
    let peer = Peer::start(Script::new().on("GET *", |_| Answer::silent())).await;
    let mut connection = peer.connection();
    connection.retries.count = 0;
    connection.timeouts.connect = Duration::from_millis(50);
    connection.timeouts.answer = Duration::from_millis(50);
    let error = Client::new(connection).unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(peer.seen().len(), 1);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_connection_logs_as_much_as_it_is_to() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, what other tests log first in threads of their own stays switched off.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let peer = Peer::start(registry()).await;
    for (sub, level) in [
        ("quiet", LevelFilter::OFF),
        ("calm", LevelFilter::INFO),
        ("loud", LevelFilter::DEBUG),
    ] {
        let mut connection = Connection::to(&format!("{}/{sub}", peer.url())).unwrap();
        connection.auth = Auth::Bearer("canary".into());
        connection.proxy = ProxySettings::None;
        connection.logging = level;
        Client::new(connection).unwrap().ping().await.unwrap();
    }
    let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let of_client = told.lines().filter(|line| line.contains("path="));
    let lines: Vec<&str> = of_client.collect();
    assert_eq!(lines.len(), 1, "{told}");
    for word in ["method=GET", "/loud", "status=200", "took="] {
        assert!(lines[0].contains(word), "{word}: {lines:?}");
    }
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn connections_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dockhand.toml");
    let text = "[client]\ndefault = 'b'\n\
        [connections.a]\nbase-uri = 'https://a.example'\nlogging = { level = 'info' }\n\
        [connections.b]\nbase-uri = 'https://b.example/sub/v2/'\ndriver = 'zot'\n";
    std::fs::write(&file, text).unwrap();
    let load = |variables: &[(&str, &str)]| {
        let environment = Environment::new(variables.iter().copied());
        Connections::load(Some(&file), &environment).unwrap()
    };
    let connections = load(&[]);
    let names: Vec<&str> = connections.names().collect();
    assert_eq!(
        (names, connections.default_name()),
        (vec!["a", "b"], Some("b"))
    );
    assert_eq!(connections.logging(), Some(LevelFilter::INFO));
    assert!(connections.variables().is_empty());
    let (a, b) = (connections.get("a").unwrap(), connections.get("b").unwrap());
    assert_eq!((a.logging, b.logging), (Some(LevelFilter::INFO), None));
    assert_eq!(
        (b.driver, b.connection.base.host().as_str()),
        (Driver::Zot, "b.example")
    );
    let variables = [
        ("DOCKHAND_CONNECTION", "a"),
        ("DOCKHAND_DRIVER", "distribution"),
    ];
    let connections = load(&variables);
    assert_eq!(connections.default_name(), Some("a"));
    assert_eq!(
        connections.variables(),
        ["DOCKHAND_CONNECTION", "DOCKHAND_DRIVER"]
    );
    assert_eq!(connections.get("a").unwrap().driver, Driver::Distribution);
    assert_eq!(
        connections.default().unwrap().unwrap().name.as_deref(),
        Some("a")
    );
    assert_eq!(
        Connections::load(None, &Environment::new([("HOME", folder.path())]))
            .unwrap()
            .default_name(),
        None
    );
}
