//! `dockhand validate`: whether an image is whole, wherever it is.

use clap::Args;

use crate::output::{count, size};
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Check that an image is whole: each manifest readable, each blob what its digest says
#[derive(Args, Clone, Debug)]
pub(crate) struct Validate {
    /// Image
    image: String,
    /// Only ask whether the blobs are there, with the right size
    #[arg(long)]
    fast: bool,
}

impl Verb for Validate {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let observer = session.observer();
        let reference = opened.reference();
        let found =
            dockhand_client::validate(&opened.store, &reference, self.fast, &*observer).await?;
        session.answer(&found, |out, found| {
            for problem in &found.problems {
                writeln!(out, "{}  {}", problem.digest, problem.problem)?;
            }
            writeln!(
                out,
                "{}, {}, {} read, {}",
                count(found.manifests, "manifest"),
                count(found.blobs, "blob"),
                size(found.bytes),
                count(found.problems.len() as u64, "problem"),
            )
        })?;
        match found.problems.len() as u64 {
            0 => Ok(()),
            problems => {
                let name = opened.name_of(&reference);
                let message = format!("{name} has {}", count(problems, "problem"));
                Err(Failure::plain(Kind::Mismatch, message))
            }
        }
    }
}
