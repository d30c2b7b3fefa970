//! The registry under test: built once in release, started on a free port.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Server, run};

/// A release build from nothing with thin LTO takes minutes on a small machine.
const BUILD: Duration = Duration::from_secs(30 * 60);
/// It is ready in a fifth of a second; recovery after a crash under load may take longer.
const READY: Duration = Duration::from_secs(30);
/// How the one line begins by which the server says where it listens.
const LISTENING: &str = "listening on ";

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The folder where cargo puts what it builds; tools are kept below it too.
pub(crate) fn target_folder() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => env::current_dir().unwrap_or_default().join(folder),
        None => workspace().join("target"),
    }
}

/// The `dockhand` program.
#[derive(Clone, Debug)]
pub(crate) struct Dockhand {
    binary: PathBuf,
}

impl Dockhand {
    /// Builds `dockhand` in release; quick when nothing changed.
    pub(crate) fn build() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--release", "--package", "dockhand"])
            .current_dir(workspace());
        run(&mut command, BUILD)?
            .success()
            .context("dockhand does not build")?;
        let binary = target_folder().join("release/dockhand");
        ensure!(
            binary.is_file(),
            "cargo built dockhand, but {} is not there",
            binary.display()
        );
        Ok(Self { binary })
    }

    /// A program that was built elsewhere.
    pub(crate) fn at(program: &Path) -> Result<Self> {
        let binary = fs::canonicalize(program)
            .with_context(|| format!("cannot find {}", program.display()))?;
        Ok(Self { binary })
    }

    /// Where the program lies.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// `dockhand serve` on a data folder and a free port of 127.0.0.1, not yet started.
    pub(crate) fn serve(&self, data: &Path) -> Serve {
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--data").arg(data);
        Serve {
            command,
            listen: "127.0.0.1:0".to_owned(),
        }
    }
}

/// A server that is about to be started.
#[derive(Debug)]
pub(crate) struct Serve {
    command: Command,
    listen: String,
}

impl Serve {
    /// Listens on this address instead of a free port.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Adds a word to the command line.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Serves HTTPS with these PEM files.
    pub(crate) fn tls(self, certificate: &Path, key: &Path) -> Self {
        self.arg("--tls-cert")
            .arg(certificate)
            .arg("--tls-key")
            .arg(key)
    }

    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(mut self) -> Result<Running> {
        self.command.arg("--listen").arg(&self.listen);
        let mut server = Server::spawn("dockhand", &mut self.command)?;
        let url = server.wait_until(READY, |log| {
            // Only a finished line: the rest of a half-written address would be lost.
            let lines = log
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            lines
                .filter_map(|line| line.strip_prefix(LISTENING))
                .map(|url| url.trim().to_owned())
                .next()
        })?;
        Ok(Running { server, url })
    }
}

/// A running registry; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) server: Server,
    /// Where it listens, without a slash at the end: `http://127.0.0.1:41234`.
    pub(crate) url: String,
}

impl Running {
    /// `host:port`, as image references begin.
    pub(crate) fn authority(&self) -> &str {
        self.url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, authority)| authority)
    }
}
