//! Moves a graph: its blobs, many at once, then its manifests.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use dockhand_oci::{Descriptor, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::graph::Graph;
use super::source::{Counted, Early};
use super::{Copied, CopyOptions};
use crate::store::{Store, StoreBlob};
use crate::{BlobSource, Error, Event, Moved, RawManifest, Result};

/// Blobs from this size on take few lanes: their bytes are what takes time, and each holds buffers.
const BIG: u64 = 8 * 1024 * 1024;
const BIG_LANES: usize = 6;
/// Blobs below take many: what takes time is waiting for answers.
const SMALL_LANES: usize = 48;
/// How many manifests are written at once.
const MANIFEST_LANES: usize = 16;

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
    from: &Arc<dyn Store>,
    graph: &Graph,
    to: &Arc<dyn Store>,
    tags: &[Tag],
    options: &CopyOptions,
    warm: bool,
    copied: &mut Copied,
) -> Result<()> {
    copied.existed += graph.present;
    tell_kept(&**from, graph, options);
    let limit = from
        .lanes()
        .min(to.lanes())
        .min(options.lanes.unwrap_or(usize::MAX))
        .max(1);
    let limit = if limit >= 32 { SMALL_LANES } else { limit };
    let (big, small): (Vec<_>, Vec<_>) = graph.blobs.iter().partition(|blob| blob.size >= BIG);
    let lane = |blobs: Vec<Descriptor>, lanes: usize| {
        stream::iter(blobs)
            .map(|blob| async move {
                let moved = move_blob(from, &blob, to, options, warm).await?;
                Ok::<_, Error>((blob, moved))
            })
            .buffer_unordered(lanes)
            .try_collect::<Vec<(Descriptor, Moved)>>()
    };
    let (big, small) = (
        big.into_iter().cloned().collect(),
        small.into_iter().cloned().collect(),
    );
    let moved = if limit == 1 {
        let all: Vec<Descriptor> = [big, small].concat();
        (lane(all, 1).await?, Vec::new())
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
            put_manifest(to, child, &[], options)
        })
        .await?;
    }
    for root in top {
        put_manifest(to, root, tags, options).await?;
    }
    copied.manifests += graph.manifests().count() as u64;
    Ok(())
}

async fn put_manifest(
    to: &Arc<dyn Store>,
    manifest: &RawManifest,
    tags: &[Tag],
    options: &CopyOptions,
) -> Result<()> {
    let told = manifest.descriptor();
    options.observer.event(&Event::Started(told.clone()));
    to.put_manifest(manifest, tags).await?;
    options.observer.event(&Event::Done(told, Moved::Sent));
    Ok(())
}

async fn move_blob(
    from: &Arc<dyn Store>,
    blob: &Descriptor,
    to: &Arc<dyn Store>,
    options: &CopyOptions,
    warm: bool,
) -> Result<Moved> {
    options.observer.event(&Event::Started(blob.clone()));
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
    let source = match far && !warm {
        true => Arc::new(Early::new(source)),
        false => source,
    };
    let counted = Arc::new(Counted {
        inner: source,
        digest: blob.digest,
        observer: Arc::clone(&options.observer),
        told: Arc::new(AtomicI64::new(0)),
    });
    let moved = to
        .put_blob(blob, counted, origin.as_ref())
        .await
        .map_err(|error| {
            let (from, to) = (from.name(), to.name());
            error.doing(format!("copy the blob {} from {from} to {to}", blob.digest))
        })?;
    options.observer.event(&Event::Done(blob.clone(), moved));
    Ok(moved)
}
