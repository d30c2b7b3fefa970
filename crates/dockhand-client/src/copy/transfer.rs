//! Moves a graph: its blobs, many at once, then its manifests.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use dockhand_oci::{Descriptor, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::graph::Graph;
use super::run::{BIG, BIG_LANES, Run, Target};
use super::source::{Counted, Early};
use super::{Copied, CopyOptions};
use crate::store::{Store, StoreBlob};
use crate::{BlobSource, Error, Event, Moved, RawManifest, Result};

/// How many manifests of an image are written at once.
const MANIFEST_LANES: usize = 16;

/// From where to where, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    pub(super) run: &'a Run,
    pub(super) from: &'a Arc<dyn Store>,
    pub(super) to: &'a Arc<dyn Store>,
    pub(super) target: &'a Target,
    pub(super) options: &'a CopyOptions,
    /// Whether the target most likely has most of it.
    pub(super) warm: bool,
}

/// Says how many layers a copy leaves where they are.
fn tell_kept(from: &dyn Store, graph: &Graph, options: &CopyOptions) {
    let layers = match graph.kept.len() {
        0 => return,
        1 => "1 layer is not distributable and was not copied".to_owned(),
        many => format!("{many} layers are not distributable and were not copied"),
    };
    options.observer.event(&Event::Warning {
        host: from.name(),
        text: format!("{layers}: the `urls` in the manifest say where to get them"),
    });
}

/// Moves what the target does not have of `graph`, and lets `tags` name its root there.
pub(super) async fn graph(
    way: Way<'_>,
    graph: &Graph,
    tags: &[Tag],
    copied: &mut Copied,
) -> Result<()> {
    copied.existed += graph.present;
    tell_kept(&**way.from, graph, way.options);
    let limit = way.lanes();
    let (big, small): (Vec<_>, Vec<_>) = graph.blobs.iter().partition(|blob| blob.size >= BIG);
    let lane = |blobs: Vec<&Descriptor>, lanes: usize| {
        let blobs: Vec<Descriptor> = blobs.into_iter().cloned().collect();
        stream::iter(blobs)
            .map(move |blob| async move {
                let moved = move_blob(way, &blob).await?;
                Ok::<_, Error>((blob, moved))
            })
            .buffer_unordered(lanes)
            .try_collect::<Vec<(Descriptor, Moved)>>()
    };
    let moved = if limit == 1 {
        (lane([big, small].concat(), 1).await?, Vec::new())
    } else {
        let both = (lane(big, BIG_LANES.min(limit)), lane(small, limit));
        future::try_join(both.0, both.1).await?
    };
    for (blob, moved) in [moved.0, moved.1].concat() {
        copied.count(&blob, moved);
    }
    let Some((top, below)) = graph.levels.split_last() else {
        return Ok(());
    };
    for level in below {
        let put = stream::iter(level.iter().map(Ok));
        put.try_for_each_concurrent(MANIFEST_LANES.min(limit), |child| {
            put_manifest(way, child, &[])
        })
        .await?;
    }
    for root in top {
        put_manifest(way, root, tags).await?;
    }
    copied.manifests += graph.manifests().count() as u64;
    Ok(())
}

impl Way<'_> {
    /// How many blobs of an image may be on their way at once.
    pub(super) fn lanes(&self) -> usize {
        let places = self.from.lanes().min(self.to.lanes());
        places.min(self.options.lanes.unwrap_or(usize::MAX)).max(1)
    }
}

pub(super) async fn put_manifest(
    Way { to, options, .. }: Way<'_>,
    manifest: &RawManifest,
    tags: &[Tag],
) -> Result<()> {
    let told = manifest.descriptor();
    options.observer.event(&Event::Started(told.clone()));
    to.put_manifest(manifest, tags).await?;
    options.observer.event(&Event::Done(told, Moved::Sent));
    Ok(())
}

/// Moves a blob when its turn has come. One copy brings it to a host, and others wait: then it is at their
/// place as well, or can be taken over from a repository beside it.
async fn move_blob(way: Way<'_>, blob: &Descriptor) -> Result<Moved> {
    let Way {
        run,
        target,
        options,
        ..
    } = way;
    let turn = run.blob(target, &blob.digest);
    let mut arrived = turn.lock().await;
    let moved = if arrived.contains(&target.place) {
        options.observer.event(&Event::Started(blob.clone()));
        Moved::Existed
    } else {
        let _lane = target.lanes.enter(blob.size).await;
        options.observer.event(&Event::Started(blob.clone()));
        let moved = put_blob(way, blob, arrived.first().copied()).await?;
        arrived.push(target.place);
        moved
    };
    options.observer.event(&Event::Done(blob.clone(), moved));
    Ok(moved)
}

/// Puts a blob at the target; `beside` is a place of the same host where it came in this run.
async fn put_blob(way: Way<'_>, blob: &Descriptor, beside: Option<u32>) -> Result<Moved> {
    let Way { from, to, .. } = way;
    let (origin, target) = (from.origin_of(blob), to.origin());
    let wide = match target {
        // What limits a registry is the one connection that an upload has.
        Some(_) => None,
        None => from.wide_source(blob),
    };
    let source: Arc<dyn BlobSource> = match wide {
        Some(wide) => wide,
        None => Arc::new(StoreBlob {
            store: Arc::clone(from),
            blob: blob.clone(),
        }),
    };
    let far = match (&origin, &target) {
        (Some(origin), Some(target)) => origin.host != target.host,
        _ => false,
    };
    // What is to be mounted is not asked for.
    let source = match far && !way.warm && beside.is_none() {
        true => Arc::new(Early::new(source)),
        false => source,
    };
    let counted = Arc::new(Counted {
        inner: source,
        digest: blob.digest,
        observer: Arc::clone(&way.options.observer),
        told: Arc::new(AtomicI64::new(0)),
    });
    let beside = beside.and_then(|place| way.run.origin(place));
    let nearest = match far {
        true => beside.or(origin),
        false => origin.or(beside),
    };
    let put = to.put_blob(blob, counted, nearest.as_ref()).await;
    put.map_err(|error| {
        let (from, to) = (from.name(), to.name());
        error.doing(format!("copy the blob {} from {from} to {to}", blob.digest))
    })
}
