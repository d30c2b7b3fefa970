//! What a worker knows to be in the repositories that are its alone. Whatever had no clear answer is
//! struck out and never used again; the oracle alone looks at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;

use super::content::{Blob, Sha};

/// A manifest that is there.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// Its digest.
    pub(crate) digest: Sha,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its `Content-Type`.
    pub(crate) media_type: &'static str,
    /// The blobs it names.
    pub(crate) blobs: Vec<Sha>,
    /// The manifests it names.
    pub(crate) manifests: Vec<Sha>,
    /// What it refers to.
    pub(crate) subject: Option<Sha>,
}

/// A repository of a worker.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Its name.
    pub(crate) repo: Arc<str>,
    blobs: BTreeMap<Sha, (Blob, usize)>,
    /// Blobs that were deleted, to be pushed again.
    pub(crate) gone: Vec<Blob>,
    manifests: BTreeMap<Sha, (Pushed, usize)>,
    tags: BTreeMap<Arc<str>, Sha>,
}

impl Shelf {
    /// An empty repository.
    pub(crate) fn new(repo: String) -> Self {
        Self {
            repo: repo.into(),
            blobs: BTreeMap::new(),
            gone: Vec::new(),
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// A blob is there.
    pub(crate) fn add_blob(&mut self, blob: Blob) {
        self.blobs.entry(blob.digest).or_insert((blob, 0));
        self.gone.retain(|gone| gone.digest != blob.digest);
    }

    /// Nobody knows of this blob any more.
    pub(crate) fn strike_blob(&mut self, digest: Sha) {
        self.blobs.remove(&digest);
        self.gone.retain(|gone| gone.digest != digest);
    }

    /// Any blob.
    pub(crate) fn any_blob(&self, rng: &mut Rng) -> Option<Blob> {
        pick(rng, self.blobs.values()).map(|(blob, _)| *blob)
    }

    /// Any blob that no manifest names.
    pub(crate) fn any_free_blob(&self, rng: &mut Rng) -> Option<Blob> {
        pick(rng, self.blobs.values().filter(|(_, uses)| *uses == 0)).map(|(blob, _)| *blob)
    }

    /// A manifest was sent: what it names is in use from now on, whatever the answer is.
    pub(crate) fn use_links(&mut self, manifest: &Pushed) {
        if self.manifests.contains_key(&manifest.digest) {
            return;
        }
        for blob in &manifest.blobs {
            self.blobs.entry(*blob).and_modify(|(_, uses)| *uses += 1);
        }
        for child in &manifest.manifests {
            self.manifests
                .entry(*child)
                .and_modify(|(_, uses)| *uses += 1);
        }
    }

    /// A manifest is there, and these tags point at it.
    pub(crate) fn add_manifest(&mut self, manifest: &Pushed, tags: &[Arc<str>]) {
        self.manifests
            .entry(manifest.digest)
            .or_insert_with(|| (manifest.clone(), 0));
        self.tags
            .extend(tags.iter().map(|tag| (Arc::clone(tag), manifest.digest)));
    }

    /// Nobody knows of these tags any more, or they are gone.
    pub(crate) fn strike_tags(&mut self, tags: &[Arc<str>]) {
        self.tags.retain(|tag, _| !tags.contains(tag));
    }

    /// Nobody knows of this manifest any more, nor of its tags; what it named stays in use.
    pub(crate) fn strike_manifest(&mut self, digest: Sha) {
        self.manifests.remove(&digest);
        self.tags.retain(|_, to| *to != digest);
    }

    /// The manifest is gone for sure: what it named is free again.
    pub(crate) fn remove_manifest(&mut self, manifest: &Pushed) {
        self.strike_manifest(manifest.digest);
        for blob in &manifest.blobs {
            self.blobs
                .entry(*blob)
                .and_modify(|(_, uses)| *uses = uses.saturating_sub(1));
        }
        for child in &manifest.manifests {
            self.manifests
                .entry(*child)
                .and_modify(|(_, uses)| *uses = uses.saturating_sub(1));
        }
    }

    /// Any manifest.
    pub(crate) fn any_manifest(&self, rng: &mut Rng) -> Option<Pushed> {
        pick(rng, self.manifests.values()).map(|(manifest, _)| manifest.clone())
    }

    /// Any manifest that no index names.
    pub(crate) fn any_free_manifest(&self, rng: &mut Rng) -> Option<Pushed> {
        let free = self.manifests.values().filter(|(_, uses)| *uses == 0);
        pick(rng, free).map(|(manifest, _)| manifest.clone())
    }

    /// Any tag, with what it points at.
    pub(crate) fn any_tag(&self, rng: &mut Rng) -> Option<(Arc<str>, Sha)> {
        pick(rng, self.tags.iter()).map(|(tag, digest)| (Arc::clone(tag), *digest))
    }
}

fn pick<T>(rng: &mut Rng, all: impl Iterator<Item = T> + Clone) -> Option<T> {
    let count = all.clone().count();
    if count == 0 {
        None
    } else {
        all.clone().nth(rng.usize(0..count))
    }
}
