//! Walks a document: says what becomes of each key that is not simply honoured, and names what is
//! no key at all.

use super::keys::{FOREIGN_KEYS, Fate, find, names_in};
use super::security;
use super::tree::{Data, Entry, Node};
use crate::config::layers::Layers;
use crate::config::suggest::nearest;

/// Notes all that is unknown, moot, ignored or refused.
pub(super) fn judge(root: &Node, layers: &mut Layers) {
    section(root, "", layers);
}

fn section(node: &Node, path: &str, layers: &mut Layers) {
    for entry in node.entries() {
        let inner = if path.is_empty() {
            entry.name.clone()
        } else {
            format!("{path}.{}", entry.name)
        };
        let is_section = FOREIGN_KEYS.iter().any(|key| {
            key.path
                .strip_prefix(inner.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        });
        match (find(&inner), &entry.node.data) {
            // What has keys of its own is walked, so that each is judged by itself.
            (_, Data::Map(_)) if is_section => section(&entry.node, &inner, layers),
            (_, Data::Null) if is_section => {}
            (_, _) if is_section => {
                let names = names_in(&inner).join(", ");
                layers.problem(
                    entry.at.clone(),
                    format!("`{inner}` is a section; it takes {names}"),
                );
            }
            (Some(key), _) => known(entry, &inner, key.fate, layers),
            (None, _) => unknown(entry, path, &inner, layers),
        }
    }
}

fn known(entry: &Entry, path: &str, fate: Fate, layers: &mut Layers) {
    let at = &entry.at;
    match fate {
        Fate::Honoured(_) => {}
        Fate::Refused(advice) if is_chosen(entry, path) => {
            let message = "is not supported, and to ignore it would be unsafe";
            layers.problem(at.clone(), format!("`{path}` {message}: {advice}"));
        }
        _ if entry.node.is_off() => {}
        Fate::Moot(reason) => {
            layers.warn(at, format!("`{path}` has nothing to do here: {reason}"));
        }
        Fate::Ignored(effect) => {
            layers.warn(at, format!("`{path}` is not honoured yet: {effect}"));
        }
        Fate::Refused(_) => layers.warn(at, format!("`{path}` is ignored, since it is off")),
    }
}

/// Whether what is refused is really asked for.
fn is_chosen(entry: &Entry, path: &str) -> bool {
    match path.split('.').next() {
        // A driver or a way to log in is chosen by being there, however little it says.
        Some("storage" | "auth") => true,
        // Only an upstream makes it a cache.
        Some("proxy") => entry.node.get("remoteurl").is_some_and(|url| !url.is_off()),
        _ => !entry.node.is_off(),
    }
}

fn unknown(entry: &Entry, section: &str, path: &str, layers: &mut Layers) {
    if section == "http.tls" {
        let names = names_in(section).join(", ");
        let message = format!(
            "`{path}` is not a key of CNCF Distribution, and to ignore it could be unsafe: correct or \
             remove it (`{section}` takes {names})"
        );
        return layers.problem(entry.at.clone(), message);
    }
    if let Some(meant) = security::meant_by(entry, path) {
        return layers.problem(entry.at.clone(), security::slip(path, meant));
    }
    let hint = nearest(entry.name.as_str(), names_in(section));
    let hint = hint
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default();
    layers.warn(
        &entry.at,
        format!("unknown key `{path}` is ignored, as CNCF Distribution does{hint}"),
    );
}
