//! The list of what a layout has at its top: `index.json`.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md#indexjson-file>

use std::collections::BTreeSet;

use dockhand_oci::{Descriptor, Digest, ImageRef, MediaType, Tag};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// The annotation by which an entry has a name: a tag, or with some tools all of `name:tag`.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys>
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd and `docker save` keep the whole name of an image.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The entries of a layout, in their order, and what else its document says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Catalogue {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// How the entries that are added here are called.
#[derive(Clone, Debug)]
pub(crate) enum Naming {
    /// By the tag alone.
    Tag,
    /// By this name and the tag, as `oci:DIR:name:tag` of skopeo does.
    Full(String),
    /// By the tag, with this whole name besides, as `docker save` does.
    Docker(ImageRef),
}

impl Naming {
    /// The whole name of what gets this tag; none when the tag is all.
    pub(super) fn whole(&self, tag: &Tag) -> Option<ImageRef> {
        match self {
            Self::Tag => None,
            Self::Full(name) => Some(tagged(&name.parse().ok()?, tag)),
            Self::Docker(image) => Some(tagged(image, tag)),
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OCI_INDEX.to_owned()),
            manifests: Vec::new(),
            other: Map::new(),
        }
    }
}

/// Reads `null`, which Go programs write for an empty list.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Catalogue {
    /// Reads the document; `place` is for the message.
    pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("index.json of {place} cannot be read: {error}");
            Error::new(ErrorKind::Protocol, message).with_source(error)
        })
    }

    /// The document.
    pub(super) fn render(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the list of images cannot be written")
                .with_source(error)
        })
    }

    /// Every tag once.
    pub(super) fn tags(&self) -> Vec<Tag> {
        let tags: BTreeSet<Tag> = self.manifests.iter().filter_map(tag_of).collect();
        tags.into_iter().collect()
    }

    /// The entry of a tag: the one that is called so, or else the only one whose whole name ends so.
    pub(super) fn find(&self, tag: &Tag, place: &str) -> Result<Option<&Descriptor>> {
        let exact = self.manifests.iter().rfind(|entry| is_called(entry, tag));
        if exact.is_some() {
            return Ok(exact);
        }
        let mut named =
            { self.manifests.iter() }.filter(|entry| tag_of(entry).as_ref() == Some(tag));
        let Some(first) = named.next() else {
            return Ok(None);
        };
        if named.any(|other| other.digest != first.digest) {
            let names = self.names_where(|entry| tag_of(entry).as_ref() == Some(tag));
            let message = format!("{place} has several images with the tag {tag}");
            let hint = format!("name one of {names}, or a digest");
            return Err(Error::new(ErrorKind::Conflict, message).with_hint(hint));
        }
        Ok(Some(first))
    }

    /// The entry whose whole name is this one; no tag is `latest`.
    pub(super) fn find_image(&self, image: &ImageRef) -> Option<&Descriptor> {
        { self.manifests.iter() }.rfind(|entry| is_image(entry, image))
    }

    /// An entry of this digest.
    pub(super) fn find_digest(&self, digest: &Digest) -> Option<&Descriptor> {
        self.manifests.iter().find(|entry| entry.digest == *digest)
    }

    /// The tag of an entry, or the end of its whole name.
    pub(super) fn tag(entry: &Descriptor) -> Option<Tag> {
        tag_of(entry)
    }

    /// The whole name of an entry, with its tag; `None` when it has a tag alone.
    pub(super) fn name(entry: &Descriptor) -> Option<ImageRef> {
        let image = image_of(entry)?;
        Some(ImageRef {
            tag: image.tag_or_latest(),
            ..image
        })
    }

    /// Whether the entry has a name of any kind.
    pub(super) fn is_named(&self, entry: &Descriptor) -> bool {
        named(entry)
    }

    /// The names and tags, for messages: at most a handful.
    pub(super) fn names(&self) -> String {
        self.names_where(|_| true)
    }

    fn names_where(&self, wanted: impl Fn(&Descriptor) -> bool) -> String {
        const SHOWN: usize = 8;
        let mut names: Vec<String> = { self.manifests.iter() }
            .filter(|entry| wanted(entry))
            .filter_map(|entry| match image_of(entry) {
                Some(image) => Some(image.familiar()),
                None => entry.annotations.get(REF_NAME).cloned(),
            })
            .collect();
        names.sort();
        names.dedup();
        if names.len() > SHOWN {
            names.truncate(SHOWN);
            names.push("…".to_owned());
        }
        names.join(", ")
    }

    /// Lists a manifest, which each of `tags` names from now on; its `children` need no entry of their
    /// own unless they have a name.
    pub(super) fn put(
        &mut self,
        manifest: &Descriptor,
        tags: &[Tag],
        naming: &Naming,
        children: &[Digest],
    ) {
        self.manifests
            .retain(|entry| named(entry) || !children.contains(&entry.digest));
        if tags.is_empty() {
            if self.find_digest(&manifest.digest).is_none() {
                self.manifests.push(manifest.clone());
            }
            return;
        }
        self.manifests
            .retain(|entry| named(entry) || entry.digest != manifest.digest);
        for tag in tags {
            self.release(tag, naming);
            let mut entry = manifest.clone();
            let name = match naming {
                Naming::Tag | Naming::Docker(_) => tag.to_string(),
                Naming::Full(name) => format!("{name}:{tag}"),
            };
            entry.annotations.insert(REF_NAME.into(), name);
            if let Some(whole) = naming.whole(tag) {
                entry
                    .annotations
                    .insert(IMAGE_NAME.into(), whole.to_string());
            }
            self.manifests.push(entry);
        }
    }

    /// Takes the name that is about to be given from whoever has it.
    fn release(&mut self, tag: &Tag, naming: &Naming) {
        if let Some(image) = naming.whole(tag) {
            while let Some(entry) = self.find_image(&image).cloned() {
                self.manifests.retain(|other| *other != entry);
            }
            return;
        }
        self.manifests.retain(|entry| !is_called(entry, tag));
        let named = |entry: &Descriptor| tag_of(entry).as_ref() == Some(tag);
        if self.manifests.iter().filter(|entry| named(entry)).count() == 1 {
            self.manifests.retain(|entry| !named(entry));
        }
    }

    /// Takes a tag away and keeps what it named; says whether it was there. A whole name goes only when
    /// nothing has the tag alone, or when it is the one that is meant.
    pub(super) fn untag(&mut self, tag: &Tag, naming: &Naming, place: &str) -> Result<bool> {
        let whole = naming.whole(tag);
        let exact = self.manifests.iter().any(|entry| is_called(entry, tag));
        if whole.is_none() && !exact && self.find(tag, place)?.is_none() {
            return Ok(false);
        }
        let goes = |entry: &Descriptor| match &whole {
            Some(image) => is_image(entry, image),
            None if exact => is_called(entry, tag),
            None => tag_of(entry).as_ref() == Some(tag),
        };
        let all = std::mem::take(&mut self.manifests).into_iter();
        let (gone, kept): (Vec<_>, Vec<_>) = all.partition(|entry| goes(entry));
        self.manifests = kept;
        for entry in &gone {
            if self.find_digest(&entry.digest).is_none() {
                self.manifests.push(anonymous(entry));
            }
        }
        Ok(!gone.is_empty())
    }

    /// Takes every entry of a manifest away; says whether there was one.
    pub(super) fn remove(&mut self, digest: &Digest) -> bool {
        let before = self.manifests.len();
        self.manifests.retain(|entry| entry.digest != *digest);
        self.manifests.len() < before
    }
}

/// `image` with this tag and no digest.
pub(super) fn tagged(image: &ImageRef, tag: &Tag) -> ImageRef {
    ImageRef {
        tag: Some(tag.clone()),
        digest: None,
        ..image.clone()
    }
}

/// The entry without the names it has here.
pub(super) fn anonymous(entry: &Descriptor) -> Descriptor {
    let mut entry = entry.clone();
    entry.annotations.remove(REF_NAME);
    entry.annotations.remove(IMAGE_NAME);
    entry
}

fn named(entry: &Descriptor) -> bool {
    entry.annotations.contains_key(REF_NAME) || entry.annotations.contains_key(IMAGE_NAME)
}

/// Whether the entry has this tag and no more of a name.
fn is_called(entry: &Descriptor, tag: &Tag) -> bool {
    !entry.annotations.contains_key(IMAGE_NAME)
        && entry.annotations.get(REF_NAME).map(String::as_str) == Some(tag.as_str())
}

/// Whether this is the whole name of the entry; no tag is `latest`.
fn is_image(entry: &Descriptor, image: &ImageRef) -> bool {
    image_of(entry).is_some_and(|own| {
        (&own.registry, &own.repository) == (&image.registry, &image.repository)
            && own.tag_or_latest() == image.tag_or_latest()
    })
}

/// The whole name of an entry, when it has one.
fn image_of(entry: &Descriptor) -> Option<ImageRef> {
    let whole = |name: &String| name.parse().ok();
    let stated = entry.annotations.get(IMAGE_NAME).and_then(whole);
    stated.or_else(|| {
        let name = entry.annotations.get(REF_NAME)?;
        // A word alone is a tag and no name.
        name.contains([':', '/']).then(|| whole(name)).flatten()
    })
}

/// The tag of an entry: its name, or the end of its whole name.
fn tag_of(entry: &Descriptor) -> Option<Tag> {
    let name = entry.annotations.get(REF_NAME);
    let tag = name.and_then(|name| name.parse().ok());
    tag.or_else(|| image_of(entry)?.tag_or_latest())
}

#[cfg(test)]
mod tests;
