//! `dockhand flatten`: all layers of an image made into one.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use dockhand_client::layers::Compression;
use dockhand_client::rewrite::{self, Edit, RewriteOptions, rewrite};

use crate::platforms::Platforms;
use crate::report::Failure;
use crate::rewriting::Target;
use crate::session::{Session, Verb};

/// Make one layer of all layers of an image, on every platform of it
///
/// What upper layers replaced or deleted is gone. The same image gives the same layer.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flatten {
    /// Image
    image: String,
    #[command(flatten)]
    platforms: Platforms,
    /// What the layer is compressed by
    #[arg(long, value_name = "HOW", default_value = "gzip")]
    compression: How,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    None,
    Gzip,
    Zstd,
}

impl Verb for Flatten {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let edit = rewrite::Flatten {
            compression: match self.compression {
                How::None => Compression::None,
                How::Gzip => Compression::Gzip,
                How::Zstd => Compression::Zstd,
            },
            ..rewrite::Flatten::default()
        };
        let edits: [Arc<dyn Edit>; 1] = [Arc::new(edit)];
        let options = RewriteOptions {
            platforms: self.platforms.list(),
            ..RewriteOptions::default()
        };
        let opened = session.open(&self.image).await?;
        let made = rewrite(&opened.store, &opened.reference, &edits, &options).await?;
        let like = opened.image.as_ref();
        self.target
            .write(session, Some(&self.image), like, made)
            .await
    }
}
