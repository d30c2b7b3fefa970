//! Which image of a layout or archive is meant.

use std::fmt;
use std::path::PathBuf;

use dockhand_oci::{Algorithm, Digest, ImageRef, ImageRefError, Tag};

use crate::{Error, ErrorKind};

/// An image among those of a layout or archive: by tag, by whole name, by digest; or the only one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A valid name as it was written, without tag: `debian`, `ghcr.io/team/app`.
    name: Option<String>,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Selection {
    /// The image of this tag.
    #[must_use]
    pub fn tagged(tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            ..Self::default()
        }
    }

    /// The manifest of this digest.
    #[must_use]
    pub fn digested(digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..Self::default()
        }
    }

    /// The name without the tag, as it was written.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The tag that was written; a name without one means `latest`.
    #[must_use]
    pub fn tag(&self) -> Option<Tag> {
        let latest = || self.name.as_ref().map(|_| Tag::latest());
        self.tag.clone().or_else(latest)
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The whole name, when one was written.
    #[must_use]
    pub fn image_ref(&self) -> Option<ImageRef> {
        let image: ImageRef = self.name.as_ref()?.parse().ok()?;
        Some(ImageRef {
            tag: self.tag(),
            ..image
        })
    }

    /// Takes what is not said from `image`: the tag.
    pub(super) fn take_tag_of(&mut self, image: &ImageRef) {
        if self.tag.is_none() && self.name.is_none() && self.digest.is_none() {
            self.tag = image.tag_or_latest();
        }
    }

    /// Takes what is not said from `image`: name and tag.
    pub(super) fn take_name_of(&mut self, image: &ImageRef) {
        if self.name.is_none() && self.digest.is_none() {
            let bare = ImageRef {
                tag: None,
                digest: None,
                ..image.clone()
            };
            self.name = Some(bare.familiar());
            self.tag = self.tag.take().or_else(|| image.tag_or_latest());
        }
    }

    /// Splits what stands behind a scheme: `PATH[:tag|:name:tag][@digest]`. The path ends at the first
    /// colon. A word alone is a tag, or a name where `names` says that names are usual.
    pub(super) fn split(text: &str, rest: &str, names: bool) -> Result<(PathBuf, Self), Error> {
        let invalid = |why: &dyn fmt::Display| {
            Error::new(
                ErrorKind::Invalid,
                format!("{text:?} names no image: {why}"),
            )
        };
        let (rest, digest) = match rest.rsplit_once('@') {
            // An `@` before anything else belongs to the path.
            Some((rest, digest)) if is_digest(digest) => {
                let digest = digest.parse().map_err(|error| invalid(&error))?;
                (rest, Some(digest))
            }
            _ => (rest, None),
        };
        let (path, image) = match rest.split_once(':') {
            Some((path, image)) => (path, Some(image)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(invalid(&"the path is missing"));
        }
        let mut selection = Self {
            name: None,
            tag: None,
            digest,
        };
        match image {
            None => {}
            Some(word) if !names && !word.contains([':', '/']) => {
                selection.tag = Some(word.parse().map_err(|error| invalid(&error))?);
            }
            Some(image) => {
                let known: Result<ImageRef, ImageRefError> = image.parse();
                let known = known.map_err(|error| invalid(&error))?;
                if known.digest.is_some() {
                    return Err(invalid(&"it has two digests"));
                }
                let name = match &known.tag {
                    Some(tag) => image.strip_suffix(&format!(":{tag}")).unwrap_or(image),
                    None => image,
                };
                selection.name = Some(name.to_owned());
                selection.tag = known.tag;
            }
        }
        Ok((path.into(), selection))
    }
}

/// Whether a text is meant as a digest.
fn is_digest(text: &str) -> bool {
    let begins = |algorithm: Algorithm| {
        { text.strip_prefix(algorithm.as_str()) }.is_some_and(|rest| rest.starts_with(':'))
    };
    Algorithm::ALL.into_iter().any(begins)
}

impl fmt::Display for Selection {
    /// With the `:` or `@` in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, ":{name}")?;
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}
