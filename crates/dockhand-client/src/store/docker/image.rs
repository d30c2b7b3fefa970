//! What `docker load` is told about an image.

use std::collections::BTreeSet;

use dockhand_oci::{
    Descriptor, Digest, ImageRef, LinkKind, Manifest, ManifestKind, MediaType, Tag,
};
use serde::Serialize;

use crate::store::catalogue::tagged;
use crate::{Error, ErrorKind, Result};

/// An entry of `manifest.json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::store) struct Image {
    config: String,
    repo_tags: Option<BTreeSet<String>>,
    layers: Vec<String>,
}

impl Image {
    /// The entry of an image whose blobs have these names in the archive.
    pub(in crate::store) fn of(
        manifest: &Manifest,
        label: &str,
        name_of: impl Fn(&Digest) -> String,
    ) -> Result<Self> {
        check_image(manifest, label)?;
        let names = |kind: LinkKind| {
            let links = manifest.links.iter().filter(move |link| link.kind == kind);
            links.map(|link| name_of(&link.descriptor.digest))
        };
        Ok(Self {
            config: names(LinkKind::Config).next().unwrap_or_default(),
            repo_tags: None,
            layers: names(LinkKind::Layer).collect(),
        })
    }

    /// Adds the image under these names, which no other one has from now on.
    pub(in crate::store) fn join(self, images: &mut Vec<Self>, names: BTreeSet<String>) {
        for image in images.iter_mut() {
            if let Some(others) = &mut image.repo_tags {
                others.retain(|name| !names.contains(name));
            }
        }
        let same = |other: &Self| other.config == self.config && other.layers == self.layers;
        let place = images.iter().position(same).unwrap_or(images.len());
        if place == images.len() {
            images.push(self);
        }
        if let Some(image) = images.get_mut(place)
            && !names.is_empty()
        {
            image.repo_tags.get_or_insert_default().extend(names);
        }
    }
}

/// `manifest.json`.
pub(in crate::store) fn render(images: &[Image]) -> Result<Vec<u8>> {
    serde_json::to_vec(images).map_err(|error| {
        let message = "the list of images cannot be written";
        Error::new(ErrorKind::Protocol, message).with_source(error)
    })
}

/// The names of an image as Docker prints them.
pub(in crate::store) fn repo_tags(name: &ImageRef, tags: &[Tag]) -> BTreeSet<String> {
    tags.iter()
        .map(|tag| tagged(name, tag).familiar())
        .collect()
}

/// Refuses what is not one image.
pub(in crate::store) fn check_image(manifest: &Manifest, label: &str) -> Result<()> {
    if manifest.kind == ManifestKind::Index {
        let message = format!("{label} takes one platform, and this is an index of several");
        let error = Error::new(ErrorKind::Unsupported, message);
        return Err(error.with_hint("choose one with --platform, or write an oci-archive:"));
    }
    for link in &manifest.links {
        match link.kind {
            LinkKind::Config => check_config(&link.descriptor.media_type, label)?,
            LinkKind::Layer => check_layer(&link.descriptor, label)?,
            LinkKind::Manifest => {}
        }
    }
    Ok(())
}

fn check_config(media_type: &str, label: &str) -> Result<()> {
    if [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG].contains(&media_type) {
        return Ok(());
    }
    let message = format!("{label} takes images only, and this is an artifact: {media_type}");
    let error = Error::new(ErrorKind::Unsupported, message);
    Err(error.with_hint("write an oci-archive:"))
}

/// Refuses layers that not every Docker can load, and those that are elsewhere.
pub(in crate::store) fn check_layer(layer: &Descriptor, label: &str) -> Result<()> {
    if layer.is_nondistributable() {
        let message = format!(
            "{label} needs all layers, and {} is elsewhere",
            layer.digest
        );
        let error = Error::new(ErrorKind::Unsupported, message);
        return Err(error.with_hint("write an oci-archive:, which says where"));
    }
    let media_type = layer.media_type.as_str();
    if !media_type.ends_with("zstd") {
        return Ok(());
    }
    let message = format!("{label} cannot take layers that are compressed by zstd");
    let error = Error::new(ErrorKind::Unsupported, message);
    Err(error.with_hint("write an oci-archive:, which keeps them"))
}
