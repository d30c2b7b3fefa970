//! Reads a native file, `dockhand.toml`.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::distribution::LOGIN;
use super::layers::Layers;
use super::problem::Origin;
use super::suggest::{is_near, nearest};
use super::{Key, keys};

/// The sections of the client, which may stand in the same file; it judges them itself.
const CLIENT: [&str; 2] = ["client", "connections"];

/// The section that says how connections are encrypted.
const TLS: &str = "server.tls";

/// Sets what the text of a file sets.
pub(super) fn read(layers: &mut Layers, path: &Path, text: &str) {
    let file = File { path, text };
    let parsed = DeTable::parse(text).and_then(|spans| Ok((spans, toml::from_str::<Table>(text)?)));
    match parsed {
        Ok((spans, values)) => file.section(layers, "", spans.get_ref(), &values),
        Err(error) => {
            let at = file.at(error.span().map_or(0, |span| span.start));
            layers.problem(at, format!("this is not TOML: {}", error.message()));
        }
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    /// Where a byte lies.
    fn at(&self, byte: usize) -> Origin {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Origin::File {
            path: self.path.to_owned(),
            line,
            column,
        }
    }

    /// Walks one section: its keys are set, its sections walked, anything else is unknown.
    fn section(&self, layers: &mut Layers, section: &str, spans: &DeTable<'_>, values: &Table) {
        for (name, span) in spans {
            let Some(value) = values.get(&**name.get_ref()) else {
                continue;
            };
            let path = joined(section, name.get_ref());
            let (at_name, at_value) = (self.at(name.span().start), self.at(span.span().start));
            if CLIENT.contains(&path.as_str()) {
                continue;
            }
            if let Some(key) = keys().find(|key| key.path() == path) {
                layers.set(key, value.clone(), at_value);
            } else if !is_section(&path) {
                layers.problem(at_name, unknown(section, name.get_ref()));
            } else if let (DeValue::Table(spans), Value::Table(values)) = (inner(span), value) {
                if path == TLS && values.is_empty() {
                    layers.problem(at_name, format!("[{TLS}] is empty, so nothing would be encrypted; set `cert` and `key`, or remove it"));
                }
                self.section(layers, &path, spans, values);
            } else {
                layers.problem(
                    at_value,
                    format!("`{path}` is a section; write its keys under [{path}]"),
                );
            }
        }
    }
}

fn inner<'a, 'i>(span: &'a Spanned<DeValue<'i>>) -> &'a DeValue<'i> {
    span.get_ref()
}

fn joined(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

fn is_section(path: &str) -> bool {
    let inside = format!("{path}.");
    keys().any(|key| key.section == path || key.section.starts_with(&inside))
}

/// What to say of a name that is none: what was meant, or where it belongs, and what there is.
fn unknown(section: &str, name: &str) -> String {
    let here = names(section);
    let path = joined(section, name);
    let elsewhere = || keys().find(|key| key.name() == name).map(Key::path);
    let hint = match (nearest(name, &here), elsewhere()) {
        (_, Some(path)) => format!("; did you mean `{path}`?"),
        (Some(name), None) => format!("; did you mean `{name}`?"),
        (None, None) => String::new(),
    };
    let hint = if is_near(name, "auth") {
        format!("; {LOGIN}")
    } else {
        hint
    };
    let place = if section.is_empty() {
        "the sections are".into()
    } else {
        format!("[{section}] takes")
    };
    format!("unknown key `{path}`{hint} ({place}: {})", here.join(", "))
}

/// The keys of a section and the sections in it.
fn names(section: &str) -> Vec<String> {
    let mut names: Vec<String> = keys()
        .filter(|key| key.section == section)
        .map(Key::name)
        .collect();
    for key in keys() {
        let rest = if section.is_empty() {
            Some(key.section)
        } else {
            key.section
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'))
        };
        let first = rest
            .and_then(|rest| rest.split('.').next())
            .map(str::to_owned);
        names.extend(first.filter(|first| !names.contains(first)));
    }
    names
}
