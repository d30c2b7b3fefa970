//! Child processes with a bound on every wait: programs that run to their end, and servers that are
//! killed when their guard goes.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// How often a child is looked at: short against what is measured here, long against the look.
const LOOK: Duration = Duration::from_millis(2);
/// How long a killed process may take to be gone; only a process stuck in the kernel needs more.
const KILLED: Duration = Duration::from_secs(10);
/// How much of a log or of an output an error message repeats.
const TAIL_LINES: usize = 25;

/// What a program that ran to its end left behind.
#[derive(Debug)]
pub(crate) struct Output {
    /// The command line, for messages.
    pub(crate) line: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard output, with what is not UTF-8 replaced.
    pub(crate) stdout: String,
    /// Its standard error, in the same way.
    pub(crate) stderr: String,
}

impl Output {
    /// The output, or an error with the last lines of it unless the program ended with 0.
    pub(crate) fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "`{}` ended with {}:\n{}{}",
            self.line,
            self.status,
            tail(&self.stdout),
            tail(&self.stderr),
        );
        Ok(self)
    }
}

/// Runs a program to its end and captures what it prints; after `limit` it is killed and an error.
///
/// Its standard input is empty. An exit other than 0 is no error here: see [`Output::success`].
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    watch(command, limit, |_| ())
}

/// Runs a program as [`run`] does, and calls `look` with its process id every few milliseconds.
pub(crate) fn watch(
    command: &mut Command,
    limit: Duration,
    look: impl FnMut(u32),
) -> Result<Output> {
    let line = command_line(command);
    let (stdout, stderr) = (NamedTempFile::new()?, NamedTempFile::new()?);
    let child = command
        .stdin(Stdio::null())
        .stdout(stdout.reopen()?)
        .stderr(stderr.reopen()?)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let mut child = Guard(child);
    let status = child.wait_and(limit, look)?;
    let (stdout, stderr) = (text_of(stdout.path())?, text_of(stderr.path())?);
    let Some(status) = status else {
        bail!(
            "`{line}` did not end within {limit:?}:\n{}{}",
            tail(&stdout),
            tail(&stderr)
        );
    };
    Ok(Output {
        line,
        status,
        stdout,
        stderr,
    })
}

/// A server that this program started; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Guard,
    log: NamedTempFile,
}

impl Server {
    /// Starts a server; both of its outputs go to one log file, which goes with the guard.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let log = NamedTempFile::with_prefix(format!("{name}-"))?;
        let append = || -> Result<File> { Ok(OpenOptions::new().append(true).open(log.path())?) };
        let child = command
            .stdin(Stdio::null())
            .stdout(append()?)
            .stderr(append()?)
            .spawn()
            .with_context(|| format!("cannot start {name}: `{}`", command_line(command)))?;
        Ok(Self {
            name: name.to_owned(),
            child: Guard(child),
            log,
        })
    }

    /// Waits until `ready` gives a value; an error when the server ends before, or `limit` passes.
    ///
    /// `ready` sees the log so far.
    pub(crate) fn wait_until<T>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let until = Instant::now() + limit;
        loop {
            if let Some(value) = ready(&self.log()) {
                return Ok(value);
            }
            if let Some(status) = self.child.0.try_wait()? {
                bail!(
                    "{} ended with {status} before it was ready:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if Instant::now() >= until {
                bail!(
                    "{} was not ready within {limit:?}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until `url` is answered with any status at all.
    pub(crate) fn wait_for_http(&mut self, url: &str, limit: Duration) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(2)))
            .http_status_as_error(false)
            .build()
            .into();
        self.wait_until(limit, |_| agent.get(url).call().ok().map(drop))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        text_of(self.log.path()).unwrap_or_default()
    }

    /// The last lines of what it has printed, for messages.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log())
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits; after `limit` it is killed, which is an error.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.pid())?)
            && self.is_running()
        {
            kill_process(pid, Signal::TERM)?;
        }
        match self.child.wait(limit)? {
            Some(status) => Ok(status),
            None => {
                self.kill()?;
                bail!(
                    "{} did not end within {limit:?} of SIGTERM:\n{}",
                    self.name,
                    self.log_tail()
                )
            }
        }
    }
}

/// A child that does not outlive its guard.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    /// How the child ended, or `None` when it still runs after `limit`.
    fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.wait_and(limit, |_| ())
    }

    /// Waits, and calls `look` with the process id as long as it runs.
    fn wait_and(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(u32),
    ) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            look(self.0.id());
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    }

    fn kill(&mut self) -> Result<()> {
        if self.0.try_wait()?.is_none() {
            self.0.kill()?;
            ensure!(
                self.wait(KILLED)?.is_some(),
                "process {} outlives SIGKILL",
                self.0.id()
            );
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the process is ours alone.
        let _ = self.kill();
    }
}

/// An address that nobody listens on at this moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// The last lines of a text, each indented, for messages.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines
        .iter()
        .skip(from)
        .map(|line| format!("    {line}\n"))
        .collect()
}

fn text_of(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn command_line(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_captured() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let output = run(&mut command, Duration::from_secs(10)).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        let message = output.success().unwrap_err().to_string();
        assert!(
            message.contains("out") && message.contains("err"),
            "{message}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let began = Instant::now();
        let message = run(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(
            message.to_string().contains("`sleep 60` did not end"),
            "{message}"
        );
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_server_goes_with_its_guard() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo listening on here; exec sleep 60"]);
        let mut server = Server::spawn("sleeper", &mut command).unwrap();
        let wanted = |log: &str| log.contains("listening").then_some(());
        server.wait_until(Duration::from_secs(10), wanted).unwrap();
        assert!(server.is_running());
        let proc = format!("/proc/{}", server.pid());
        drop(server);
        assert!(!Path::new(&proc).exists(), "the process is still there");
    }

    #[test]
    fn a_server_that_dies_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port; exit 1"]);
        let mut server = Server::spawn("broken", &mut command).unwrap();
        let never = |_: &str| None::<()>;
        let message = server
            .wait_until(Duration::from_secs(10), never)
            .unwrap_err()
            .to_string();
        assert!(message.contains("no such port"), "{message}");
    }

    #[test]
    fn a_server_ends_when_asked() {
        let mut server = Server::spawn("sleeper", Command::new("sleep").arg("60")).unwrap();
        assert!(!server.terminate(Duration::from_secs(10)).unwrap().success());
    }
}
