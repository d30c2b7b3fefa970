//! Real connections: TLS and its reload, silent and malformed clients, limits, and the way out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockhand_registry::Settings;
use dockhand_server::{Limits, Options, Reload, Server, Setup, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// A server on a port, and the way to stop it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    reload: Reload,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

pub(crate) fn setup() -> Setup {
    Setup {
        data: None,
        new: false,
        listen: "127.0.0.1:0".parse().unwrap(),
        settings: Settings::default(),
        options: Options {
            body_idle: Duration::from_millis(300),
            ..Options::default()
        },
        limits: Limits {
            header_timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(300),
            handshake_timeout: Duration::from_millis(300),
            write_stall: Duration::from_millis(300),
            ..Limits::default()
        },
        tls: None,
        tls_reload: Duration::from_millis(20),
        metrics: false,
        metrics_listen: None,
        drain: Duration::from_secs(5),
    }
}

pub(crate) async fn start(setup: Setup) -> Running {
    let server = Server::start(setup).await.unwrap();
    let address = server.address().unwrap();
    let reload = server.reload();
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(async move {
        server.run(async { drop(stopped.await) }).await.unwrap();
    });
    Running {
        address,
        reload,
        stop,
        done,
    }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Stops the server and waits until it has ended.
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        self.done.await.unwrap();
    }

    /// Sends bytes and reads until the server closes, for at most some seconds.
    pub(crate) async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }
}

pub(crate) async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let _ = tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .expect("the server hangs");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn nonsense_on_the_wire_is_answered_and_closed() {
    let server = start(setup()).await;
    for (what, bytes) in [
        ("a TLS hello", &b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..]),
        ("no method", b"\r\n\r\nx y z\r\n\r\n"),
        ("two lengths", b"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        ("odd length", b"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nxxxxx"),
        ("space before colon", b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n"),
        ("encoding unknown", b"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n"),
        ("CR in path", b"GET /v2/\rx HTTP/1.1\r\nHost: x\r\n\r\n"),
    ] {
        let answer = server.talk(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: one answer only");
    }
    let many = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X-A: b\r\n".repeat(10_000)
    );
    assert!(
        server
            .talk(many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
}

#[tokio::test]
async fn silent_clients_are_cut_off() {
    let server = start(setup()).await;
    assert_eq!(server.talk(b"").await, "", "nothing at all");
    assert_eq!(
        server.talk(b"PRI * HT").await,
        "",
        "the beginning of a preface"
    );
    server.talk(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Sl").await;
    let begun = server
        .talk(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let path = begun
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap();
    let half = format!("PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0123456789");
    let answer = server.talk(half.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(
        server.talk(ask.as_bytes()).await.contains("range: 0-9"),
        "what came is kept"
    );
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = start(setup()).await;
    let bytes = vec![7u8; 64 << 20];
    let digest = dockhand_oci::Algorithm::Sha256.digest(&bytes);
    let mut push = server.connect().await;
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    push.write_all(head.as_bytes()).await.unwrap();
    push.write_all(&bytes).await.unwrap();
    assert!(read_all(&mut push).await.starts_with("HTTP/1.1 201"));
    let mut lazy = server.connect().await;
    let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    lazy.write_all(get.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(Ok(count @ 1..)) =
        tokio::time::timeout(Duration::from_secs(5), lazy.read(&mut buffer)).await
    {
        read += count;
    }
    assert!(read < bytes.len(), "the connection was cut before the end");
}

#[tokio::test]
async fn connections_are_bounded() {
    let mut setup = setup();
    setup.limits.connections = 2;
    setup.limits.header_timeout = Duration::from_secs(5);
    let server = start(setup).await;
    let (first, second) = (server.connect().await, server.connect().await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = server.talk(b"").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    drop((first, second));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let let_in = server
        .talk(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(let_in.starts_with("HTTP/1.1 200"), "{let_in}");
}

#[tokio::test]
async fn a_stop_lets_requests_finish() {
    let server = start(setup()).await;
    let mut busy = server.connect().await;
    busy.write_all(b"POST /v2/a/blobs/uploads/?digest=sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel")
        .await
        .unwrap();
    let idle = server.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody new is let in"
    );
    busy.write_all(b"lo").await.unwrap();
    assert!(read_all(&mut busy).await.starts_with("HTTP/1.1 201"));
    drop(idle);
    tokio::time::timeout(Duration::from_secs(5), server.done)
        .await
        .unwrap()
        .unwrap();
}

/// Writes a fresh certificate for localhost and gives it as a root.
pub(crate) fn certificate(folder: &Path) -> RootCertStore {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(made.cert.der().to_vec()))
        .unwrap();
    roots
}

/// A TLS connection that speaks `alpn`.
pub(crate) async fn connect_tls(
    address: SocketAddr,
    roots: RootCertStore,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
    Ok(stream)
}

async fn get_over_tls(
    address: SocketAddr,
    roots: RootCertStore,
    alpn: &[u8],
) -> std::io::Result<String> {
    let mut stream = connect_tls(address, roots, alpn).await?;
    if alpn == b"h2" {
        return Ok("h2".to_owned());
    }
    let port = address.port();
    let request = format!(
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(read_all(&mut stream).await)
}

/// TLS by what [`certificate`] wrote into `folder`.
pub(crate) fn tls_files(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_authorities: None,
        only_1_3: false,
        http2: true,
    }
}

#[tokio::test]
async fn a_certificate_is_reloaded_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let old = certificate(folder.path());
    let server = start(Setup {
        tls: Some(tls_files(folder.path())),
        tls_reload: Duration::from_secs(3600),
        ..setup()
    })
    .await;
    let get = async |roots| get_over_tls(server.address, roots, b"h2").await;
    get(old.clone()).await.unwrap();
    let new = certificate(folder.path());
    get(old.clone()).await.expect("nobody has asked yet");
    server.reload.now().await;
    get(new).await.expect("the new one is used");
    assert!(get(old).await.is_err(), "the old one is gone");
}

#[tokio::test]
async fn tls_and_its_reload() {
    let folder = tempfile::tempdir().unwrap();
    let roots = certificate(folder.path());
    let tls = tls_files(folder.path());
    let server = start(Setup {
        tls: Some(tls),
        ..setup()
    })
    .await;
    let answer = get_over_tls(server.address, roots.clone(), b"http/1.1")
        .await
        .unwrap();
    assert!(
        answer.contains(&format!(
            "location: https://localhost:{}/v2/a/blobs/uploads/",
            server.address.port()
        )),
        "{answer}"
    );
    assert_eq!(
        get_over_tls(server.address, roots.clone(), b"h2")
            .await
            .unwrap(),
        "h2"
    );
    std::fs::write(folder.path().join("cert.pem"), "nonsense").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    get_over_tls(server.address, roots.clone(), b"http/1.1")
        .await
        .expect("the last good one stays");
    let renewed = certificate(folder.path());
    tokio::time::sleep(Duration::from_millis(200)).await;
    get_over_tls(server.address, renewed, b"http/1.1")
        .await
        .expect("the new one is used");
    assert!(
        get_over_tls(server.address, roots, b"http/1.1")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn health_and_metrics() {
    let mut setup = setup();
    setup.metrics = true;
    setup.options.metrics_path = Some("/metrics".to_owned());
    let server = start(setup).await;
    let get = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        server.talk(request.as_bytes()).await
    };
    assert!(get("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").await.starts_with("HTTP/1.1 200"));
    get("/v2/app/tags/list").await;
    let metrics = get("/metrics").await;
    let counted = r#"dockhand_http_requests_total{method="GET",endpoint="tags",status="404"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}
