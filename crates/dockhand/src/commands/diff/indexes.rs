//! How two indexes differ: in what they say, in what they list, and in the images that both have.

use std::io::{self, Write};

use dockhand_client::diff::documents;
use dockhand_client::image::ATTESTED;
use dockhand_client::rewrite::entry_of;
use dockhand_client::{RawManifest, Store};
use dockhand_oci::{Descriptor, Digest, ManifestKind, Reference};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Diff, Field, fields, print_fields};
use crate::output::printable;
use crate::report::{Failure, Kind};

/// What one index lists and the other does not, and what both list but not the same.
#[derive(Serialize)]
pub(super) struct Changes {
    added: Vec<Listed>,
    removed: Vec<Listed>,
    images: Vec<ImageChanges>,
}

/// What only one of the indexes lists.
#[derive(Serialize)]
struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    digest: Digest,
    /// What it is in the words of a person.
    #[serde(skip)]
    name: String,
}

/// The images of a platform that both have.
#[derive(Serialize)]
struct ImageChanges {
    platform: String,
    before: Digest,
    after: Digest,
    /// Where the descriptors differ, digest and size aside.
    entry: Vec<Field>,
    #[serde(flatten)]
    changes: super::Changes,
}

/// Where the indexes themselves differ, what they list aside. An image beside an index differs in its type.
pub(super) fn own_changes(
    before: &RawManifest,
    after: &RawManifest,
) -> Result<Vec<Field>, Failure> {
    let mut both = Vec::new();
    let alike = is_index(before)? && is_index(after)?;
    for one in [before, after] {
        let mut document = json!({ "mediaType": one.media_type });
        if alike {
            document = value(serde_json::from_slice(&one.bytes))?;
            if let Some(fields) = document.as_object_mut() {
                fields.remove("manifests");
            }
        }
        both.push(document.to_string());
    }
    Ok(fields(documents(both[0].as_bytes(), both[1].as_bytes())?))
}

pub(super) fn is_index(manifest: &RawManifest) -> Result<bool, Failure> {
    Ok(manifest.parse()?.kind == ManifestKind::Index)
}

fn value(read: serde_json::Result<Value>) -> Result<Value, Failure> {
    read.map_err(|error| Failure::new(Kind::Failed, &error))
}

/// Compares what two indexes list; an image stands for an index of it alone.
pub(super) async fn changes(
    diff: &Diff,
    (before, old): (&dyn Store, RawManifest),
    (after, new): (&dyn Store, RawManifest),
) -> Result<Changes, Failure> {
    let matched = matched(listed(before, &old).await?, listed(after, &new).await?);
    let mut images = Vec::new();
    for (old, new) in matched.pairs {
        let entry = entry_changes(&old, &new)?;
        let mut changes = super::Changes::default();
        if old.digest != new.digest {
            let both = (manifest(before, &old).await?, manifest(after, &new).await?);
            changes = diff.manifests((before, both.0), (after, both.1)).await?;
        } else if entry.is_empty() {
            continue;
        }
        images.push(ImageChanges {
            platform: name(&old),
            before: old.digest,
            after: new.digest,
            entry,
            changes,
        });
    }
    Ok(Changes {
        added: matched.added.iter().map(Listed::of).collect(),
        removed: matched.removed.iter().map(Listed::of).collect(),
        images,
    })
}

async fn listed(store: &dyn Store, root: &RawManifest) -> Result<Vec<Descriptor>, Failure> {
    let entries = entry_of(store, root).await?.into_iter();
    Ok(entries.map(|entry| entry.descriptor).collect())
}

async fn manifest(store: &dyn Store, one: &Descriptor) -> Result<RawManifest, Failure> {
    let mut manifest = store.manifest(&Reference::Digest(one.digest)).await?;
    manifest.media_type.clone_from(&one.media_type);
    Ok(manifest)
}

/// What two indexes list, put side by side.
#[derive(Debug, Default, PartialEq)]
struct Matched {
    pairs: Vec<(Descriptor, Descriptor)>,
    added: Vec<Descriptor>,
    removed: Vec<Descriptor>,
}

/// Puts the same content for the same platform together first, then what is for the same platform.
fn matched(mut old: Vec<Descriptor>, new: Vec<Descriptor>) -> Matched {
    let mut matched = Matched::default();
    let mut rest = Vec::new();
    for one in new {
        let same = |own: &Descriptor| own.digest == one.digest && platform(own) == platform(&one);
        match old.iter().position(same) {
            Some(place) => matched.pairs.push((old.remove(place), one)),
            None => rest.push(one),
        }
    }
    for one in rest {
        let own = platform(&one);
        let alike = |other: &Descriptor| own.is_some() && platform(other) == own;
        match old.iter().position(alike) {
            Some(place) => matched.pairs.push((old.remove(place), one)),
            None => matched.added.push(one),
        }
    }
    matched.removed = old;
    matched
}

/// What an image runs on; nothing of attestations and artifacts.
fn platform(one: &Descriptor) -> Option<String> {
    let own = one.platform.as_ref()?;
    let is_image =
        !one.annotations.contains_key(ATTESTED) && !own.os.is_empty() && own.os != "unknown";
    is_image.then(|| own.to_string())
}

fn name(one: &Descriptor) -> String {
    if let Some(platform) = platform(one) {
        return platform;
    }
    match (one.annotations.get(ATTESTED), &one.artifact_type) {
        (Some(about), _) => format!("attestation of {about}"),
        (None, Some(kind)) => kind.clone(),
        (None, None) => one.media_type.clone(),
    }
}

/// Where the descriptors differ, digest and size aside.
fn entry_changes(old: &Descriptor, new: &Descriptor) -> Result<Vec<Field>, Failure> {
    let mut both = Vec::new();
    for one in [old, new] {
        let mut said = value(serde_json::to_value(one))?;
        if let Some(fields) = said.as_object_mut() {
            for own in ["digest", "size", "data"] {
                fields.remove(own);
            }
        }
        both.push(said.to_string());
    }
    Ok(fields(documents(both[0].as_bytes(), both[1].as_bytes())?))
}

impl Listed {
    fn of(one: &Descriptor) -> Self {
        Self {
            platform: platform(one),
            digest: one.digest,
            name: name(one),
        }
    }
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.images.is_empty()
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for (sign, list) in [('-', &self.removed), ('+', &self.added)] {
            for one in list {
                writeln!(out, "{sign} {}  {}", printable(&one.name), one.digest)?;
            }
        }
        for one in &self.images {
            let platform = printable(&one.platform);
            writeln!(out, "\n{platform}: {} -> {}", one.before, one.after)?;
            print_fields(out, "entry", &one.entry)?;
            one.changes.print(out)?;
            if one.entry.is_empty() && one.changes.is_empty() {
                writeln!(out, "~ manifest the same, written otherwise")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dockhand_oci::Algorithm;

    use super::*;

    fn entry(platform: &str, content: &str) -> Descriptor {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        let mut one = Descriptor::new("type", digest, 1);
        one.platform = platform.parse().ok();
        one
    }

    #[test]
    fn what_is_for_the_same_platform_is_put_together() {
        let old = vec![
            entry("linux/amd64", "1"),
            entry("linux/arm64", "2"),
            entry("unknown/unknown", "a"),
        ];
        let new = vec![
            entry("linux/s390x", "2"),
            entry("linux/amd64", "3"),
            entry("unknown/unknown", "b"),
            entry("linux/amd64", "1"),
        ];
        let found = matched(old, new);
        assert_eq!(
            found.pairs,
            [(entry("linux/amd64", "1"), entry("linux/amd64", "1"))]
        );
        let names = |list: &[Descriptor]| list.iter().map(platform).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            names(&found.added),
            [some("linux/s390x"), some("linux/amd64"), None]
        );
        assert_eq!(names(&found.removed), [some("linux/arm64"), None]);
    }
}
