//! What an image consists of: its manifests, what is listed before what lists it, and its blobs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, LinkKind, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::CopyOptions;
use super::run::{Room, Run};
use crate::repository::fallback_tag;
use crate::store::{RawManifest, Store};
use crate::{Error, ErrorKind, Result};

/// How many manifests are asked for at once.
const LANES: usize = 48;
/// The most manifests of one graph: an index of indexes must end somewhere.
const MANIFESTS_MAX: usize = 20_000;
/// The most bytes that the manifests of one graph may have together, because they are in memory until
/// the blobs have moved. Those of the largest real indexes have some ten million.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An image or artifact with all it needs.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The manifests: what is in one level lists only what is in those before it. The last has the root
    /// alone.
    pub(super) levels: Vec<Vec<RawManifest>>,
    /// The blobs, each once, the biggest first.
    pub(super) blobs: Vec<Descriptor>,
    /// How many manifests were left out because the target has them.
    pub(super) present: u64,
    /// The layers that are not distributable, and stay where their manifests say.
    pub(super) kept: BTreeSet<Digest>,
}

/// Reads the graph below `root`; with `skip_present` without the children that the target has, which
/// has then all that they need too.
pub(super) async fn read(
    from: &Arc<dyn Store>,
    root: RawManifest,
    to: &Arc<dyn Store>,
    skip_present: bool,
    room: &Room,
) -> Result<Graph> {
    let mut graph = Graph::default();
    let top = root.digest;
    let mut seen = BTreeSet::from([top]);
    let mut blobs = BTreeSet::new();
    let mut met: Vec<RawManifest> = Vec::new();
    let mut lists: HashMap<Digest, Vec<Digest>> = HashMap::new();
    let mut bytes = root.bytes.len() as u64;
    let mut counted = 0;
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
                    let list = lists.entry(manifest.digest).or_default();
                    list.push(descriptor.digest);
                    if seen.insert(descriptor.digest) {
                        // Before it is read: one of another length is refused.
                        bytes = bytes.saturating_add(descriptor.size);
                        children.push(descriptor);
                    }
                } else if descriptor.is_nondistributable() {
                    graph.kept.insert(descriptor.digest);
                } else if blobs.insert(descriptor.digest) {
                    graph.blobs.push(descriptor);
                }
            }
        }
        met.append(&mut level);
        bound(seen.len(), bytes)?;
        room.take(bytes - counted).await;
        counted = bytes;
        let read = stream::iter(children).map(|child| child_of(from, child, to, skip_present));
        let read: Vec<Option<RawManifest>> = read.buffered(LANES).try_collect().await?;
        graph.present += read.iter().filter(|child| child.is_none()).count() as u64;
        level = read.into_iter().flatten().collect();
    }
    graph.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    graph.levels = levels(met, &lists, top);
    Ok(graph)
}

/// Refuses a graph of too many manifests, or of too many bytes of them.
fn bound(manifests: usize, bytes: u64) -> Result<()> {
    if manifests <= MANIFESTS_MAX && bytes <= BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("it has more than {MANIFESTS_MAX} manifests, or {BYTES_MAX} bytes of them");
    Err(Error::new(ErrorKind::Unsafe, message))
}

impl Graph {
    /// All manifests, what is listed before what lists it.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &RawManifest> {
        self.levels.iter().flatten()
    }
}

/// Puts what is listed before what lists it, however many list it and how deep they lie.
fn levels(
    manifests: Vec<RawManifest>,
    lists: &HashMap<Digest, Vec<Digest>>,
    root: Digest,
) -> Vec<Vec<RawManifest>> {
    let mut heights: HashMap<Digest, usize> = HashMap::new();
    let mut begun = HashSet::new();
    // With whether all that it lists was looked at.
    let mut open = vec![(root, false)];
    while let Some((digest, looked)) = open.pop() {
        let below = lists.get(&digest).map_or(&[][..], Vec::as_slice);
        if looked {
            let highest = below.iter().filter_map(|one| heights.get(one)).max();
            let height = highest.map_or(0, |highest| highest + 1);
            heights.insert(digest, height);
        } else if begun.insert(digest) {
            open.push((digest, true));
            open.extend(below.iter().map(|one| (*one, false)));
        }
    }
    let mut levels: Vec<Vec<RawManifest>> = Vec::new();
    for manifest in manifests {
        let height = heights.get(&manifest.digest).copied().unwrap_or(0);
        if levels.len() <= height {
            levels.resize_with(height + 1, Vec::new);
        }
        levels[height].push(manifest);
    }
    levels.retain(|level| !level.is_empty());
    levels
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
    run: &Run,
    from: &Arc<dyn Store>,
    graph: &Graph,
    options: &CopyOptions,
    room: &Room,
) -> Result<Vec<(RawManifest, Option<Tag>)>> {
    let mut wanted: Vec<(Reference, Option<Tag>)> = Vec::new();
    let mut seen: BTreeSet<Digest> = graph.manifests().map(|one| one.digest).collect();
    let mut open: Vec<Digest> = seen.iter().copied().collect();
    let tags = match options.digest_tags {
        true => Some(run.digest_tags(from).await?),
        false => None,
    };
    let tags = tags.as_ref();
    while options.referrers && !open.is_empty() {
        let lists = stream::iter(open).map(|subject| async move {
            match tags {
                Some(tags)
                    if from.lists_referrers_by_tag() && !tags.has(&fallback_tag(&subject)?) =>
                {
                    Ok(Vec::new())
                }
                _ => from.referrers(&subject).await,
            }
        });
        let lists: Vec<Vec<Descriptor>> = lists.buffered(LANES).try_collect().await?;
        let fresh = lists.into_iter().flatten();
        let fresh: Vec<Digest> = { fresh }
            .map(|referrer| referrer.digest)
            .filter(|digest| seen.insert(*digest))
            .collect();
        if seen.len() > MANIFESTS_MAX {
            let message = format!("it has more than {MANIFESTS_MAX} referrers");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        wanted.extend(
            fresh
                .iter()
                .map(|digest| (Reference::Digest(*digest), None)),
        );
        open = fresh;
    }
    if let Some(tags) = tags {
        for tag in seen.iter().flat_map(|digest| tags.of(digest)) {
            wanted.push((Reference::Tag(tag.clone()), Some(tag.clone())));
        }
    }
    let found = stream::iter(wanted).map(|(what, tag)| async move {
        let manifest = from.manifest(&what).await?;
        room.take(manifest.bytes.len() as u64).await;
        Ok((manifest, tag))
    });
    found.buffered(LANES).try_collect().await
}
