//! The command and a registry of its own, as processes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dockhand_oci::Algorithm;

pub(crate) fn dockhand(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dockhand"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    // Else the home of whoever runs the tests is found by other ways.
    command.env("HOME", folder);
    command
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    dockhand(folder).args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `dockhand serve` on a free port, killed when it goes out of scope.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Serving {
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = dockhand(folder);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args);
        Self::begin(command)
    }

    /// Whatever ends as `dockhand serve`.
    pub(crate) fn begin(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        Self::begin_unlogged(command)
    }

    /// The same, with standard error where the command has it.
    pub(crate) fn begin_unlogged(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect("the first line is the address");
        Self {
            url: url.to_owned(),
            child,
        }
    }

    /// Host and port, as image references name it.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn push(&self, bytes: &[u8]) -> String {
        let digest = Algorithm::Sha256.digest(bytes);
        let url = format!("{}/v2/app/blobs/uploads/?digest={digest}", self.url);
        let answer = ureq::post(&url).send(bytes).unwrap();
        assert_eq!(answer.status(), 201);
        digest.to_string()
    }

    pub(crate) fn pull(&self, digest: &str) -> Vec<u8> {
        let url = format!("{}/v2/app/blobs/{digest}", self.url);
        ureq::get(&url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_vec()
            .unwrap()
    }

    /// Asks it to stop and waits for that.
    pub(crate) fn stop(mut self) -> (i32, String) {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(kill.success());
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (status.code().unwrap(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
