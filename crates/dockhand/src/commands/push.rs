//! `dockhand push`: an image from files into a registry.

use clap::Args;

use super::cp::{run_all, split_tags};
use crate::report::Failure;
use crate::session::{Session, Side, Verb};
use crate::transfer::{How, Job, What};

/// Push an image from a folder or file
///
/// Takes OCI layouts, OCI archives, archives of `docker save` and folders of skopeo, and sees by itself what it
/// is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Push {
    /// Folder or file; `-` is standard input
    path: String,
    /// Where to: REPO[:TAG[,TAG…]]
    #[arg(required = true)]
    images: Vec<String>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
}

impl Verb for Push {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let side = Side::of(&session.flags.access);
        let from = session.open_path(&self.path).await?;
        let mut jobs = Vec::new();
        for image in &self.images {
            let (text, more) = split_tags(image)?;
            let to = session.create_on(&side, text, None).await?;
            let mut job = Job::new(&from, to);
            job.tags.extend(more);
            jobs.push(job);
        }
        run_all(session, jobs, &self.what, &self.how).await
    }
}
