//! `dockhand digest`: the digest of an image, as lean as the registry allows.

use clap::Args;
use dockhand_oci::{Descriptor, LinkKind, Platform, Reference};

use crate::report::{Failure, Kind};
use crate::session::{Opened, Session, Verb};

/// Print the digest of an image
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "resolve")]
pub(crate) struct Digest {
    /// Image
    image: String,
    /// The image for this platform, os/arch[/variant], instead of the whole index
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Print the whole reference
    #[arg(long)]
    full_ref: bool,
}

impl Verb for Digest {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let found = resolve(&opened, self.platform.as_ref()).await?;
        session.answer(&found, |out, found| match self.full_ref {
            true => writeln!(out, "{}", opened.name_of(&found.digest.into())),
            false => writeln!(out, "{}", found.digest),
        })
    }
}

/// What is named, or the image for a platform in it.
pub(super) async fn resolve(
    opened: &Opened,
    platform: Option<&Platform>,
) -> Result<Descriptor, Failure> {
    let reference = opened.reference();
    let Some(platform) = platform else {
        return Ok(opened.store.resolve(&reference).await?);
    };
    let index = opened.store.manifest(&reference).await?;
    let kept = dockhand_client::copy::keep_platforms(&index, std::slice::from_ref(platform))?;
    let children = kept.parse()?.links.into_iter().filter(|link| {
        let own = link.descriptor.platform.as_ref();
        link.kind == LinkKind::Manifest && own.is_some_and(|own| own.matches(platform))
    });
    let mut children = children.map(|link| link.descriptor);
    match (children.next(), kept.digest == index.digest) {
        (Some(child), _) => Ok(child),
        (None, true) => Ok(index.descriptor()),
        (None, false) => {
            let name = opened.name_of(&Reference::Digest(index.digest));
            Err(Failure::plain(
                Kind::NotFound,
                format!("{name} has no image for {platform}"),
            ))
        }
    }
}
