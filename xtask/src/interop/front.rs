//! A registry behind a real nginx.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::peer::{Peer, Scheme};
use crate::certificates::certificates;
use crate::dockhand::{Dockhand, Running};
use crate::process::{Server, free_address};
use crate::{nginx, tools};

/// nginx starts in milliseconds.
const READY: Duration = Duration::from_secs(10);

/// A registry behind nginx; both live as long as this value.
pub(super) struct Front {
    /// nginx, as clients see it.
    pub(super) peer: Peer,
    _registry: Running,
    _nginx: Server,
    _data: TempDir,
}

impl Front {
    /// Starts a registry with these variables of its environment, and nginx with these blocks in its
    /// `http` block and these directives in its `server` block. In both `UPSTREAM` stands for the address
    /// of the registry.
    pub(super) fn start(
        dockhand: &Dockhand,
        scheme: Scheme,
        environment: &[(&str, &str)],
        blocks: &str,
        directives: &str,
    ) -> Result<Self> {
        let data = TempDir::with_prefix("dockhand-interop-")?;
        let serve = dockhand.serve(&data.path().join("data"));
        let serve = environment
            .iter()
            .fold(serve, |serve, (name, value)| serve.env(name, value));
        let registry = serve.start()?;
        let (front, address) = (data.path().join("nginx"), free_address()?);
        fs::create_dir_all(&front)?;
        let (mut http, mut ssl) = (format!("  {blocks}\n"), "");
        if scheme == Scheme::Https {
            certificates(&front)?;
            ssl = " ssl";
            writeln!(
                http,
                "  ssl_certificate {0}/server.pem; ssl_certificate_key {0}/server.key;",
                front.display()
            )?;
        }
        write!(http, "  server {{ listen {address}{ssl}; {directives} }}")?;
        let http = http.replace("UPSTREAM", registry.authority());
        let mut command = nginx::command(&tools::require("nginx")?, &front, &http)?;
        let mut server = Server::spawn("nginx", &mut command)?;
        server.wait_until(READY, |_| TcpStream::connect(address).ok())?;
        let peer = Peer::at(scheme, address, &front.join("ca.pem"))?;
        Ok(Self {
            peer,
            _registry: registry,
            _nginx: server,
            _data: data,
        })
    }
}
