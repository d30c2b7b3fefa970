//! Registries of others, each really running on an empty folder, for our client to talk to.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;

use super::peer::Peer;
use crate::dockhand::Running;
use crate::process::{Server, free_address};
use crate::{distribution, tools};

/// All of them start in a moment.
const READY: Duration = Duration::from_secs(30);

/// A registry that is not ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Other {
    /// CNCF Distribution 2.8, the registry that most people run.
    Distribution2,
    /// CNCF Distribution 3.
    Distribution3,
    /// zot, a registry that keeps OCI layouts.
    Zot,
    /// go-containerregistry's, which comes with crane and keeps manifests in memory.
    GoContainerregistry,
}

impl Other {
    /// Starts it.
    pub(super) fn start(self) -> Result<Peer> {
        let folder = TempDir::with_prefix("dockhand-interop-")?;
        let address = free_address()?;
        let mut command = self.command(folder.path(), address)?;
        let mut server = Server::spawn(self.program(), &mut command)?;
        let url = format!("http://{address}");
        server.wait_for_http(&format!("{url}/v2/"), READY)?;
        Ok(Peer::of(Running { server, url }, folder))
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Distribution2 => "docker-registry",
            Self::Distribution3 => "registry",
            Self::Zot => "zot",
            Self::GoContainerregistry => "crane",
        }
    }

    fn command(self, folder: &Path, address: SocketAddr) -> Result<Command> {
        let program = tools::require(self.program())?;
        match self {
            Self::Distribution2 | Self::Distribution3 => {
                distribution::serve(&program, folder, address, true, None)
            }
            Self::Zot => {
                let settings = json!({
                    "distSpecVersion": "1.0.1-dev",
                    "storage": { "rootDirectory": folder.join("data"), "gc": false },
                    "http": { "address": address.ip(), "port": address.port().to_string() },
                    "log": { "level": "info" },
                });
                let file = folder.join("zot.json");
                fs::write(&file, settings.to_string())?;
                let mut command = Command::new(program);
                command.arg("serve").arg(file);
                Ok(command)
            }
            Self::GoContainerregistry => {
                let mut command = Command::new(program);
                let address = address.to_string();
                command.args(["registry", "serve", "--address", &address]);
                Ok(command)
            }
        }
    }
}
