//! The server under test: started on a folder, watched until it is ready, killed.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::wire::{Body, Client};
use crate::process;

/// A server may take this long from start to ready after a crash.
pub(crate) const READY: Duration = Duration::from_secs(5);
/// After so long it will not become ready any more.
const NEVER: Duration = Duration::from_secs(60);
/// The drain limit of 30 s and a little more.
const DRAINED: Duration = Duration::from_secs(32);
/// What a line of output begins with when dockhand is ready.
const LISTENING: &str = "listening on http://";

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Ours.
    Dockhand,
    /// CNCF Distribution 3.x, `registry` in the path: shows that the campaigns find losses
    Distribution,
}

impl Kind {
    /// Whether a manifest can be pushed with several tags at once.
    pub(crate) fn knows_several_tags(self) -> bool {
        self == Self::Dockhand
    }

    /// Whether there is a list of referrers.
    pub(crate) fn knows_referrers(self) -> bool {
        self == Self::Dockhand
    }

    /// Where unfinished uploads lie as files of their own, and nothing else does.
    pub(crate) fn uploads(self, data: &Path) -> Option<PathBuf> {
        (self == Self::Dockhand).then(|| data.join("uploads"))
    }
}

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Which one.
    pub(crate) kind: Kind,
    /// The program.
    pub(crate) program: PathBuf,
    /// The command by which it is run, if not directly.
    pub(crate) wrapper: Vec<OsString>,
}

/// A server that runs; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    process: process::Server,
    /// `host:port`.
    pub(crate) address: String,
    /// From start to ready.
    pub(crate) ready_after: Duration,
}

/// A server that was started and may not be ready yet; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Starting {
    process: process::Server,
    /// `host:port`, when it was told where to listen.
    address: Option<String>,
    begun: Instant,
}

impl Target {
    /// Starts the server on the folder `data` and waits until it is ready. A file in `work` holds its
    /// configuration, if any.
    ///
    /// # Errors
    /// When it ends or is not ready within a minute.
    pub(crate) fn start(&self, data: &Path, work: &Path) -> Result<Server> {
        self.spawn(data, work)?.wait()
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn spawn(&self, data: &Path, work: &Path) -> Result<Starting> {
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        // Else a server that was started inside of the file system would keep it busy.
        command.current_dir("/").arg("serve");
        let (name, address) = match self.kind {
            Kind::Dockhand => {
                command.args(["--access-log", "off", "--listen", "127.0.0.1:0", "--data"]);
                command.arg(data);
                ("dockhand", None)
            }
            Kind::Distribution => {
                let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
                command.arg(distribution_config(data, work, &address)?);
                ("registry", Some(address))
            }
        };
        let begun = Instant::now();
        let process = process::Server::spawn(name, &mut command)?;
        Ok(Starting {
            process,
            address,
            begun,
        })
    }
}

fn distribution_config(data: &Path, work: &Path, address: &str) -> Result<PathBuf> {
    let config = work.join("distribution.yml");
    let text = format!(
        "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
         storage: {{ delete: {{ enabled: true }}, filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: \"{address}\", secret: faults }}\n",
        data.display()
    );
    fs::write(&config, text).with_context(|| config.display().to_string())?;
    Ok(config)
}

impl Starting {
    /// Waits until it is ready.
    fn wait(mut self) -> Result<Server> {
        let address = match self.address {
            Some(address) => {
                self.process
                    .wait_for_http(&format!("http://{address}/v2/"), NEVER)?;
                address
            }
            None => self.process.wait_until(NEVER, |log| {
                let mut lines = log
                    .split_inclusive('\n')
                    .filter_map(|line| line.strip_suffix('\n'));
                lines
                    .find_map(|line| line.strip_prefix(LISTENING))
                    .map(str::to_owned)
            })?,
        };
        Ok(Server {
            process: self.process,
            address,
            ready_after: self.begun.elapsed(),
        })
    }

    /// SIGKILL, ready or not.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}

impl Server {
    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.process.terminate(DRAINED)
    }

    /// The line in which it says that it panicked, if it did.
    pub(crate) fn panic(&self) -> Option<String> {
        let log = self.process.log();
        let line = log
            .lines()
            .find(|line| line.contains("panicked at") || line.contains("panic:"));
        line.map(str::to_owned)
    }

    /// The last lines of what it has printed.
    pub(crate) fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Checks that it runs and answers.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        ensure!(
            self.is_running(),
            "the server is gone:\n{}",
            self.log_tail()
        );
        let reply = self.client().call("GET", "/v2/", &[], Body::Empty);
        let reply = reply.context("GET /v2/ had no answer")?;
        ensure!(
            reply.is_success(),
            "GET /v2/ was answered {}",
            reply.brief()
        );
        Ok(())
    }
}
