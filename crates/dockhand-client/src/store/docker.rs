//! What `docker save` writes and `docker load` reads: a tar file with a `manifest.json`.
//!
//! ```text
//! manifest.json      [{"Config": "HEX.json", "RepoTags": ["name:tag"], "Layers": ["ID/layer.tar", …]}, …]
//! HEX.json           the config of an image
//! ID/layer.tar       a layer, plain as a rule; or a link to another one
//! ```
//!
//! Such an archive has no manifests. They are made from what is there: an OCI manifest with the config
//! and the layers as they lie, so that the same archive always gives the same digests.
//!
//! <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>

mod image;

use std::collections::HashMap;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Descriptor, Digest, Hasher, ImageRef, MediaType};
use serde::Deserialize;
use serde_json::json;

use super::archive::{Found, Piece, Slice, Tarball, malformed};
use super::catalogue::{Catalogue, Naming};
use super::{MANIFEST_MAX, RawManifest};
use crate::{Error, ErrorKind, Result};

pub(super) use image::{Image, check_image, check_layer, render, repo_tags};

/// The list of images.
pub(super) const MANIFEST: &str = "manifest.json";
/// How much of a layer is hashed at once.
const CHUNK: u64 = 1024 * 1024;

/// An image as `manifest.json` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The part of a config that tells the layers.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

/// Makes the manifests of an archive.
pub(super) fn read(tarball: &Tarball) -> Result<Found> {
    let bytes = tarball.bytes(MANIFEST, MANIFEST_MAX)?;
    let listed: Vec<Listed> = serde_json::from_slice(&bytes).map_err(|error| {
        let what = format!("manifest.json cannot be read: {error}");
        malformed(&tarball.label, what).with_source(error)
    })?;
    let mut reading = Reading {
        tarball,
        found: Found {
            catalogue: Catalogue::default(),
            content: HashMap::new(),
        },
        hashed: HashMap::new(),
    };
    for image in &listed {
        reading.image(image)?;
    }
    Ok(reading.found)
}

struct Reading<'a> {
    tarball: &'a Tarball,
    found: Found,
    /// Layers that had to be hashed, by where they are: images have layers in common.
    hashed: HashMap<u64, Digest>,
}

impl Reading<'_> {
    fn image(&mut self, image: &Listed) -> Result<()> {
        let label = &self.tarball.label;
        let config = self.tarball.bytes(&image.config, MANIFEST_MAX)?;
        let parsed: Config = serde_json::from_slice(&config).map_err(|error| {
            let what = format!("the config {} cannot be read: {error}", image.config);
            malformed(label, what).with_source(error)
        })?;
        let paths = image.layers.as_deref().unwrap_or_default();
        let diff_ids = parsed.rootfs.diff_ids.unwrap_or_default();
        if paths.len() != diff_ids.len() {
            let what = format!(
                "its config {} has {} layers and manifest.json {}",
                image.config,
                diff_ids.len(),
                paths.len()
            );
            return Err(malformed(label, what));
        }
        let mut layers = Vec::new();
        for (path, diff_id) in paths.iter().zip(&diff_ids) {
            layers.push(self.layer(path, diff_id)?);
        }
        let config = self.keep(MediaType::OCI_CONFIG, config);
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        });
        let manifest = RawManifest::new(MediaType::OCI_MANIFEST, document.to_string());
        let descriptor = self.keep(MediaType::OCI_MANIFEST, manifest.bytes);
        let catalogue = &mut self.found.catalogue;
        catalogue.put(&descriptor, &[], &Naming::Tag, &[]);
        for name in image.repo_tags.as_deref().unwrap_or_default() {
            let name: ImageRef = name.parse().map_err(|error| {
                malformed(
                    label,
                    format!("{name:?} in manifest.json is no name: {error}"),
                )
            })?;
            if let Some(tag) = name.tag_or_latest() {
                catalogue.put(&descriptor, &[tag], &Naming::Docker(name), &[]);
            }
        }
        Ok(())
    }

    /// A layer as it lies there. What a plain one must be is known from the config, and is compared
    /// when it is read; what a compressed one is has to be computed.
    fn layer(&mut self, path: &str, diff_id: &Digest) -> Result<Descriptor> {
        let label = &self.tarball.label;
        let Some(slice) = self.tarball.slice(path) else {
            let message = format!("layer {path} is missing from {label}");
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let start = Slice {
            size: slice.size.min(6),
            ..slice
        };
        let start = start.read(&self.tarball.file, label)?;
        let media_type = match &*start {
            [0x1f, 0x8b, ..] => MediaType::OCI_LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => MediaType::OCI_LAYER_ZSTD,
            [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'B', b'Z', b'h', ..] => {
                let message = format!("layer {path} in {label} is compressed by xz or bzip2");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            _ => MediaType::OCI_LAYER,
        };
        let digest = match media_type {
            MediaType::OCI_LAYER => *diff_id,
            _ => self.hash(slice)?,
        };
        self.found.content.insert(digest, Piece::Slice(slice));
        Ok(Descriptor::new(media_type, digest, slice.size))
    }

    fn hash(&mut self, slice: Slice) -> Result<Digest> {
        if let Some(known) = self.hashed.get(&slice.at) {
            return Ok(*known);
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut rest = slice;
        while rest.size > 0 {
            let part = Slice {
                size: rest.size.min(CHUNK),
                ..rest
            };
            hasher.update(&part.read(&self.tarball.file, &self.tarball.label)?);
            rest = rest.from(part.size);
        }
        let digest = hasher.finish();
        self.hashed.insert(slice.at, digest);
        Ok(digest)
    }

    /// Keeps bytes that were read or made whole.
    fn keep(&mut self, media_type: &str, bytes: Bytes) -> Descriptor {
        let digest = Algorithm::Sha256.digest(&bytes);
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        self.found.content.insert(digest, Piece::Made(bytes));
        descriptor
    }
}

/// An archive that is none of images, or of too old a form.
pub(super) fn unknown_form(tarball: &Tarball) -> Error {
    let label = &tarball.label;
    if tarball.is_empty() {
        return malformed(label, "this is no tar archive, or it is empty");
    }
    if tarball.has("repositories") {
        let error = malformed(label, "it was saved by a Docker before 1.10");
        return error.with_hint("load it into a current one and save it again");
    }
    let what = "this is no archive of images: it has neither index.json nor manifest.json";
    malformed(label, what)
}
