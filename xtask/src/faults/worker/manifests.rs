//! Manifests and tags: pushed, moved, deleted, alone and in the shared repository.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Told, Worker};
use crate::faults::book::Pushed;
use crate::faults::content::{Blob, Sha};
use crate::faults::model::{Key, Span};
use crate::faults::wire::{Body, with_query};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Tags of a worker's repository: few, so that they are moved often.
const TAGS: usize = 40;
/// Tags of the shared repository: fewer than workers, so that they fight.
const HOT_TAGS: usize = 6;

impl Worker<'_> {
    /// Pushes an image, an index or an artifact, by tag, by digest, or by digest with several tags.
    pub(super) fn push_some_manifest(&mut self, shelf: usize) {
        if self.shelves[shelf].any_blob(&mut self.rng).is_none() {
            return self.push_some_blob(shelf);
        }
        let Some(manifest) = self.make_manifest(shelf) else {
            return;
        };
        let tag = |worker: &mut Self| format!("t{}", worker.rng.usize(0..TAGS)).into();
        let (reference, tags): (String, Vec<Arc<str>>) = match self.rng.u32(0..10) {
            0..2 => (manifest.digest.to_string(), Vec::new()),
            2..4 if self.world.kind.knows_several_tags() => {
                let tags = vec![tag(self), tag(self), tag(self)];
                (manifest.digest.to_string(), tags)
            }
            _ => {
                let tag: Arc<str> = tag(self);
                (tag.to_string(), vec![tag])
            }
        };
        let repo = Arc::clone(&self.shelves[shelf].repo);
        self.shelves[shelf].use_links(&manifest);
        let told = self.put_manifest(&repo, &reference, &tags, &manifest);
        self.shelves[shelf].strike_tags(&tags);
        match told {
            Told::Yes(_) => self.shelves[shelf].add_manifest(&manifest, &tags),
            Told::No(reply) => self.surprised(&format!("PUT {repo}:{reference}"), &reply),
            Told::Nothing => self.shelves[shelf].strike_manifest(manifest.digest),
        }
    }

    /// A manifest of what is in the repository; now and then one that is there already.
    fn make_manifest(&mut self, shelf: usize) -> Option<Pushed> {
        let (rng, shelf) = (&mut self.rng, &self.shelves[shelf]);
        let choice = rng.u32(0..10);
        if choice == 0
            && let Some(known) = shelf.any_manifest(rng)
        {
            return Some(known);
        }
        self.made += 1;
        let name = format!("{}-{}", self.id, self.made);
        if choice == 1
            && let (Some(one), Some(two)) = (shelf.any_manifest(rng), shelf.any_manifest(rng))
        {
            return Some(index(&name, &one, &two));
        }
        let subject = if choice == 2 {
            shelf.any_manifest(rng)
        } else {
            None
        };
        let config = shelf.any_blob(rng)?;
        let layers: Vec<Blob> = (0..rng.usize(1..4))
            .filter_map(|_| shelf.any_blob(rng))
            .collect();
        Some(image(&name, config, &layers, subject.as_ref()))
    }

    /// Sends a manifest and records what that writes.
    fn put_manifest(
        &mut self,
        repo: &Arc<str>,
        reference: &str,
        tags: &[Arc<str>],
        manifest: &Pushed,
    ) -> Told {
        let mut path = format!("/v2/{repo}/manifests/{reference}");
        for tag in tags.iter().filter(|tag| tag.as_ref() != reference) {
            path = with_query(&path, "tag", tag);
        }
        let digest = manifest.digest;
        let begun = self.world.event();
        let headers = [("Content-Type", manifest.media_type)];
        let told = self.ask("PUT", &path, &headers, Body::Whole(&manifest.bytes));
        if matches!(told, Told::No(_)) {
            return told;
        }
        if let Some(subject) = manifest.subject {
            self.world.model().refers(digest, subject);
        }
        let mut writes = vec![(Key::Manifest(Arc::clone(repo), digest), Some(digest))];
        for tag in tags {
            writes.push((Key::Tag(Arc::clone(repo), Arc::clone(tag)), Some(digest)));
        }
        self.record(&writes, begun, matches!(told, Told::Yes(_)));
        told
    }

    /// Points a tag that everybody fights for at a new manifest.
    pub(super) fn move_shared_tag(&mut self) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        self.made += 1;
        let name = format!("{}-{}", self.id, self.made);
        let manifest = image(&name, shared.config, &[shared.layer], None);
        let tag: Arc<str> = format!("hot{}", self.rng.usize(0..HOT_TAGS)).into();
        let tags = [Arc::clone(&tag)];
        if let Told::No(reply) = self.put_manifest(&shared.repo, &tag, &tags, &manifest) {
            self.surprised(&format!("PUT {}:{tag}", shared.repo), &reply);
        }
    }

    /// Deletes a tag that somebody else may be moving or deleting: 404 is a good answer.
    pub(super) fn delete_shared_tag(&mut self) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let tag: Arc<str> = format!("hot{}", self.rng.usize(0..HOT_TAGS)).into();
        let path = format!("/v2/{}/manifests/{tag}", shared.repo);
        let begun = self.world.event();
        match self.ask("DELETE", &path, &[], Body::Empty) {
            Told::No(reply) if reply.status == 404 => {}
            Told::No(reply) => self.surprised(&format!("DELETE {path}"), &reply),
            told => {
                let key = Key::Tag(Arc::clone(&shared.repo), tag);
                self.record(&[(key, None)], begun, matches!(told, Told::Yes(_)));
            }
        }
    }

    /// Deletes a tag.
    pub(super) fn delete_tag(&mut self, shelf: usize) {
        let Some((tag, _)) = self.shelves[shelf].any_tag(&mut self.rng) else {
            return;
        };
        let repo = Arc::clone(&self.shelves[shelf].repo);
        let path = format!("/v2/{repo}/manifests/{tag}");
        let begun = self.world.event();
        let told = self.ask("DELETE", &path, &[], Body::Empty);
        self.shelves[shelf].strike_tags(&[Arc::clone(&tag)]);
        match told {
            Told::No(reply) => self.surprised(&format!("DELETE {path}"), &reply),
            told => self.record(
                &[(Key::Tag(repo, tag), None)],
                begun,
                matches!(told, Told::Yes(_)),
            ),
        }
    }

    /// Deletes a manifest, and with it every tag that points at it.
    pub(super) fn delete_manifest(&mut self, shelf: usize) {
        let Some(manifest) = self.shelves[shelf].any_free_manifest(&mut self.rng) else {
            return;
        };
        let repo = Arc::clone(&self.shelves[shelf].repo);
        let path = format!("/v2/{repo}/manifests/{}", manifest.digest);
        let begun = self.world.event();
        let told = self.ask("DELETE", &path, &[], Body::Empty);
        let ended = match &told {
            Told::No(reply) => {
                self.shelves[shelf].strike_manifest(manifest.digest);
                return self.surprised(&format!("DELETE {path}"), reply);
            }
            Told::Yes(_) => {
                self.shelves[shelf].remove_manifest(&manifest);
                Some(self.world.event())
            }
            Told::Nothing => {
                self.shelves[shelf].strike_manifest(manifest.digest);
                None
            }
        };
        if ended.is_some() {
            self.acknowledge(
                &[(Key::Manifest(Arc::clone(&repo), manifest.digest), None)],
                begun,
            );
        }
        self.world
            .model()
            .delete_manifest(&repo, manifest.digest, Span { begun, ended });
    }
}

fn descriptor(media_type: &str, digest: Sha, size: usize) -> Json {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

fn image(name: &str, config: Blob, layers: &[Blob], subject: Option<&Pushed>) -> Pushed {
    let list: Vec<_> = layers
        .iter()
        .map(|l| descriptor(LAYER, l.digest, l.size))
        .collect();
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(CONFIG, config.digest, config.size),
        "layers": list,
        "annotations": { "name": name },
    });
    if let Some(subject) = subject {
        document["subject"] = descriptor(subject.media_type, subject.digest, subject.bytes.len());
        document["artifactType"] = json!("application/vnd.dockhand.faults");
    }
    let mut blobs: Vec<Sha> = layers.iter().map(|layer| layer.digest).collect();
    blobs.push(config.digest);
    let bytes = document.to_string().into_bytes();
    Pushed {
        digest: Sha::of(&bytes),
        bytes,
        media_type: IMAGE,
        blobs,
        manifests: Vec::new(),
        subject: subject.map(|subject| subject.digest),
    }
}

fn index(name: &str, one: &Pushed, two: &Pushed) -> Pushed {
    let children = [one, two];
    let list: Vec<_> = children
        .iter()
        .map(|m| descriptor(m.media_type, m.digest, m.bytes.len()))
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": list,
        "annotations": { "name": name },
    });
    let bytes = document.to_string().into_bytes();
    Pushed {
        digest: Sha::of(&bytes),
        bytes,
        media_type: INDEX,
        blobs: Vec::new(),
        manifests: children.iter().map(|manifest| manifest.digest).collect(),
        subject: None,
    }
}
