//! Lays the `REGISTRY_` environment over a document, with all the ways that Distribution has.
//!
//! <https://distribution.github.io/distribution/about/configuration/#override-specific-configuration-options>

use super::keys::{FIELD_NAMES, find, names_in};
use super::security;
use super::tree::{Data, Entry, Node};
use crate::config::environment::{Environment, is_of_kubernetes};
use crate::config::layers::Layers;
use crate::config::problem::Origin;

/// What its variables begin with.
pub(super) const PREFIX: &str = "REGISTRY_";
/// No keys: the first names our file, the second is where Podman and Skopeo keep their logins.
const RESERVED: [&str; 2] = ["REGISTRY_CONFIGURATION_PATH", "REGISTRY_AUTH_FILE"];

/// Whether a variable is meant to be a key.
pub(super) fn is_key(name: &str) -> bool {
    name.starts_with(PREFIX) && !RESERVED.contains(&name) && !is_of_kubernetes(name)
}

/// Lays each variable over the document, in the order of their names, so that `REGISTRY_STORAGE` is
/// set before `REGISTRY_STORAGE_DELETE_ENABLED`: a parent replaces all that was below it.
pub(super) fn lay(root: &mut Node, environment: &Environment, layers: &mut Layers) {
    for (name, value) in environment.iter().filter(|(name, _)| is_key(name)) {
        let at = Origin::Variable(name.clone());
        let Some(text) = value.to_str() else {
            layers.problem(at, "its value is not UTF-8");
            continue;
        };
        let names: Vec<&str> = name
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .split('_')
            .collect();
        match set(root, "", &names, parse(text, &at)) {
            Ok(()) => {}
            Err(Trouble::Unknown) if security::secures(name) => layers.problem(
                at,
                "no key of CNCF Distribution has this name, and to ignore what may be meant for `auth` \
                 or `http.tls` would be unsafe; correct or unset it",
            ),
            Err(Trouble::Unknown) => layers.warn(
                &at,
                "ignored, since no key of CNCF Distribution has this name",
            ),
            Err(Trouble::Index(message)) => layers.problem(at, message),
        }
    }
}

/// A value is YAML; what is none is text.
fn parse(text: &str, at: &Origin) -> Node {
    let here = |_, _| at.clone();
    Node::parse(text, &here).unwrap_or_else(|_| Node {
        at: at.clone(),
        data: Data::Text(text.to_owned()),
    })
}

enum Trouble {
    /// No key has this name.
    Unknown,
    /// The place in a list is none.
    Index(String),
}

/// Puts a value below the names that lead to it.
fn set(node: &mut Node, path: &str, names: &[&str], value: Node) -> Result<(), Trouble> {
    let Some((first, rest)) = names.split_first() else {
        *node = value;
        return Ok(());
    };
    // `storage: inmemory` is short for a map, which has place for a key.
    if let (Data::Text(name), "storage" | "auth") = (&node.data, path) {
        node.data = Data::Map(vec![empty(name, &value.at)]);
    }
    let numeric = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    match &mut node.data {
        Data::List(items) => set_item(items, path, first, rest, value),
        Data::Null if numeric && find(path).is_some() => {
            let mut items = Vec::new();
            set_item(&mut items, path, first, rest, value)?;
            node.data = Data::List(items);
            Ok(())
        }
        Data::Map(entries) => set_entry(entries, path, first, rest, value),
        Data::Null => {
            let mut entries = Vec::new();
            set_entry(&mut entries, path, first, rest, value)?;
            node.data = Data::Map(entries);
            Ok(())
        }
        // Nothing lies below a number or a text.
        _ => Err(Trouble::Unknown),
    }
}

/// An item by its index; the one after the last is appended.
fn set_item(
    items: &mut Vec<Node>,
    path: &str,
    index: &str,
    rest: &[&str],
    value: Node,
) -> Result<(), Trouble> {
    let Some(number) = index
        .parse::<usize>()
        .ok()
        .filter(|number| *number <= items.len())
    else {
        let length = items.len();
        return Err(Trouble::Index(format!(
            "`{path}` has {length} items, so `{index}` is none of them; the next one is {length}"
        )));
    };
    if number == items.len() {
        items.push(Node {
            at: value.at.clone(),
            data: Data::Null,
        });
    }
    set(&mut items[number], path, rest, value)
}

/// An entry by its name: that of YAML or of Go in a section, any in a map.
fn set_entry(
    entries: &mut Vec<Entry>,
    path: &str,
    first: &str,
    rest: &[&str],
    value: Node,
) -> Result<(), Trouble> {
    let name = known(path, first)
        .or_else(|| {
            entries
                .iter()
                .find(|entry| entry.name.to_ascii_uppercase() == first)
                .map(|entry| entry.name.clone())
        })
        .or_else(|| takes_any(path, first).then(|| first.to_ascii_lowercase()))
        .ok_or(Trouble::Unknown)?;
    let inner = if path.is_empty() {
        name.clone()
    } else {
        format!("{path}.{name}")
    };
    let index = match entries.iter().position(|entry| entry.name == name) {
        Some(index) => index,
        None => {
            // A slip further down must leave no empty section behind.
            let mut entry = empty(&name, &value.at);
            set(&mut entry.node, &inner, rest, value)?;
            entries.push(entry);
            return Ok(());
        }
    };
    set(&mut entries[index].node, &inner, rest, value)
}

/// The name in YAML of a name in the environment.
fn known(section: &str, variable: &str) -> Option<String> {
    let field = FIELD_NAMES
        .iter()
        .find(|(of, go, _)| *of == section && *go == variable);
    let name = field.map(|(_, _, yaml)| *yaml);
    name.or_else(|| {
        names_in(section)
            .into_iter()
            .find(|name| name.to_ascii_uppercase() == variable)
    })
    .map(str::to_owned)
}

/// Whether a place takes any name: a map of Distribution's, or what lies below a key.
fn takes_any(path: &str, name: &str) -> bool {
    let path = if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    };
    find(&path).is_some()
}

fn empty(name: &str, at: &Origin) -> Entry {
    let node = Node {
        at: at.clone(),
        data: Data::Null,
    };
    Entry {
        name: name.to_owned(),
        at: at.clone(),
        node,
    }
}
