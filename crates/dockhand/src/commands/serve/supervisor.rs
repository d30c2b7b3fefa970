//! Signals, and the end of the process.
//!
//! The supervisor has the main thread and a runtime for itself, so that signals are answered and the
//! process ends even when all threads of the server hang in the file system.

use std::time::Duration;

use dockhand_server::{Reload, Setup, Sockets};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{serve, systemd};
use crate::report::{Failure, Kind};

/// For closing the database, once the drain time is over. It takes milliseconds; what takes longer
/// hangs, and is recovered at the next start.
const CLOSE: Duration = Duration::from_secs(10);
/// For file operations that are under way when all is done. Their answers have nobody to go to.
const FILES: Duration = Duration::from_secs(1);

/// Serves on `runtime` until a signal stops it, or it fails.
///
/// SIGTERM and SIGINT stop the server once busy connections are done; a second one ends the process at
/// once. SIGHUP reloads the certificate.
pub(super) fn run(runtime: Runtime, setup: Setup, sockets: Sockets) -> Result<(), Failure> {
    let supervisor = Builder::new_current_thread().enable_all().build();
    let supervisor = supervisor.map_err(|error| Failure::new(Kind::Failed, &error))?;
    let result = supervisor.block_on(supervise(&runtime, setup, sockets));
    let quick = result
        .as_ref()
        .is_err_and(|failure| failure.kind() == Kind::Interrupted);
    runtime.shutdown_timeout(if quick { Duration::ZERO } else { FILES });
    result
}

async fn supervise(runtime: &Runtime, setup: Setup, sockets: Sockets) -> Result<(), Failure> {
    // Before anything is announced, so that a signal right after the announcement is not missed.
    let mut signals = Signals::listen()?;
    let most = setup.drain + CLOSE;
    let (started, mut starting) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut serving = runtime.spawn(serve(setup, sockets, started, async {
        drop(stopped.await)
    }));
    let (mut running, mut is_starting): (Option<Reload>, bool) = (None, true);
    let mut end = None;
    loop {
        tokio::select! {
            biased;
            ended = &mut serving => return outcome(ended),
            reload = &mut starting, if is_starting => (running, is_starting) = (reload.ok(), false),
            asked = signals.next() => match (asked, &running) {
                (Asked::Reload, Some(reload)) => {
                    let reload = reload.clone();
                    tokio::spawn(async move {
                        systemd::reloading();
                        reload.now().await;
                        systemd::reloaded();
                    });
                }
                (Asked::Reload, None) => {
                    tracing::info!("SIGHUP changes nothing: the server is still starting");
                }
                (Asked::Stop, None) => {
                    tracing::info!("stopped before the server had started");
                    return Ok(());
                }
                (Asked::Stop, Some(_)) => {
                    let Some(stop) = stop.take() else {
                        return Err(cut_off());
                    };
                    systemd::stopping();
                    let _ = stop.send(());
                    end = Some(Instant::now() + most);
                }
            },
            () = until(end) => return Err(hanging(&serving)),
        }
    }
}

fn outcome(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|error| Err(Failure::new(Kind::Failed, &error)))
}

fn cut_off() -> Failure {
    Failure::plain(
        Kind::Interrupted,
        "stopped by a second signal; requests under way were cut off",
    )
}

fn hanging(serving: &JoinHandle<Result<(), Failure>>) -> Failure {
    serving.abort();
    Failure::plain(
        Kind::Storage,
        "the storage did not close in time; what was acknowledged is recovered at the next start",
    )
}

/// Resolves at `end`; never without one.
async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The signals that a server listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Kind::Failed, &error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// What the next signal asks for.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
        }
    }
}

/// What a signal asks for.
enum Asked {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}
