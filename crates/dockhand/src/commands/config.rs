//! `dockhand config`: the config of an image, byte for byte.

use std::path::PathBuf;

use clap::Args;
use dockhand_oci::Platform;

use crate::image;
use crate::ordered::Ordered;
use crate::output;
use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Print the config of an image
///
/// Of an index the config of its only image, or of the one for Linux on this machine's processor.
#[derive(Args, Clone, Debug)]
pub(crate) struct Config {
    /// Image
    image: String,
    /// The image for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Indent it for reading
    #[arg(long)]
    pretty: bool,
    /// File to write it to
    #[arg(short = 'o', long = "to", value_name = "FILE|-")]
    to: Option<PathBuf>,
}

impl Config {
    /// To print that of an image as it is.
    pub(super) fn of(image: String, platform: Option<Platform>) -> Self {
        Self {
            image,
            platform,
            pretty: false,
            to: None,
        }
    }
}

impl Verb for Config {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let (_, parsed) = image::pick(&opened, self.platform.as_ref()).await?;
        let Some(config) = image::config_of(&parsed) else {
            let message = format!("{} has no config", opened.name());
            return Err(Failure::plain(Kind::NotFound, message));
        };
        let bytes = image::config_bytes(&*opened.store, config).await?;
        if !self.pretty && !session.output.is_json() {
            return output::bytes_to(self.to.as_deref(), &bytes);
        }
        let unusable = |error: &dyn std::fmt::Display| {
            let message = format!("the config of {} is no JSON: {error}", opened.name());
            Failure::plain(Kind::Failed, message)
        };
        let ordered = Ordered::parse(&bytes).map_err(|error| unusable(&error))?;
        let pretty = ordered.pretty().map_err(|error| unusable(&error))?;
        output::bytes_to(self.to.as_deref(), pretty.as_bytes())
    }
}
