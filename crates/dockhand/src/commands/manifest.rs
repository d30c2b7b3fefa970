//! `dockhand manifest`: manifests byte for byte.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dockhand_client::{RawManifest, Store};
use dockhand_oci::{Digest, Manifest as Parsed, MediaType, Platform, Reference, Tag};
use serde::Serialize;

use super::rm::Rm;
use crate::image;
use crate::ordered::Ordered;
use crate::output;
use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb, named};

/// Print a manifest exactly as it is, or work with manifests
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Manifest {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    get: Option<Get>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Print a manifest exactly as it is
    #[command(visible_alias = "fetch")]
    Get(Get),
    /// Write a manifest exactly as it is
    #[command(visible_alias = "push")]
    Put(Put),
    /// Print what a reference names, without the manifest
    Head(Head),
    /// Delete a manifest, and the tags that name it
    ///
    /// REPO:TAG means the manifest that the tag names: it goes with all of its tags, which are told, and
    /// --yes is needed. `dockhand rm REPO:TAG` takes a tag away and leaves the manifest.
    Rm(Rm),
}

#[derive(Args, Clone, Debug)]
struct Get {
    /// Image
    image: String,
    /// Of an index, the manifest for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Indent it for reading; it is another document then, with another digest
    #[arg(long)]
    pretty: bool,
    /// File to write it to
    #[arg(short = 'o', long = "to", value_name = "FILE|-")]
    to: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
struct Head {
    /// Image
    image: String,
}

#[derive(Args, Clone, Debug)]
struct Put {
    /// Where: REPO:TAG, REPO@DIGEST, or REPO for its digest alone
    image: String,
    /// File to read it from
    #[arg(default_value = "-", value_name = "FILE|-")]
    file: PathBuf,
    /// Media type, where the manifest does not say it
    #[arg(short = 't', long, visible_alias = "content-type", value_name = "TYPE")]
    media_type: Option<String>,
    /// More tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
}

impl Manifest {
    /// To print that of an image as it is.
    pub(super) fn of(image: String, platform: Option<Platform>) -> Self {
        Self {
            command: None,
            get: Some(Get {
                image,
                platform,
                pretty: false,
                to: None,
            }),
        }
    }
}

impl Verb for Manifest {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match (self.command, self.get) {
            (Some(Command::Get(get)), _) | (None, Some(get)) => get.run(session).await,
            (Some(Command::Put(put)), _) => put.run(session).await,
            (Some(Command::Head(head)), _) => head.run(session).await,
            (Some(Command::Rm(rm)), _) => rm.manifests(session).await?.run(session).await,
            (None, None) => Err(Failure::usage("no image is named")),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    digest: Digest,
    media_type: String,
    size: usize,
    manifest: Ordered,
}

impl Get {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let manifest = match &self.platform {
            Some(platform) => image::pick(&opened, Some(platform)).await?.0,
            None => opened.store.manifest(&opened.reference).await?,
        };
        let ordered =
            || Ordered::parse(&manifest.bytes).map_err(|error| Failure::new(Kind::Failed, &error));
        if session.output.is_json() {
            let answer = Answer {
                digest: manifest.digest,
                size: manifest.bytes.len(),
                manifest: ordered()?,
                media_type: manifest.media_type,
            };
            return session.answer(&answer, |_, _| Ok(()));
        }
        let bytes = if self.pretty {
            let pretty = ordered()?.pretty();
            let pretty = pretty.map_err(|error| Failure::new(Kind::Failed, &error))?;
            pretty.into_bytes()
        } else {
            manifest.bytes.to_vec()
        };
        output::bytes_to(self.to.as_deref(), &bytes)
    }
}

impl Head {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let found = opened.store.resolve(&opened.reference).await?;
        session.answer(&found, |out, found| {
            writeln!(out, "{} {} {}", found.digest, found.size, found.media_type)
        })
    }
}

impl Put {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let bytes = read(&self.file)?;
        let (repository, image) = session.image(&self.image)?;
        let said = self
            .media_type
            .as_deref()
            .map(str::parse::<MediaType>)
            .transpose();
        let said = said.map_err(dockhand_client::Error::from)?;
        let parsed = Parsed::parse(said.as_ref(), &bytes);
        let media_type = parsed
            .map_err(dockhand_client::Error::from)?
            .media_type
            .to_string();
        let mut manifest = RawManifest::new(media_type, bytes);
        if let Some(expected) = image.digest {
            manifest.digest = expected.algorithm().digest(&manifest.bytes);
            if manifest.digest != expected {
                let message = format!("the manifest is {} and not {expected}", manifest.digest);
                return Err(Failure::plain(Kind::Mismatch, message));
            }
        }
        let tags: Vec<Tag> = image.tag.into_iter().chain(self.tags).collect();
        repository.put_manifest(&manifest, &tags).await?;
        let pinned = named(&repository, &Reference::Digest(manifest.digest));
        session.answer(&manifest.descriptor(), |out, _| writeln!(out, "{pinned}"))
    }
}

/// A manifest from a file, or from standard input for `-`.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let max = dockhand_client::MANIFEST_MAX;
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(max + 1)
            .read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| dockhand_client::Error::io(file, error))?;
    if bytes.len() as u64 > max {
        let message = format!("{} has more than {max} bytes", file.display());
        return Err(Failure::plain(Kind::Mismatch, message));
    }
    Ok(bytes)
}
