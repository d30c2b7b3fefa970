//! Which images a reference names, and which one of them is meant.

use std::collections::BTreeSet;

use dockhand_oci::{Descriptor, LinkKind, ManifestKind, Platform, Reference};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Image, is_image_config};
use crate::store::{RawManifest, Store};
use crate::{Error, ErrorKind, Result};

/// The annotation by which an attestation in an index names the image that it is about.
/// <https://docs.docker.com/build/metadata/attestations/attestation-storage/>
pub const ATTESTED: &str = "vnd.docker.reference.digest";

/// How many manifests and configs are asked for at once.
const LANES: usize = 16;
/// How deep indexes may lie in indexes. Nobody goes beyond one in another.
const DEPTH_MAX: usize = 8;
/// The most manifests of one reference.
const MANIFESTS_MAX: usize = 20_000;

/// A manifest that an index lists, or the only one.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The manifest.
    pub manifest: RawManifest,
    /// Its descriptor in the index; nothing for one that stands alone.
    pub descriptor: Option<Descriptor>,
}

/// The manifests below `root` that are no indexes: images, artifacts and attestations alike.
///
/// # Errors
/// What keeps one from being read; [`ErrorKind::Unsafe`] when indexes nest too deep.
pub async fn listed(store: &dyn Store, root: RawManifest) -> Result<Vec<Listed>> {
    let mut level = vec![Listed {
        manifest: root,
        descriptor: None,
    }];
    let mut seen = BTreeSet::new();
    for _ in 0..DEPTH_MAX {
        if level.iter().all(|one| !is_index(&one.manifest)) {
            return Ok(level);
        }
        let mut next = Vec::new();
        for one in level {
            let parsed = one.manifest.parse()?;
            if parsed.kind != ManifestKind::Index {
                next.push(one);
                continue;
            }
            let links = parsed.links.into_iter();
            let children = links
                .filter(|link| link.kind == LinkKind::Manifest)
                .map(|link| link.descriptor)
                .filter(|child| {
                    seen.insert((
                        child.digest,
                        child.platform.as_ref().map(ToString::to_string),
                    ))
                });
            let children: Vec<Descriptor> = children.collect();
            if seen.len() > MANIFESTS_MAX {
                let message = format!("it has more than {MANIFESTS_MAX} manifests");
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            let read = stream::iter(children).map(|child| child_of(store, child));
            next.extend(read.buffered(LANES).try_collect::<Vec<_>>().await?);
        }
        level = next;
    }
    let message = format!("indexes lie more than {DEPTH_MAX} deep in each other");
    Err(Error::new(ErrorKind::Unsafe, message))
}

fn is_index(manifest: &RawManifest) -> bool {
    { manifest.parse() }.is_ok_and(|parsed| parsed.kind == ManifestKind::Index)
}

async fn child_of(store: &dyn Store, child: Descriptor) -> Result<Listed> {
    let mut manifest = store.manifest(&Reference::Digest(child.digest)).await?;
    manifest.media_type.clone_from(&child.media_type);
    Ok(Listed {
        manifest,
        descriptor: Some(child),
    })
}

impl Listed {
    /// Whether it is a container image, and no artifact or attestation.
    #[must_use]
    pub fn is_image(&self) -> bool {
        let about = |one: &Descriptor| {
            one.annotations.contains_key(ATTESTED)
                || one.platform.as_ref().is_some_and(|own| own.os == "unknown")
        };
        if self.descriptor.as_ref().is_some_and(about) {
            return false;
        }
        self.manifest.parse().is_ok_and(|parsed| {
            let config = parsed.links.first();
            parsed.kind == ManifestKind::Image
                && config.is_some_and(|link| is_image_config(&link.descriptor.media_type))
        })
    }

    /// The image, with its config.
    ///
    /// # Errors
    /// As [`Image::read`].
    pub async fn image(self, store: &dyn Store) -> Result<Image> {
        let mut image = Image::read(store, self.manifest).await?;
        let platform = self.descriptor.and_then(|descriptor| descriptor.platform);
        if let Some(platform) = platform.filter(|own| !own.os.is_empty()) {
            image.platform = platform;
        }
        Ok(image)
    }
}

/// The images that `what` names: all of an index, or one.
///
/// # Errors
/// [`ErrorKind::Unsupported`] when there is none among what it names.
pub async fn images(store: &dyn Store, what: &Reference) -> Result<Vec<Image>> {
    let root = store.manifest(what).await?;
    let listed = listed(store, root).await?;
    let only = listed.len() == 1;
    let images = { listed.into_iter() }.filter(|one| only || one.is_image());
    let images: Vec<Image> = stream::iter(images)
        .map(|one| one.image(store))
        .buffered(LANES)
        .try_collect()
        .await?;
    if images.is_empty() {
        let message = format!("{what} lists no container image");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(images)
}

/// The one image that `what` names: the best for `platform`. Without a platform, it is the only one there
/// is, or the best for Linux on the processor of this machine.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none for the platform, with those that there are.
pub async fn select(
    store: &dyn Store,
    what: &Reference,
    platform: Option<&Platform>,
) -> Result<Image> {
    let mut all = images(store, what).await?;
    if platform.is_none() && all.len() == 1 {
        return Ok(all.remove(0));
    }
    let local = Platform {
        os: "linux".to_owned(),
        architecture: local_architecture().to_owned(),
        ..Platform::default()
    };
    let wanted = platform.unwrap_or(&local);
    let known = names(all.iter().map(|image| &image.platform));
    let platforms: Vec<Platform> = all.iter().map(|image| image.platform.clone()).collect();
    let found = Platform::best(wanted, platforms.iter().zip(all));
    found.ok_or_else(|| {
        let message = format!("{what} has no image for {wanted}");
        Error::new(ErrorKind::NotFound, message).with_hint(format!("it has {known}"))
    })
}

/// Platforms for a message, each once.
pub(crate) fn names<'a>(platforms: impl Iterator<Item = &'a Platform>) -> String {
    let names: BTreeSet<String> = platforms.map(ToString::to_string).collect();
    let names: Vec<String> = names.into_iter().collect();
    names.join(", ")
}

/// The processor of this machine in Go's words.
#[must_use]
pub fn local_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
