//! The administration through its router, and on the socket of a running server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use dockhand_server::admin::stopped::{Stopped, StoppedError};
use dockhand_server::admin::{Admin, socket};
use dockhand_server::config::{Config, Overrides};
use dockhand_server::{Server, Setup};
use http::Request;
use http_body_util::BodyExt;
use insta::assert_snapshot;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Answered, TestServer};

/// A registry with its administration.
struct Bench {
    server: TestServer,
    admin: Arc<Admin>,
}

impl Bench {
    fn new() -> Self {
        let server = TestServer::new();
        let admin = Admin::new(server.registry.clone());
        Self { server, admin }
    }

    async fn ask(&self, line: &str) -> Answered {
        let (method, uri) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(uri);
        let response = self
            .admin
            .handle(request.body(Body::empty()).unwrap())
            .await;
        let (parts, body) = response.into_parts();
        Answered {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

fn id_of(location: &str) -> String {
    let (path, _) = location.split_once('?').unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn uploads_are_listed_page_by_page() {
    let bench = Bench::new();
    let none = bench.ask("GET /api/v1/uploads").await;
    assert_snapshot!(none.show(), @r#"
    200 OK
    content-length: 14
    content-type: application/json
    x-request-id: <id>

    {"uploads":[]}
    "#);
    let mut ids = Vec::new();
    for (repo, bytes) in [("a", "hello"), ("b", ""), ("b", "")] {
        let location = bench.server.begin(repo).await;
        let patch = format!("PATCH {location}");
        assert_eq!(bench.server.send(&patch, &[], bytes).await.status, 202);
        ids.push((id_of(&location), repo, bytes.len()));
    }
    ids.sort();
    let mut next = "/api/v1/uploads?n=2".to_owned();
    let mut listed = Vec::new();
    for more in [true, false] {
        let page = bench.ask(&format!("GET {next}")).await;
        assert_eq!(page.status, 200, "{}", page.show());
        let uploads = page.json()["uploads"].as_array().unwrap().clone();
        assert_eq!(uploads.len(), if more { 2 } else { 1 });
        listed.extend(uploads);
        let link = page.header("link");
        assert_eq!(!link.is_empty(), more);
        let target = link.split(['<', '>']).nth(1).unwrap_or_default();
        next = target.to_owned();
    }
    for (upload, (id, repo, bytes)) in listed.iter().zip(ids) {
        assert_eq!(upload["id"], id);
        assert_eq!(upload["repository"], repo);
        assert_eq!(upload["bytes"], bytes);
        assert_eq!(upload["client"], "192.0.2.1");
        for time in ["started", "touched"] {
            let time: Result<jiff::Timestamp, _> = upload[time].as_str().unwrap().parse();
            assert!(time.is_ok(), "{upload}");
        }
    }
}

#[tokio::test]
async fn an_upload_is_dropped_where_it_stands() {
    let bench = Bench::new();
    let location = bench.server.begin("a").await;
    let id = id_of(&location);
    let patch = format!("PATCH {location}");
    assert_eq!(bench.server.send(&patch, &[], "hello").await.status, 202);
    let moved = bench
        .ask(&format!("DELETE /api/v1/uploads/{id}?bytes=0"))
        .await;
    assert_snapshot!(moved.show(), @r#"
    409 Conflict
    content-length: 152
    content-type: application/json
    x-request-id: <id>

    {"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"upload <upload> has 5 bytes now; look at it again before you drop it"}]}
    "#);
    let dropped = bench
        .ask(&format!("DELETE /api/v1/uploads/{id}?bytes=5"))
        .await;
    assert_eq!(dropped.status, 204, "{}", dropped.show());
    assert_eq!(bench.server.get(&location).await.status, 404);
    let again = bench.ask(&format!("DELETE /api/v1/uploads/{id}")).await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (404, "BLOB_UPLOAD_UNKNOWN")
    );
}

#[tokio::test]
async fn what_it_does_not_have_is_refused() {
    let bench = Bench::new();
    let id = "00000000-0000-0000-0000-000000000001";
    for (line, status) in [
        ("GET /".to_owned(), 404),
        ("GET /v2/".to_owned(), 404),
        ("GET /api/v2/uploads".to_owned(), 404),
        ("GET /api/v1/uploads/1".to_owned(), 404),
        (format!("GET /api/v1/uploads/{id}"), 405),
        ("DELETE /api/v1/uploads".to_owned(), 405),
        ("GET /api/v1/uploads?n=x".to_owned(), 400),
        (format!("DELETE /api/v1/uploads/{id}?bytes=x"), 400),
    ] {
        let answered = bench.ask(&line).await;
        assert_eq!(answered.status.as_u16(), status, "{line}");
        assert!(!answered.code().is_empty(), "{line}");
        assert!(!answered.header("x-request-id").is_empty(), "{line}");
    }
    let path = bench.ask("GET /api/uploads").await;
    assert_snapshot!(path.show(), @r#"
    404 Not Found
    content-length: 112
    content-type: application/json
    x-request-id: <id>

    {"errors":[{"code":"UNSUPPORTED","message":"this path is none of the administration API, which is at /api/v1"}]}
    "#);
    let head = bench.ask("HEAD /api/v1/uploads").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

/// A server that runs until it is told to stop.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(data: &Path, config: &Config) -> Self {
        let setup = Setup {
            data: Some(data.to_owned()),
            ..Setup::of(config)
        };
        let server = Server::start(setup).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            server.run(stopped).await.unwrap();
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn config(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dockhand.toml");
    let head = "[server]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&file, format!("{head}{text}")).unwrap();
    let loaded = dockhand_server::config::load(Some(&file), [], &Overrides::default());
    loaded.unwrap().config
}

/// The status of the list, asked for on a connection.
async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let request = "GET /api/v1/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.unwrap().unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_running_server_has_a_socket_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the address of a socket can be.
    let deep = folder.path().join("d".repeat(200));
    for data in [folder.path().join("data"), deep] {
        let file = data.join("admin.sock");
        for round in 0..2 {
            let running = Running::start(&data, &config("")).await;
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "round {round}");
            let stream = socket::connect(&data).await.unwrap();
            assert_eq!(status(stream).await, "HTTP/1.1 200 OK");
            // One server, one folder.
            match Stopped::open(&data) {
                Err(StoppedError::Blobs(error)) => {
                    assert!(error.to_string().contains("lock"), "{error}");
                }
                other => panic!("{other:?}"),
            }
            running.stop().await;
            assert!(!file.exists(), "it is removed");
            // What a crash leaves is replaced.
            drop(std::os::unix::net::UnixListener::bind(data.parent().unwrap().join("s")).unwrap());
            std::fs::rename(data.parent().unwrap().join("s"), &file).unwrap();
            let refused = socket::connect(&data).await.unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        }
        let stopped = Stopped::open(&data).unwrap();
        assert_eq!(status(stopped.connect()).await, "HTTP/1.1 200 OK");
        stopped.close().await;
    }
}

#[tokio::test]
async fn without_a_socket_it_serves_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("admin.sock"), "something else").unwrap();
    let running = Running::start(&data, &config("")).await;
    running.stop().await;
    let kept = std::fs::read_to_string(data.join("admin.sock")).unwrap();
    assert_eq!(kept, "something else");
    std::fs::remove_file(data.join("admin.sock")).unwrap();

    let running = Running::start(&data, &config("[storage]\nreadonly = true\n")).await;
    assert!(!data.join("admin.sock").exists());
    running.stop().await;
}

#[tokio::test]
async fn a_folder_without_a_registry_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for data in [empty.clone(), folder.path().join("absent")] {
        let refused = Stopped::open(&data).unwrap_err();
        let expected = format!("there is no registry in {}", data.display());
        assert_eq!(refused.to_string(), expected);
    }
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    assert!(!folder.path().join("absent").exists());
}
