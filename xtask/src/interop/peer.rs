//! The registry that a part talks to, over plain HTTP or over TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::certificates::certificates;
use crate::dockhand::{Dockhand, Running, Serve};

/// How much of the registry's log a failure shows: the requests of one command of a client.
const LOG_LINES: usize = 8;

/// How a registry is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Without encryption.
    Http,
    /// With a certificate of our own authority.
    Https,
}

impl Scheme {
    /// Both, in the order in which parts go through them.
    pub(super) const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// As it stands in the names of results.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A registry on 127.0.0.1 that lives as long as this value, with a folder of its own.
#[derive(Debug)]
pub(super) struct Peer {
    /// How it is reached.
    pub(super) scheme: Scheme,
    /// `host:port`, as image references begin.
    pub(super) authority: String,
    /// The certificate of the authority that signed its certificate.
    pub(super) authority_certificate: PathBuf,
    running: Option<Running>,
    dockhand: Option<Dockhand>,
    folder: TempDir,
}

impl Peer {
    /// Starts dockhand on an empty data folder, with variables of its environment.
    pub(super) fn start(
        dockhand: &Dockhand,
        scheme: Scheme,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = TempDir::with_prefix("dockhand-interop-")?;
        let certificate = folder.path().join("ca.pem");
        if scheme == Scheme::Https {
            certificates(folder.path())?;
        }
        let mut peer = Self {
            scheme,
            authority: String::new(),
            authority_certificate: certificate,
            running: None,
            dockhand: Some(dockhand.clone()),
            folder,
        };
        let serve = peer.serve(dockhand);
        let serve = environment
            .iter()
            .fold(serve, |serve, (name, value)| serve.env(name, value));
        let running = serve.start()?;
        running.authority().clone_into(&mut peer.authority);
        peer.running = Some(running);
        Ok(peer)
    }

    /// A registry that runs already, over plain HTTP.
    pub(super) fn existing(url: &str) -> Result<Self> {
        let authority = url
            .trim_end_matches('/')
            .trim_start_matches("http://")
            .to_owned();
        let folder = TempDir::with_prefix("dockhand-interop-")?;
        Ok(Self {
            scheme: Scheme::Http,
            authority,
            authority_certificate: PathBuf::new(),
            running: None,
            dockhand: None,
            folder,
        })
    }

    /// A proxy that runs already in front of a registry, with a certificate of this authority.
    pub(super) fn at(scheme: Scheme, address: SocketAddr, authority: &Path) -> Result<Self> {
        Ok(Self {
            scheme,
            authority: address.to_string(),
            authority_certificate: authority.to_owned(),
            running: None,
            dockhand: None,
            folder: TempDir::with_prefix("dockhand-interop-")?,
        })
    }

    /// A registry of another make that was started for this, with the folder that it keeps its data in.
    pub(super) fn of(running: Running, folder: TempDir) -> Self {
        Self {
            scheme: Scheme::Http,
            authority: running.authority().to_owned(),
            authority_certificate: PathBuf::new(),
            running: Some(running),
            dockhand: None,
            folder,
        }
    }

    fn serve(&self, dockhand: &Dockhand) -> Serve {
        let folder = self.folder.path();
        let serve = dockhand.serve(&folder.join("data"));
        match self.scheme {
            Scheme::Http => serve,
            Scheme::Https => serve.tls(&folder.join("server.pem"), &folder.join("server.key")),
        }
    }

    /// Kills the registry at once and starts it again at the same address.
    pub(super) fn crash(&mut self) -> Result<()> {
        let (Some(running), Some(dockhand)) = (self.running.as_mut(), self.dockhand.clone()) else {
            anyhow::bail!("only a registry that was started here can be killed");
        };
        running.server.kill()?;
        let again = self.serve(&dockhand).listen(&self.authority).start()?;
        self.running = Some(again);
        Ok(())
    }

    /// `https://host:port`.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority)
    }

    /// The end of the registry's log, when it was started here.
    pub(super) fn log_tail(&self) -> String {
        let log = self
            .running
            .as_ref()
            .map(|running| running.server.log())
            .unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(LOG_LINES)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// A folder that goes with this value, for what clients keep and write.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
