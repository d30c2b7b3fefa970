//! Does what was planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dockhand_oci::{Descriptor, Reference, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt};

use super::planning::Planned;
use super::shared::{Moving, Shared};
use super::{Job, Outcome, Step, SyncOptions, Work};
use crate::copy::{self, CopyOptions};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// How many tags are taken away at once.
const PRUNE_LANES: usize = 8;

/// The two sides of a job, as its images share them.
struct Sides {
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
}

/// Copies all images of all jobs; what came of each, by job.
pub(super) async fn copy(
    jobs: &[Job],
    plans: &[Planned],
    options: &SyncOptions,
    stopped: bool,
) -> Vec<Vec<Outcome>> {
    let moving = Arc::new(Moving::default());
    let stop = AtomicBool::new(stopped);
    let mut images = options.images.max(1);
    let mut todo = Vec::new();
    for (job, plan) in jobs.iter().zip(plans) {
        // What writes one thing after the other gets one image after the other.
        images = images.min(job.to.lanes().max(1));
        let sides = Arc::new(Sides {
            from: Arc::new(Shared::source(Arc::clone(&job.from))),
            to: Arc::new(Shared::target(Arc::clone(&job.to), Arc::clone(&moving))),
        });
        for (what, tags) in &plan.copies {
            todo.push((Arc::clone(&sides), &job.copy, what, tags.as_slice()));
        }
    }
    let stop = &stop;
    let copies = stream::iter(todo).map(|(sides, how, what, tags)| async move {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Skipped;
        }
        let done = image(&sides, what, tags, how, options.dry_run).await;
        done.unwrap_or_else(|error| {
            stop.fetch_or(!options.keep_going, Ordering::Relaxed);
            Outcome::Failed(error)
        })
    });
    let mut done = copies.buffered(images);
    let mut outcomes = Vec::with_capacity(plans.len());
    for plan in plans {
        let own = done.by_ref().take(plan.copies.len());
        outcomes.push(own.collect().await);
    }
    outcomes
}

async fn image(
    Sides { from, to }: &Sides,
    what: &Reference,
    tags: &[Tag],
    how: &CopyOptions,
    dry_run: bool,
) -> Result<Outcome> {
    let extras = how.referrers || how.digest_tags;
    if how.platforms.is_empty()
        && !extras
        && !how.force
        && let Some(same) = unchanged(from, what, to, tags).await?
    {
        return Ok(Outcome::Unchanged(same.digest));
    }
    if dry_run {
        let plan = copy::plan(from, what, to, tags, how).await?;
        let nothing = plan.unchanged && plan.blobs.is_empty() && !how.force;
        return Ok(match nothing {
            true => Outcome::Unchanged(plan.descriptor.digest),
            false => Outcome::WouldCopy(Box::new(plan)),
        });
    }
    let copied = copy::copy(from, what, to, tags, how).await?;
    let nothing = copied.manifests == 0 && copied.blobs_sent == 0 && tags.len() < 2;
    Ok(match nothing {
        true => Outcome::Unchanged(copied.descriptor.digest),
        false => Outcome::Copied(Box::new(copied)),
    })
}

/// What both sides have, when it is the same: two cheap looks, which registries that count pulls do not
/// count as pulls.
async fn unchanged(
    from: &Arc<dyn Store>,
    what: &Reference,
    to: &Arc<dyn Store>,
    tags: &[Tag],
) -> Result<Option<Descriptor>> {
    if tags.is_empty() {
        return Ok(None);
    }
    let named: Vec<Reference> = tags.iter().cloned().map(Reference::Tag).collect();
    let there = future::try_join_all(named.iter().map(|tag| to.find(tag)));
    let (here, there) = future::try_join(from.find(what), there).await?;
    Ok(here.filter(|here| {
        let same = |found: &Descriptor| found.digest == here.digest;
        there.iter().all(|found| found.as_ref().is_some_and(same))
    }))
}

/// Takes tags away when that `may` be; what came of it, those first that are gone.
pub(super) async fn prune(
    to: &Arc<dyn Store>,
    tags: Vec<Tag>,
    options: &SyncOptions,
    may: bool,
) -> Vec<(Vec<Tag>, Outcome)> {
    if !may {
        return vec![(tags, Outcome::Skipped)];
    }
    if options.dry_run {
        return vec![(tags, Outcome::WouldPrune)];
    }
    let pruned = stream::iter(tags).map(|tag| async move {
        match to.untag(&tag).await {
            // Somebody else was faster.
            Err(error) if error.kind() != ErrorKind::NotFound => (tag, Some(error)),
            _ => (tag, None),
        }
    });
    let pruned: Vec<(Tag, Option<Error>)> = pruned.buffered(PRUNE_LANES).collect().await;
    let (mut gone, mut outcomes) = (Vec::new(), Vec::new());
    for (tag, error) in pruned {
        match error {
            None => gone.push(tag),
            Some(error) => outcomes.push((vec![tag], Outcome::Failed(error))),
        }
    }
    if !gone.is_empty() {
        outcomes.insert(0, (gone, Outcome::Pruned));
    }
    outcomes
}

/// Ends the writing of each target, once.
pub(super) async fn finish(jobs: &[Job], steps: &mut Vec<Step>) {
    let targets: BTreeMap<String, &Job> = jobs.iter().map(|job| (job.to.name(), job)).collect();
    for (to, job) in targets {
        if let Err(error) = job.to.finish().await {
            steps.push(Step {
                from: job.from.name(),
                to,
                work: Work::Finish,
                outcome: Outcome::Failed(error),
            });
        }
    }
}
