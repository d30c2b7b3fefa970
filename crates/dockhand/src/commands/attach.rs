//! `dockhand attach`: files that say something about an image.

use clap::Args;
use dockhand_oci::Platform;

use super::artifact::Contents;
use crate::image;
use crate::platforms::platform;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Attach files to an image, as an artifact that refers to it
#[derive(Args, Clone, Debug)]
pub(crate) struct Attach {
    /// Image to attach to
    image: String,
    #[command(flatten)]
    contents: Contents,
    /// What the artifact is
    #[arg(long, value_name = "TYPE")]
    artifact_type: String,
    /// Attach to the image for this platform instead of the index: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
}

impl Verb for Attach {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let subject = image::subject(&opened, self.platform.as_ref()).await?;
        let kind = Some(self.artifact_type);
        self.contents
            .push(session, &opened.store, &[], kind, None, Some(subject))
            .await
    }
}
