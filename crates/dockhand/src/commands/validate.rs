//! `dockhand validate`: whether an image is whole, wherever it is.

use std::path::Path;

use clap::Args;

use crate::output::{count, printable, size};
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Check that an image is whole: each manifest readable, each blob what its digest says, each layer what its config says
///
/// Exits with 7 when it is not.
#[derive(Args, Clone, Debug)]
pub(crate) struct Validate {
    /// Image, or folder or file with one
    #[arg(required_unless_present_any = ["remote", "tarball"])]
    image: Option<String>,
    // As crane says it.
    /// The same as IMAGE
    #[arg(long, hide = true, value_name = "IMAGE", conflicts_with = "image")]
    remote: Option<String>,
    /// The same as IMAGE
    #[arg(long, hide = true, value_name = "FILE", conflicts_with_all = ["image", "remote"])]
    tarball: Option<String>,
    /// Only ask whether the blobs are there, with the right size
    #[arg(long)]
    fast: bool,
}

impl Verb for Validate {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let image = self.image.or(self.remote);
        let opened = match (&image, &self.tarball) {
            (Some(image), _) if !Path::new(image).exists() => session.open(image).await?,
            (Some(path), _) | (None, Some(path)) => session.open_path(path).await?,
            (None, None) => return Err(Failure::usage("no image is named")),
        };
        let observer = session.observer();
        let reference = &opened.reference;
        let found =
            dockhand_client::validate(&opened.store, reference, self.fast, &*observer).await?;
        session.answer(&found, |out, found| {
            for problem in &found.problems {
                let words = printable(&problem.problem);
                writeln!(out, "{}  {words}", problem.digest)?;
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
                let name = opened.name();
                let message = format!("{name} has {}", count(problems, "problem"));
                Err(Failure::plain(Kind::Mismatch, message))
            }
        }
    }
}
