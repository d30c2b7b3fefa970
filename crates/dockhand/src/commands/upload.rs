//! `dockhand upload`: uploads that a registry has not finished.

mod local;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::report::Failure;
use crate::session::{Session, Verb};

/// Begin, look at or cancel an upload of a blob; list and drop those of a registry on this machine
#[derive(Args, Clone, Debug)]
pub(crate) struct Upload {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Begin an upload and print its URL
    Start {
        /// Repository
        repository: String,
    },
    /// Print how many bytes the registry has of an upload
    Status(Named),
    /// Give an upload up; the registry forgets its bytes
    Cancel(Named),
    Ls(local::Ls),
    Rm(local::Rm),
}

#[derive(Args, Clone, Debug)]
struct Named {
    /// Repository
    repository: String,
    /// URL of the upload, as `upload start` or an error message gives it
    url: String,
}

#[derive(Serialize)]
struct State {
    url: String,
    offset: u64,
}

impl Verb for Upload {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.what {
            What::Start { repository } => {
                let upload = session.repository(&repository)?.begin_upload().await?;
                let state = State {
                    url: upload.url().to_owned(),
                    offset: upload.offset(),
                };
                // It is to outlive this program.
                upload.keep();
                session.answer(&state, |out, state| writeln!(out, "{}", state.url))
            }
            What::Status(Named { repository, url }) => {
                let upload = session.repository(&repository)?.resume_upload(&url).await?;
                let state = State {
                    url: upload.url().to_owned(),
                    offset: upload.offset(),
                };
                upload.keep();
                session.answer(&state, |out, state| writeln!(out, "{}", state.offset))
            }
            What::Cancel(Named { repository, url }) => {
                let upload = session.repository(&repository)?.resume_upload(&url).await?;
                let state = State {
                    url: upload.url().to_owned(),
                    offset: upload.offset(),
                };
                upload.cancel().await?;
                session.answer(&state, |_, _| Ok(()))
            }
            What::Ls(ls) => ls.run(session).await,
            What::Rm(rm) => rm.run(session).await,
        }
    }
}
