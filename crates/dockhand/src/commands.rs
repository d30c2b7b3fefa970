//! The subcommands: a file each.

mod check;
mod serve;

use clap::Subcommand;

use crate::report::Failure;

/// What `dockhand` can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Check(check::Check),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
        }
    }
}
