//! `dockhand sync`: repositories that are to be the same as others.

mod file;
mod left_out;
mod registry;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use dockhand_client::Place;
use dockhand_client::copy::CopyOptions;
use dockhand_client::sync::{Job, Outcome, Step, SyncOptions, What as Which, Work, sync};
use dockhand_oci::{Digest, Reference, Tag};
use regex::Regex;
use serde::Serialize;

use crate::flags::pause;
use crate::output::count;
use crate::report::{Failure, Kind};
use crate::session::{Replace, Session, Twins, Verb};
use crate::tags::Choice;
use crate::transfer::What;
use file::Entry;
use left_out::{Counted, LeftOut};

/// Bring repositories to the state of others: copy what is new, leave what is the same
///
/// Either two repositories, or a FILE (YAML or TOML) with many; see docs/commands.md for its form. What is the
/// same already costs one request a tag on each side. A source with a tag or digest is that one image; the destination has
/// the same tag when it names none.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sync {
    /// FILE, or the repository (or image) to copy from
    source: String,
    /// Repository to copy to
    target: Option<String>,
    /// Every repository of a registry, or those in which this regular expression is found, to
    /// another registry, or below a path of it
    #[arg(long, value_name = "REGEX", num_args = 0..=1, require_equals = true, default_missing_value = "", requires = "target")]
    repos: Option<Regex>,
    /// Delete tags of the destination that the filters choose and the source does not have
    #[arg(long)]
    prune: bool,
    /// Delete nothing at all when more than so many tags would go
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_delete: usize,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Look at everything again, even where the destination has the image by name
    #[arg(long)]
    force: bool,
    /// Do it again and again, with so much time between; what failed is told, and tried the next time
    #[arg(long, value_name = "TIME", value_parser = pause)]
    watch: Option<Duration>,
    #[command(flatten)]
    pub(super) what: What,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    twins: Twins,
}

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    copies: Vec<Copy>,
    deleted: Vec<String>,
    #[serde(skip_serializing_if = "LeftOut::is_empty")]
    left_out: LeftOut,
    dry_run: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Copy {
    source: String,
    targets: Vec<String>,
    digest: Digest,
    /// `copied` or `unchanged`.
    outcome: &'static str,
    blobs_sent: u64,
    bytes_sent: u64,
}

impl Verb for Sync {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let Some(pause) = self.watch else {
            return self.once(session).await;
        };
        loop {
            match self.once(session).await {
                Err(failure) if matches!(failure.kind(), Kind::Usage | Kind::Unread) => {
                    return Err(failure);
                }
                Err(failure) => failure.tell(session),
                Ok(()) => {}
            }
            tokio::time::sleep(pause).await;
        }
    }
}

impl Sync {
    /// Brings everything to the same state, once.
    async fn once(&self, session: &Session) -> Result<(), Failure> {
        let left_out = Arc::<Mutex<LeftOut>>::default();
        let mut jobs = Vec::new();
        for entry in self.entries(session).await? {
            jobs.push(self.job(session, entry, &left_out).await?);
        }
        let options = SyncOptions {
            images: session.images(),
            max_delete: self.max_delete,
            dry_run: self.dry_run,
            keep_going: true,
        };
        let synced = sync(&jobs, &options).await;
        let many = synced.steps.len();
        let mut answer = Answer {
            dry_run: self.dry_run,
            left_out: left_out
                .lock()
                .map(|found| found.clone())
                .unwrap_or_default(),
            ..Answer::default()
        };
        let mut failures = Vec::new();
        for step in synced.steps {
            answer.add(step, &mut failures);
        }
        let word = if self.dry_run { "would be " } else { "" };
        let done = |outcome| {
            let copies = answer.copies.iter();
            copies.filter(|one| one.outcome == outcome).count() as u64
        };
        session.note(&format!(
            "{} {word}copied, {} unchanged, {} {word}deleted",
            count(done("copied"), "image"),
            done("unchanged"),
            count(answer.deleted.len() as u64, "tag"),
        ));
        answer.left_out.tell(session);
        session.answer(&answer, |out, answer| {
            for copy in answer.copies.iter().filter(|one| one.outcome == "copied") {
                for target in &copy.targets {
                    writeln!(out, "{word}copied {target}")?;
                }
            }
            let mut deleted = answer.deleted.iter();
            deleted.try_for_each(|name| writeln!(out, "{word}deleted {name}"))
        })?;
        Failure::of_some(session, failures, many)
    }

    async fn entries(&self, session: &Session) -> Result<Vec<Entry>, Failure> {
        let mut all = Vec::new();
        for entry in self.written()? {
            let both = &session.flags.access;
            match entry.repos.clone() {
                None => all.push(entry),
                Some(wanted) => {
                    let client = session.client_of(&self.twins.source(both), &entry.source)?;
                    all.extend(registry::entries(&client, &entry, &wanted).await?);
                }
            }
        }
        Ok(all)
    }

    /// The entries of the command line or the file, as they stand there.
    fn written(&self) -> Result<Vec<Entry>, Failure> {
        let path = Path::new(&self.source);
        match &self.target {
            Some(target) => Ok(vec![Entry {
                repos: self.repos.clone().map(|repos| vec![repos]),
                source: self.source.clone(),
                target: target.clone(),
                choice: self.choice.clone(),
                platforms: self.what.platforms.list(),
                referrers: self.what.referrers,
                digest_tags: self.what.digest_tags,
                prune: self.prune,
            }]),
            None if path.is_file() => {
                if !self.choice.is_everything() || !self.what.platforms.list().is_empty() {
                    let message = "what to copy is said in the file, entry by entry";
                    let hint =
                        "move the filters and platforms there, below defaults if they are for all";
                    return Err(Failure::usage(message).hint(hint));
                }
                let mut entries = file::read(path)?;
                for entry in &mut entries {
                    entry.referrers |= self.what.referrers;
                    entry.digest_tags |= self.what.digest_tags;
                }
                Ok(entries)
            }
            None => {
                let message = format!("there is no file {:?}, and no destination", self.source);
                let hint = "write `dockhand sync FILE` or `dockhand sync SOURCE DESTINATION`";
                Err(Failure::usage(message).hint(hint))
            }
        }
    }

    /// What is to be done for an entry.
    async fn job(
        &self,
        session: &Session,
        entry: Entry,
        left_out: &Arc<Mutex<LeftOut>>,
    ) -> Result<Job, Failure> {
        let both = &session.flags.access;
        let (source, target) = (self.twins.source(both), self.twins.target(both));
        let prune = entry.prune || self.prune;
        let (from, to, what) = if names_image(&entry.source) {
            if prune || !entry.choice.is_everything() {
                let message = format!("{} is one image: nothing to choose or prune", entry.source);
                return Err(Failure::usage(message).hint("name the repository alone"));
            }
            let from = session.open_on(&source, &entry.source).await?;
            let to = match names_image(&entry.target) {
                true => session.create_on(&target, &entry.target, None).await?,
                false => {
                    session
                        .open_target(&target, &entry.target, &[], Replace::Same)
                        .await?
                }
            };
            if to.digest.is_some() {
                let message = format!("{} has a digest, which no one can choose", entry.target);
                return Err(Failure::usage(message).hint("name a tag, or the repository alone"));
            }
            let mut tags = to.tags;
            if let (true, Reference::Tag(tag)) = (tags.is_empty(), &from.reference) {
                tags.push(tag.clone());
            }
            (from.store, to.store, Which::Image(from.reference, tags))
        } else {
            let from = session.open_all(&source, &entry.source).await?;
            super::cp::tell_nameless(session, &from, entry.referrers).await?;
            let to = session
                .open_target(&target, &entry.target, &[], Replace::Same)
                .await?;
            let choice = Counted {
                choice: entry.choice,
                digest_tags: entry.digest_tags,
                left_out: Arc::clone(left_out),
            };
            (from.store, to.store, Which::Tags(Arc::new(choice)))
        };
        Ok(Job {
            from,
            to,
            what,
            copy: CopyOptions {
                platforms: entry.platforms,
                referrers: entry.referrers,
                digest_tags: entry.digest_tags,
                force: self.force,
                lanes: session.lanes(),
                observer: session.observer(),
            },
            prune,
        })
    }
}

impl Answer {
    /// Adds what came of a step.
    fn add(&mut self, step: Step, failures: &mut Vec<Failure>) {
        let Step {
            from,
            to,
            work,
            outcome,
        } = step;
        let name = |reference: &Reference| joined(&to, reference);
        let tags = |tags: &[Tag]| -> Vec<String> {
            tags.iter()
                .map(|tag| name(&Reference::Tag(tag.clone())))
                .collect()
        };
        let mut copy = |digest, outcome| {
            let (source, targets) = match &work {
                Work::Copy(what, names) => (joined(&from, what), tags(names)),
                Work::Plan | Work::Prune(_) | Work::Finish => (from.clone(), Vec::new()),
            };
            self.copies.push(Copy {
                source,
                targets,
                digest,
                outcome,
                blobs_sent: 0,
                bytes_sent: 0,
            });
        };
        match outcome {
            Outcome::Copied(copied) => {
                copy(copied.descriptor.digest, "copied");
                if let Some(copy) = self.copies.last_mut() {
                    copy.blobs_sent = copied.blobs_sent;
                    copy.bytes_sent = copied.bytes_sent;
                }
            }
            Outcome::WouldCopy(plan) => {
                copy(plan.descriptor.digest, "copied");
                if let Some(copy) = self.copies.last_mut() {
                    copy.blobs_sent = plan.blobs.len() as u64;
                    copy.bytes_sent = plan.bytes;
                }
            }
            Outcome::Unchanged(digest) => copy(digest, "unchanged"),
            Outcome::Pruned | Outcome::WouldPrune => {
                if let Work::Prune(names) = &work {
                    self.deleted.extend(tags(names));
                }
            }
            Outcome::Failed(error) => failures.push(error.into()),
            Outcome::Skipped => {
                let message = format!("{to}: skipped, as something failed before");
                failures.push(Failure::plain(Kind::Failed, message));
            }
        }
    }
}

/// Whether a text names an image by tag or digest, and no repository, layout or archive as a whole.
fn names_image(text: &str) -> bool {
    match text.parse() {
        Ok(Place::Registry(image)) => image.tag.is_some() || image.digest.is_some(),
        Ok(
            Place::Layout { image, .. }
            | Place::OciArchive { image, .. }
            | Place::DockerArchive { image, .. },
        ) => image.tag().is_some() || image.digest().is_some(),
        _ => false,
    }
}

/// What a reference names in a place of this name.
fn joined(place: &str, reference: &Reference) -> String {
    match reference {
        Reference::Tag(tag) => format!("{place}:{tag}"),
        Reference::Digest(digest) => format!("{place}@{digest}"),
    }
}
