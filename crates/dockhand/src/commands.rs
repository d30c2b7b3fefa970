//! The subcommands: a file each.

mod blob;
mod check;
mod completion;
mod digest;
mod limits;
mod man;
mod ping;
mod serve;
mod upload;
mod validate;

use clap::Subcommand;

use crate::report::Failure;
use crate::session::With;

/// What `dockhand` can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Blob(With<blob::Blob>),
    Digest(With<digest::Digest>),
    Limits(With<limits::Limits>),
    Ping(With<ping::Ping>),
    Upload(With<upload::Upload>),
    Validate(With<validate::Validate>),
    Serve(serve::Serve),
    Check(check::Check),
    Completion(completion::Completion),
    Man(man::ManPages),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Blob(verb) => verb.run(),
            Self::Digest(verb) => verb.run(),
            Self::Limits(verb) => verb.run(),
            Self::Ping(verb) => verb.run(),
            Self::Upload(verb) => verb.run(),
            Self::Validate(verb) => verb.run(),
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
            Self::Completion(completion) => completion.run(),
            Self::Man(pages) => pages.run(),
        }
    }
}
