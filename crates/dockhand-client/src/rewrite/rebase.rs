//! Images onto another version of what they were built on.

use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Platform, Reference};
use serde_json::value::RawValue;

use super::draft::{DraftLayer, layers_of, raw};
use super::{Document, Draft, Edit, merge};
use crate::image::{Image, images, names};
use crate::layers::Compression;
use crate::store::StoreBlob;
use crate::{Error, ErrorKind, Result, Store};

/// The annotation that says by which name an image's base is known.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys>
pub(super) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation that says which digest an image's base had.
pub(super) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// What images are, or were, built on: the images of all platforms.
#[derive(Clone, Debug)]
pub struct BaseImages {
    store: Arc<dyn Store>,
    images: Vec<Image>,
    /// What it is called, for messages and for the annotation.
    name: String,
}

impl BaseImages {
    /// Reads them; `name` is what people call them: `docker.io/library/debian:12`.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub async fn read(
        store: Arc<dyn Store>,
        what: &Reference,
        name: impl Into<String>,
    ) -> Result<Self> {
        let name = name.into();
        let images = images(&*store, what).await;
        Ok(Self {
            images: images.map_err(|error| error.doing(format!("read the base {name}")))?,
            store,
            name,
        })
    }

    /// The one that an image of `platform` is built on.
    fn image(&self, platform: &Platform) -> Result<&Image> {
        if let [only] = &self.images[..]
            && only.config.platform().matches(&loose(platform))
        {
            return Ok(only);
        }
        let best = |wanted: &Platform| {
            Platform::best(
                wanted,
                self.images.iter().map(|image| (&image.platform, image)),
            )
        };
        let found = best(platform).or_else(|| best(&loose(platform)));
        found.ok_or_else(|| {
            let message = format!("the base {} has no image for {platform}", self.name);
            let known = names(self.images.iter().map(|image| &image.platform));
            Error::new(ErrorKind::NotFound, message).with_hint(format!("it has {known}"))
        })
    }
}

/// A platform without the version of its system, which changes from one base to the next.
pub(super) fn loose(platform: &Platform) -> Platform {
    Platform {
        os_version: None,
        os_features: Vec::new(),
        ..platform.clone()
    }
}

/// Puts what was built on `old` onto `new`. Of the config, what is as `old` has it becomes what `new`
/// has: each label and variable for itself; what the image says itself stays.
#[derive(Clone, Debug)]
pub struct Rebase {
    /// What the images were built on.
    pub old: BaseImages,
    /// What they are to be built on.
    pub new: BaseImages,
}

#[async_trait]
impl Edit for Rebase {
    async fn apply(&self, draft: &mut Draft) -> Result<()> {
        let old = self.old.image(&draft.platform)?;
        let new = self.new.image(&draft.platform)?;
        let layers = draft.layers()?;
        let own = self.own_layers(old, &layers)?;
        let mut rebased = Vec::with_capacity(new.layers.len() + own.len());
        if new.layers.len() != new.config.rootfs.diff_ids.len() {
            let message = format!("the config of {} does not fit its layers", self.new.name);
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        for (layer, diff_id) in new.layers.iter().zip(&new.config.rootfs.diff_ids) {
            rebased.push(DraftLayer {
                descriptor: raw(&in_family(draft, new, layer)?)?,
                diff_id: diff_id.clone(),
            });
            let source = StoreBlob {
                store: Arc::clone(&self.new.store),
                blob: layer.clone(),
            };
            let origin = self.new.store.origin_of(layer);
            draft.bring(layer.digest, Arc::new(source), origin);
        }
        rebased.extend_from_slice(own);
        let history = rebased_history(draft, old, new, rebased.len())?;
        draft.set_layers(&rebased, history.as_deref())?;
        let [old_config, new_config] = [old, new].map(|base| Document::parse(&base.config_bytes));
        merge::configs(&mut draft.config, &old_config?, &new_config?)?;
        draft.manifest.within("annotations", |annotations| {
            annotations.set(BASE_NAME, &self.new.name)?;
            annotations.set(BASE_DIGEST, &new.manifest.digest)
        })
    }
}

impl Rebase {
    /// The layers that are not of the old base.
    fn own_layers<'a>(&self, old: &Image, layers: &'a [DraftLayer]) -> Result<&'a [DraftLayer]> {
        let base = &old.config.rootfs.diff_ids;
        let refuse = |why: String| {
            let message = format!("the image is not built on {}: {why}", self.old.name);
            Error::new(ErrorKind::Conflict, message).with_hint("name the base that it was built on")
        };
        if base.len() > layers.len() {
            let why = format!("it has {} layers, the base {}", layers.len(), base.len());
            return Err(refuse(why));
        }
        let differ = { base.iter().zip(layers) }.position(|(base, own)| *base != own.diff_id);
        match differ {
            Some(place) => Err(refuse(format!("layer {} is another", place + 1))),
            None => Ok(&layers[base.len()..]),
        }
    }
}

/// A layer of the new base with the media type that it has in an image of the draft's family.
fn in_family(draft: &Draft, new: &Image, layer: &Descriptor) -> Result<Descriptor> {
    if new.is_docker() == draft.image.is_docker() || layer.is_nondistributable() {
        return Ok(layer.clone());
    }
    let compression = match layer.media_type.rsplit(['.', '+']).next() {
        Some("gzip") => Compression::Gzip,
        Some("zstd") => Compression::Zstd,
        _ => Compression::None,
    };
    Ok(Descriptor {
        media_type: draft.layer_type(compression)?.to_owned(),
        ..layer.clone()
    })
}

/// The history of the new base, then what was done on the old one; nothing when either is not whole.
fn rebased_history(
    draft: &Draft,
    old: &Image,
    new: &Image,
    layers: usize,
) -> Result<Option<Vec<Box<RawValue>>>> {
    let Some(own) = draft.history()? else {
        return Ok(None);
    };
    let whole = |image: &Image| {
        let made = { image.config.history.iter() }.filter(|step| !step.empty_layer);
        made.count() == image.config.rootfs.diff_ids.len()
    };
    if !whole(old) || !whole(new) {
        return Ok(None);
    }
    let base = Document::parse(&new.config_bytes)?;
    let base: Vec<Box<RawValue>> = base.get("history")?.unwrap_or_default();
    let rest = own.into_iter().skip(old.config.history.len());
    let rebased: Vec<_> = base.into_iter().chain(rest).collect();
    Ok((layers_of(&rebased) == layers).then_some(rebased))
}
