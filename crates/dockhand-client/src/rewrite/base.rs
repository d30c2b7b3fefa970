//! Whether the base of an image has moved.

use dockhand_oci::{Digest, ImageRef, Platform, Reference};

use super::rebase::{BASE_DIGEST, BASE_NAME, loose};
use crate::image::{Image, images, listed};
use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result, Store};

/// What an image says that it was built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The name of the base, as people write it.
    pub name: String,
    /// The digest that the base had.
    pub digest: Option<Digest>,
}

/// Whether a base has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseState {
    /// It is the one that the image was built on.
    Current,
    /// It is another manifest, but the image has its layers.
    SameLayers,
    /// It is another one: the image should be built anew, or rebased.
    Moved,
}

/// An image and its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseCheck {
    /// What the image runs on.
    pub platform: Platform,
    /// The image.
    pub image: Digest,
    /// What the image says of its base.
    pub base: Base,
    /// The manifest that the name stands for now: that for the platform, when the base is an index.
    pub now: Digest,
    /// Whether that is the one the image was built on.
    pub state: BaseState,
}

impl Base {
    /// The base, as an image reference.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the name is none.
    pub fn reference(&self) -> Result<ImageRef> {
        Ok(self.name.parse::<ImageRef>()?)
    }

    fn of(manifest: &RawManifest) -> Result<Option<Self>> {
        let annotations = manifest.parse()?.annotations;
        let Some(name) = annotations.get(BASE_NAME).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let digest = annotations.get(BASE_DIGEST);
        Ok(Some(Self {
            name: name.clone(),
            digest: digest.and_then(|digest| digest.parse().ok()),
        }))
    }
}

/// The images that `what` names, each with the base that it, or else its index, says.
///
/// # Errors
/// What keeps them from being read.
pub async fn bases(store: &dyn Store, what: &Reference) -> Result<Vec<(Image, Option<Base>)>> {
    let root = store.manifest(what).await?;
    let common = Base::of(&root)?;
    let mut found = Vec::new();
    for image in images(store, what).await? {
        let own = Base::of(&image.manifest)?;
        found.push((image, own.or_else(|| common.clone())));
    }
    Ok(found)
}

/// Compares an image with what its base's name stands for now in `store`, which is where `what` is looked
/// up. Without a digest the layers tell.
///
/// # Errors
/// [`ErrorKind::NotFound`] when the base is gone, or has no image for the platform any more.
pub async fn base_check(
    image: &Image,
    base: &Base,
    store: &dyn Store,
    what: &Reference,
) -> Result<BaseCheck> {
    let root = store.manifest(what).await?;
    let root_digest = root.digest;
    let mut offered = Vec::new();
    for one in listed(store, root).await? {
        if !one.is_image() {
            continue;
        }
        let listed_as = one.descriptor.as_ref().and_then(|own| own.platform.clone());
        let platform = match listed_as {
            Some(platform) => platform,
            None => one.clone().image(store).await?.platform,
        };
        offered.push((platform, one));
    }
    // The version of the system changes from one base to the next.
    let wanted = loose(&image.config.platform());
    let offered = offered.iter().map(|(platform, one)| (platform, one));
    let Some(fitting) = Platform::best(&wanted, offered).cloned() else {
        let message = format!("the base {} has no image for {}", base.name, image.platform);
        return Err(Error::new(ErrorKind::NotFound, message));
    };
    let now = fitting.manifest.digest;
    let recorded = base
        .digest
        .is_some_and(|digest| digest == now || digest == root_digest);
    let state = match recorded {
        true => BaseState::Current,
        false => {
            let current = fitting.image(store).await?.config.rootfs.diff_ids;
            let built_on_it =
                !current.is_empty() && image.config.rootfs.diff_ids.starts_with(&current);
            match built_on_it {
                true => BaseState::SameLayers,
                false => BaseState::Moved,
            }
        }
    };
    Ok(BaseCheck {
        platform: image.platform.clone(),
        image: image.manifest.digest,
        base: base.clone(),
        now,
        state,
    })
}
