//! The file of `dockhand sync`: what is to be the same where.

use std::path::Path;

use dockhand_oci::Platform;
use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::platforms::platform;
use crate::report::Failure;
use crate::tags::{Choice, requirement};

/// A file: entries, and what holds for those that do not say otherwise.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Plan {
    #[serde(default)]
    defaults: Settings,
    sync: Vec<Pair>,
}

/// How to choose and copy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    tags: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    semver: Option<String>,
    newest: Option<usize>,
    platforms: Option<Vec<String>>,
    referrers: Option<bool>,
    digest_tags: Option<bool>,
    prune: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Pair {
    source: String,
    target: String,
    /// Source and target are registries, and these their repositories.
    repositories: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    semver: Option<String>,
    newest: Option<usize>,
    platforms: Option<Vec<String>>,
    referrers: Option<bool>,
    digest_tags: Option<bool>,
    prune: Option<bool>,
}

/// What one entry comes to.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub source: String,
    pub target: String,
    /// The repositories that are meant, when source and target are registries.
    pub repos: Option<Vec<Regex>>,
    pub choice: Choice,
    pub platforms: Vec<Platform>,
    pub referrers: bool,
    pub digest_tags: bool,
    pub prune: bool,
}

/// Reads a file: YAML, or TOML where its name ends so.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let toml = path.extension().is_some_and(|end| end == "toml");
    let wrong = |error: &dyn std::fmt::Display| {
        let error = error.to_string();
        Failure::usage(format!("{}: {}", path.display(), error.trim_end()))
    };
    let plan: Plan = parse(&text, toml).map_err(|error| wrong(&error))?;
    let Plan { defaults, sync } = plan;
    let entries = sync.into_iter().enumerate().map(|(at, pair)| {
        pair.entry(&defaults)
            .map_err(|error| wrong(&format!("entry {}: {error}", at + 1)))
    });
    entries.collect()
}

fn parse<T: DeserializeOwned>(text: &str, toml: bool) -> Result<T, String> {
    match toml {
        true => toml::from_str(text).map_err(|error| error.to_string()),
        // Without the lines themselves: what is wrong and where fits on one.
        false => serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string()),
    }
}

impl Pair {
    fn entry(self, defaults: &Settings) -> Result<Entry, String> {
        let read = |texts: Vec<String>| {
            let read =
                { texts.iter() }.map(|text| Regex::new(text).map_err(|error| error.to_string()));
            read.collect::<Result<Vec<Regex>, String>>()
        };
        let patterns = |own: Option<Vec<String>>, other: &Option<Vec<String>>| {
            read(own.or_else(|| other.clone()).unwrap_or_default())
        };
        let semver = self.semver.or_else(|| defaults.semver.clone());
        let semver = semver.map(|text| requirement(&text)).transpose();
        let platforms = self.platforms.or_else(|| defaults.platforms.clone());
        let platforms = platforms.unwrap_or_default();
        let platforms = platforms
            .iter()
            .map(|text| platform(text).map_err(|error| error.to_string()));
        let says = |own: Option<bool>, other: Option<bool>| own.or(other).unwrap_or(false);
        Ok(Entry {
            repos: self.repositories.map(read).transpose()?,
            choice: Choice {
                matching: patterns(self.tags, &defaults.tags)?,
                exclude: patterns(self.exclude, &defaults.exclude)?,
                semver: semver.map_err(|error| error.to_string())?,
                newest: self.newest.or(defaults.newest),
                ..Choice::default()
            },
            platforms: platforms.collect::<Result<_, _>>()?,
            referrers: says(self.referrers, defaults.referrers),
            digest_tags: says(self.digest_tags, defaults.digest_tags),
            prune: says(self.prune, defaults.prune),
            source: self.source,
            target: self.target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Vec<Entry>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn yaml_and_toml_say_the_same() {
        let yaml = "defaults:\n  platforms: [linux/amd64]\nsync:\n  - source: a.example/x\n    target: b.example/x\n    \
                    semver: '>=2'\n    prune: true\n  - {source: a.example/y, target: b.example/y, platforms: []}\n";
        let toml = "[defaults]\nplatforms = ['linux/amd64']\n[[sync]]\nsource = 'a.example/x'\ntarget = 'b.example/x'\n\
                    semver = '>=2'\nprune = true\n[[sync]]\nsource = 'a.example/y'\ntarget = 'b.example/y'\nplatforms = []\n";
        for (name, text) in [("s.yaml", yaml), ("s.toml", toml)] {
            let entries = read_text(name, text).unwrap();
            let [one, two] = &entries[..] else {
                panic!("{name}: {entries:?}")
            };
            assert_eq!((one.platforms.len(), two.platforms.len()), (1, 0), "{name}");
            assert_eq!((one.prune, two.prune), (true, false), "{name}");
            assert!(
                one.choice.semver.is_some() && two.choice.semver.is_none(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("sync:\n  - source: a\n    traget: b\n", "traget"),
            (
                "sync:\n  - {source: a, target: b, tags: ['(']}\n",
                "entry 1",
            ),
            (
                "sync:\n  - {source: a, target: b, platforms: ['']}\n",
                "entry 1",
            ),
            ("nothing: 1\n", "s.yaml"),
        ] {
            let error = read_text("s.yaml", text).unwrap_err();
            assert!(error.contains(words) && error.contains("s.yaml"), "{error}");
        }
    }
}
