//! One image while it is edited.

use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Algorithm, Descriptor, Digest, MediaType, Platform};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Document, Made};
use crate::image::{History, Image};
use crate::layers::Compression;
use crate::store::{Origin, RawManifest};
use crate::{BlobSource, Error, ErrorKind, Result, Store};

/// A change of an image.
#[async_trait]
pub trait Edit: std::fmt::Debug + Send + Sync {
    /// Makes the change.
    ///
    /// # Errors
    /// What keeps it from being made; then nothing is written.
    async fn apply(&self, draft: &mut Draft) -> Result<()>;
}

/// An image while it is edited.
pub struct Draft {
    /// Where the image is.
    pub store: Arc<dyn Store>,
    /// The image as it was read.
    pub image: Image,
    /// What it runs on; as the index says, when it is in one.
    pub platform: Platform,
    /// The manifest, but for the digest of the config.
    pub manifest: Document,
    /// The config.
    pub config: Document,
    blobs: Vec<(Digest, Arc<dyn BlobSource>, Option<Origin>)>,
}

impl Draft {
    pub(super) fn new(store: Arc<dyn Store>, image: Image) -> Result<Self> {
        Ok(Self {
            store,
            manifest: Document::parse(&image.manifest.bytes)?,
            config: Document::parse(&image.config_bytes)?,
            platform: image.platform.clone(),
            image,
            blobs: Vec::new(),
        })
    }

    /// The layers with what the config says of each, the lowest first.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when manifest and config do not agree on how many there are.
    pub fn layers(&self) -> Result<Vec<DraftLayer>> {
        let layers: Vec<Box<RawValue>> = self.manifest.get("layers")?.unwrap_or_default();
        let diff_ids = self.diff_ids()?;
        if layers.len() != diff_ids.len() {
            let message = format!(
                "the manifest has {} layers, its config {}",
                layers.len(),
                diff_ids.len()
            );
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        let both = layers.into_iter().zip(diff_ids);
        Ok(both
            .map(|(descriptor, diff_id)| DraftLayer {
                descriptor,
                diff_id,
            })
            .collect())
    }

    fn diff_ids(&self) -> Result<Vec<String>> {
        let rootfs: Document = self.config.get("rootfs")?.unwrap_or_default();
        Ok(rootfs.get("diff_ids")?.unwrap_or_default())
    }

    /// What made the layers; nothing when the config does not say it of all of them.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the history makes no sense.
    pub fn history(&self) -> Result<Option<Vec<Box<RawValue>>>> {
        let history: Vec<Box<RawValue>> = self.config.get("history")?.unwrap_or_default();
        Ok((layers_of(&history) == self.diff_ids()?.len()).then_some(history))
    }

    /// Gives the image other layers; without a history when there is none to give.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it cannot be written.
    pub fn set_layers(
        &mut self,
        layers: &[DraftLayer],
        history: Option<&[Box<RawValue>]>,
    ) -> Result<()> {
        let descriptors: Vec<&RawValue> = layers.iter().map(|layer| &*layer.descriptor).collect();
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        self.manifest.set("layers", &descriptors)?;
        self.config.within("rootfs", |rootfs| {
            rootfs.set("type", "layers")?;
            rootfs.set("diff_ids", &diff_ids)
        })?;
        match history {
            Some(history) => self.config.set("history", history),
            None => {
                self.config.remove("history");
                Ok(())
            }
        }
    }

    /// Puts a layer onto the others.
    ///
    /// # Errors
    /// As [`layers`](Self::layers).
    pub fn add_layer(
        &mut self,
        descriptor: &Descriptor,
        diff_id: Digest,
        made_by: &History,
        source: Arc<dyn BlobSource>,
    ) -> Result<()> {
        let mut layers = self.layers()?;
        let history = self.history()?;
        layers.push(DraftLayer {
            descriptor: raw(descriptor)?,
            diff_id: diff_id.to_string(),
        });
        match history {
            Some(mut history) => {
                history.push(raw(made_by)?);
                self.set_layers(&layers, Some(&history))?;
            }
            // A history that does not fit the layers cannot be continued; it is left as it is.
            None => {
                let history: Option<Vec<Box<RawValue>>> = self.config.get("history")?;
                self.set_layers(&layers, history.as_deref())?;
            }
        }
        self.bring(descriptor.digest, source, None);
        Ok(())
    }

    /// Says where a blob is that the place of the image does not have: its bytes, and the repository of a
    /// registry that it is in, if it is in one.
    pub fn bring(&mut self, digest: Digest, source: Arc<dyn BlobSource>, origin: Option<Origin>) {
        self.blobs.push((digest, source, origin));
    }

    /// The media type of a layer in an image of this family.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for zstd in Docker's, which has no word for it.
    pub fn layer_type(&self, compression: Compression) -> Result<&'static str> {
        match (self.image.is_docker(), compression) {
            (false, Compression::None) => Ok(MediaType::OCI_LAYER),
            (false, Compression::Gzip) => Ok(MediaType::OCI_LAYER_GZIP),
            (false, Compression::Zstd) => Ok(MediaType::OCI_LAYER_ZSTD),
            (true, Compression::None) => Ok(DOCKER_LAYER),
            (true, Compression::Gzip) => Ok(MediaType::DOCKER_LAYER_GZIP),
            (true, Compression::Zstd) => {
                let message = "the image has Docker's media types, which know no layers in zstd";
                Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint("compress the layer by gzip"))
            }
        }
    }

    /// The new manifest; nothing when nothing was changed.
    pub(super) fn finish(mut self, made: &mut Made) -> Result<Option<RawManifest>> {
        if self.config.is_changed() {
            let bytes = self.config.to_bytes()?;
            let digest = Algorithm::Sha256.digest(&bytes);
            self.manifest
                .within("config", |config| point(config, digest, bytes.len()))?;
            made.add_blob(digest, Arc::new(bytes::Bytes::from(bytes)), None);
        }
        if !self.manifest.is_changed() {
            return Ok(None);
        }
        let bytes = self.manifest.to_bytes()?;
        let manifest = RawManifest::new(self.image.manifest.media_type, bytes);
        manifest.parse()?;
        for (digest, source, origin) in self.blobs {
            made.add_blob(digest, source, origin);
        }
        made.add_manifest(manifest.clone());
        Ok(Some(manifest))
    }
}

/// A layer, not compressed, as Docker's engine calls it.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// A layer of a draft.
#[derive(Clone, Debug)]
pub struct DraftLayer {
    /// Its descriptor, as it stands in the manifest.
    pub descriptor: Box<RawValue>,
    /// The digest of its tar file.
    pub diff_id: String,
}

/// How many layers a history says that it made.
pub(super) fn layers_of(history: &[Box<RawValue>]) -> usize {
    let steps = history.iter().filter(|step| {
        let step: Option<History> = serde_json::from_str(step.get()).ok();
        step.is_none_or(|step| !step.empty_layer)
    });
    steps.count()
}

/// Lets a descriptor name other content.
pub(super) fn point(descriptor: &mut Document, digest: Digest, size: usize) -> Result<()> {
    descriptor.set("digest", &digest)?;
    descriptor.set("size", &size)?;
    // What it carried inline was the old content.
    descriptor.remove("data");
    Ok(())
}

/// A value as JSON.
pub(super) fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>> {
    to_raw_value(value).map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))
}
