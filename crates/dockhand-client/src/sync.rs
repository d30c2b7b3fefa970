//! Keeps places alike: many images of many repositories, several at a time, over [`copy`](crate::copy).
//!
//! What is to be done is found out first, for all jobs; then images are copied; then, where that was asked
//! for, tags are pruned that the source no longer has. Nothing is pruned of a repository whose copies did
//! not all arrive, and nothing at all when more would go than was allowed. What came of each step is data:
//! a failure is told with the others and never hides them.

mod planning;
mod select;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use dockhand_oci::{Digest, Reference, RepoName, Tag};
use futures_util::future;
use futures_util::stream::TryStreamExt;

pub use select::{NameFilter, Pattern, Select, TagFilter, version};

use crate::copy::{Copied, CopyOptions, Plan};
use crate::store::Store;
use crate::{Client, Error, Page, Result};
use planning::Planned;

/// How many images move at once when not said. Of a small one, each request waits for the one before it, so
/// that it takes many to keep the lanes of their blobs busy.
pub const IMAGES: usize = 64;
/// How many tags may be pruned when not said: a source that lost more is more likely a mistake.
pub const MAX_DELETE: usize = 10;

/// Something to keep alike.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where images come from.
    pub from: Arc<dyn Store>,
    /// Where they go.
    pub to: Arc<dyn Store>,
    /// Which ones.
    pub what: What,
    /// How they are copied.
    pub copy: CopyOptions,
    /// Whether tags of the target go that the source does not have: only those that the choice reaches,
    /// and none that begin with a digest.
    pub prune: bool,
}

/// Which images of a source.
#[derive(Clone, Debug)]
pub enum What {
    /// This one, and the tags that name it at the target; by its digest alone when there are none.
    Image(Reference, Vec<Tag>),
    /// These tags, called the same at the target.
    Tags(Arc<dyn Select>),
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct SyncOptions {
    /// The most images on their way at once.
    pub images: usize,
    /// The most tags that may be pruned in all; when there are more, none is.
    pub max_delete: usize,
    /// To find out what would be done, and do nothing.
    pub dry_run: bool,
    /// To do what can be done when something fails. Else nothing new is begun after a failure.
    pub keep_going: bool,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            images: IMAGES,
            max_delete: MAX_DELETE,
            dry_run: false,
            keep_going: false,
        }
    }
}

/// A thing that was to be done, and what came of it.
#[derive(Debug)]
pub struct Step {
    /// Where from: the name of a place.
    pub from: String,
    /// Where to.
    pub to: String,
    /// What.
    pub work: Work,
    /// What came of it.
    pub outcome: Outcome,
}

/// A thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// To find out what a job has to do. It is a step only when it failed.
    Plan,
    /// To copy an image, and let these tags name it.
    Copy(Reference, Vec<Tag>),
    /// To take away tags of the target.
    Prune(Vec<Tag>),
    /// To end the writing of the target. It is a step only when it failed.
    Finish,
}

/// What came of a thing that was to be done.
#[derive(Debug)]
pub enum Outcome {
    /// An image was copied.
    Copied(Box<Copied>),
    /// The target has the same image under the same tags.
    Unchanged(Digest),
    /// An image would be copied.
    WouldCopy(Box<Plan>),
    /// Tags were taken away.
    Pruned,
    /// Tags would be taken away.
    WouldPrune,
    /// It was not begun, as something failed before.
    Skipped,
    /// It failed.
    Failed(Error),
}

impl Outcome {
    /// Whether it failed, or was skipped because something else had.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Skipped)
    }
}

/// All that was done.
#[derive(Debug, Default)]
pub struct Synced {
    /// The steps: job after job, the copies before what is pruned.
    pub steps: Vec<Step>,
}

impl Synced {
    /// How many steps failed or were skipped for that.
    #[must_use]
    pub fn undone(&self) -> usize {
        let undone = |step: &&Step| step.outcome.is_undone();
        self.steps.iter().filter(undone).count()
    }

    /// The first failure, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        })
    }
}

/// Does all of `jobs`, as far as nothing fails; with [`keep_going`](SyncOptions::keep_going), farther.
///
/// Images of one run share what they need ([`Run`](crate::copy::Run)): a blob goes to a registry once, and is
/// mounted where other repositories of it want it too.
pub async fn sync(jobs: &[Job], options: &SyncOptions) -> Synced {
    // To find out what would be done stops at nothing.
    let keep_going = options.keep_going || options.dry_run;
    let options = &SyncOptions {
        keep_going,
        ..*options
    };
    let mut plans = planning::plan(jobs).await;
    planning::spare(jobs, &mut plans);
    planning::guard(&mut plans, options);
    let mut failed = plans.iter().any(|plan| plan.failure.is_some());
    let outcomes = work::copy(jobs, &plans, options, failed && !keep_going).await;
    failed |= outcomes.iter().flatten().any(Outcome::is_undone);
    let broken = broken(jobs, &plans, &outcomes);
    let mut steps = Vec::new();
    for ((job, plan), copied) in jobs.iter().zip(plans).zip(outcomes) {
        let (from, to) = (job.from.name(), job.to.name());
        let mut step = |work: Work, outcome: Outcome| {
            let (from, to) = (from.clone(), to.clone());
            steps.push(Step {
                from,
                to,
                work,
                outcome,
            });
        };
        let whole = !broken.contains(&to);
        for (copy, outcome) in plan.copies.into_iter().zip(copied) {
            step(Work::Copy(copy.what, copy.tags), outcome);
        }
        if let Some(error) = plan.failure {
            step(plan.failed_at, Outcome::Failed(error));
        }
        if !plan.prune.is_empty() {
            let may = whole && (keep_going || !failed);
            for (tags, outcome) in work::prune(&job.to, plan.prune, options, may).await {
                failed |= outcome.is_undone();
                step(Work::Prune(tags), outcome);
            }
        }
    }
    if !options.dry_run {
        work::finish(jobs, &mut steps).await;
    }
    Synced { steps }
}

/// The targets to which something did not come, or of which it is not known what was to come.
fn broken(jobs: &[Job], plans: &[Planned], outcomes: &[Vec<Outcome>]) -> BTreeSet<String> {
    let all = jobs.iter().zip(plans.iter().zip(outcomes));
    let is_broken = |plan: &Planned, copied: &[Outcome]| {
        plan.failure.is_some() || copied.iter().any(Outcome::is_undone)
    };
    all.filter(|(_, (plan, copied))| is_broken(plan, copied))
        .map(|(job, _)| job.to.name())
        .collect()
}

/// The repositories of a registry that are meant, in the order in which it lists them.
///
/// # Errors
/// What keeps the catalog from being read; many registries have none.
pub async fn repositories(client: &Client, filter: &NameFilter) -> Result<Vec<RepoName>> {
    let all = client.catalog(Page::default());
    let meant = all.try_filter(|name| future::ready(filter.fits(name.as_str())));
    meant.try_collect().await
}
