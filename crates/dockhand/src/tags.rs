//! Which tags of a repository are meant: by pattern, as versions, by age, the newest so many.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use dockhand_client::{ErrorKind, Result, Store};
use dockhand_oci::{Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use regex::Regex;
use semver::{Version, VersionReq};

use crate::flags::duration;
use crate::image;
use crate::output::{count, some};
use crate::session::Session;

// No doc comment: clap would take it for the help of the command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which tags")]
pub(crate) struct Choice {
    /// Tags in which this regular expression is found; anchor it with ^ and $
    #[arg(long = "match", visible_alias = "include", value_name = "REGEX")]
    pub matching: Vec<Regex>,
    /// Not tags in which this regular expression is found
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<Regex>,
    /// Tags that are versions, `1.2` and `v1.2.3` too; with =REQUIREMENT only those that meet it: '>=1.2, <2'
    #[arg(long, value_name = "REQUIREMENT", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_parser = requirement)]
    pub semver: Option<Requirement>,
    /// The N newest, newest first: by version with --semver, else by the time they were made
    #[arg(long, value_name = "N")]
    pub newest: Option<usize>,
    /// Tags of images made longer ago than this: 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub older_than: Option<Duration>,
    /// Tags of images made no longer ago than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub newer_than: Option<Duration>,
    /// Not tags that begin with a digest, as signatures have: sha256-….sig
    #[arg(short = 'O', long)]
    pub omit_digest_tags: bool,
}

/// A requirement on versions.
#[derive(Clone, Debug)]
pub(crate) struct Requirement(VersionReq);

pub(crate) fn requirement(text: &str) -> std::result::Result<Requirement, semver::Error> {
    Ok(Requirement(text.parse()?))
}

/// How to sort tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name
    Name,
    /// By version; what is none first
    Semver,
    /// By the time they were made
    Created,
}

/// A tag with what was found out about it.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub tag: Tag,
    /// What it names: the tag, or a digest where several images have the tag.
    pub reference: Reference,
    /// The whole name that the tag is the end of, where there is one.
    pub name: Option<String>,
    pub created: Option<Timestamp>,
}

impl From<Tag> for Chosen {
    fn from(tag: Tag) -> Self {
        Self {
            reference: Reference::Tag(tag.clone()),
            tag,
            name: None,
            created: None,
        }
    }
}

/// What became of the tags among which was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub chosen: Vec<Chosen>,
    /// Those that were left out because nothing says when their images were made.
    pub undated: Vec<Tag>,
}

impl Choice {
    /// Whether names alone decide, so that tags can be shown as they come.
    pub(crate) fn is_by_name(&self) -> bool {
        self.newest.is_none() && !self.is_by_age()
    }

    fn is_by_age(&self) -> bool {
        self.older_than.is_some() || self.newer_than.is_some()
    }

    /// Whether nothing is chosen.
    pub(crate) fn is_everything(&self) -> bool {
        let patterns = self.matching.len() + self.exclude.len();
        self.is_by_name() && patterns == 0 && self.semver.is_none() && !self.omit_digest_tags
    }

    /// Whether the name alone lets a tag pass.
    pub(crate) fn takes_name(&self, tag: &Tag) -> bool {
        let found = |patterns: &[Regex]| patterns.iter().any(|one| one.is_match(tag.as_str()));
        let version = || match &self.semver {
            None => true,
            Some(Requirement(any)) if *any == VersionReq::STAR => version(tag).is_some(),
            Some(Requirement(wanted)) => version(tag).is_some_and(|own| wanted.matches(&own)),
        };
        (self.matching.is_empty() || found(&self.matching))
            && !found(&self.exclude)
            && !(self.omit_digest_tags && is_digest_tag(tag))
            && version()
    }

    /// Whether the time decides at which images were made.
    pub(crate) fn needs_times(&self, sort: Option<Sort>) -> bool {
        let newest_by_time = self.newest.is_some() && self.semver.is_none();
        newest_by_time || self.is_by_age() || sort == Some(Sort::Created)
    }

    /// The tags that are meant among `tags`, sorted, and those of which the age is not known.
    pub(crate) async fn judge(
        &self,
        store: &Arc<dyn Store>,
        tags: Vec<Chosen>,
        sort: Option<Sort>,
        lanes: usize,
    ) -> Result<Judged> {
        let tags = tags.into_iter().filter(|one| self.takes_name(&one.tag));
        let mut chosen: Vec<Chosen> = if self.needs_times(sort) {
            let read = stream::iter(tags).map(|one| async move {
                match image::created(store, &one.reference).await {
                    Ok(created) => Ok(Some(Chosen { created, ..one })),
                    // It was deleted meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            });
            let read: Vec<Option<Chosen>> = read.buffered(lanes.max(1)).try_collect().await?;
            read.into_iter().flatten().collect()
        } else {
            tags.collect()
        };
        let mut undated = Vec::new();
        if self.is_by_age() {
            let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX);
            let none = chosen.iter().filter(|one| one.created.is_none());
            undated = none.map(|one| one.tag.clone()).collect();
            chosen.retain(|one| one.created.is_some_and(|made| self.takes_age(made, now)));
        }
        if let Some(count) = self.newest {
            let by = if self.semver.is_some() {
                Sort::Semver
            } else {
                Sort::Created
            };
            chosen.sort_by(|a, b| order(by, b, a));
            chosen.truncate(count);
        }
        if let Some(sort) = sort {
            chosen.sort_by(|a, b| order(sort, a, b));
        }
        Ok(Judged { chosen, undated })
    }

    fn takes_age(&self, made: Timestamp, now: Timestamp) -> bool {
        let older = |age| is_older(made, now, age);
        self.older_than.is_none_or(older) && !self.newer_than.is_some_and(older)
    }
}

/// Says which tags an age was asked of that nobody knows.
pub(crate) fn tell_undated(session: &Session, undated: &[Tag]) {
    if undated.is_empty() {
        return;
    }
    session.note(&format!(
        "left out, because nothing says when it was made: {} ({})",
        some(undated),
        count(undated.len() as u64, "tag")
    ));
}

/// Whether what was made then is older than `age` now.
pub(crate) fn is_older(made: Timestamp, now: Timestamp, age: Duration) -> bool {
    let passed = now.duration_since(made);
    Duration::try_from(passed).is_ok_and(|passed| passed > age)
}

fn order(sort: Sort, a: &Chosen, b: &Chosen) -> Ordering {
    let names = || (&a.tag, &a.name).cmp(&(&b.tag, &b.name));
    match sort {
        Sort::Name => names(),
        Sort::Semver => version(&a.tag).cmp(&version(&b.tag)).then_with(names),
        Sort::Created => a.created.cmp(&b.created).then_with(names),
    }
}

/// A tag as a version: `1`, `1.2`, `v1.2.3-rc.1`.
pub(crate) fn version(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 2usize.checked_sub(numbers.matches('.').count())?;
    format!("{numbers}{}{rest}", ".0".repeat(missing))
        .parse()
        .ok()
}

/// Whether a tag begins with a digest, as cosign writes them: `sha256-….sig`.
pub(crate) fn is_digest_tag(tag: &Tag) -> bool {
    let hex = ["sha256-", "sha512-"]
        .iter()
        .find_map(|start| tag.as_str().strip_prefix(start));
    hex.is_some_and(|hex| hex.len() >= 64 && hex.bytes().take(64).all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn tags_are_versions_as_people_write_them() {
        for (text, expected) in [
            ("1", Some("1.0.0")),
            ("v1.2", Some("1.2.0")),
            ("1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("3-alpine", Some("3.0.0-alpine")),
            ("latest", None),
            ("1.2.3.4", None),
            ("version", None),
        ] {
            assert_eq!(
                version(&tag(text)).map(|v| v.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn names_pass_patterns_and_requirements() {
        let sha = format!("sha256-{}.sig", "a".repeat(64));
        let names = ["latest", "1.2.0", "v1.10", "2.0.0-rc.1", sha.as_str()];
        let taken = |choice: &Choice| -> Vec<&str> {
            { names.iter() }
                .filter(|name| choice.takes_name(&tag(name)))
                .copied()
                .collect()
        };
        let semver = |text| Choice {
            semver: Some(requirement(text).unwrap()),
            ..Choice::default()
        };
        assert_eq!(taken(&Choice::default()), names);
        assert_eq!(taken(&semver("*")), ["1.2.0", "v1.10", "2.0.0-rc.1"]);
        assert_eq!(taken(&semver(">=1.2, <2")), ["1.2.0", "v1.10"]);
        let omit = Choice {
            omit_digest_tags: true,
            ..Choice::default()
        };
        assert_eq!(taken(&omit), names[..4]);
        let matching = Choice {
            matching: vec![Regex::new("^v?1").unwrap()],
            exclude: vec![Regex::new("10").unwrap()],
            ..Choice::default()
        };
        assert_eq!(taken(&matching), ["1.2.0"]);
    }

    #[test]
    fn versions_are_sorted_as_numbers() {
        let mut tags = ["1.10", "latest", "1.9", "v1.9.1"].map(|text| Chosen::from(tag(text)));
        tags.sort_by(|a, b| order(Sort::Semver, a, b));
        assert_eq!(
            tags.each_ref().map(|one| one.tag.as_str()),
            ["latest", "1.9", "v1.9.1", "1.10"]
        );
    }

    #[test]
    fn ages() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let day = Duration::from_secs(86_400);
        assert!(is_older(at(0), at(86_401), day));
        assert!(!is_older(at(0), at(86_400), day));
        assert!(!is_older(at(10), at(0), day));
    }
}
