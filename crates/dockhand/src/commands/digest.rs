//! `dockhand digest`: the digest of an image, as lean as the registry allows.

use clap::Args;
use dockhand_oci::{Descriptor, Platform};

use crate::image;
use crate::platforms::platform;
use crate::report::Failure;
use crate::session::{Opened, Session, Verb};

/// Print the digest of an image
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "resolve")]
pub(crate) struct Digest {
    /// Image
    image: String,
    /// Of an index, the image for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Print the whole reference
    #[arg(long)]
    full_ref: bool,
}

impl Verb for Digest {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let found = resolve(&opened, self.platform.as_ref()).await?;
        let full = image::by_digest(&*opened.store, found.digest);
        session.answer(&found, |out, found| match self.full_ref {
            true => writeln!(out, "{full}"),
            false => writeln!(out, "{}", found.digest),
        })
    }
}

/// What is named, or the image for a platform in it.
async fn resolve(opened: &Opened, platform: Option<&Platform>) -> Result<Descriptor, Failure> {
    if platform.is_none() {
        return Ok(opened.store.resolve(&opened.reference).await?);
    }
    let root = opened.store.manifest(&opened.reference).await?;
    let parsed = root.parse()?;
    // The index tells the digest without its child being read.
    match image::child_for(&parsed, platform) {
        Some(child) => Ok(child.clone()),
        None => Ok(image::pick(opened, platform).await?.0.descriptor()),
    }
}
