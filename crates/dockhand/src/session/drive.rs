//! Runs a command of the client: the runtime around it, and Ctrl-C.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::flags::Flags;
use crate::logging;
use crate::report::{Failure, Kind};
use crate::session::Session;

/// How long what was interrupted may take to tidy up at the registry: an upload is cancelled by one
/// request. A second Ctrl-C does not wait.
const TIDY: Duration = Duration::from_millis(500);

/// A command of the client.
pub(crate) trait Verb {
    /// Does it.
    async fn run(self, session: &Session) -> Result<(), Failure>;
}

/// Runs a command to its end, or to Ctrl-C.
pub(crate) fn drive<V: Verb>(flags: Flags, verb: V) -> Result<(), Failure> {
    let let_through = logging::start_client(&flags.show);
    let session = Session::start(flags)?;
    if let Some(wanted) = session.known_connections().logging() {
        let_through(wanted);
    }
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, &error))?;
    let result = runtime.block_on(async {
        // Before anything begins, so that no signal is missed.
        let failed = |error: std::io::Error| Failure::new(Kind::Failed, &error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        {
            let work = verb.run(&session);
            tokio::select! {
                result = work => return result,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            _ = interrupt.recv() => {}
        }
        Err(Failure::plain(Kind::Interrupted, "interrupted"))
    });
    let code = result.as_ref().err().map_or(0, Failure::exit_code);
    session.progress().finish(code);
    runtime.shutdown_background();
    result
}
