//! What would leave a registry open that was meant to be closed: a name that was meant to be `auth` or
//! `http.tls`, and one of these with nothing in it. Distribution ignores both.

use super::tree::{Data, Entry, Node};
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::config::problem::Origin;
use crate::config::suggest::is_near;

const AUTH: &str = "auth";
const TLS: &str = "http.tls";

/// The section that an unknown path was probably meant for, if that is one of these.
pub(super) fn meant<S: AsRef<str>>(path: &[S]) -> Option<&'static str> {
    let (name, inside) = match path {
        [] => return None,
        [name] => (name.as_ref(), None),
        [name, inner, ..] => (name.as_ref(), Some(inner.as_ref())),
    };
    if let (true, Some(inner)) = (is_near(name, "http"), inside) {
        return section(inner);
    }
    section(name)
}

fn section(name: &str) -> Option<&'static str> {
    // The old name is still in use for the new thing.
    let is_tls = is_near(name, "tls") || is_near(name, "ssl");
    is_near(name, AUTH)
        .then_some(AUTH)
        .or(is_tls.then_some(TLS))
}

/// As [`meant`], for an entry of a document, which may have the section below it.
pub(super) fn meant_by(entry: &Entry, path: &str) -> Option<&'static str> {
    let names: Vec<&str> = path.split('.').collect();
    let below = |inner: &Entry| meant(&[entry.name.as_str(), inner.name.as_str()]);
    let inside = || match names.as_slice() {
        [name] if is_near(name, "http") => entry.node.entries().iter().find_map(below),
        _ => None,
    };
    meant(&names).or_else(inside)
}

/// What to say of a name that was probably meant for a section.
pub(super) fn slip(name: &str, section: &str) -> String {
    format!(
        "`{name}` is not a key of CNCF Distribution; it may be meant to be `{section}`, and to ignore \
         that would be unsafe: correct or remove it"
    )
}

/// Refuses `auth` and `http.tls` when there is nothing in them.
pub(super) fn refuse_empty(root: &Node, layers: &mut Layers) {
    let nothing = |auth: &&Entry| match &auth.node.data {
        Data::List(items) => items.is_empty(),
        // A way to log in is chosen by its name, however little is said of it.
        Data::Map(entries) => entries.is_empty(),
        _ => is_empty(&auth.node),
    };
    if let Some(auth) = entry(root, AUTH).filter(nothing) {
        layers.problem(
            auth.node.at.clone(),
            "`auth` is empty, so it is not clear who may do what; write `auth: none` to let everybody \
             in, or remove it",
        );
    }
    if let Some(tls) = entry(root, TLS).filter(|tls| is_empty(&tls.node)) {
        layers.problem(
            tls.node.at.clone(),
            "`http.tls` is empty, so nothing would be encrypted; name `certificate` and `key`, or \
             remove it",
        );
    }
}

/// Whether nothing is said: no value, or only keys without one.
fn is_empty(node: &Node) -> bool {
    match &node.data {
        Data::Null => true,
        Data::Text(text) => text.is_empty(),
        Data::List(items) => items.iter().all(is_empty),
        Data::Map(entries) => entries.iter().all(|entry| is_empty(&entry.node)),
        Data::Bool(_) | Data::Integer(_) | Data::Float(_) => false,
    }
}

/// An entry, also one without a value.
fn entry<'a>(root: &'a Node, path: &str) -> Option<&'a Entry> {
    let (section, name) = match path.rsplit_once('.') {
        Some((section, name)) => (root.get(section)?, name),
        None => (root, path),
    };
    section.entries().iter().find(|entry| entry.name == name)
}

/// Refuses variables that were meant to secure a registry when there is no file that they belong to.
pub(super) fn refuse_unread(environment: &Environment, layers: &mut Layers) {
    for name in environment.keys().filter(|name| secures(name)) {
        layers.problem(
            Origin::Variable(name.clone()),
            "not read, since the configuration is not a file of CNCF Distribution, and to ignore it \
             would be unsafe; name such a file, or unset the variable",
        );
    }
}

/// Whether a variable is one of Distribution's for `auth` or `http.tls`.
pub(super) fn secures(variable: &str) -> bool {
    let words = |name: &str| name.to_ascii_lowercase();
    let path: Vec<String> = variable
        .strip_prefix(super::overlay::PREFIX)
        .unwrap_or_default()
        .split('_')
        .map(words)
        .collect();
    super::overlay::is_key(variable) && meant(&path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_was_meant_for() {
        for (path, section) in [
            ("autth", Some(AUTH)),
            ("Auth", Some(AUTH)),
            ("auht", Some(AUTH)),
            ("authentication", Some(AUTH)),
            ("authn", Some(AUTH)),
            ("tls", Some(TLS)),
            ("ssl", Some(TLS)),
            ("http.tsl", Some(TLS)),
            ("http.tsl.key", Some(TLS)),
            ("htttp.tls", Some(TLS)),
            ("http.auth", Some(AUTH)),
            ("htttp", None),
            ("http.timeout", None),
            ("http.http3", None),
            ("catalogue", None),
            ("services", None),
            ("", None),
        ] {
            let names: Vec<&str> = path.split('.').collect();
            assert_eq!(meant(&names), section, "{path}");
        }
    }
}
