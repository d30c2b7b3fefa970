//! Copies images and artifacts between any two places, byte for byte.
//!
//! The graph of manifests is read first, all of a level at once; then every blob that the target does
//! not have moves once, many at a time, and never through a file; then the manifests are written, what
//! is listed before what lists it, so that the target never shows anything incomplete. Many images at once
//! are copied in one [`Run`], which moves once what they share.

mod graph;
mod platforms;
mod run;
mod source;
mod transfer;

use std::collections::BTreeSet;
use std::sync::Arc;

use dockhand_oci::{Descriptor, Platform, Reference, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};

pub use platforms::keep_platforms;
pub use run::Run;

use crate::store::{RawManifest, Store};
use crate::{Error, Moved, Observer, Result, Unobserved};
use graph::Graph;
use transfer::Way;

/// How many blobs are looked for at once to find out what a copy would do.
const LOOKS: usize = 48;
/// How many of the referrers and digest tags of an image are copied at once.
const EXTRAS: usize = 16;

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
    /// The most blobs on their way to a host at once; as many as suits both places when not said.
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
    /// A copy that has not moved anything yet.
    fn nothing(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            tags: Vec::new(),
            manifests: 0,
            blobs_sent: 0,
            bytes_sent: 0,
            mounted: 0,
            existed: 0,
        }
    }

    /// Counts what came along as well.
    fn add(&mut self, other: &Self) {
        self.manifests += other.manifests;
        self.blobs_sent += other.blobs_sent;
        self.bytes_sent += other.bytes_sent;
        self.mounted += other.mounted;
        self.existed += other.existed;
    }

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

/// One copy: what `what` names, from one place to another, where `tags` name it then; by its digest alone
/// when there are none.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Where it comes from.
    pub from: &'a Arc<dyn Store>,
    /// What is copied.
    pub what: &'a Reference,
    /// Where it goes.
    pub to: &'a Arc<dyn Store>,
    /// The tags that name it there.
    pub tags: &'a [Tag],
    /// What is known of the target already.
    pub known: Known<'a>,
}

/// What is known of the first tag of a [`Task`] at the target.
#[derive(Clone, Copy, Debug, Default)]
pub enum Known<'a> {
    /// Nothing: it is looked up.
    #[default]
    Nothing,
    /// It names nothing yet.
    Absent,
    /// It names this.
    Names(&'a Descriptor),
}

/// Copies what `what` names from one place to another, where `tags` name it then; by its digest alone
/// when there are none. Who is done with an archive calls [`Store::finish`]. Several copies share what they
/// need in a [`Run`].
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
    let task = Task {
        from,
        what,
        to,
        tags,
        known: Known::Nothing,
    };
    Run::new().copy(task, options).await
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
    let task = Task {
        from,
        what,
        to,
        tags,
        known: Known::Nothing,
    };
    Run::new().plan(task, options).await
}

impl Run {
    /// Does one copy of this run, beside others.
    ///
    /// # Errors
    /// As [`copy`].
    pub async fn copy(&self, task: Task<'_>, options: &CopyOptions) -> Result<Copied> {
        let Opened { root, found } = open(task, options).await?;
        let Task { from, to, tags, .. } = task;
        let mut copied = Copied {
            tags: tags.to_vec(),
            ..Copied::nothing(root.descriptor())
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
        let target = self.target(to, options);
        let way = Way {
            run: self,
            from,
            to,
            target: &target,
            options,
            // A target that knew the tag has most of what an older image needs.
            warm: found.is_some() && !options.force,
        };
        let turn = self.image(from, &target, &root.digest, options);
        let mut whole = turn.lock().await;
        if !*whole {
            self.bring(way, root, (!unchanged).then_some(tags), &mut copied)
                .await?;
            *whole = true;
        } else if !unchanged {
            // Another tag has brought it.
            copied.existed += 1;
            transfer::put_manifest(way, &root, tags).await?;
            copied.manifests += 1;
        }
        Ok(copied)
    }

    /// Moves an image with all that comes along; the image itself only when there are `tags`, even if
    /// none, for it.
    async fn bring(
        &self,
        way: Way<'_>,
        root: RawManifest,
        tags: Option<&[Tag]>,
        copied: &mut Copied,
    ) -> Result<()> {
        let Way {
            from, to, options, ..
        } = way;
        let with_more = options.referrers || options.digest_tags;
        let room = &self.room();
        let graph = graph::read(from, root, to, way.warm && !with_more, room).await?;
        let extras = match with_more {
            true => graph::extras(self, from, &graph, options, room).await?,
            false => Vec::new(),
        };
        if let Some(tags) = tags {
            transfer::graph(way, &graph, tags, copied).await?;
        }
        drop(graph);
        let moved = stream::iter(extras).map(|(extra, tag)| async move {
            let mut own = Copied::nothing(extra.descriptor());
            let graph = graph::read(from, extra, to, way.warm, room).await?;
            transfer::graph(way, &graph, tag.as_slice(), &mut own).await?;
            Ok::<_, Error>(own)
        });
        let moved: Vec<Copied> = moved
            .buffered(EXTRAS.min(way.lanes()))
            .try_collect()
            .await?;
        moved.iter().for_each(|own| copied.add(own));
        Ok(())
    }

    /// What [`Run::copy`] would do, without writing anything.
    ///
    /// # Errors
    /// What keeps either place from being read.
    pub async fn plan(&self, task: Task<'_>, options: &CopyOptions) -> Result<Plan> {
        let Opened { root, found } = open(task, options).await?;
        let Task { from, to, .. } = task;
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
        let room = &self.room();
        let graph = graph::read(from, root, to, found.is_some() && !with_more, room).await?;
        let mut graphs: Vec<Graph> = Vec::new();
        if with_more {
            for (extra, _) in graph::extras(self, from, &graph, options, room).await? {
                graphs.push(graph::read(from, extra, to, false, room).await?);
            }
        }
        let mut seen = BTreeSet::new();
        let mut blobs = Vec::new();
        for graph in { graphs }.iter().chain([&graph]) {
            plan.manifests
                .extend(graph.manifests().map(RawManifest::descriptor));
            let fresh = { graph.blobs.iter() }.filter(|blob| seen.insert(blob.digest));
            blobs.extend(fresh.cloned());
        }
        let looks = stream::iter(blobs).map(|blob| async move {
            let there = to.has_blob(&blob).await?;
            Ok::<_, Error>((!there).then_some(blob))
        });
        let absent: Vec<Option<Descriptor>> = looks.buffered(LOOKS).try_collect().await?;
        plan.blobs = absent.into_iter().flatten().collect();
        plan.bytes = plan.blobs.iter().map(|blob| blob.size).sum();
        Ok(plan)
    }
}

/// The root of what is to be copied, and what the target has under its name.
struct Opened {
    root: RawManifest,
    found: Option<Descriptor>,
}

async fn open(
    Task {
        from,
        what,
        to,
        tags,
        known,
    }: Task<'_>,
    options: &CopyOptions,
) -> Result<Opened> {
    let named = match (tags.first(), what) {
        (Some(tag), _) => Some(Reference::Tag(tag.clone())),
        (None, Reference::Digest(digest)) => Some(Reference::Digest(*digest)),
        (None, Reference::Tag(_)) => None,
    };
    let look = async {
        match (known, &named) {
            (Known::Names(found), _) => Ok(Some(found.clone())),
            (Known::Nothing, Some(named)) => to.find(named).await,
            (Known::Absent, _) | (Known::Nothing, None) => Ok(None),
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
