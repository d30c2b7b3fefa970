//! What an image consists of: its manifests, what is listed before what lists it, and its blobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, LinkKind, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::CopyOptions;
use crate::store::{RawManifest, Store};
use crate::{Error, ErrorKind, Result};

/// How many manifests are asked for at once.
const LANES: usize = 32;
/// The most manifests of one graph: an index of indexes must end somewhere.
const MANIFESTS_MAX: usize = 20_000;

/// An image or artifact with all it needs.
#[derive(Debug)]
pub(super) struct Graph {
    /// The manifests, the root last.
    pub(super) manifests: Vec<RawManifest>,
    /// The blobs, each once, the biggest first.
    pub(super) blobs: Vec<Descriptor>,
    /// How many manifests were left out because the target has them.
    pub(super) present: u64,
}

/// Reads the graph below `root`; with `skip_present` without the children that the target has, which
/// has then all that they need too.
pub(super) async fn read(
    from: &Arc<dyn Store>,
    root: RawManifest,
    to: &Arc<dyn Store>,
    skip_present: bool,
) -> Result<Graph> {
    let mut graph = Graph {
        manifests: Vec::new(),
        blobs: Vec::new(),
        present: 0,
    };
    let mut seen = BTreeSet::from([root.digest]);
    let mut blobs = BTreeSet::new();
    let mut level = vec![root];
    while !level.is_empty() {
        let mut children: Vec<Descriptor> = Vec::new();
        for manifest in &level {
            let parsed = manifest.parse().map_err(|error| {
                error.doing(format!(
                    "read the manifest {} from {}",
                    manifest.digest,
                    from.name()
                ))
            })?;
            for link in parsed.links {
                let descriptor = link.descriptor;
                if link.kind == LinkKind::Manifest {
                    if seen.insert(descriptor.digest) {
                        children.push(descriptor);
                    }
                } else if !descriptor.is_nondistributable() && blobs.insert(descriptor.digest) {
                    graph.blobs.push(descriptor);
                }
            }
        }
        graph.manifests.splice(0..0, level);
        if seen.len() > MANIFESTS_MAX {
            let message = format!("it has more than {MANIFESTS_MAX} manifests");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        let read = stream::iter(children).map(|child| child_of(from, child, to, skip_present));
        let read: Vec<Option<RawManifest>> = read.buffered(LANES).try_collect().await?;
        graph.present += read.iter().filter(|child| child.is_none()).count() as u64;
        level = read.into_iter().flatten().collect();
    }
    graph.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    Ok(graph)
}

/// A child with the media type that its parent gives it; `None` when the target has it.
async fn child_of(
    from: &Arc<dyn Store>,
    child: Descriptor,
    to: &Arc<dyn Store>,
    skip_present: bool,
) -> Result<Option<RawManifest>> {
    let reference = Reference::Digest(child.digest);
    if skip_present && to.find(&reference).await?.is_some() {
        return Ok(None);
    }
    let mut manifest = from.manifest(&reference).await?;
    if manifest.bytes.len() as u64 != child.size {
        let message = format!(
            "the manifest {} has {} bytes and not the {} that its index says",
            child.digest,
            manifest.bytes.len(),
            child.size
        );
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    manifest.media_type = child.media_type;
    Ok(Some(manifest))
}

/// What belongs to a graph without being linked by it, as the options ask: each with its tag.
pub(super) async fn extras(
    from: &Arc<dyn Store>,
    graph: &Graph,
    options: &CopyOptions,
) -> Result<Vec<(RawManifest, Option<Tag>)>> {
    let mut found: Vec<(RawManifest, Option<Tag>)> = Vec::new();
    let mut seen: BTreeSet<Digest> = graph.manifests.iter().map(|one| one.digest).collect();
    let mut open: Vec<Digest> = seen.iter().copied().collect();
    while options.referrers && !open.is_empty() {
        let lists = stream::iter(open).map(|subject| async move { from.referrers(&subject).await });
        let lists: Vec<Vec<Descriptor>> = lists.buffered(LANES).try_collect().await?;
        let fresh = lists.into_iter().flatten();
        let fresh: Vec<Digest> = { fresh }
            .map(|referrer| referrer.digest)
            .filter(|digest| seen.insert(*digest))
            .collect();
        for digest in &fresh {
            found.push((from.manifest(&Reference::Digest(*digest)).await?, None));
        }
        open = fresh;
    }
    if options.digest_tags {
        let named: BTreeSet<String> = { seen.iter() }
            .map(|digest| digest.to_string().replacen(':', "-", 1))
            .collect();
        for tag in from.tags().await? {
            let begins = |prefix: &String| {
                tag.as_str()
                    .strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            if named.iter().any(begins) {
                let manifest = from.manifest(&Reference::Tag(tag.clone())).await?;
                found.push((manifest, Some(tag)));
            }
        }
    }
    Ok(found)
}
