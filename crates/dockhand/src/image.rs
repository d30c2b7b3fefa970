//! What commands want to know of an image: its manifest for a platform, its config, sizes and times.

use std::collections::BTreeMap;
use std::sync::Arc;

use dockhand_client::image::{is_image_config, local_architecture};
use dockhand_client::{Error, ErrorKind, RawManifest, Store, read_small};
use dockhand_oci::{Descriptor, LinkKind, Manifest, ManifestKind, Platform, Reference};
use jiff::Timestamp;
use serde::Deserialize;

use crate::report::{Failure, Kind};
use crate::session::{Opened, named};

/// The greatest config that is read, in bytes: real ones have some KiB.
const CONFIG_MAX: u64 = 16 * 1024 * 1024;

/// The config of an image, as far as commands show it.
///
/// <https://github.com/opencontainers/image-spec/blob/main/config.md#properties>
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ImageConfig {
    pub created: Option<String>,
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    pub config: Option<Runtime>,
}

/// How a container of the image is to be run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Runtime {
    pub user: Option<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub working_dir: Option<String>,
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    pub labels: Option<BTreeMap<String, String>>,
}

/// The manifests that an index lists, attestations aside.
pub(crate) fn images(index: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let children = index
        .links
        .iter()
        .filter(|link| link.kind == LinkKind::Manifest);
    children.map(|link| &link.descriptor).filter(|child| {
        child
            .platform
            .as_ref()
            .is_none_or(|own| own.os != "unknown")
    })
}

/// What a manifest is for people: `index`, `image`, or `artifact` when its config is that of no image.
pub(crate) fn kind(manifest: &Manifest) -> &'static str {
    let config = config_of(manifest).map(|config| config.media_type.as_str());
    match manifest.kind {
        ManifestKind::Index => "index",
        ManifestKind::Image if config.is_some_and(is_image_config) => "image",
        ManifestKind::Image => "artifact",
    }
}

/// The config of an image manifest; nothing for an index.
pub(crate) fn config_of(manifest: &Manifest) -> Option<&Descriptor> {
    let mut links = manifest.links.iter();
    let config = links.find(|link| link.kind == LinkKind::Config);
    config.map(|link| &link.descriptor)
}

/// The layers of an image manifest.
pub(crate) fn layers(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let layers = manifest
        .links
        .iter()
        .filter(|link| link.kind == LinkKind::Layer);
    layers.map(|link| &link.descriptor)
}

/// The bytes of a config, verified.
pub(crate) async fn config_bytes(
    store: &dyn Store,
    config: &Descriptor,
) -> Result<bytes::Bytes, Error> {
    read_small(store, config, CONFIG_MAX).await
}

/// The config of an image manifest, empty where it is an artifact's.
pub(crate) async fn read_config(
    store: &dyn Store,
    manifest: &Manifest,
) -> Result<ImageConfig, Error> {
    match config_of(manifest) {
        Some(config) if config.size <= CONFIG_MAX => {
            let bytes = config_bytes(store, config).await?;
            Ok(serde_json::from_slice(&bytes).unwrap_or_default())
        }
        _ => Ok(ImageConfig::default()),
    }
}

/// The image that is named, or the one for a platform in the index that is named. Without a platform the
/// only image of an index, or the one for this machine's processor on Linux.
pub(crate) async fn pick(
    opened: &Opened,
    platform: Option<&Platform>,
) -> Result<(RawManifest, Manifest), Failure> {
    let mut manifest = opened.store.manifest(&opened.reference).await?;
    let mut parsed = manifest.parse()?;
    // Indexes of indexes are rare, and never deep.
    for _ in 0..4 {
        if parsed.kind == ManifestKind::Image {
            return Ok((manifest, parsed));
        }
        let child =
            child_for(&parsed, platform).ok_or_else(|| absent(opened, &parsed, platform))?;
        let reference = Reference::Digest(child.digest);
        manifest = opened.store.manifest(&reference).await?;
        parsed = manifest.parse()?;
    }
    let message = format!("{} is an index of indexes of indexes", opened.name());
    Err(Failure::plain(Kind::Failed, message))
}

/// What is named, or the image for a platform in it: what others may refer to.
pub(crate) async fn subject(
    opened: &Opened,
    platform: Option<&Platform>,
) -> Result<Descriptor, Failure> {
    match platform {
        None => Ok(opened.store.resolve(&opened.reference).await?),
        platform => Ok(pick(opened, platform).await?.0.descriptor()),
    }
}

/// The child of an index for a platform.
pub(crate) fn child_for<'a>(
    index: &'a Manifest,
    platform: Option<&Platform>,
) -> Option<&'a Descriptor> {
    let best = |wanted: &Platform| {
        let listed = images(index).filter_map(|child| Some((child.platform.as_ref()?, child)));
        Platform::best(wanted, listed)
    };
    if let Some(wanted) = platform {
        return best(wanted);
    }
    let mut all = images(index);
    match (all.next(), all.next()) {
        (only, None) => only,
        _ => best(&local_platform()),
    }
}

fn absent(opened: &Opened, index: &Manifest, platform: Option<&Platform>) -> Failure {
    let known: Vec<String> = images(index)
        .filter_map(|child| child.platform.as_ref().map(ToString::to_string))
        .collect();
    let wanted = platform.map_or_else(|| local_platform().to_string(), ToString::to_string);
    let message = format!("{} has no image for {wanted}", opened.name());
    let failure = Failure::plain(Kind::NotFound, message);
    match (known.is_empty(), images(index).next()) {
        (false, _) => failure.hint(format!("say --platform with one of: {}", known.join(", "))),
        (true, Some(_)) => {
            failure.hint("it says no platforms; name an image by a digest of `dockhand index ls`")
        }
        (true, None) => failure.hint("the index lists no image at all"),
    }
}

/// Linux on this machine's processor: what containers here run on.
pub(crate) fn local_platform() -> Platform {
    Platform {
        architecture: local_architecture().to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    }
}

/// When an image was made: of an index the latest of its images. Nothing where nobody says, or what would
/// say it is missing.
pub(crate) async fn created(
    store: &Arc<dyn Store>,
    reference: &Reference,
) -> Result<Option<Timestamp>, Error> {
    const ANNOTATION: &str = "org.opencontainers.image.created";
    let manifest = store.manifest(reference).await?;
    let parsed = manifest.parse()?;
    let said = |text: &String| text.parse::<Timestamp>().ok();
    if let Some(time) = parsed.annotations.get(ANNOTATION).and_then(said) {
        return Ok(Some(time));
    }
    if parsed.kind == ManifestKind::Image {
        let config = there(read_config(&**store, &parsed).await)?.unwrap_or_default();
        return Ok(config.created.as_ref().and_then(said));
    }
    let mut latest = None;
    for child in images(&parsed) {
        let child = store.manifest(&Reference::Digest(child.digest)).await;
        let Some(child) = there(child)? else {
            continue;
        };
        let config = there(read_config(&**store, &child.parse()?).await)?.unwrap_or_default();
        latest = latest.max(config.created.as_ref().and_then(said));
    }
    Ok(latest)
}

/// What was read; nothing when it is not there.
pub(crate) fn there<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name for messages of what a digest names in a store.
pub(crate) fn by_digest(store: &dyn Store, digest: dockhand_oci::Digest) -> String {
    named(store, &Reference::Digest(digest))
}
