//! `dockhand tag`: more names for an image.

use clap::{Args, Subcommand};
use dockhand_oci::{Reference, Tag as Name};

use super::ls::Ls;
use super::rm::Rm;
use crate::report::Failure;
use crate::session::{Session, Verb, named};

/// Give an image more tags in its repository; nothing is copied
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Tag {
    // As regctl has them.
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    add: Option<Add>,
}

#[derive(Clone, Debug, Subcommand)]
enum Other {
    /// List tags, as `dockhand ls`
    #[command(hide = true, alias = "list")]
    Ls(Box<Ls>),
    /// Delete a tag, as `dockhand rm`
    #[command(hide = true)]
    Rm(Rm),
}

#[derive(Args, Clone, Debug)]
struct Add {
    /// Image
    image: String,
    /// Tags to add
    #[arg(required = true)]
    tags: Vec<Name>,
    /// Leave tags alone that are there already
    #[arg(short, long)]
    no_clobber: bool,
}

impl Verb for Tag {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match (self.other, self.add) {
            (Some(Other::Ls(ls)), _) => ls.run(session).await,
            (Some(Other::Rm(rm)), _) => rm.run(session).await,
            (None, Some(add)) => add.run(session).await,
            (None, None) => Err(Failure::usage("no image is named")),
        }
    }
}

impl Add {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        // What cannot be changed says so before it is read.
        session.open_named(&self.image).await?;
        let opened = session.open(&self.image).await?;
        let manifest = opened.store.manifest(&opened.reference).await?;
        let mut tags = Vec::new();
        for tag in self.tags {
            let reference = Reference::Tag(tag.clone());
            if self.no_clobber && opened.store.find(&reference).await?.is_some() {
                session.note(&format!(
                    "{} is there already",
                    named(&*opened.store, &reference)
                ));
            } else {
                tags.push(tag);
            }
        }
        if !tags.is_empty() {
            opened.store.put_manifest(&manifest, &tags).await?;
        }
        let names: Vec<String> = { tags.into_iter() }
            .map(|tag| named(&*opened.store, &Reference::Tag(tag)))
            .collect();
        session.answer(&names, |out, names| {
            names.iter().try_for_each(|name| writeln!(out, "{name}"))
        })
    }
}
