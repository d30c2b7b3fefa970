//! The three servers, each a process of its own on a free port of 127.0.0.1, with its data in a folder
//! that goes with the run.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::endpoint::Endpoint;
use super::figure::Who;
use super::pin::Pin;
use crate::dockhand::Dockhand;
use crate::process::{Server, free_address, run};
use crate::{distribution, tools};

/// The start is measured, and all of them start in a fraction of this.
const READY: Duration = Duration::from_secs(30);
/// How often a server that starts is asked: the error of the measured time.
const ASK: Duration = Duration::from_millis(1);
/// How long a server may take to end by itself.
const END: Duration = Duration::from_secs(20);

/// Where the programs are, and on which cores they run.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pin: Option<Pin>,
    dockhand: PathBuf,
    nginx: PathBuf,
    registry: PathBuf,
}

impl Programs {
    /// Builds dockhand unless there is one; finds or installs the others.
    pub(crate) fn require(dockhand: Option<PathBuf>) -> Result<Self> {
        let dockhand = match dockhand {
            Some(dockhand) => dockhand,
            None => Dockhand::build()?.binary().to_owned(),
        };
        Ok(Self {
            pin: None,
            dockhand,
            nginx: tools::require("nginx")?,
            registry: tools::require("registry")?,
        })
    }

    /// Runs servers on a core of their own from now on, and this thread and its clients on the others.
    pub(crate) fn pin(&mut self) -> Result<()> {
        let pin = Pin::new()?;
        pin.as_client()?;
        self.pin = Some(pin);
        Ok(())
    }

    /// What each says of its version.
    pub(crate) fn version(&self, who: Who) -> Result<String> {
        let (program, word) = match who {
            Who::Dockhand => (&self.dockhand, "--version"),
            Who::Nginx => (&self.nginx, "-v"),
            Who::Distribution => (&self.registry, "--version"),
        };
        let output = run(Command::new(program).arg(word), READY)?.success()?;
        let text = if output.stdout.trim().is_empty() {
            output.stderr
        } else {
            output.stdout
        };
        let version = text.split_whitespace().last().unwrap_or_default();
        // As each says it: `nginx version: nginx/1.22.1`, `registry … v3.1.2+unknown`.
        let version = version.trim_start_matches("nginx/");
        Ok(version.trim_end_matches("+unknown").to_owned())
    }

    /// Starts a server on a directory, which is created if it does not exist. With `certificates`, the
    /// directory that [`certificates()`](crate::certificates::certificates) wrote, it serves TLS 1.3.
    pub(crate) fn start(
        &self,
        who: Who,
        folder: &Path,
        certificates: Option<&Path>,
    ) -> Result<Peer> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let endpoint = match certificates {
            None => Endpoint::from(address),
            Some(certificates) => Endpoint::secure(address, &certificates.join("ca.pem"))?,
        };
        let mut command = match who {
            Who::Dockhand => dockhand(&self.dockhand, folder, address, certificates),
            Who::Nginx => nginx(&self.nginx, folder, address, certificates)?,
            Who::Distribution => {
                distribution::serve(&self.registry, folder, address, false, certificates)?
            }
        };
        let began = Instant::now();
        self.pin.iter().try_for_each(Pin::as_server)?;
        let server = Server::spawn(&who.to_string(), &mut command);
        self.pin.iter().try_for_each(Pin::as_client)?;
        let mut server = server?;
        // Asked here and not by the server's log: all three in the same way, and to the millisecond.
        while !answers(&endpoint, who) {
            if !server.is_running() || began.elapsed() > READY {
                bail!("{who} does not start:\n{}", server.log_tail());
            }
            thread::sleep(ASK);
        }
        Ok(Peer {
            who,
            address,
            endpoint,
            ready: began.elapsed(),
            server,
        })
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) who: Who,
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: Endpoint,
    /// From the start of the process to the first good answer.
    pub(crate) ready: Duration,
    server: Server,
}

impl Peer {
    /// The first of its processes.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(mut self) -> Result<()> {
        self.server.terminate(END).map(drop)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Killed, nginx would leave its workers behind. What cannot be ended goes with `server`.
        let _ = self.server.terminate(END);
    }
}

/// Whether a server that may not have started yet gives a good answer.
fn answers(endpoint: &Endpoint, who: Who) -> bool {
    let path = match who {
        Who::Dockhand => "/livez",
        Who::Nginx => "/ready",
        Who::Distribution => "/v2/",
    };
    let ask = || -> Result<bool> {
        let mut stream = endpoint.connect()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        // The rest is read, so that the server does not see a connection that breaks.
        stream.read_to_end(&mut Vec::new())?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// Without a log of requests, as the others.
fn dockhand(
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    certificates: Option<&Path>,
) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").arg("--data").arg(folder);
    command.args(["--listen", &address.to_string(), "--access-log", "off"]);
    if let Some(certificates) = certificates {
        command
            .arg("--tls-cert")
            .arg(certificates.join("server.pem"));
        command
            .arg("--tls-key")
            .arg(certificates.join("server.key"));
    }
    command
}

/// Where nginx looks for what it serves.
pub(crate) fn nginx_root(folder: &Path) -> PathBuf {
    folder.join("html")
}

/// As its own documentation tunes it for static files.
fn nginx(
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    certificates: Option<&Path>,
) -> Result<Command> {
    fs::create_dir_all(nginx_root(folder))?;
    fs::write(nginx_root(folder).join("ready"), "ready\n")?;
    let mut text =
        String::from("  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000000;\n");
    let mut tls = "";
    if let Some(certificates) = certificates {
        writeln!(
            text,
            "  ssl_protocols TLSv1.3;\n  ssl_certificate {0}/server.pem;\n  ssl_certificate_key {0}/server.key;",
            certificates.display()
        )?;
        tls = " ssl";
    }
    let root = nginx_root(folder);
    write!(
        text,
        "  server {{ listen {address}{tls}; root {}; }}",
        root.display()
    )?;
    crate::nginx::command(program, folder, &text)
}
