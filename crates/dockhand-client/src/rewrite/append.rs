//! Layers onto images.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{Algorithm, Descriptor, MediaType, Platform, Reference};
use serde_json::json;

use super::{Draft, Edit, Made};
use crate::image::History;
use crate::layers::LayerFile;
use crate::store::RawManifest;
use crate::{FileSource, Result, Store};

/// Puts tar files onto an image as layers, the first one lowest. They are kept as they are.
#[derive(Clone, Debug)]
pub struct Append {
    /// The files.
    pub layers: Vec<LayerFile>,
    /// When image and history say that they were made; nothing keeps the result the same every time.
    pub created: Option<jiff::Timestamp>,
    /// What the history says made them; the names of the files when not said.
    pub created_by: Option<String>,
}

#[async_trait]
impl Edit for Append {
    async fn apply(&self, draft: &mut Draft) -> Result<()> {
        for layer in &self.layers {
            let media_type = draft.layer_type(layer.compression)?;
            let descriptor = Descriptor::new(media_type, layer.digest, layer.size);
            let name = layer.path.file_name().unwrap_or_default();
            let by_file = || format!("dockhand append {}", name.to_string_lossy());
            let step = History {
                created: self.created.map(|created| created.to_string()),
                created_by: Some(self.created_by.clone().unwrap_or_else(by_file)),
                ..History::default()
            };
            let source = Arc::new(FileSource::new(&layer.path));
            draft.add_layer(&descriptor, layer.diff_id, &step, source)?;
        }
        match self.created {
            Some(created) => draft.config.set("created", &created.to_string()),
            None => Ok(()),
        }
    }
}

/// An image without layers for `platform`, to begin with: the place that it is in, and its name there.
#[must_use]
pub fn scratch(platform: &Platform) -> (Arc<dyn Store>, Reference) {
    let mut config = json!({ "architecture": platform.architecture, "os": platform.os });
    if let Some(variant) = &platform.variant {
        config["variant"] = json!(variant);
    }
    if let Some(version) = &platform.os_version {
        config["os.version"] = json!(version);
    }
    config["config"] = json!({});
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [] });
    let config = Bytes::from(config.to_string());
    let digest = Algorithm::Sha256.digest(&config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::new(MediaType::OCI_CONFIG, digest, config.len() as u64),
        "layers": [],
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    let reference = Reference::Digest(manifest.digest);
    let mut made = Made::new(None);
    made.add_blob(digest, Arc::new(config), None);
    made.add_manifest(manifest);
    (Arc::new(made), reference)
}
