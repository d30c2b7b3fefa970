//! `dockhand cp`: images from one place to others, byte for byte.

use std::collections::HashSet;
use std::sync::Arc;

use clap::Args;
use dockhand_client::Store;
use dockhand_client::copy::Run;
use dockhand_oci::{ImageRef, Reference, Tag};
use futures_util::future;
use futures_util::stream::{self, StreamExt};

use crate::output;
use crate::report::{Failure, Kind};
use crate::session::{Opened, Session, Side, Twins, Verb, is_registry};
use crate::tags::{Choice, Chosen, tell_undated};
use crate::transfer::{self, How, Job, Report, What};

/// Copy images and artifacts between registries, layouts and archives
///
/// What is copied stays byte for byte what it is, all platforms of it. Prints the reference by digest of
/// what each destination has now.
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "copy")]
pub(crate) struct Cp {
    /// Image to copy; with --all-tags a repository
    source: String,
    /// Where to: `REPO[:TAG[,TAG…]]`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]`, `dir:DIR`, `-`
    #[arg(required = true)]
    destinations: Vec<String>,
    #[command(flatten)]
    what: What,
    /// Every tag of the repository, or those that the filters below choose
    #[arg(short, long, help_heading = "What to copy")]
    all_tags: bool,
    // Skopeo needs it, fingers know it.
    /// All platforms; that is so anyway
    #[arg(long, hide = true)]
    all: bool,
    /// Which images of an index: all; that is so anyway
    #[arg(long, hide = true, value_name = "WHICH", value_parser = multi_arch)]
    multi_arch: Option<()>,
    /// Keep digests; that is so anyway
    #[arg(long, hide = true)]
    preserve_digests: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    twins: Twins,
}

impl Verb for Cp {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let jobs = match self.all_tags {
            true => self.all_jobs(session).await?,
            false => self.jobs(session).await?,
        };
        let what = &self.what;
        let how = &self.how;
        run_all(session, jobs, what, how).await
    }
}

impl Cp {
    fn sides(&self, session: &Session) -> (Side, Side) {
        let both = &session.flags.access;
        (self.twins.source(both), self.twins.target(both))
    }

    /// A job for each destination.
    async fn jobs(&self, session: &Session) -> Result<Vec<Job>, Failure> {
        let (source, target) = self.sides(session);
        if !self.choice.is_everything() {
            let message = "filters choose among tags, and one image is named";
            return Err(Failure::usage(message).hint("say --all-tags with a repository"));
        }
        let from = session.open_on(&source, &self.source).await?;
        let mut jobs: Vec<Job> = Vec::new();
        for text in &self.destinations {
            let (text, more) = split_tags(text)?;
            let created = session
                .create_over(&target, text, from.image.as_ref(), self.how.replace())
                .await?;
            let mut job = Job::new(&from, created);
            job.tags.extend(more);
            // A second name in the same repository is no second copy.
            let same = |other: &&mut Job| {
                job.to.origin().is_some()
                    && other.to.name() == job.to.name()
                    && other.digest == job.digest
            };
            match jobs.iter_mut().find(same) {
                Some(other) => other.tags.extend(job.tags),
                None => jobs.push(job),
            }
        }
        Ok(jobs)
    }

    /// A job for each tag and destination.
    async fn all_jobs(&self, session: &Session) -> Result<Vec<Job>, Failure> {
        let (source, target) = self.sides(session);
        let from = session.open_all(&source, &self.source).await?;
        let tags = async {
            let tags = from.store.tags().await?.into_iter().map(Chosen::from);
            let lanes = session.lanes().unwrap_or(16);
            let judged = self.choice.judge(&from.store, tags.collect(), None, lanes);
            judged.await
        };
        let known = { self.destinations.iter() }.map(|text| self.known(session, &target, text));
        let (judged, known) = future::join(tags, future::join_all(known)).await;
        let judged = judged?;
        tell_undated(session, &judged.undated);
        tell_nameless(session, &from, self.what.referrers).await?;
        let tags = judged.chosen;
        let names: Vec<Tag> = tags.iter().map(|one| one.tag.clone()).collect();
        let mut jobs = Vec::new();
        for (text, known) in self.destinations.iter().zip(known) {
            let Known { to, tags: there } = match known? {
                Some(known) => known,
                None => Known {
                    to: session
                        .open_target(&target, text, &names, self.how.replace())
                        .await?
                        .store,
                    tags: None,
                },
            };
            jobs.extend(names.iter().map(|tag| Job {
                from: Arc::clone(&from.store),
                what: Reference::Tag(tag.clone()),
                to: Arc::clone(&to),
                tags: vec![tag.clone()],
                digest: None,
                left_out: Vec::new(),
                is_part: true,
                absent: { there.as_ref() }.is_some_and(|there| !there.contains(tag)),
            }));
        }
        Ok(jobs)
    }

    /// A repository to copy to, with the tags that it has where that is easily told; `None` for what is no
    /// repository and is opened when the tags to write are known.
    async fn known(
        &self,
        session: &Session,
        side: &Side,
        text: &str,
    ) -> Result<Option<Known>, Failure> {
        if !is_registry(text) {
            return Ok(None);
        }
        let opened = session.open_target(side, text, &[], self.how.replace());
        let to = opened.await?.store;
        // What keeps it from being listed is told when it is written to.
        let tags = to.tags_in_one().await.unwrap_or_default();
        let tags = tags.map(HashSet::from_iter);
        Ok(Some(Known { to, tags }))
    }
}

/// A place to copy to, and its tags as far as they are known.
struct Known {
    to: Arc<dyn Store>,
    tags: Option<HashSet<Tag>>,
}

/// Says what of a layout or archive no tag names, so that `--all-tags` does not reach it.
pub(super) async fn tell_nameless(
    session: &Session,
    from: &Opened,
    referrers: bool,
) -> Result<(), Failure> {
    let entries = from.store.entries().await?.unwrap_or_default();
    let place = from.store.name();
    let nameless = || entries.iter().filter(|entry| entry.is_nameless());
    let images = nameless().filter(|entry| entry.subject.is_none());
    let images: Vec<String> = images.map(|entry| format!("{place}@{entry}")).collect();
    if !images.is_empty() {
        let names = output::some(&images);
        session.note(&format!("without a name, and left out: {names}"));
    }
    let referring = nameless().filter(|entry| entry.subject.is_some()).count() as u64;
    if referring > 0 && !referrers {
        let many = output::count(referring, "referrer");
        session.note(&format!(
            "left out: {many} in {place}; --referrers copies referrers too"
        ));
    }
    Ok(())
}

/// What skopeo says of an index.
fn multi_arch(text: &str) -> Result<(), &'static str> {
    match text {
        "all" => Ok(()),
        "system" => Err("write --platform local"),
        _ => Err("an index alone is no image; `dockhand manifest get` and `put` move it"),
    }
}

/// Splits `repo:a,b,c` into `repo:a` and the other tags. Only repositories of registries take several.
pub(super) fn split_tags(text: &str) -> Result<(&str, Vec<Tag>), Failure> {
    let Some((first, more)) = text.split_once(',') else {
        return Ok((text, Vec::new()));
    };
    let bare = first.strip_prefix("docker://").unwrap_or(first);
    let tagged = bare
        .parse::<ImageRef>()
        .is_ok_and(|image| image.tag.is_some());
    if !tagged || !is_registry(first) {
        return Ok((text, Vec::new()));
    }
    let tags: Result<Vec<Tag>, _> = more.split(',').map(str::parse).collect();
    Ok((first, tags.map_err(dockhand_client::Error::from)?))
}

/// Does all jobs, several at once, and answers with what became of them.
pub(super) async fn run_all(
    session: &Session,
    jobs: Vec<Job>,
    what: &What,
    how: &How,
) -> Result<(), Failure> {
    let many = jobs.len();
    let targets: Vec<Arc<dyn Store>> = jobs.iter().map(|job| Arc::clone(&job.to)).collect();
    // Archives are written from front to end by one at a time.
    let at_once = if targets.iter().any(|to| to.lanes() <= 1) {
        1
    } else {
        session.images()
    };
    let shared = &Run::new();
    let running = stream::iter(jobs.into_iter().enumerate()).map(|(at, job)| async move {
        let source = job.source();
        let done = transfer::run(session, shared, job, what, how).await;
        (at, source, done)
    });
    // As they end: a large image does not keep the others from going on.
    let mut results: Vec<_> = running.buffer_unordered(at_once).collect().await;
    results.sort_unstable_by_key(|(at, ..)| *at);
    let mut reports = Vec::new();
    let mut failures = Vec::new();
    for (_, source, result) in results {
        match result {
            Ok(report) => {
                session.note(&report.sentence());
                reports.push(report);
            }
            Err(failure) => {
                let failure = failure.about(&source);
                reports.push(Report::failed(source, &failure));
                failures.push(failure);
            }
        }
    }
    if failures.is_empty() && !how.dry_run {
        finish(&targets).await?;
    }
    if let Some(file) = &how.digestfile {
        let digests = reports.iter().filter_map(|report| report.digest);
        let digests: Vec<String> = digests.map(|digest| digest.to_string()).collect();
        output::bytes_to(Some(file), digests.join("\n").as_bytes())?;
    }
    session.answer(&reports, |out, reports| {
        let mut pinned = reports.iter().filter_map(|report| report.pinned.as_ref());
        pinned.try_for_each(|name| writeln!(out, "{name}"))
    })?;
    Failure::of_some(session, failures, many)
}

/// Ends the writing of each place, once.
async fn finish(targets: &[Arc<dyn Store>]) -> Result<(), Failure> {
    let mut ended: Vec<&Arc<dyn Store>> = Vec::new();
    for target in targets {
        if ended.iter().any(|done| Arc::ptr_eq(done, target)) {
            continue;
        }
        target.finish().await.map_err(|error| {
            let kind = Kind::of(error.kind());
            Failure::plain(kind, format!("cannot finish {}: {error}", target.name()))
        })?;
        ended.push(target);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_tags_of_one_destination() {
        for (text, rest, more) in [
            ("host:5000/app:a,b,c", "host:5000/app:a", &["b", "c"][..]),
            ("host:5000/app", "host:5000/app", &[]),
            ("app:a", "app:a", &[]),
            ("oci:some,dir", "oci:some,dir", &[]),
            ("oci:./some,dir:tag", "oci:./some,dir:tag", &[]),
        ] {
            let (left, tags) = split_tags(text).unwrap();
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            assert_eq!((left, &tags[..]), (rest, more), "{text}");
        }
        assert!(split_tags("app:a,").is_err());
    }
}
