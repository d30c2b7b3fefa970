//! Indexes made by hand: from images, with more of them, with fewer.

use std::collections::BTreeSet;

use dockhand_oci::{Descriptor, Digest, ManifestKind, MediaType, Platform};
use serde_json::value::RawValue;

use super::draft::raw;
use super::{Document, Setting, annotate};
use crate::image::{ATTESTED, Image, is_image_config, names};
use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result, Store};

/// What an index lists: the descriptor as it stands there, and as it was read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it says.
    pub descriptor: Descriptor,
    raw: Box<RawValue>,
}

impl Entry {
    /// An entry that says this.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it cannot be written as JSON.
    pub fn new(descriptor: Descriptor) -> Result<Self> {
        let raw = raw(&descriptor)?;
        Ok(Self { descriptor, raw })
    }

    /// The digest of what this entry attests.
    fn about(&self) -> Option<Digest> {
        self.descriptor.annotations.get(ATTESTED)?.parse().ok()
    }
}

/// The entries of an index.
///
/// # Errors
/// [`ErrorKind::Unsupported`] when the manifest is no index.
pub fn entries(index: &RawManifest) -> Result<Vec<Entry>> {
    if index.parse()?.kind != ManifestKind::Index {
        let message = format!("{} is an image and no index", index.digest);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let list: Option<Vec<Box<RawValue>>> = Document::parse(&index.bytes)?.get("manifests")?;
    let list = list.unwrap_or_default().into_iter();
    list.map(|raw| {
        let descriptor = serde_json::from_str(raw.get())
            .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))?;
        Ok(Entry { descriptor, raw })
    })
    .collect()
}

/// What an index is to say of a manifest: of an image what it runs on, of an artifact its type; of an
/// index its own entries.
///
/// # Errors
/// What keeps it from being read.
pub async fn entry_of(store: &dyn Store, manifest: &RawManifest) -> Result<Vec<Entry>> {
    let parsed = manifest.parse()?;
    if parsed.kind == ManifestKind::Index {
        return entries(manifest);
    }
    let mut descriptor = manifest.descriptor();
    descriptor.media_type = parsed.media_type.as_str().to_owned();
    let config = parsed.links.first().map(|link| &link.descriptor.media_type);
    if config.is_some_and(|config| is_image_config(config)) {
        let image = Image::read(store, manifest.clone()).await?;
        descriptor.platform = Some(image.platform).filter(|own| !own.os.is_empty());
    } else {
        descriptor.artifact_type = parsed.artifact_type;
    }
    Ok(vec![Entry::new(descriptor)?])
}

/// An index that is being made or changed.
#[derive(Clone, Debug)]
pub struct IndexDraft {
    document: Document,
    media_type: String,
    entries: Vec<Entry>,
}

impl IndexDraft {
    /// An empty index, of OCI's media type, or of Docker's, which old registries want.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it cannot be written as JSON.
    pub fn empty(docker: bool) -> Result<Self> {
        let media_type = match docker {
            true => MediaType::DOCKER_LIST,
            false => MediaType::OCI_INDEX,
        };
        let mut document = Document::default();
        document.set("schemaVersion", &2)?;
        document.set("mediaType", media_type)?;
        Ok(Self {
            document,
            media_type: media_type.to_owned(),
            entries: Vec::new(),
        })
    }

    /// An index that is there.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the manifest is no index.
    pub fn of(index: &RawManifest) -> Result<Self> {
        Ok(Self {
            entries: entries(index)?,
            document: Document::parse(&index.bytes)?,
            media_type: index.media_type.clone(),
        })
    }

    /// The entries so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of which [`add`](Self::add) would take the place.
    #[must_use]
    pub fn taken(&self, entry: &Entry) -> Option<&Entry> {
        self.entries.get(self.place_of(entry)?)
    }

    fn place_of(&self, entry: &Entry) -> Option<usize> {
        let platform = entry.descriptor.platform.as_ref();
        let platform = platform.filter(|own| own.os != "unknown");
        self.entries.iter().position(|own| {
            own.descriptor.digest == entry.descriptor.digest
                || (platform.is_some() && own.descriptor.platform.as_ref() == platform)
        })
    }

    /// Lists one more. It takes the place of one with its digest, and of an image for exactly its
    /// platform: two of these could not be told apart. Returns what it took the place of.
    pub fn add(&mut self, entry: Entry) -> Option<Entry> {
        match self.place_of(&entry) {
            Some(place) => {
                let old = std::mem::replace(&mut self.entries[place], entry);
                let digest = old.descriptor.digest;
                if !{ self.entries.iter() }.any(|own| own.descriptor.digest == digest) {
                    self.entries.retain(|own| own.about() != Some(digest));
                }
                Some(old)
            }
            None => {
                self.entries.push(entry);
                None
            }
        }
    }

    /// Takes away what has one of these digests or is for one of these platforms, and what attests it.
    /// Returns what went.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when one of them is not listed, with what is.
    pub fn remove(&mut self, digests: &[Digest], platforms: &[Platform]) -> Result<Vec<Entry>> {
        let of = |entry: &Entry, wanted: &Platform| {
            let own = entry.descriptor.platform.as_ref();
            own.is_some_and(|own| own.matches(wanted))
        };
        for digest in digests {
            if !{ self.entries.iter() }.any(|entry| entry.descriptor.digest == *digest) {
                return Err(self.absent(digest));
            }
        }
        for wanted in platforms {
            if !self.entries.iter().any(|entry| of(entry, wanted)) {
                return Err(self.absent(wanted));
            }
        }
        let goes = |entry: &Entry| {
            digests.contains(&entry.descriptor.digest)
                || platforms.iter().any(|wanted| of(entry, wanted))
        };
        let gone: BTreeSet<Digest> = { self.entries.iter() }
            .filter(|entry| goes(entry))
            .map(|entry| entry.descriptor.digest)
            .collect();
        let all = std::mem::take(&mut self.entries);
        let (removed, kept) = all.into_iter().partition(|entry| {
            goes(entry) || entry.about().is_some_and(|about| gone.contains(&about))
        });
        self.entries = kept;
        Ok(removed)
    }

    fn absent(&self, what: impl std::fmt::Display) -> Error {
        let known = { self.entries.iter() }.filter_map(|entry| entry.descriptor.platform.as_ref());
        let known = names(known.filter(|platform| platform.os != "unknown"));
        Error::new(
            ErrorKind::NotFound,
            format!("the index does not list {what}"),
        )
        .with_hint(format!("it has {known}"))
    }

    /// Sets and takes away annotations of the index.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when one has no name.
    pub fn annotate(&mut self, settings: &[Setting]) -> Result<()> {
        annotate(&mut self.document, settings)
    }

    /// The index as it is to be written.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it makes no sense.
    pub fn finish(mut self) -> Result<RawManifest> {
        let list: Vec<&RawValue> = self.entries.iter().map(|entry| &*entry.raw).collect();
        self.document.set("manifests", &list)?;
        let index = RawManifest::new(self.media_type, self.document.to_bytes()?);
        index.parse()?;
        Ok(index)
    }
}
