//! What is counted and logged of requests: those under way, those given up, and their bytes.

use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use bytes::Bytes;
use dockhand_oci::Algorithm;
use dockhand_registry::Settings;
use dockhand_server::Options;
use futures_util::stream::{self, StreamExt};
use http::Request;
use tokio::sync::Notify;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::TestServer;

fn server() -> TestServer {
    let options = Options {
        metrics_path: Some("/metrics".to_owned()),
        ..Options::default()
    };
    TestServer::with(Settings::default(), options)
}

async fn metrics(server: &TestServer) -> String {
    let answered = server.get("/metrics").await;
    String::from_utf8(answered.body.to_vec()).unwrap()
}

/// A body of these bytes that then never ends, and what tells that all of them have been read.
fn endless(bytes: &'static [u8]) -> (Body, Arc<Notify>) {
    let read = Arc::new(Notify::new());
    let told = Arc::clone(&read);
    let first = stream::once(async move { Ok::<_, std::io::Error>(Bytes::from_static(bytes)) });
    let rest = stream::poll_fn(move |_| {
        told.notify_one();
        std::task::Poll::Pending
    });
    (Body::from_stream(first.chain(rest)), read)
}

fn push(body: Body) -> Request<Body> {
    let digest = Algorithm::Sha256.digest(b"never whole");
    let uri = format!("/v2/a/blobs/uploads/?digest={digest}");
    let push = Request::post(uri).header("content-length", "11");
    push.body(body).unwrap()
}

#[tokio::test]
async fn a_request_counts_from_its_beginning_and_when_it_is_given_up() {
    let server = server();
    let (body, read) = endless(b"never");
    {
        let mut pushing = pin!(server.app.handle(None, push(body)));
        tokio::select! {
            _ = &mut pushing => panic!("the body has no end"),
            () = read.notified() => {}
        }
        let during = metrics(&server).await;
        assert!(during.contains("dockhand_http_in_flight 2\n"), "{during}");
    }
    let after = metrics(&server).await;
    for line in [
        "dockhand_http_in_flight 1\n",
        "dockhand_http_requests_total{method=\"POST\",endpoint=\"upload\",status=\"499\"} 1\n",
        "dockhand_http_received_bytes_total{endpoint=\"upload\"} 5\n",
        "dockhand_http_request_seconds_count{endpoint=\"upload\"} 1\n",
    ] {
        assert!(after.contains(line), "{line}{after}");
    }
}

#[tokio::test]
async fn bytes_are_counted_as_they_come_whatever_was_announced() {
    let server = server();
    let upload = server.begin("a").await;
    let chunks = ["hel", "lo"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)));
    let body = Body::from_stream(stream::iter(chunks));
    let patched = server.send(&format!("PATCH {upload}"), &[], body).await;
    assert_eq!(patched.status, 202, "{}", patched.show());
    let metrics = metrics(&server).await;
    let line = "dockhand_http_received_bytes_total{endpoint=\"upload\"} 5\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn open_uploads_are_counted_when_somebody_asks() {
    let server = server();
    let none = metrics(&server).await;
    assert!(none.contains("dockhand_uploads_open 0\n"), "{none}");
    server.begin("a").await;
    for bytes in ["hello", "you"] {
        let upload = server.begin("b").await;
        let patched = server.send(&format!("PATCH {upload}"), &[], bytes).await;
        assert_eq!(patched.status, 202, "{}", patched.show());
    }
    let metrics = metrics(&server).await;
    for line in [
        "dockhand_uploads_open 3\n",
        "dockhand_uploads_empty 1\n",
        "dockhand_uploads_staged_bytes 8\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

/// A log that is kept.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Keeps what this thread logs, until what comes back is dropped.
    pub(crate) fn begin(&self) -> tracing::subscriber::DefaultGuard {
        /// While there is one subscriber only, a log call that another thread makes first is taken for one
        /// that nobody listens to, on this thread too. With two, all subscribers are asked.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
        LazyLock::force(&SECOND);
        let subscriber = tracing_subscriber::fmt().with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.with_ansi(false).finish())
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The lines of requests so far.
    pub(crate) fn access(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines
            .filter(|line| line.contains("dockhand::access"))
            .collect()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_a_line_in_the_log() {
    let log = Kept::default();
    let _guard = log.begin();
    let server = TestServer::logging();
    let (body, read) = endless(b"never");
    tokio::select! {
        _ = server.app.handle(None, push(body)) => panic!("the body has no end"),
        () = read.notified() => {}
    }
    let lines = log.access();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = r#"method="POST" path="/v2/a/blobs/uploads/" status=499 sent=0 received=5"#;
    assert!(lines[0].contains(expected), "{}", lines[0]);
}

#[tokio::test]
async fn what_a_client_sends_cannot_pass_for_another_field_of_the_log() {
    let log = Kept::default();
    let _guard = log.begin();
    let server = TestServer::logging();
    let agent = "x\" status=200 a=\"\tb";
    let long = format!("GET /v2/{}/tags/list", "a\"/".repeat(300));
    for line in ["GET /v2/a\"%0Ab/tags/list", &long] {
        server.send(line, &[("user-agent", agent)], "").await;
    }
    let lines = log.access();
    assert_eq!(lines.len(), 2);
    let path = r#"path="/v2/a\"%0Ab/tags/list" status=4"#;
    assert!(lines[0].contains(path), "{}", lines[0]);
    let agent = r#"agent="x\" status=200 a=\"\tb""#;
    assert!(lines[0].ends_with(agent), "{}", lines[0]);
    assert!(lines[1].len() < 1500, "{}", lines[1]);
}

#[tokio::test]
async fn the_log_has_the_address_of_the_client_behind_a_trusted_proxy() {
    let headers = [("x-forwarded-for", "203.0.113.5, 198.51.100.7")];
    for (trusted, logged) in [(None, "192.0.2.1"), (Some("192.0.2.0/24"), "198.51.100.7")] {
        let log = Kept::default();
        let _guard = log.begin();
        let mut options = Options::default();
        options.addressing.trusted_proxies = trusted
            .map(|block| block.parse().unwrap())
            .into_iter()
            .collect();
        let server = TestServer::as_set(Settings::default(), options);
        server.send("GET /v2/", &headers, "").await;
        let expected = format!(" peer={logged} ");
        assert!(log.access()[0].contains(&expected), "{:?}", log.access());
    }
}

#[tokio::test]
async fn each_application_names_its_requests_by_itself() {
    let name = async |server: &TestServer, given: &str| {
        let headers = [("x-request-id", given)];
        let answered = server.send("GET /v2/", &headers, "").await;
        answered.header("x-request-id").to_owned()
    };
    for _ in 0..2 {
        let server = server();
        for number in 1..=3 {
            let name = name(&server, "not a name").await;
            let (_run, counted) = name.split_once('-').unwrap();
            assert_eq!(counted, number.to_string());
        }
        assert_eq!(name(&server, "a-name.of_theirs").await, "a-name.of_theirs");
    }
}
