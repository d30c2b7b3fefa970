//! What there is to do: tags are listed, nothing is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dockhand_oci::{Reference, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt};

use super::{Job, SyncOptions, What, Work};
use crate::{Error, ErrorKind, Result};

/// How many repositories are listed at once.
const LISTS: usize = 48;

/// What a job has to do.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) copies: Vec<Copy>,
    pub(super) prune: Vec<Tag>,
    /// Why not all of it is done.
    pub(super) failure: Option<Error>,
    /// What that is said of.
    pub(super) failed_at: Work,
}

/// An image to copy.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) what: Reference,
    /// What names it at the target.
    pub(super) tags: Vec<Tag>,
    /// Whether it is known that none of these is there yet.
    pub(super) absent: bool,
}

/// What each job has to do, in their order.
pub(super) async fn plan(jobs: &[Job]) -> Vec<Planned> {
    let planned = stream::iter(jobs).map(|job| async move {
        job_of(job).await.unwrap_or_else(|error| Planned {
            copies: Vec::new(),
            prune: Vec::new(),
            failure: Some(error),
            failed_at: Work::Plan,
        })
    });
    planned.buffered(LISTS).collect().await
}

async fn job_of(job: &Job) -> Result<Planned> {
    let mut planned = Planned {
        copies: Vec::new(),
        prune: Vec::new(),
        failure: None,
        failed_at: Work::Plan,
    };
    let choice = match &job.what {
        What::Image(what, tags) => {
            planned.copies.push(Copy {
                what: what.clone(),
                tags: tags.clone(),
                absent: false,
            });
            return Ok(planned);
        }
        What::Tags(choice) => choice,
    };
    let there = async {
        match job.prune {
            true => existing(job).await.map(Some),
            // What keeps it from being listed is told when it is written to.
            false => Ok(job.to.tags_in_one().await.unwrap_or_default()),
        }
    };
    let here = async { choice.select(&job.from, job.from.tags().await?).await };
    let (meant, there) = future::join(here, there).await;
    let (meant, there) = (meant?, there?);
    let keep: BTreeSet<&Tag> = meant.iter().collect();
    if let (true, Some(there)) = (job.prune, &there) {
        let gone = |tag: &&Tag| choice.reaches(tag) && !keep.contains(tag);
        planned.prune = there.iter().filter(gone).cloned().collect();
        planned.prune.sort();
    }
    if meant.is_empty() && !planned.prune.is_empty() {
        let message = format!(
            "no tag of {} is meant, so that all {} of {} would be deleted",
            job.from.name(),
            planned.prune.len(),
            job.to.name()
        );
        let hint = "check the source and the choice of tags; nothing is pruned for an empty source";
        planned.refuse(Error::new(ErrorKind::Conflict, message).with_hint(hint));
    }
    let there: Option<HashSet<Tag>> = there.map(HashSet::from_iter);
    for tag in meant {
        planned.copies.push(Copy {
            what: Reference::Tag(tag.clone()),
            absent: { there.as_ref() }.is_some_and(|there| !there.contains(&tag)),
            tags: vec![tag],
        });
    }
    Ok(planned)
}

/// The tags of the target; none when there is no such repository yet.
async fn existing(job: &Job) -> Result<Vec<Tag>> {
    match job.to.tags().await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        tags => tags,
    }
}

impl Planned {
    /// Prunes nothing, and says why.
    fn refuse(&mut self, why: Error) {
        self.failed_at = Work::Prune(std::mem::take(&mut self.prune));
        self.failure = Some(why);
    }
}

/// Lets nothing be pruned that another job brings to the same target.
pub(super) fn spare(jobs: &[Job], plans: &mut [Planned]) {
    let mut brought: BTreeMap<String, BTreeSet<Tag>> = BTreeMap::new();
    for (job, plan) in jobs.iter().zip(&*plans) {
        let tags = plan.copies.iter().flat_map(|copy| &copy.tags);
        let brought = brought.entry(job.to.name()).or_default();
        brought.extend(tags.cloned());
    }
    for (job, plan) in jobs.iter().zip(plans) {
        let brought = brought.get(&job.to.name());
        plan.prune
            .retain(|tag| !brought.is_some_and(|brought| brought.contains(tag)));
    }
}

/// Lets nothing be pruned when that is more than may be.
pub(super) fn guard(plans: &mut [Planned], options: &SyncOptions) {
    let all: usize = plans.iter().map(|plan| plan.prune.len()).sum();
    if all <= options.max_delete {
        return;
    }
    for plan in plans.iter_mut().filter(|plan| !plan.prune.is_empty()) {
        let message = format!(
            "{all} tags would be deleted, more than the {} that may be; nothing was deleted",
            options.max_delete
        );
        let hint = format!("look at them with --dry-run, then allow it with --max-delete {all}");
        plan.refuse(Error::new(ErrorKind::Conflict, message).with_hint(hint));
    }
}
