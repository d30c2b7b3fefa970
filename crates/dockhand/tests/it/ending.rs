//! Signals to `dockhand serve`, and how the process ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::serving::{Serving, dockhand};

/// Bounds hangs only.
const HANG: Duration = Duration::from_secs(20);

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Asks again and again until there is an answer.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + HANG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The exit code and standard error.
fn ended(child: &mut Child) -> (Option<i32>, String) {
    let status = wait_for("it does not end", || child.try_wait().unwrap());
    let mut log = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    (status.code(), log)
}

/// A pipe in the place of a file: whoever reads it hangs.
fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Waits until somebody reads the pipe, and keeps it from ending.
fn read_by_somebody(path: &Path) -> rustix::fd::OwnedFd {
    wait_for("nobody reads the pipe", || {
        rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok()
    })
}

fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

const TLS: [&str; 4] = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];

#[test]
fn hanging_up_does_not_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    signal(&server.child, Signal::HUP);
    let digest = server.push(b"still there");
    assert_eq!(server.pull(&digest), b"still there");
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("there is no certificate to reload"), "{log}");
}

#[test]
fn hanging_up_tells_of_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let mut server = Serving::start(folder.path(), &TLS);
    let mut stderr = server.child.stderr.take().unwrap();
    let mut log = String::new();
    let mut told = |server: &Serving, text: &str| {
        signal(&server.child, Signal::HUP);
        let mut bytes = [0; 4096];
        while !log.contains(text) {
            let count = stderr.read(&mut bytes).unwrap();
            assert!(count > 0, "{text}: {log}");
            log += &String::from_utf8_lossy(&bytes[..count]);
        }
    };
    told(&server, "the certificate has not changed");
    certificate(folder.path());
    told(&server, "the certificate was reloaded");
    std::fs::write(folder.path().join("cert.pem"), "nonsense").unwrap();
    told(&server, "the new certificate cannot be used");
}

#[test]
fn a_second_signal_does_not_wait() {
    for (first, second) in [
        (Signal::TERM, Signal::TERM),
        (Signal::INT, Signal::INT),
        (Signal::INT, Signal::TERM),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Serving::start(folder.path(), &["--data", "d"]);
        let digest = server.push(b"acknowledged");
        // A request that is under way: its body has been asked for and does not come.
        let mut busy = TcpStream::connect(server.host()).unwrap();
        busy.write_all(b"POST /v2/a/blobs/uploads/?digest=sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            .unwrap();
        let mut asked = [0; 12];
        busy.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100");
        signal(&server.child, first);
        wait_for("it does not stop", || {
            TcpStream::connect(server.host()).err()
        });
        assert!(server.child.try_wait().unwrap().is_none(), "it waits");
        signal(&server.child, second);
        let (code, log) = ended(&mut server.child);
        assert_eq!(code, Some(130), "{log}");
        assert!(log.contains("stopped by a second signal"), "{log}");
        let again = Serving::start(folder.path(), &["--data", "d"]);
        assert_eq!(again.pull(&digest), b"acknowledged");
    }
}

#[test]
fn a_start_that_hangs_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let cert = folder.path().join("cert.pem");
    std::fs::remove_file(&cert).unwrap();
    pipe(&cert);
    let mut child = dockhand(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(TLS)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _kept = read_by_somebody(&cert);
    signal(&child, Signal::TERM);
    let (code, log) = ended(&mut child);
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("stopped before the server had started"),
        "{log}"
    );
}

#[test]
fn a_file_operation_that_hangs_does_not_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let server = Serving::start(folder.path(), &TLS);
    let cert = folder.path().join("cert.pem");
    std::fs::remove_file(&cert).unwrap();
    pipe(&cert);
    signal(&server.child, Signal::HUP);
    let _kept = read_by_somebody(&cert);
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
}
