//! Does what was planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dockhand_oci::{Descriptor, Reference, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt};

use super::planning::{Copy, Planned};
use super::{Job, Outcome, Step, SyncOptions, Work};
use crate::copy::{CopyOptions, Known, Run, Task};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// How many tags are taken away at once.
const PRUNE_LANES: usize = 8;

/// Copies all images of all jobs; what came of each, by job.
pub(super) async fn copy(
    jobs: &[Job],
    plans: &[Planned],
    options: &SyncOptions,
    stopped: bool,
) -> Vec<Vec<Outcome>> {
    let run = &Run::new();
    let stop = &AtomicBool::new(stopped);
    // What writes one thing after the other gets one image after the other.
    let one_by_one = jobs.iter().any(|job| job.to.lanes() <= 1);
    let images = if one_by_one { 1 } else { options.images.max(1) };
    let all = jobs.iter().zip(plans).enumerate();
    let todo = all.flat_map(|(at, (job, plan))| {
        let copies = plan.copies.iter().enumerate();
        copies.map(move |(nth, copy)| ((at, nth), job, copy))
    });
    let copies = stream::iter(todo).map(|(place, job, copy)| async move {
        if stop.load(Ordering::Relaxed) {
            return (place, Outcome::Skipped);
        }
        let done = image(run, job, copy, options.dry_run).await;
        let outcome = done.unwrap_or_else(|error| {
            stop.fetch_or(!options.keep_going, Ordering::Relaxed);
            Outcome::Failed(error)
        });
        (place, outcome)
    });
    // As they end: a large image does not keep the others from going on.
    let mut done: Vec<_> = copies.buffer_unordered(images).collect().await;
    done.sort_unstable_by_key(|(place, _)| *place);
    let mut done = done.into_iter().map(|(_, outcome)| outcome);
    let of_job = |plan: &Planned| done.by_ref().take(plan.copies.len()).collect();
    plans.iter().map(of_job).collect()
}

async fn image(run: &Run, job: &Job, copy: &Copy, dry_run: bool) -> Result<Outcome> {
    let how = &job.copy;
    let Copy { what, tags, absent } = copy;
    let found = match plain(how) && !absent {
        true => look(&job.from, what, &job.to, tags).await?,
        false => Looked::default(),
    };
    if let Some(same) = found.same {
        return Ok(Outcome::Unchanged(same.digest));
    }
    let task = Task {
        from: &job.from,
        what,
        to: &job.to,
        tags,
        known: match &found.there {
            Some(Some(found)) => Known::Names(found),
            Some(None) => Known::Absent,
            None if *absent => Known::Absent,
            None => Known::Nothing,
        },
    };
    if dry_run {
        let plan = run.plan(task, how).await?;
        let nothing = plan.unchanged && plan.blobs.is_empty() && !how.force;
        return Ok(match nothing {
            true => Outcome::Unchanged(plan.descriptor.digest),
            false => Outcome::WouldCopy(Box::new(plan)),
        });
    }
    let copied = run.copy(task, how).await?;
    let nothing = copied.manifests == 0 && copied.blobs_sent == 0 && tags.len() < 2;
    Ok(match nothing {
        true => Outcome::Unchanged(copied.descriptor.digest),
        false => Outcome::Copied(Box::new(copied)),
    })
}

/// Whether an image that has the same digest on both sides is copied already.
fn plain(how: &CopyOptions) -> bool {
    how.platforms.is_empty() && !how.referrers && !how.digest_tags && !how.force
}

/// What a look at both sides found.
#[derive(Debug, Default)]
struct Looked {
    /// What both sides have under all names.
    same: Option<Descriptor>,
    /// What the target has under its first tag, if it was asked.
    there: Option<Option<Descriptor>>,
}

/// Two cheap looks, which registries that count pulls do not count as pulls.
async fn look(
    from: &Arc<dyn Store>,
    what: &Reference,
    to: &Arc<dyn Store>,
    tags: &[Tag],
) -> Result<Looked> {
    if tags.is_empty() {
        return Ok(Looked::default());
    }
    let named: Vec<Reference> = tags.iter().cloned().map(Reference::Tag).collect();
    let there = future::try_join_all(named.iter().map(|tag| to.find(tag)));
    let (here, there) = future::try_join(from.find(what), there).await?;
    let same = here.filter(|here| {
        let same = |found: &Descriptor| found.digest == here.digest;
        there.iter().all(|found| found.as_ref().is_some_and(same))
    });
    Ok(Looked {
        same,
        there: there.into_iter().next(),
    })
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
