//! Commands and flags of skopeo, regctl and oras by their names there, where they mean the same.

use clap::{Args, Subcommand};

use super::{base_check, cat, config, cp, digest, edit, inspect, limits, ls, manifest, repos, rm};
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Commands of regctl by their names there
#[derive(Args, Clone, Debug)]
pub(crate) struct Image {
    #[command(subcommand)]
    what: OfImage,
}

// Their aliases, `copy` and `delete` for instance, are the names there.
#[derive(Clone, Debug, Subcommand)]
enum OfImage {
    Cp(Box<cp::Cp>),
    Digest(digest::Digest),
    Inspect(Inspect),
    Manifest(manifest::Manifest),
    Config(config::Config),
    Rm(rm::Rm),
    Mod(Box<edit::Edit>),
    CheckBase(base_check::BaseCheck),
    GetFile(cat::Cat),
    Limits(limits::Limits),
}

impl Verb for Image {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.what {
            OfImage::Cp(verb) => verb.run(session).await,
            OfImage::Digest(verb) => verb.run(session).await,
            OfImage::Inspect(verb) => verb.run(session).await,
            OfImage::Manifest(verb) => verb.run(session).await,
            OfImage::Config(verb) => verb.run(session).await,
            OfImage::Rm(verb) => verb.run(session).await,
            OfImage::Mod(verb) => verb.run(session).await,
            OfImage::CheckBase(verb) => verb.run(session).await,
            OfImage::GetFile(verb) => verb.run(session).await,
            OfImage::Limits(verb) => verb.run(session).await,
        }
    }
}

// `inspect` with what skopeo has for its two documents. No doc comment: it would be taken for the help.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Inspect {
    #[command(flatten)]
    inspect: inspect::Inspect,
    /// Print the manifest as it is, as `dockhand manifest` does; with --config the config
    #[arg(long)]
    raw: bool,
    /// Print the config as it is, as `dockhand config` does
    #[arg(long)]
    config: bool,
}

impl Verb for Inspect {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let inspect::Inspect {
            image, platform, ..
        } = &self.inspect;
        let (image, platform) = (image.clone(), platform.clone());
        match (self.config, self.raw) {
            (true, _) => config::Config::of(image, platform).run(session).await,
            (false, true) => manifest::Manifest::of(image, platform).run(session).await,
            (false, false) => self.inspect.run(session).await,
        }
    }
}

/// Commands of regctl and oras about repositories, by their names there
#[derive(Args, Clone, Debug)]
pub(crate) struct Repo {
    #[command(subcommand)]
    what: OfRepo,
}

#[derive(Clone, Debug, Subcommand)]
enum OfRepo {
    Ls(repos::Repos),
    // `tags` is an alias of it already.
    #[command(name = "list")]
    Tags(ls::Ls),
}

impl Verb for Repo {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.what {
            OfRepo::Ls(verb) => verb.run(session).await,
            OfRepo::Tags(verb) => verb.run(session).await,
        }
    }
}
