//! Whether an image is whole: every manifest parses, and every blob is there and what its digest says.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, LinkKind, Reference};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;

use crate::store::{RawManifest, Store, read_verified};
use crate::{Error, ErrorKind, Event, Moved, Observer, Result};

/// How many blobs are read at once.
const LANES: usize = 8;
/// The most manifests of one reference.
const MANIFESTS_MAX: u64 = 20_000;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// How many manifests were read.
    pub manifests: u64,
    /// How many blobs were looked at.
    pub blobs: u64,
    /// How many bytes of blobs were read and hashed.
    pub bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is missing or not what it is said to be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The content.
    pub digest: Digest,
    /// What it is said to be.
    pub media_type: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Problem {
    fn new(descriptor: &Descriptor, error: &Error) -> Self {
        Self {
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            problem: error.to_string(),
        }
    }
}

/// Looks at all that `what` names. `fast` only asks whether the blobs are there, with the right size;
/// otherwise every byte is read and hashed. Problems are found out to the last one.
///
/// # Errors
/// What keeps `what` itself from being read; what is wrong below it is in the answer.
pub async fn validate(
    store: &Arc<dyn Store>,
    what: &Reference,
    fast: bool,
    observer: &dyn Observer,
) -> Result<Validation> {
    let mut found = Validation::default();
    let mut blobs: Vec<Descriptor> = Vec::new();
    let root = store.manifest(what).await?;
    let mut seen = BTreeSet::from([root.digest]);
    let mut open = vec![root];
    while let Some(manifest) = open.pop() {
        found.manifests += 1;
        if found.manifests > MANIFESTS_MAX {
            let message = format!("it has more than {MANIFESTS_MAX} manifests");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        for child in links(&manifest, &mut seen, &mut blobs, &mut found) {
            match read_child(store, &child).await {
                Ok(child) => open.push(child),
                Err(error) => found.problems.push(Problem::new(&child, &error)),
            }
        }
    }
    let looked = stream::iter(blobs).map(|blob| async move {
        let result = look(store, &blob, fast, observer).await;
        (blob, result)
    });
    let mut looked = looked.buffer_unordered(LANES);
    while let Some((blob, result)) = looked.next().await {
        found.blobs += 1;
        match result {
            Ok(read) => found.bytes += read,
            Err(error) => found.problems.push(Problem::new(&blob, &error)),
        }
    }
    Ok(found)
}

/// The children of a manifest that were not seen yet; its blobs go to `blobs`.
fn links(
    manifest: &RawManifest,
    seen: &mut BTreeSet<Digest>,
    blobs: &mut Vec<Descriptor>,
    found: &mut Validation,
) -> Vec<Descriptor> {
    let parsed = match manifest.parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            found
                .problems
                .push(Problem::new(&manifest.descriptor(), &error));
            return Vec::new();
        }
    };
    let mut children = Vec::new();
    for link in parsed.links {
        let descriptor = link.descriptor;
        if descriptor.is_nondistributable() || !seen.insert(descriptor.digest) {
            continue;
        }
        match link.kind {
            LinkKind::Manifest => children.push(descriptor),
            LinkKind::Config | LinkKind::Layer => blobs.push(descriptor),
        }
    }
    children
}

async fn read_child(store: &Arc<dyn Store>, child: &Descriptor) -> Result<RawManifest> {
    let manifest = store.manifest(&Reference::Digest(child.digest)).await?;
    let size = manifest.bytes.len() as u64;
    if size != child.size {
        let message = format!(
            "it has {size} bytes and not the {} that are said",
            child.size
        );
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    Ok(manifest)
}

/// Looks at a blob; how many bytes were read.
async fn look(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    fast: bool,
    observer: &dyn Observer,
) -> Result<u64> {
    if fast {
        return match store.has_blob(blob).await? {
            true => Ok(0),
            false => {
                let message = "it is not there, or has another size";
                Err(Error::new(ErrorKind::NotFound, message))
            }
        };
    }
    observer.event(&Event::Started(blob.clone()));
    let mut stream = read_verified(&**store, blob).await?;
    while let Some(chunk) = stream.next().await {
        let read = i64::try_from(chunk?.len()).unwrap_or(i64::MAX);
        observer.event(&Event::Progress(blob.digest, read));
    }
    observer.event(&Event::Done(blob.clone(), Moved::Existed));
    Ok(blob.size)
}
