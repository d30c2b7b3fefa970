//! Runs a command of the client: the runtime around it, and Ctrl-C.

use std::time::Duration;

use clap::Args;
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

// A command with the flags that all commands of the client take. No doc comment: clap would take it
// for the help of the command.
#[derive(Args, Clone, Debug)]
pub(crate) struct With<V: Args> {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    verb: V,
}

impl<V: Verb + Args> With<V> {
    /// Runs the command to its end, or to Ctrl-C.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let let_through = logging::start_client(&self.flags.show);
        let session = Session::start(self.flags)?;
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
                let work = self.verb.run(&session);
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
        session.progress().clear();
        runtime.shutdown_background();
        result
    }
}
