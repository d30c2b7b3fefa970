//! A client program on its own ground: a home folder of its own, a bound on every run, and the words
//! of its command line split at spaces.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::image::Image;
use super::peer::{Peer, Scheme};
use crate::process::{self, Output};
use crate::report::Report;
use crate::tools;

/// No command of a client moves more than some tens of MB.
const LIMIT: Duration = Duration::from_secs(180);

/// A client program on its own ground.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// Where it runs unless said otherwise.
    folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Program {
    /// A program with a home folder of its own, below the folder that it runs in.
    pub(super) fn new(name: &str, path: PathBuf, folder: &Path) -> Result<Self> {
        let home = folder.join(format!("{name}-home"));
        fs::create_dir_all(&home)?;
        // Some clients insist that the file is there when the folder is named.
        fs::write(home.join("config.json"), "{}")?;
        let environment = vec![
            ("HOME", home.clone().into_os_string()),
            ("DOCKER_CONFIG", home.into_os_string()),
        ];
        Ok(Self {
            path,
            folder: folder.to_owned(),
            environment,
        })
    }

    /// Sets a variable of its environment.
    pub(super) fn env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Runs it; an error unless it ends well. Gives its standard output without the last line end.
    pub(super) fn run(&self, words: &str) -> Result<String> {
        let output = self.output(&self.folder, words)?.success()?;
        Ok(output.stdout.trim_end().to_owned())
    }

    fn output(&self, folder: &Path, words: &str) -> Result<Output> {
        let mut command = Command::new(&self.path);
        command
            .args(words.split_whitespace())
            .envs(self.environment.iter().cloned());
        // What the caller has set for his own work is nothing to the checks.
        command.env_remove("REGISTRY_AUTH_FILE").current_dir(folder);
        process::run(&mut command, LIMIT)
    }
}

/// What the checks of one client have in hand.
pub(super) struct Session<'a> {
    /// The registry.
    pub(super) peer: &'a Peer,
    /// The image to push.
    pub(super) image: &'a Image,
    report: &'a mut Report,
    name: &'static str,
    program: Program,
}

impl<'a> Session<'a> {
    /// A session of the program `name`, which is installed when it is missing.
    pub(super) fn new(
        name: &'static str,
        peer: &'a Peer,
        image: &'a Image,
        report: &'a mut Report,
    ) -> Result<Self> {
        let program = Program::new(name, tools::require(name)?, peer.folder())?;
        Ok(Self::of(name, program, peer, image, report))
    }

    /// A session of a program; its results and its repositories go by `name`.
    pub(super) fn of(
        name: &'static str,
        program: Program,
        peer: &'a Peer,
        image: &'a Image,
        report: &'a mut Report,
    ) -> Self {
        Self {
            peer,
            image,
            report,
            name,
            program,
        }
    }

    /// Sets a variable of the client's environment.
    pub(super) fn env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.program.env(name, value);
    }

    /// Whether the registry speaks TLS.
    pub(super) fn tls(&self) -> bool {
        self.peer.scheme == Scheme::Https
    }

    /// A repository of the registry by its last name, as image references have it.
    pub(super) fn repository(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.peer.authority, self.name)
    }

    /// A folder for what the client writes.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.peer.folder().join(format!("{}-{name}", self.name))
    }

    /// Runs the client; an error unless it ends well. Gives its standard output without the last
    /// line end.
    pub(super) fn run(&self, words: &str) -> Result<String> {
        self.program.run(words)
    }

    /// Runs the client in a folder, as [`Session::run`] does elsewhere.
    pub(super) fn run_in(&self, folder: &Path, words: &str) -> Result<String> {
        let output = self.program.output(folder, words)?.success()?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Runs the client; an error unless it fails, and says so of the registry's answer.
    pub(super) fn refused(&self, words: &str) -> Result<String> {
        let output = self.program.output(self.peer.folder(), words)?;
        ensure!(
            !output.status.success(),
            "`{}` went well:\n{}",
            output.line,
            output.stdout
        );
        Ok(output.stderr)
    }

    /// An error unless this is the digest of the image that is pushed everywhere.
    pub(super) fn is_image(&self, digest: &str) -> Result<String> {
        same("the digest", digest, &self.image.digest)
    }

    /// Records a check of this client.
    pub(super) fn check(&mut self, what: &str, check: impl FnOnce(&Self) -> Result<String>) {
        let name = format!("{} {}: {what}", self.name, self.peer.scheme.name());
        let began = std::time::Instant::now();
        let result = check(self).map_err(|error| {
            let log = self.peer.log_tail();
            if log.is_empty() {
                format!("{error:#}")
            } else {
                format!("{error:#}\n    -- registry:\n{log}")
            }
        });
        self.report.record(&name, result, began.elapsed());
    }
}

/// An error unless both are the same.
pub(super) fn same(what: &str, is: &str, wanted: &str) -> Result<String> {
    ensure!(is == wanted, "{what} is {is:?}, wanted {wanted:?}");
    Ok(wanted.to_owned())
}

/// An error unless the text has the word in it.
pub(super) fn has(text: &str, word: &str) -> Result<()> {
    if !text.contains(word) {
        bail!("no {word:?} in:\n{}", process::tail(text));
    }
    Ok(())
}

/// An error when the text has the word in it.
pub(super) fn has_not(text: &str, word: &str) -> Result<()> {
    if text.contains(word) {
        bail!("still {word:?} in:\n{}", process::tail(text));
    }
    Ok(())
}

/// An error unless the folder has a file of this name with these bytes.
pub(super) fn file_is(folder: &Path, name: &str, bytes: &[u8]) -> Result<String> {
    let path = folder.join(name);
    let found = fs::read(&path).with_context(|| format!("there is no {}", path.display()))?;
    ensure!(
        found == bytes,
        "{name} came back with {} bytes, other than were sent",
        found.len()
    );
    Ok(format!("{} bytes", bytes.len()))
}
