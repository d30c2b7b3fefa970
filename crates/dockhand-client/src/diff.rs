//! How two images differ: in their manifests, their configs and their files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest};
use serde_json::Value;

use crate::filesystem::{FileEntry, ImagePath, Limits, Listing, View};
use crate::image::Image;
use crate::{Error, ErrorKind, Result, Store};

/// A value in a document that is not the same in both.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// Where: a JSON pointer, <https://www.rfc-editor.org/rfc/rfc6901>.
    pub pointer: String,
    /// What the first has there, when it has anything.
    pub before: Option<Value>,
    /// What the second has there, when it has anything.
    pub after: Option<Value>,
}

/// A file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Its path.
    pub path: ImagePath,
    /// What the first has there; nothing when it was added.
    pub before: Option<FileEntry>,
    /// What the second has there; nothing when it was removed.
    pub after: Option<FileEntry>,
}

/// How two images differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageDiff {
    /// Where the manifests differ.
    pub manifest: Vec<FieldChange>,
    /// Where the configs differ.
    pub config: Vec<FieldChange>,
    /// The files that differ, in the order of their paths.
    pub files: Vec<FileChange>,
}

impl ImageDiff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.manifest.is_empty() && self.config.is_empty() && self.files.is_empty()
    }
}

/// What to compare beside manifests and configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// The files, for which the layers are read: those that both have once, the others once each.
    pub files: bool,
    /// Whether a file differs that has another time of change and nothing else.
    pub times: bool,
    /// How much may come.
    pub limits: Limits,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            files: true,
            times: false,
            limits: Limits::default(),
        }
    }
}

/// Compares two images.
///
/// # Errors
/// What keeps a layer from being read.
pub async fn diff(
    before: (&dyn Store, &Image),
    after: (&dyn Store, &Image),
    options: DiffOptions,
) -> Result<ImageDiff> {
    let mut diff = ImageDiff {
        manifest: documents(&before.1.manifest.bytes, &after.1.manifest.bytes)?,
        config: documents(&before.1.config_bytes, &after.1.config_bytes)?,
        files: Vec::new(),
    };
    if options.files && before.1.layers != after.1.layers {
        let mut read: HashMap<Digest, Arc<Listing>> = HashMap::new();
        let old = files(before, &mut read, options.limits).await?;
        let new = files(after, &mut read, options.limits).await?;
        diff.files = changes(old, new, options.times);
    }
    Ok(diff)
}

/// The files of an image; each layer is read once for both.
async fn files(
    (store, image): (&dyn Store, &Image),
    read: &mut HashMap<Digest, Arc<Listing>>,
    limits: Limits,
) -> Result<BTreeMap<ImagePath, FileEntry>> {
    let mut view = View::default();
    for (place, layer) in image.layers.iter().enumerate().rev() {
        view.put_below(&*listing(store, layer, read, limits).await?, place);
    }
    Ok(view.into_files())
}

async fn listing(
    store: &dyn Store,
    layer: &Descriptor,
    read: &mut HashMap<Digest, Arc<Listing>>,
    limits: Limits,
) -> Result<Arc<Listing>> {
    if let Some(listing) = read.get(&layer.digest) {
        return Ok(Arc::clone(listing));
    }
    let listing = Arc::new(Listing::read(store, layer, true, limits).await?);
    read.insert(layer.digest, Arc::clone(&listing));
    Ok(listing)
}

fn changes(
    mut old: BTreeMap<ImagePath, FileEntry>,
    new: BTreeMap<ImagePath, FileEntry>,
    times: bool,
) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (path, after) in new {
        let before = old.remove(&path);
        if !before
            .as_ref()
            .is_some_and(|before| same(before, &after, times))
        {
            changes.push(FileChange {
                path,
                before,
                after: Some(after),
            });
        }
    }
    changes.extend(old.into_iter().map(|(path, before)| FileChange {
        path,
        before: Some(before),
        after: None,
    }));
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

fn same(one: &FileEntry, other: &FileEntry, times: bool) -> bool {
    let said = |entry: &FileEntry| {
        (
            (entry.mode, entry.uid, entry.gid, entry.size),
            entry.digest,
            entry.device,
            times.then_some(entry.mtime),
        )
    };
    one.kind == other.kind && said(one) == said(other) && one.attributes == other.attributes
}

/// Where two JSON documents differ.
///
/// # Errors
/// [`ErrorKind::Protocol`] when one is no JSON.
pub fn documents(before: &[u8], after: &[u8]) -> Result<Vec<FieldChange>> {
    let read = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes)
            .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))
    };
    let mut changes = Vec::new();
    compare(
        String::new(),
        Some(&read(before)?),
        Some(&read(after)?),
        &mut changes,
    );
    Ok(changes)
}

fn compare(
    pointer: String,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<FieldChange>,
) {
    match (before, after) {
        (one, other) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                let inner = format!("{pointer}/{escaped}");
                compare(inner, one.get(key), other.get(key), changes);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for place in 0..one.len().max(other.len()) {
                let inner = format!("{pointer}/{place}");
                compare(inner, one.get(place), other.get(place), changes);
            }
        }
        _ => changes.push(FieldChange {
            pointer,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_differ_where_they_differ() {
        let found = documents(
            br#"{"a": {"x/y": 1, "same": [1]}, "list": [1, 2], "gone": null}"#,
            br#"{"a": {"x/y": 2, "same": [1]}, "list": [1, 3, 4], "new": {}}"#,
        )
        .unwrap();
        let said: Vec<_> = { found.iter() }
            .map(|one| {
                let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
                (one.pointer.as_str(), text(&one.before), text(&one.after))
            })
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            said,
            [
                ("/a/x~1y", some("1"), some("2")),
                ("/gone", some("null"), None),
                ("/list/1", some("2"), some("3")),
                ("/list/2", None, some("4")),
                ("/new", None, some("{}")),
            ]
        );
    }
}
