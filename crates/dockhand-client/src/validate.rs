//! Whether an image is whole: every manifest parses, every blob is there and what its digest says, and
//! every layer is, without its compression, what the config says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, Hasher, LinkKind, Reference};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;

use crate::filesystem::Limits;
use crate::image::Image;
use crate::layers::{too_much, unreadable, with_layer};
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
/// otherwise every byte is read and hashed, of layers also what they are without their compression.
/// Problems are found out to the last one.
///
/// # Errors
/// What keeps `what` itself from being read, and what keeps anything below it from being looked at: no
/// connection, no leave. What is wrong with the content is in the answer.
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
    let mut plain: BTreeMap<Digest, Digest> = BTreeMap::new();
    while let Some(manifest) = open.pop() {
        found.manifests += 1;
        if found.manifests > MANIFESTS_MAX {
            let message = format!("it has more than {MANIFESTS_MAX} manifests");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        let children = links(&manifest, &mut seen, &mut blobs, &mut found);
        if !fast {
            // What keeps the config from being read is told when its turn comes.
            if let Ok(image) = Image::read(&**store, manifest).await {
                plain.extend(diff_ids(&image, &mut found));
            }
        }
        for child in children {
            match read_child(store, &child).await {
                Ok(child) => open.push(child),
                Err(error) if !is_about_content(&error) => return Err(error),
                Err(error) => found.problems.push(Problem::new(&child, &error)),
            }
        }
    }
    let plain = &plain;
    let looked = stream::iter(blobs).map(|blob| async move {
        let result = match (fast, plain.get(&blob.digest)) {
            (true, _) => find(store, &blob).await,
            (false, None) => look(store, &blob, observer).await,
            (false, Some(plain)) => look_inside(store, &blob, *plain, observer).await,
        };
        (blob, result)
    });
    let mut looked = looked.buffer_unordered(LANES);
    while let Some((blob, result)) = looked.next().await {
        found.blobs += 1;
        match result {
            Ok(read) => found.bytes += read,
            Err(error) if !is_about_content(&error) => return Err(error),
            Err(error) => found.problems.push(Problem::new(&blob, &error)),
        }
    }
    Ok(found)
}

/// Whether an error says something of the content, and not only that it could not be looked at.
fn is_about_content(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Tls
            | ErrorKind::Server
            | ErrorKind::RateLimited
            | ErrorKind::Unauthorized
            | ErrorKind::Denied
            | ErrorKind::Config
    )
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

/// What the config says of each layer without its compression. An image whose config says it of none is
/// as whole as it can be.
fn diff_ids(image: &Image, found: &mut Validation) -> Vec<(Digest, Digest)> {
    let said = &image.config.rootfs.diff_ids;
    if !said.is_empty() && said.len() != image.layers.len() {
        let (layers, said) = (image.layers.len(), said.len());
        let message = format!("the manifest has {layers} layers, its config says {said}");
        let error = Error::new(ErrorKind::Protocol, message);
        found
            .problems
            .push(Problem::new(&image.config_descriptor, &error));
        return Vec::new();
    }
    let both = image.layers.iter().zip(said);
    both.filter_map(|(layer, said)| Some((layer.digest, said.parse().ok()?)))
        .collect()
}

/// Whether a blob is there.
async fn find(store: &Arc<dyn Store>, blob: &Descriptor) -> Result<u64> {
    match store.has_blob(blob).await? {
        true => Ok(0),
        false => {
            let message = "it is not there, or has another size";
            Err(Error::new(ErrorKind::NotFound, message))
        }
    }
}

/// Reads a layer, which must be `plain` without its compression; how many bytes were read.
async fn look_inside(
    store: &Arc<dyn Store>,
    blob: &Descriptor,
    plain: Digest,
    observer: &dyn Observer,
) -> Result<u64> {
    observer.event(&Event::Started(blob.clone()));
    let most = Limits::default().bytes;
    with_layer(&**store, blob, move |bytes| {
        let mut hasher = Hasher::new(plain.algorithm());
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match bytes.read(&mut buffer).map_err(unreadable)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
            if hasher.length() > most {
                return Err(too_much(format!("a layer has more than {most} bytes")));
            }
        }
        let found = hasher.finish();
        if found == plain {
            return Ok(());
        }
        let message = format!("without its compression it is {found}, and its config says {plain}");
        Err(Error::new(ErrorKind::DigestMismatch, message))
    })
    .await?;
    let read = i64::try_from(blob.size).unwrap_or(i64::MAX);
    observer.event(&Event::Progress(blob.digest, read));
    observer.event(&Event::Done(blob.clone(), Moved::Existed));
    Ok(blob.size)
}

/// Reads a blob; how many bytes were read.
async fn look(store: &Arc<dyn Store>, blob: &Descriptor, observer: &dyn Observer) -> Result<u64> {
    observer.event(&Event::Started(blob.clone()));
    let mut stream = read_verified(&**store, blob).await?;
    while let Some(chunk) = stream.next().await {
        let read = i64::try_from(chunk?.len()).unwrap_or(i64::MAX);
        observer.event(&Event::Progress(blob.digest, read));
    }
    observer.event(&Event::Done(blob.clone(), Moved::Existed));
    Ok(blob.size)
}
