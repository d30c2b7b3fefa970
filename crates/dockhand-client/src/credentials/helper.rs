//! Programs that keep credentials: `docker-credential-NAME get|store|erase`.
//!
//! <https://github.com/docker/docker-credential-helpers#development>

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Environment, entry};
use crate::{Credential, Error, ErrorKind};

/// How long a helper may take. Those of clouds ask their own servers; a minute of silence helps nobody.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. Tokens of large organisations reach 16 KiB.
const ANSWER_MAX: u64 = 256 * 1024;
/// Characters of a helper's complaint that a message repeats.
const SHOWN: usize = 200;

/// Why a helper gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No such program.
    Missing(String),
    /// It did not do what it should.
    Broken(String),
}

impl Failure {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::Broken(text) => text,
        }
    }

    pub(super) fn into_error(self) -> Error {
        let hint = match self {
            Self::Missing(_) => {
                "install it, or take `credsStore` and `credHelpers` that name it out of the file"
            }
            Self::Broken(_) => "run it by hand to see what is wrong with it",
        };
        Error::new(ErrorKind::Config, self.text()).with_hint(hint)
    }
}

/// One helper.
pub(super) struct Helper<'a> {
    pub(super) name: &'a str,
    pub(super) environment: &'a Environment,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(default)]
    username: String,
    secret: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keep<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

impl Helper<'_> {
    /// What the program is called.
    pub(super) fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// The credential that it keeps for a server.
    pub(super) async fn get(&self, server: &str) -> Result<Option<Credential>, Failure> {
        let Some(answer) = self.run("get", server.as_bytes()).await? else {
            return Ok(None);
        };
        // The answer is a secret, so what is wrong with it is not shown.
        let kept: Kept = serde_json::from_slice(answer.expose_secret().as_bytes())
            .map_err(|_| self.broken("its answer is not the JSON of a credential"))?;
        if kept.secret.expose_secret().is_empty() {
            return Ok(None);
        }
        Ok(Some(entry::pair(kept.username, kept.secret)))
    }

    /// Lets it keep a credential.
    pub(super) async fn store(&self, server: &str, credential: &Credential) -> Result<(), Failure> {
        let Some((username, secret)) = entry::for_helper(credential) else {
            return Err(self.broken("a token of access is nothing for a helper"));
        };
        let keep = Keep {
            server,
            username,
            secret: secret.expose_secret(),
        };
        let json = serde_json::to_vec(&keep).map_err(|error| self.broken(&error.to_string()))?;
        self.run("store", &json).await.map(|_| ())
    }

    /// Lets it forget a credential; `false` when it says that it had none.
    pub(super) async fn erase(&self, server: &str) -> Result<bool, Failure> {
        let answer = self.run("erase", server.as_bytes()).await?;
        Ok(answer.is_some())
    }

    /// Runs it; `None` when it says that it has no such credential.
    async fn run(&self, verb: &str, input: &[u8]) -> Result<Option<SecretString>, Failure> {
        let program = self.find()?;
        match timeout(PATIENCE, self.talk(&program, verb, input)).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("`{verb}` took longer than {} s", PATIENCE.as_secs());
                Err(self.broken(&text))
            }
        }
    }

    async fn talk(
        &self,
        program: &Path,
        verb: &str,
        input: &[u8],
    ) -> Result<Option<SecretString>, Failure> {
        let broken = |error: io::Error| self.broken(&error.to_string());
        let mut child = Command::new(program)
            .arg(verb)
            .env_clear()
            .envs(self.environment.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A helper that does not read what it is told shows that by its answer.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let ((), out, err) = tokio::join!(write, read(stdout), read(stderr));
        let (out, err) = (out.map_err(broken)?, err.map_err(broken)?);
        let status = child.wait().await.map_err(broken)?;
        if status.success() {
            return Ok(Some(out.into()));
        }
        let said = match out.trim().is_empty() {
            true => err.trim(),
            false => out.trim(),
        };
        // Helpers agree on these words, on standard output; the rest of the sentence differs.
        if said.to_ascii_lowercase().contains("credentials not found") {
            return Ok(None);
        }
        let line = said.lines().next().unwrap_or("it said nothing");
        let line: String = line
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN)
            .collect();
        Err(self.broken(&format!("`{verb}` failed ({status}): {line}")))
    }

    /// The program, among the folders of `PATH`.
    fn find(&self) -> Result<PathBuf, Failure> {
        let program = self.program();
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            let text = format!("{:?} is no name of a credential helper", self.name);
            return Err(Failure::Broken(text));
        }
        let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        let folders = self.environment.get("PATH").unwrap_or_default();
        // A folder relative to wherever this runs could hold anybody's program.
        let found = std::env::split_paths(folders)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(&file))
            .find(|path| is_program(path));
        found.ok_or_else(|| {
            Failure::Missing(format!("the credential helper {program} is not installed"))
        })
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::Broken(format!("the credential helper {}: {what}", self.program()))
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(ANSWER_MAX).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
