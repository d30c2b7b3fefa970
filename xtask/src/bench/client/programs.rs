//! The clients, by their command lines and with what they are without settings.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::super::accounts;
use super::figure::Who;
use crate::dockhand::Dockhand;
use crate::process;
use crate::tools;

/// The slowest case takes a peer five minutes.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Printing its version takes a moment.
const VERSION: Duration = Duration::from_secs(10);

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// CNCF Distribution, the server of all cases.
    pub(super) registry: PathBuf,
    clients: Vec<(Who, PathBuf)>,
    /// What regclient has to keep repositories the same.
    regsync: PathBuf,
}

/// What a client did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ran {
    /// From its start to its end, in seconds.
    pub(super) seconds: f64,
    /// The most memory that it had resident, in megabytes.
    pub(super) megabytes: f64,
}

impl Programs {
    /// Builds dockhand unless there is one; finds or installs the others.
    pub(super) fn require(dockhand: Option<PathBuf>) -> Result<Self> {
        let mut clients = Vec::new();
        for who in Who::PROGRAMS {
            let program = match (who, &dockhand) {
                (Who::Dockhand, Some(program)) => Dockhand::at(program)?.binary().to_owned(),
                (Who::Dockhand, None) => Dockhand::build()?.binary().to_owned(),
                _ => tools::require(who.name())?,
            };
            clients.push((who, program));
        }
        Ok(Self {
            registry: tools::require("registry")?,
            regsync: tools::require("regsync")?,
            clients,
        })
    }

    /// What each client says of its version, and the registry.
    pub(super) fn versions(&self) -> Result<String> {
        let mut all = Vec::new();
        for (who, program) in &self.clients {
            let word = match who {
                Who::Dockhand | Who::Skopeo => "--version",
                _ => "version",
            };
            all.push(format!("{who} {}", version(program, word)?));
        }
        all.push(format!(
            "CNCF Distribution {}",
            version(&self.registry, "--version")?
        ));
        Ok(all.join(", "))
    }

    /// Runs a client to its end, on ground of its own in `folder`. An error unless it ends well.
    pub(super) fn run(&self, who: Who, words: &[OsString], folder: &Path) -> Result<Ran> {
        let program = self.clients.iter().find(|(client, _)| *client == who);
        let (_, program) = program.with_context(|| format!("{who} is no program"))?;
        watch(program, words, folder)
    }

    /// As [`Programs::run`], with what a client has to keep repositories the same.
    pub(super) fn run_sync(&self, who: Who, words: &[OsString], folder: &Path) -> Result<Ran> {
        match who {
            Who::Regctl => watch(&self.regsync, words, folder),
            _ => self.run(who, words, folder),
        }
    }
}

/// Runs a program to its end, on ground of its own in `folder`. An error unless it ends well.
fn watch(program: &Path, words: &[OsString], folder: &Path) -> Result<Ran> {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder);
    let home = folder.join("home");
    fs::create_dir_all(&home)?;
    // Some insist that the file is there when the folder is named.
    fs::write(home.join("config.json"), "{}")?;
    for name in [
        "HOME",
        "DOCKER_CONFIG",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "TMPDIR",
    ] {
        command.env(name, &home);
    }
    command.env("REGCTL_CONFIG", folder.join("regctl.json"));
    for name in ["REGISTRY_AUTH_FILE", "http_proxy", "HTTP_PROXY"] {
        command.env_remove(name);
    }
    let began = Instant::now();
    let mut peak = 0;
    let output = process::watch(&mut command, LIMIT, |pid| {
        // The kernel's own record at the end, `ru_maxrss`, begins with the memory of the program
        // that started the process.
        peak = peak.max(accounts::peak(pid).unwrap_or(0));
    })?;
    let seconds = began.elapsed().as_secs_f64();
    output.success()?;
    Ok(Ran {
        seconds,
        megabytes: peak as f64 / 1e6,
    })
}

/// The first word of a program's account of itself that begins like a version.
fn version(program: &Path, word: &str) -> Result<String> {
    let output = process::run(Command::new(program).arg(word), VERSION)?.success()?;
    let numbered = |word: &&str| {
        let word = word.trim_start_matches('v');
        word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit())
    };
    let found = output.stdout.split_whitespace().find(numbered);
    // A program of Go that was built from its module may not know its version: its file name does.
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let known = found.or_else(|| file.rsplit_once("-v").map(|(_, version)| version));
    let known = known.unwrap_or("of unknown version");
    Ok(known
        .trim_start_matches('v')
        .trim_end_matches("+unknown")
        .to_owned())
}

/// Tells regctl, which has no flag for it, which hosts are reached without TLS.
pub(super) fn plain_http(folder: &Path, hosts: &[String]) -> Result<()> {
    let hosts: serde_json::Map<String, serde_json::Value> = hosts
        .iter()
        .map(|host| (host.clone(), json!({ "tls": "disabled" })))
        .collect();
    let text = json!({ "hosts": hosts }).to_string();
    Ok(fs::write(folder.join("regctl.json"), text)?)
}

/// The words that copy an image from one registry to another.
pub(super) fn copy(who: Who, from: &str, to: &str) -> Vec<OsString> {
    let line = match who {
        Who::Dockhand => format!("cp {from} {to}"),
        Who::Crane => format!("copy {from} {to}"),
        Who::Regctl => format!("image copy {from} {to}"),
        Who::Skopeo => format!(
            "copy --insecure-policy --src-tls-verify=false --dest-tls-verify=false \
             docker://{from} docker://{to}"
        ),
        Who::Oras => format!("cp --from-plain-http --to-plain-http {from} {to}"),
        Who::Serial => String::new(),
    };
    line.split_whitespace().map(OsString::from).collect()
}

/// The words, and the text of `sync.yml` for who needs that.
pub(super) type Sync = (Vec<OsString>, String);

/// What brings a whole repository, or a whole registry as `kind` says, to another place.
pub(super) fn sync_whole(who: Who, from: &str, to: &str, kind: &str) -> Sync {
    let verb = if kind == "registry" { "mirror" } else { "sync" };
    let line = match who {
        Who::Dockhand if kind == "registry" => format!("{verb} {from} {to} --repos"),
        Who::Dockhand => format!("{verb} {from} {to}"),
        Who::Regctl => "once --config sync.yml".to_owned(),
        Who::Skopeo => format!(
            "--insecure-policy sync --src-tls-verify=false --dest-tls-verify=false \
             --src docker --dest docker {from} {to}"
        ),
        Who::Crane | Who::Oras | Who::Serial => String::new(),
    };
    let host = |place: &str| place.split('/').next().unwrap_or_default().to_owned();
    let creds = [host(from), host(to)].map(|name| json!({ "registry": name, "tls": "disabled" }));
    // YAML is a superset of JSON.
    let file = json!({
        "version": 1,
        "creds": creds,
        "sync": [{ "source": from, "target": to, "type": kind }],
    });
    let words = line.split_whitespace().map(OsString::from).collect();
    (words, file.to_string())
}

/// The words that pull an image into an OCI layout.
pub(super) fn pull(who: Who, from: &str, folder: &Path) -> Vec<OsString> {
    let to = folder.display();
    let line = match who {
        Who::Dockhand => format!("pull {from} -o {to} --format oci"),
        Who::Crane => format!("pull --format oci {from} {to}"),
        Who::Regctl => format!("image copy {from} ocidir://{to}:v1"),
        Who::Skopeo => {
            format!("copy --insecure-policy --src-tls-verify=false docker://{from} oci:{to}:v1")
        }
        Who::Oras => format!("cp --from-plain-http {from} --to-oci-layout {to}:v1"),
        Who::Serial => String::new(),
    };
    line.split_whitespace().map(OsString::from).collect()
}
