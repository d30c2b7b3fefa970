//! The layers of a configuration, put one above the other: each value with where it was set.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::problem::{ConfigError, Origin, Problem};
use super::{Config, Key, validate};

/// A value that was set: by which name, and where.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The name that the operator used for the key.
    pub(super) name: String,
    pub(super) at: Origin,
}

/// What was set so far, and what was wrong with it.
#[derive(Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<String, Value>,
    places: BTreeMap<String, Place>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// Characters of a wrong value that a message repeats.
const SHOWN: usize = 60;

impl Layers {
    /// Sets a key under its own name.
    pub(super) fn set(&mut self, key: &Key, value: Value, at: Origin) {
        self.set_as(key, &key.path(), value, at);
    }

    /// Sets a key that the operator knows under another name.
    pub(super) fn set_as(&mut self, key: &Key, name: &str, value: Value, at: Origin) {
        if !key.accepts(&value) {
            let shown = shown(&value);
            let message = format!("`{name}` is {shown}, but takes {}", key.expects);
            return self.problem(at, message);
        }
        self.values.insert(key.path(), value);
        self.places.insert(
            key.path(),
            Place {
                name: name.to_owned(),
                at,
            },
        );
    }

    /// Takes a key's value away again.
    pub(super) fn clear(&mut self, key: &Key, at: Origin) {
        self.values.remove(&key.path());
        self.places.insert(
            key.path(),
            Place {
                name: key.path(),
                at,
            },
        );
    }

    /// Notes what is wrong.
    pub(super) fn problem(&mut self, at: Origin, message: impl Into<String>) {
        self.problems.push(Problem {
            at,
            message: message.into(),
        });
    }

    /// Notes what the operator should know.
    pub(super) fn warn(&mut self, at: &Origin, message: impl std::fmt::Display) {
        self.warnings.push(format!("{at}: {message}"));
    }

    /// Where a key was set, when it was.
    pub(super) fn place(&self, path: &str) -> Option<&Place> {
        self.places.get(path)
    }

    /// The whole: defaults where nothing was set.
    pub(super) fn finish(mut self) -> Result<(Config, Vec<String>), ConfigError> {
        let mut root = Table::new();
        for (path, value) in std::mem::take(&mut self.values) {
            let names: Vec<&str> = path.split('.').collect();
            insert(&mut root, &names, value);
        }
        let config = match Config::deserialize(Value::Table(root)) {
            Ok(config) => config,
            // Each value was accepted by its key, so this is a fault of ours; it stops a start all the same.
            Err(error) => {
                self.problem(Origin::Default, error.message());
                Config::default()
            }
        };
        if self.problems.is_empty() {
            validate::check(&config, &mut self);
        }
        if self.problems.is_empty() {
            Ok((config, self.warnings))
        } else {
            self.problems.sort_by_key(|problem| problem.at.line());
            Err(ConfigError::Invalid(self.problems))
        }
    }
}

/// Puts a value below the names that lead to it.
fn insert(table: &mut Table, names: &[&str], value: Value) {
    match names {
        [] => {}
        [name] => {
            table.insert((*name).to_owned(), value);
        }
        [section, rest @ ..] => {
            let inner = table
                .entry(*section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// A value as a message shows it: on one line, not too long, without the user of an address.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let text = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://<hidden>@{host}"),
        _ => text,
    };
    let plain = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    let text: String = text.chars().map(plain).collect();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
