//! The service manager: the sockets that it passes on, and what it is told.
//!
//! Outside of systemd none of this does anything.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use std::env;
use std::time::Duration;

use dockhand_server::Sockets;
use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::report::{Failure, Kind};

/// The name of the socket for metrics (`FileDescriptorName=`). Any other is for the registry.
const METRICS: &str = "metrics";
/// Names of the sockets, with `:` between them.
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets that were passed on, if any. To be called once, before there are other threads.
pub(super) fn sockets() -> Result<Sockets, Failure> {
    let names = env::var(NAMES).unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = Sockets::default();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        let socket = passed.take_tcp_listener(index).map_err(|error| {
            let message = format!(
                "socket {} of {} that were passed on is not a TCP socket that listens: {error}",
                index + 1,
                passed.len()
            );
            Failure::plain(Kind::Usage, message)
                .hint("use ListenStream= with an address and a port")
        })?;
        let (place, purpose) = if name == METRICS {
            (&mut sockets.metrics, "metrics")
        } else {
            (&mut sockets.registry, "the registry")
        };
        if place.is_some() {
            let message = format!("more than one socket was passed on for {purpose}");
            let hint = "one address may stand for all: ListenStream=5000; a socket for metrics has \
                        FileDescriptorName=metrics";
            return Err(Failure::plain(Kind::Usage, message).hint(hint));
        }
        *place = socket;
    }
    Ok(sockets)
}

/// Tells that requests are answered at this address.
pub(super) fn ready(address: &str) {
    let status = format!("listening on {address}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Tells that the server stops, once busy connections are done.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Tells that files are read again (`Type=notify-reload` waits until [`ready`] is told after it).
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
    }
}

/// Tells that what was begun with [`reloading`] is done.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Tells at half the time that the watchdog asks for that this task is still run, and so all others that
/// wait for a thread. Ends at once when there is no watchdog.
pub(super) async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::ZERO) else {
        return;
    };
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
