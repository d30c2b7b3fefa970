//! Images: one manifest with its config, read as leniently as real images need.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/config.md>

mod config;
mod select;

use bytes::Bytes;
use dockhand_oci::{Descriptor, LinkKind, ManifestKind, MediaType, Platform};

pub use config::{ConfigPlatform, History, ImageConfig, RootFs, RunConfig};
pub(crate) use select::names;
pub use select::{ATTESTED, Listed, images, listed, local_architecture, select};

use crate::store::{RawManifest, Store, read_small};
use crate::{Error, ErrorKind, Result};

/// The greatest config that is read, in bytes. Those of real images have some ten thousand.
pub const CONFIG_MAX: u64 = 8 * 1024 * 1024;

/// One image: its manifest, and its config as it stands and as it was understood.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: RawManifest,
    /// What the config says.
    pub config: ImageConfig,
    /// The bytes of the config.
    pub config_bytes: Bytes,
    /// The descriptor of the config.
    pub config_descriptor: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What it runs on: as its index says, or else its config.
    pub platform: Platform,
}

impl Image {
    /// Reads the config of an image manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the manifest is an index or an artifact,
    /// [`ErrorKind::Protocol`] when the config makes no sense.
    pub async fn read(store: &dyn Store, manifest: RawManifest) -> Result<Self> {
        let parsed = manifest.parse()?;
        if parsed.kind == ManifestKind::Index {
            let message = format!("{} is an index and not an image", manifest.digest);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut links = parsed.links.into_iter();
        let config = links.next().filter(|link| link.kind == LinkKind::Config);
        let Some(config) = config.map(|link| link.descriptor) else {
            let message = format!("the manifest {} has no config", manifest.digest);
            return Err(Error::new(ErrorKind::Protocol, message));
        };
        if !is_image_config(&config.media_type) {
            let message = format!(
                "{} is an artifact of type {} and not an image",
                manifest.digest,
                parsed.artifact_type.unwrap_or(config.media_type)
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let config_bytes = read_small(store, &config, CONFIG_MAX).await?;
        let read = ImageConfig::parse(&config_bytes)
            .map_err(|error| error.doing(format!("read the config {}", config.digest)))?;
        Ok(Self {
            platform: read.platform(),
            config: read,
            config_bytes,
            config_descriptor: config,
            layers: links.map(|link| link.descriptor).collect(),
            manifest,
        })
    }

    /// Whether its manifest is of Docker's family of media types, and not OCI's.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        let docker = MediaType::DOCKER_MANIFEST;
        self.manifest.media_type.eq_ignore_ascii_case(docker)
    }
}

/// Whether a config of this type is that of a container image.
#[must_use]
pub fn is_image_config(media_type: &str) -> bool {
    [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(media_type))
}
