//! `dockhand rebase`: an image onto another version of its base.

use std::sync::Arc;

use clap::Args;
use dockhand_client::rewrite::{self, Base, BaseImages, Edit, RewriteOptions, bases, rewrite};
use dockhand_oci::Reference;

use crate::platforms::Platforms;
use crate::report::Failure;
use crate::rewriting::Target;
use crate::session::{Session, Verb};

/// Put what an image adds to its base onto another version of the base, without building it
///
/// The bases are those that the image's annotations name, unless they are given: the old one by its
/// digest, the new one by its name. Of the config, what the image took over from the old base becomes what
/// the new one says.
#[derive(Args, Clone, Debug)]
pub(crate) struct Rebase {
    /// Image
    image: String,
    /// What it was built on [default: what its annotations say]
    #[arg(long, alias = "old_base", value_name = "IMAGE")]
    old_base: Option<String>,
    /// What it is to be built on [default: what its annotations say]
    #[arg(long, alias = "new_base", value_name = "IMAGE")]
    new_base: Option<String>,
    #[command(flatten)]
    platforms: Platforms,
    #[command(flatten)]
    target: Target,
}

impl Verb for Rebase {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let said = match (&self.old_base, &self.new_base) {
            (Some(_), Some(_)) => None,
            _ => Some(said(&opened.store, &opened.reference, &self.image).await?),
        };
        let by_digest = said.as_ref().and_then(|base| {
            let digest = base.digest?;
            let name = base.reference().ok()?;
            Some(format!("{}/{}@{digest}", name.registry, name.repository))
        });
        let old = self.old_base.clone().or(by_digest);
        let new = self.new_base.clone().or_else(|| said.map(|base| base.name));
        let (Some(old), Some(new)) = (old, new) else {
            let message = format!("{} does not say which digest its base had", self.image);
            return Err(Failure::usage(message).hint("name the base with --old-base"));
        };
        let edit = rewrite::Rebase {
            old: read(session, &old).await?,
            new: read(session, &new).await?,
        };
        let edits: [Arc<dyn Edit>; 1] = [Arc::new(edit)];
        let options = RewriteOptions {
            platforms: self.platforms.list(),
            ..RewriteOptions::default()
        };
        let made = rewrite(&opened.store, &opened.reference, &edits, &options).await?;
        let like = opened.image.as_ref();
        self.target
            .write(session, Some(&self.image), like, made)
            .await
    }
}

async fn read(session: &Session, base: &str) -> Result<BaseImages, Failure> {
    let opened = session.open(base).await?;
    let name = match &opened.image {
        Some(image) => image.to_string(),
        None => base.to_owned(),
    };
    Ok(BaseImages::read(opened.store, &opened.reference, name).await?)
}

/// The base that all images say they were built on.
async fn said(
    store: &Arc<dyn dockhand_client::Store>,
    what: &Reference,
    image: &str,
) -> Result<Base, Failure> {
    let mut said = bases(&**store, what)
        .await?
        .into_iter()
        .map(|(_, base)| base);
    let missing = || {
        Failure::usage(format!("{image} does not say what it was built on"))
            .hint("name the bases with --old-base and --new-base")
    };
    let first = said.next().flatten().ok_or_else(missing)?;
    match said.all(|other| other.is_some_and(|other| other.name == first.name)) {
        true => Ok(first),
        false => {
            let message = format!("the images of {image} say different bases");
            Err(Failure::usage(message).hint("rebase one by one, with --platform"))
        }
    }
}
