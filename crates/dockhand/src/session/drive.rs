//! Runs a command of the client: the runtime around it, and Ctrl-C.

use std::time::Duration;

use clap::Args;
use tokio::runtime::Builder;

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
        logging::start_client(&self.flags.show);
        let session = Session::start(self.flags)?;
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, &error))?;
        let result = runtime.block_on(async {
            let work = self.verb.run(&session);
            tokio::select! {
                result = work => result,
                _ = tokio::signal::ctrl_c() => Err(Failure::plain(Kind::Interrupted, "interrupted")),
            }
        });
        session.progress().clear();
        if let Err(failure) = &result
            && failure.kind() == Kind::Interrupted
        {
            runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(TIDY) => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            });
        }
        runtime.shutdown_background();
        result
    }
}
