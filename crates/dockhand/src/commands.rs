//! The subcommands: a file each.

mod check;
mod digest;
mod limits;
mod ping;
mod serve;

use clap::Subcommand;

use crate::report::Failure;
use crate::session::With;

/// What `dockhand` can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Digest(With<digest::Digest>),
    Limits(With<limits::Limits>),
    Ping(With<ping::Ping>),
    Serve(serve::Serve),
    Check(check::Check),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Digest(verb) => verb.run(),
            Self::Limits(verb) => verb.run(),
            Self::Ping(verb) => verb.run(),
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
        }
    }
}
