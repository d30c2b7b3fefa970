//! What a layout or archive lists: names of images, and images without a name.

use std::collections::BTreeSet;
use std::fmt;

use dockhand_oci::{Digest, ImageRef, Tag};

use super::MANIFEST_MAX;
use super::catalogue::Catalogue;
use super::shelf::{Shelf, read_manifest};
use crate::Result;

/// So many manifests without a name are read to see whether they refer to another; a list of more is one of
/// referrers, and reading all of it would take long.
const READ_MAX: usize = 256;

/// A name in the list of a layout or archive, or a manifest in it that has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The manifest.
    pub digest: Digest,
    /// The tag, or the end of the whole name.
    pub tag: Option<Tag>,
    /// The whole name, where one is written: `team/a:v1`.
    pub name: Option<ImageRef>,
    /// The manifest that it refers to, looked for only where it has no name.
    pub subject: Option<Digest>,
}

impl Entry {
    /// Whether it has no name of any kind.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.tag.is_none() && self.name.is_none()
    }
}

impl fmt::Display for Entry {
    /// As it is written behind the place: the whole name, the tag, or the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.tag) {
            (Some(name), _) => f.write_str(&name.familiar()),
            (None, Some(tag)) => tag.fmt(f),
            (None, None) => self.digest.fmt(f),
        }
    }
}

/// The entries of a place: each name once, and each manifest that has none once.
pub(super) async fn of<S: Shelf + ?Sized>(shelf: &S) -> Result<Vec<Entry>> {
    let catalogue = shelf.catalogue().await?;
    let mut entries = listed(&catalogue);
    let nameless = entries.iter_mut().filter(|entry| entry.is_nameless());
    for entry in nameless.take(READ_MAX) {
        let Some(descriptor) = catalogue.find_digest(&entry.digest) else {
            continue;
        };
        let here = shelf.size(&entry.digest).await? == Some(descriptor.size);
        if !here || descriptor.size > MANIFEST_MAX {
            continue;
        }
        // What cannot be read refers to nothing that could be named.
        let read = read_manifest(shelf, descriptor).await.ok();
        let parsed = read.and_then(|manifest| manifest.parse().ok());
        entry.subject = parsed.and_then(|parsed| Some(parsed.subject?.digest));
    }
    Ok(entries)
}

fn listed(catalogue: &Catalogue) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    let all = catalogue.manifests.iter().map(|descriptor| Entry {
        digest: descriptor.digest,
        tag: Catalogue::tag(descriptor),
        name: Catalogue::name(descriptor),
        subject: None,
    });
    let all: Vec<Entry> = all.collect();
    let named: BTreeSet<Digest> = { all.iter() }
        .filter(|entry| !entry.is_nameless())
        .map(|entry| entry.digest)
        .collect();
    let wanted = |entry: &Entry| !entry.is_nameless() || !named.contains(&entry.digest);
    let wanted = all.into_iter().filter(wanted);
    wanted
        .filter(|entry| seen.insert(entry.to_string()))
        .collect()
}
