//! `dockhand mirror`: `sync` with all that belongs to images.

use clap::Args;

use super::sync::Sync;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Keep repositories the same as others, with signatures, SBOMs and all that refers to the images
///
/// This is `sync --referrers --digest-tags`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Mirror {
    #[command(flatten)]
    sync: Sync,
}

impl Verb for Mirror {
    async fn run(mut self, session: &Session) -> Result<(), Failure> {
        self.sync.what.referrers = true;
        self.sync.what.digest_tags = true;
        self.sync.run(session).await
    }
}
