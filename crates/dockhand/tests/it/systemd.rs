//! What a service manager passes on and is told.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::serving::{Serving, text};

/// `dockhand serve` with these sockets as descriptors 3 and 4, by way of a shell, which gives it the
/// number of its process as the service manager would.
fn passed(folder: &Path, sockets: [OwnedFd; 2], names: &str, count: usize, args: &str) -> Command {
    let [first, second] = sockets;
    let program = env!("CARGO_BIN_EXE_dockhand");
    let script = format!(
        "exec 3<&0 4<&2 </dev/null 2>log; export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names}; \
         exec {program} serve --listen 192.0.2.1:1 {args}"
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(folder)
        .env_clear();
    command
        .stdin(Stdio::from(first))
        .stderr(Stdio::from(second));
    command
}

fn listener() -> (SocketAddr, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener.into())
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
    (
        answer.status().as_u16(),
        answer.body_mut().read_to_string().unwrap(),
    )
}

#[test]
fn sockets_that_are_passed_on_are_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), "[metrics]\nenabled = true\n").unwrap();
    let ((metrics, first), (registry, second)) = (listener(), listener());
    let sockets = [first, second];
    let command = passed(
        folder.path(),
        sockets,
        "metrics:dockhand.socket",
        2,
        "c.toml",
    );
    let server = Serving::begin_unlogged(command);
    assert_eq!(
        server.url,
        format!("http://{registry}"),
        "not where --listen says"
    );
    let digest = server.push(b"hello");
    assert_eq!(server.pull(&digest), b"hello");
    assert_eq!(get(metrics, "/readyz"), (200, "ready\n".into()));
    let (status, text) = get(metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(
        text.contains("dockhand_blobs 1\n") || text.contains("dockhand_blobs 0\n"),
        "{text}"
    );
    assert_eq!(
        get(registry, "/metrics").0,
        404,
        "they have a socket of their own"
    );
}

#[test]
fn sockets_that_cannot_be_served_are_refused() {
    let unix = || {
        let folder = tempfile::tempdir().unwrap();
        OwnedFd::from(UnixListener::bind(folder.path().join("s")).unwrap())
    };
    for (sockets, names, count, reason) in [
        ([unix(), unix()], "a", 1, "not a TCP socket"),
        (
            [listener().1, listener().1],
            "a:b",
            2,
            "more than one socket was passed on for the registry",
        ),
        (
            [listener().1, listener().1],
            "metrics:a",
            2,
            "metrics are not served",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = passed(folder.path(), sockets, names, count, "");
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let log = std::fs::read(folder.path().join("log")).unwrap();
        assert!(text(&log).contains(reason), "{reason}: {}", text(&log));
        assert!(text(&log).contains("hint: "), "{}", text(&log));
    }
}

#[test]
fn variables_for_another_process_are_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::serving::dockhand(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let server = Serving::begin(command);
    assert_eq!(get(server.host().parse().unwrap(), "/readyz").0, 200);
}

/// What is told next, a line each.
fn told(manager: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    let length = manager.recv(&mut message).unwrap();
    text(&message[..length])
}

#[test]
fn the_manager_is_told_of_start_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut command = crate::serving::dockhand(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &socket);
    let server = Serving::begin(command);
    let ready = told(&manager);
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    assert!(
        ready.contains(&format!("STATUS=listening on {}", server.host())),
        "{ready}"
    );
    let id = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    let reloading = told(&manager);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(told(&manager).starts_with("READY=1"));
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(told(&manager).starts_with("STOPPING=1"));
}

#[test]
fn the_watchdog_is_fed_when_it_asks_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut command = crate::serving::dockhand(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "100000");
    let _server = Serving::begin(command);
    assert!(told(&manager).starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(told(&manager).trim_end(), "WATCHDOG=1");
    }
}
