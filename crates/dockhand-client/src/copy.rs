//! Copies images and artifacts between any two places, byte for byte.
//!
//! The graph of manifests is read first, all of a level at once; then every blob that the target does
//! not have moves once, many at a time, and never through a file; then the manifests are written, what
//! is listed before what lists it, so that the target never shows anything incomplete.

mod graph;
mod platforms;
mod source;
mod transfer;

use std::collections::BTreeSet;
use std::sync::Arc;

use dockhand_oci::{Descriptor, Platform, Reference, Tag};
use futures_util::future;

pub use platforms::keep_platforms;

use crate::store::{RawManifest, Store};
use crate::{Moved, Observer, Result, Unobserved};
use graph::Graph;

/// How to copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Only these platforms of an index: of one the image itself, of several an index that is written
    /// anew for them; all when empty.
    pub platforms: Vec<Platform>,
    /// With the referrers of all that is copied: signatures, SBOMs, and theirs in turn.
    pub referrers: bool,
    /// With the tags that begin with the digest of what is copied: `sha256-….sig`.
    pub digest_tags: bool,
    /// Not to trust that what the target has by name is whole: everything is looked at again.
    pub force: bool,
    /// The most blobs on their way at once; as many as suits both places when not said.
    pub lanes: Option<usize>,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            platforms: Vec::new(),
            referrers: false,
            digest_tags: false,
            force: false,
            lanes: None,
            observer: Arc::new(Unobserved),
        }
    }
}

/// What a copy did.
#[derive(Clone, Debug)]
pub struct Copied {
    /// The manifest that the target has now.
    pub descriptor: Descriptor,
    /// The tags that name it there.
    pub tags: Vec<Tag>,
    /// How many manifests were written.
    pub manifests: u64,
    /// How many blobs were sent.
    pub blobs_sent: u64,
    /// How many bytes these had.
    pub bytes_sent: u64,
    /// How many blobs the registry took over from another of its repositories.
    pub mounted: u64,
    /// How many blobs, or manifests with all they need, were there before.
    pub existed: u64,
}

impl Copied {
    fn count(&mut self, blob: &Descriptor, moved: Moved) {
        match moved {
            Moved::Sent => {
                self.blobs_sent += 1;
                self.bytes_sent += blob.size;
            }
            Moved::Mounted => self.mounted += 1,
            Moved::Existed => self.existed += 1,
        }
    }
}

/// What a copy would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The manifest that the target would have.
    pub descriptor: Descriptor,
    /// Whether the target has it already, by its first tag or its digest.
    pub unchanged: bool,
    /// The manifests that would be written, what is listed before what lists it.
    pub manifests: Vec<Descriptor>,
    /// The blobs that the target does not have.
    pub blobs: Vec<Descriptor>,
    /// How many bytes these have.
    pub bytes: u64,
}

/// Copies what `what` names from one place to another, where `tags` name it then; by its digest alone
/// when there are none. Who is done with an archive calls [`Store::finish`].
///
/// # Errors
/// What keeps a part from being read or written; nothing incomplete is named at the target then.
pub async fn copy(
    from: &Arc<dyn Store>,
    what: &Reference,
    to: &Arc<dyn Store>,
    tags: &[Tag],
    options: &CopyOptions,
) -> Result<Copied> {
    let Opened { root, found } = open(from, what, to, tags, options).await?;
    let mut copied = Copied {
        descriptor: root.descriptor(),
        tags: tags.to_vec(),
        manifests: 0,
        blobs_sent: 0,
        bytes_sent: 0,
        mounted: 0,
        existed: 0,
    };
    let unchanged = !options.force
        && found
            .as_ref()
            .is_some_and(|found| found.digest == root.digest);
    let with_more = options.referrers || options.digest_tags;
    if unchanged {
        copied.existed += 1;
        if tags.len() > 1 {
            to.put_manifest(&root, &tags[1..]).await?;
        }
        if !with_more {
            return Ok(copied);
        }
    }
    // A target that knew the tag has most of what an older image needs.
    let warm = found.is_some() && !options.force;
    let graph = graph::read(from, root, to, warm && !with_more).await?;
    let mut extras = Vec::new();
    if with_more {
        extras = graph::extras(from, &graph, options).await?;
    }
    if !unchanged {
        transfer::graph(from, &graph, to, tags, options, warm, &mut copied).await?;
    }
    for (extra, tag) in extras {
        let graph = graph::read(from, extra, to, warm).await?;
        transfer::graph(from, &graph, to, tag.as_slice(), options, warm, &mut copied).await?;
    }
    Ok(copied)
}

/// What [`copy`] would do, without writing anything.
///
/// # Errors
/// What keeps either place from being read.
pub async fn plan(
    from: &Arc<dyn Store>,
    what: &Reference,
    to: &Arc<dyn Store>,
    tags: &[Tag],
    options: &CopyOptions,
) -> Result<Plan> {
    let Opened { root, found } = open(from, what, to, tags, options).await?;
    let unchanged = found
        .as_ref()
        .is_some_and(|found| found.digest == root.digest);
    let mut plan = Plan {
        descriptor: root.descriptor(),
        unchanged,
        manifests: Vec::new(),
        blobs: Vec::new(),
        bytes: 0,
    };
    let with_more = options.referrers || options.digest_tags;
    if unchanged && !with_more {
        return Ok(plan);
    }
    let graph = graph::read(from, root, to, found.is_some() && !with_more).await?;
    let mut graphs: Vec<Graph> = Vec::new();
    if with_more {
        for (extra, _) in graph::extras(from, &graph, options).await? {
            graphs.push(graph::read(from, extra, to, false).await?);
        }
    }
    let mut seen = BTreeSet::new();
    for graph in { graphs }.iter().chain([&graph]) {
        plan.manifests
            .extend(graph.manifests().map(RawManifest::descriptor));
        for blob in &graph.blobs {
            if seen.insert(blob.digest) && !to.has_blob(blob).await? {
                plan.bytes += blob.size;
                plan.blobs.push(blob.clone());
            }
        }
    }
    Ok(plan)
}

/// The root of what is to be copied, and what the target has under its name.
struct Opened {
    root: RawManifest,
    found: Option<Descriptor>,
}

async fn open(
    from: &Arc<dyn Store>,
    what: &Reference,
    to: &Arc<dyn Store>,
    tags: &[Tag],
    options: &CopyOptions,
) -> Result<Opened> {
    let named = match (tags.first(), what) {
        (Some(tag), _) => Some(Reference::Tag(tag.clone())),
        (None, Reference::Digest(digest)) => Some(Reference::Digest(*digest)),
        (None, Reference::Tag(_)) => None,
    };
    let look = async {
        match &named {
            Some(named) => to.find(named).await,
            None => Ok(None),
        }
    };
    let (root, found) = future::join(from.manifest(what), look).await;
    let mut root = root?;
    if !options.platforms.is_empty() {
        root = keep_platforms(&root, &options.platforms)?;
        if let ([_], Some(only)) = (&options.platforms[..], platforms::only_image(&root)?) {
            root = from.manifest(&Reference::Digest(only)).await?;
        }
    }
    if let Err(refused) = to.accepts(&root.parse()?) {
        // What takes no index takes the one image that is in it.
        let only = platforms::only_image(&root)?.ok_or(refused)?;
        root = from.manifest(&Reference::Digest(only)).await?;
        to.accepts(&root.parse()?)?;
    }
    Ok(Opened {
        root,
        found: found?,
    })
}
