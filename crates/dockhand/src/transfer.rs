//! One image from one place to another, and what is told about it: what `cp`, `pull`, `push` and `sync`
//! share.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dockhand_client::copy::{CopyOptions, Known, Run, Task};
use dockhand_client::{Store, validate};
use dockhand_oci::{Digest, Reference, Tag};
use serde::Serialize;

use crate::output::{count, size};
use crate::platforms::Platforms;
use crate::report::{Failure, Kind};
use crate::session::{Created, Opened, Replace, Session, named};

// No doc comments: clap would take them for the help of the command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What to copy")]
pub(crate) struct What {
    #[command(flatten)]
    pub platforms: Platforms,
    /// With what refers to the image: signatures, SBOMs, attestations, and what refers to those
    #[arg(short, long, visible_alias = "recursive")]
    pub referrers: bool,
    /// With the tags that begin with the image's digest: sha256-….sig
    #[arg(long)]
    pub digest_tags: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How to copy")]
pub(crate) struct How {
    /// Leave tags alone that are there already
    #[arg(short, long)]
    pub no_clobber: bool,
    /// Write an archive anew although it has other images
    #[arg(long, conflicts_with = "no_clobber")]
    pub overwrite: bool,
    /// Only say what would be copied
    #[arg(long)]
    pub dry_run: bool,
    /// Look at everything again, even where the destination has the image by name
    #[arg(long)]
    pub force: bool,
    /// Read everything back from the destination and verify it
    #[arg(long)]
    pub verify_deep: bool,
    /// Write the digest of what was copied to this file
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
}

impl How {
    /// What may become of an archive that is there.
    pub(crate) fn replace(&self) -> Replace {
        match (self.overwrite, self.no_clobber) {
            (true, _) => Replace::Anything,
            (_, true) => Replace::Nothing,
            _ if self.dry_run => Replace::Anything,
            _ => Replace::Same,
        }
    }
}

/// One copy.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub from: Arc<dyn Store>,
    pub what: Reference,
    pub to: Arc<dyn Store>,
    pub tags: Vec<Tag>,
    /// What is written must have this digest.
    pub digest: Option<Digest>,
    /// What else is in the place to copy from, when one of its images was chosen here.
    pub left_out: Vec<String>,
    /// Whether it is a part of a larger work, which says itself what is left out.
    pub is_part: bool,
    /// Whether it is known that none of the tags is there yet.
    pub absent: bool,
}

impl Job {
    /// A copy of an image into a place that was opened to write.
    pub(crate) fn new(from: &Opened, to: Created) -> Self {
        Self {
            from: Arc::clone(&from.store),
            what: from.reference.clone(),
            to: to.store,
            tags: to.tags,
            digest: to.digest,
            left_out: from.left_out.clone(),
            is_part: false,
            absent: false,
        }
    }

    fn task(&self) -> Task<'_> {
        Task {
            from: &self.from,
            what: &self.what,
            to: &self.to,
            tags: &self.tags,
            known: if self.absent {
                Known::Absent
            } else {
                Known::Nothing
            },
        }
    }

    /// What is copied, by its name.
    pub(crate) fn source(&self) -> String {
        named(&*self.from, &self.what)
    }

    /// Refuses to write something else under a digest.
    async fn check_digest(&self) -> Result<(), Failure> {
        let Some(wanted) = self.digest else {
            return Ok(());
        };
        let found = self.from.resolve(&self.what).await?.digest;
        if found == wanted {
            return Ok(());
        }
        let name = self.source();
        let message = format!("{name} is {found} and not {wanted}");
        Err(Failure::plain(Kind::Mismatch, message))
    }
}

/// What became of one copy.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub source: String,
    /// By tag where there is one; by digest else.
    pub targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What was done, or would be: `copied`, `unchanged`, `skipped`; or `failed`.
    pub outcome: &'static str,
    pub dry_run: bool,
    pub manifests: u64,
    pub blobs_sent: u64,
    pub bytes_sent: u64,
    pub mounted: u64,
    pub existed: u64,
    /// Images of the place that were not copied, because none was named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The target by its digest.
    #[serde(skip)]
    pub pinned: Option<String>,
}

/// Copies, as the flags say, beside the other copies of a run.
pub(crate) async fn run(
    session: &Session,
    run: &Run,
    mut job: Job,
    what: &What,
    how: &How,
) -> Result<Report, Failure> {
    let source = job.source();
    job.check_digest().await?;
    if how.no_clobber {
        let wanted = job.tags.len();
        job.tags = free(session, &*job.to, job.tags).await?;
        if job.tags.is_empty() && wanted > 0 {
            return Ok(Report {
                source,
                outcome: "skipped",
                ..Report::default()
            });
        }
    }
    let options = CopyOptions {
        platforms: what.platforms.list(),
        referrers: what.referrers,
        digest_tags: what.digest_tags,
        force: how.force,
        lanes: session.lanes(),
        observer: session.observer(),
    };
    if how.dry_run {
        return planned(run, job, source, &options).await;
    }
    let copied = run.copy(job.task(), &options).await?;
    let digest = copied.descriptor.digest;
    if how.verify_deep {
        let reference = Reference::Digest(digest);
        whole(session, &job.to, &reference).await?;
    }
    if !what.referrers && !job.is_part {
        tell_referrers(session, &*job.from, &digest).await?;
    }
    let nothing = copied.manifests == 0 && copied.blobs_sent == 0;
    Ok(Report {
        source,
        targets: targets(&job, Some(digest)),
        digest: Some(digest),
        outcome: if nothing { "unchanged" } else { "copied" },
        dry_run: false,
        manifests: copied.manifests,
        blobs_sent: copied.blobs_sent,
        bytes_sent: copied.bytes_sent,
        mounted: copied.mounted,
        existed: copied.existed,
        left_out: job.left_out.clone(),
        error: None,
        pinned: Some(named(&*job.to, &Reference::Digest(digest))),
    })
}

/// Says what refers to an image and was not copied. A registry would have to be asked for that, so it is not.
async fn tell_referrers(
    session: &Session,
    from: &dyn Store,
    digest: &Digest,
) -> Result<(), Failure> {
    if from.origin().is_some() {
        return Ok(());
    }
    let referring = from.referrers(digest).await?.len() as u64;
    if referring > 0 {
        let many = count(referring, "referrer");
        session.note(&format!(
            "left out: {many} of the image in {}; --referrers copies referrers too",
            from.name()
        ));
    }
    Ok(())
}

/// Reads everything back.
async fn whole(
    session: &Session,
    store: &Arc<dyn Store>,
    reference: &Reference,
) -> Result<(), Failure> {
    let found = validate(store, reference, false, &*session.observer()).await?;
    let Some(first) = found.problems.first() else {
        return Ok(());
    };
    let name = named(&**store, reference);
    let problems = count(found.problems.len() as u64, "problem");
    let message = format!(
        "{name} has {problems}, the first with {}: {}",
        first.digest, first.problem
    );
    Err(Failure::plain(Kind::Mismatch, message))
}

/// Those of `tags` that name nothing yet.
async fn free(session: &Session, to: &dyn Store, tags: Vec<Tag>) -> Result<Vec<Tag>, Failure> {
    let mut free = Vec::new();
    for tag in tags {
        let reference = Reference::Tag(tag.clone());
        match to.find(&reference).await? {
            Some(_) => session.note(&format!("{} is there already", named(to, &reference))),
            None => free.push(tag),
        }
    }
    Ok(free)
}

async fn planned(
    run: &Run,
    job: Job,
    source: String,
    options: &CopyOptions,
) -> Result<Report, Failure> {
    let plan = run.plan(job.task(), options).await?;
    let digest = plan.descriptor.digest;
    Ok(Report {
        source,
        targets: targets(&job, Some(digest)),
        digest: Some(digest),
        outcome: if plan.unchanged {
            "unchanged"
        } else {
            "copied"
        },
        dry_run: true,
        manifests: plan.manifests.len() as u64,
        blobs_sent: plan.blobs.len() as u64,
        bytes_sent: plan.bytes,
        left_out: job.left_out.clone(),
        pinned: Some(named(&*job.to, &Reference::Digest(digest))),
        ..Report::default()
    })
}

fn targets(job: &Job, digest: Option<Digest>) -> Vec<String> {
    let tags = job
        .tags
        .iter()
        .map(|tag| named(&*job.to, &Reference::Tag(tag.clone())));
    match digest {
        Some(digest) if job.tags.is_empty() => vec![named(&*job.to, &digest.into())],
        _ => tags.collect(),
    }
}

impl Report {
    /// What is told of a copy that failed.
    pub(crate) fn failed(source: String, failure: &Failure) -> Self {
        Self {
            source,
            outcome: "failed",
            error: Some(failure.message().to_owned()),
            ..Self::default()
        }
    }

    /// For people, on standard error.
    pub(crate) fn sentence(&self) -> String {
        let targets = self.targets.join(", ");
        let source = &self.source;
        let moved = format!(
            "{} and {}, {}",
            count(self.manifests, "manifest"),
            count(self.blobs_sent, "blob"),
            size(self.bytes_sent)
        );
        match (self.outcome, self.dry_run) {
            ("skipped", _) => format!("skipped {source}"),
            ("unchanged", _) => format!("{targets} is {source} already"),
            (_, true) => format!("would copy {source} to {targets}: at most {moved}"),
            (_, false) => {
                let more = match self.mounted {
                    0 => String::new(),
                    mounted => format!(", {} mounted", count(mounted, "blob")),
                };
                format!("copied {source} to {targets}: {moved}{more}")
            }
        }
    }
}
