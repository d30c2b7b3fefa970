//! `dockhand append`: tar files onto an image, or onto nothing, as layers.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dockhand_client::layers::LayerFile;
use dockhand_client::rewrite::{self, Edit, RewriteOptions, rewrite, scratch};
use dockhand_oci::Platform;

use crate::flags::moment;
use crate::platforms::{Platforms, platform};
use crate::report::Failure;
use crate::rewriting::Target;
use crate::session::{Session, Verb};

/// Put tar files onto an image as layers, on every platform of it
///
/// The files are kept as they are: plain, gzip or zstd. Without a base the image begins with them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Append {
    /// Tar file; several times for several layers, the lowest first
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Image that they go onto [default: an empty one]
    #[arg(short, long, value_name = "IMAGE")]
    base: Option<String>,
    #[command(flatten)]
    platforms: Platforms,
    /// What an image without a base runs on [default: local]
    #[arg(
        long,
        value_name = "PLATFORM",
        value_parser = platform,
        conflicts_with = "base"
    )]
    set_platform: Option<Platform>,
    /// When the image, and its history, say that it was made: RFC 3339 [default: as the base says]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created: Option<jiff::Timestamp>,
    /// What the history says made them [default: this command and the file's name]
    #[arg(long, value_name = "TEXT")]
    created_by: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Verb for Append {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let edit = rewrite::Append {
            layers: layers(&self.files).await?,
            created: self.created,
            created_by: self.created_by,
        };
        let edits: [Arc<dyn Edit>; 1] = [Arc::new(edit)];
        let options = RewriteOptions {
            platforms: self.platforms.list(),
            ..RewriteOptions::default()
        };
        let Some(base) = &self.base else {
            let local = crate::image::local_platform();
            let (store, what) = scratch(self.set_platform.as_ref().unwrap_or(&local));
            let made = rewrite(&store, &what, &edits, &options).await?;
            return self.target.write(session, None, None, made).await;
        };
        let opened = session.open(base).await?;
        let made = rewrite(&opened.store, &opened.reference, &edits, &options).await?;
        let like = opened.image.as_ref();
        self.target.write(session, Some(base), like, made).await
    }
}

/// Looks at the files that are to be layers.
pub(super) async fn layers(files: &[PathBuf]) -> Result<Vec<LayerFile>, Failure> {
    let mut layers = Vec::with_capacity(files.len());
    for file in files {
        layers.push(LayerFile::read(file).await?);
    }
    Ok(layers)
}
