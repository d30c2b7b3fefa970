//! Which tags are meant: by pattern, by version, the newest of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Algorithm, Tag};
use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;
use semver::{Prerelease, Version, VersionReq};

use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// Before a pattern that is a glob. No tag and no repository has a colon, so no useful regular
/// expression begins like this.
const GLOB: &str = "glob:";

/// A pattern for whole names: a regular expression, or a glob after `glob:`.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Regex(Regex, String),
    Glob(GlobMatcher),
}

impl Pattern {
    /// Whether all of `text` fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Regex(regex, _) => regex.is_match(text),
            Kind::Glob(glob) => glob.is_match(text),
        }
    }
}

impl FromStr for Pattern {
    type Err = Error;

    /// `v1\..*` fits `v1.2` and not `dev1.2`, as both ends are bound; `glob:v1.*` does the same. In a glob
    /// `*` stays within a part of a name and `**` does not.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |error: &dyn fmt::Display| {
            let message = format!("{text:?} is no pattern: {error}");
            let hint = "write a regular expression, or a glob after glob:";
            Error::new(ErrorKind::Invalid, message).with_hint(hint)
        };
        if let Some(glob) = text.strip_prefix(GLOB) {
            let glob = GlobBuilder::new(glob).literal_separator(true).build();
            let glob = glob.map_err(|error| wrong(&error.kind()))?;
            return Ok(Self(Kind::Glob(glob.compile_matcher())));
        }
        let bound = Regex::new(&format!("^(?:{text})$"));
        // Its own message is many lines with a drawing; the last one says what it is.
        let regex = bound.map_err(|error| {
            let told = error.to_string();
            let last = told.lines().last().unwrap_or_default();
            wrong(&last.trim_start_matches("error: "))
        })?;
        Ok(Self(Kind::Regex(regex, text.to_owned())))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Regex(_, text) => f.write_str(text),
            Kind::Glob(glob) => write!(f, "{GLOB}{}", glob.glob()),
        }
    }
}

/// Names that are meant: what one of `include` fits, everything when there is none, without what one of
/// `exclude` fits.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    /// What is meant.
    pub include: Vec<Pattern>,
    /// What is not.
    pub exclude: Vec<Pattern>,
}

impl NameFilter {
    /// Whether `name` is meant.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(name));
        (self.include.is_empty() || fits(&self.include)) && !fits(&self.exclude)
    }
}

/// A choice of tags.
#[async_trait]
pub trait Select: fmt::Debug + Send + Sync {
    /// Those of `tags`, which `store` has, that are meant.
    ///
    /// # Errors
    /// What keeps it from finding out what it must know of them.
    async fn select(&self, store: &Arc<dyn Store>, tags: Vec<Tag>) -> Result<Vec<Tag>>;

    /// Whether this choice is about a tag at all: what is not stays at a target that is pruned.
    fn reaches(&self, tag: &Tag) -> bool;
}

/// Tags by their names. Tags that begin with a digest, such as `sha256-….sig`, never are: they belong to
/// what their digest names and come along with it.
#[derive(Clone, Debug, Default)]
pub struct TagFilter {
    /// By name.
    pub names: NameFilter,
    /// By version: one of these must fit; any tag when there is none.
    pub versions: Vec<VersionReq>,
    /// Only so many, those of the highest version; then tags that are no versions are not meant.
    pub newest: Option<usize>,
}

impl TagFilter {
    /// Those of `tags` that are meant: the newest first when their number is limited, else by name.
    #[must_use]
    pub fn choose(&self, tags: &[Tag]) -> Vec<Tag> {
        let mut meant: Vec<Tag> = { tags.iter() }
            .filter(|tag| self.reaches(tag))
            .cloned()
            .collect();
        meant.sort();
        meant.dedup();
        if let Some(newest) = self.newest {
            meant.sort_by_cached_key(|tag| std::cmp::Reverse(version(tag)));
            meant.truncate(newest);
        }
        meant
    }
}

#[async_trait]
impl Select for TagFilter {
    async fn select(&self, _: &Arc<dyn Store>, tags: Vec<Tag>) -> Result<Vec<Tag>> {
        Ok(self.choose(&tags))
    }

    fn reaches(&self, tag: &Tag) -> bool {
        if is_digest_tag(tag) || !self.names.fits(tag.as_str()) {
            return false;
        }
        let version = version(tag);
        let fits = |version: &Version| self.versions.iter().any(|wanted| wanted.matches(version));
        let fits = self.versions.is_empty() || version.as_ref().is_some_and(fits);
        fits && (self.newest.is_none() || version.is_some())
    }
}

/// The version that a tag says: `v1.2` is 1.2.0, `1.2.3-alpine` a version before 1.2.3.
///
/// <https://semver.org>
#[must_use]
pub fn version(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let (numbers, rest) = match text.split_once('-') {
        Some((numbers, rest)) => (numbers, rest),
        None => (text, ""),
    };
    let mut parts = numbers.split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u64>().ok().filter(|_| digits)
    });
    let major = parts.next()??;
    let minor = parts.next().unwrap_or(Some(0))?;
    let patch = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() {
        return None;
    }
    let mut version = Version::new(major, minor, patch);
    version.pre = Prerelease::new(rest).ok()?;
    Some(version)
}

/// Whether a tag begins with a digest: `sha256-…`, `sha256-….sig`. The tag of a list of referrers has no
/// more than 64 digits, also of a longer digest.
fn is_digest_tag(tag: &Tag) -> bool {
    let text = tag.as_str();
    let digest = text.split_once('.').map_or(text, |(digest, _)| digest);
    let Some((name, digits)) = digest.split_once('-') else {
        return false;
    };
    let known = Algorithm::ALL.into_iter().any(|one| one.as_str() == name);
    known && digits.len() >= 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<Tag> {
        text.split(' ').map(|tag| tag.parse().unwrap()).collect()
    }

    fn names(tags: &[Tag]) -> String {
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        names.join(" ")
    }

    #[test]
    fn a_pattern_is_bound_at_both_ends() {
        for (pattern, fits, fits_not) in [
            ("v1", "v1", "v10"),
            ("v1|v2", "v2", "xv2"),
            (r"v1\..*", "v1.2", "v1x"),
            ("glob:v1.*", "v1.2.3", "v1x"),
            ("glob:team/*", "team/app", "team/app/x"),
            ("glob:{a,b}?", "b1", "c1"),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert!(parsed.fits(fits), "{pattern} {fits}");
            assert!(!parsed.fits(fits_not), "{pattern} {fits_not}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for wrong in ["(", "glob:[", "a{2"] {
            let error = wrong.parse::<Pattern>();
            match (wrong, error) {
                (_, Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Invalid);
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
                (wrong, Ok(_)) => panic!("{wrong} is a pattern"),
            }
        }
    }

    #[test]
    fn versions_as_people_tag_them() {
        for (tag, expected) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            ("v1", "1.0.0"),
            ("1.2-alpine", "1.2.0-alpine"),
            ("1.2.3-rc.1", "1.2.3-rc.1"),
        ] {
            let tag: Tag = tag.parse().unwrap();
            assert_eq!(version(&tag), Some(expected.parse().unwrap()), "{tag}");
        }
        for tag in ["latest", "1.2.3.4", "v", "1.x", "alpine-3.18", "1..2"] {
            assert_eq!(version(&tag.parse().unwrap()), None, "{tag}");
        }
    }

    #[test]
    fn tags_are_selected_by_all_that_is_said() {
        let all = "latest 1.0 1.2.0 1.10.0 2.0.0 2.1.0-rc1 dev";
        let digest = "a".repeat(64);
        let all = tags(&format!(
            "{all} sha256-{digest} sha256-{digest}.sig sha512-{digest}"
        ));
        let pattern = |text: &str| vec![text.parse::<Pattern>().unwrap()];
        let range = |text: &str| vec![text.parse().unwrap()];
        let table: [(TagFilter, &str); 6] = [
            (
                TagFilter::default(),
                "1.0 1.10.0 1.2.0 2.0.0 2.1.0-rc1 dev latest",
            ),
            (
                TagFilter {
                    names: NameFilter {
                        include: pattern(r"\d.*"),
                        exclude: pattern(".*-rc.*"),
                    },
                    ..TagFilter::default()
                },
                "1.0 1.10.0 1.2.0 2.0.0",
            ),
            (
                TagFilter {
                    versions: range(">=1.2, <2"),
                    ..TagFilter::default()
                },
                "1.10.0 1.2.0",
            ),
            (
                TagFilter {
                    newest: Some(3),
                    ..TagFilter::default()
                },
                "2.1.0-rc1 2.0.0 1.10.0",
            ),
            (
                TagFilter {
                    versions: range("1"),
                    newest: Some(1),
                    ..TagFilter::default()
                },
                "1.10.0",
            ),
            (
                TagFilter {
                    newest: Some(0),
                    ..TagFilter::default()
                },
                "",
            ),
        ];
        for (filter, expected) in table {
            assert_eq!(names(&filter.choose(&all)), expected, "{filter:?}");
        }
    }
}
