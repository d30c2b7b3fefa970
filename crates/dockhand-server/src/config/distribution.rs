//! Reads a configuration of CNCF Distribution: its YAML and its `REGISTRY_` environment.
//!
//! What exists here is honoured; what does not is named, once, in a warning; what would be unsafe to
//! ignore is refused. The defaults are Distribution's where it has one that people rely on.

mod go_duration;
mod http;
mod keys;
mod log;
mod overlay;
mod security;
mod settings;
mod storage;
mod tree;
mod walk;

use std::path::Path;

pub(super) use keys::LOGIN;
pub use keys::{FOREIGN_KEYS, Fate, ForeignKey};

use super::environment::Environment;
use super::layers::Layers;
use settings::Settings;
use tree::{Data, Entry, Node};

/// The only version that there is.
const VERSION: &str = "0.1";

/// Sets what the text of a file and the environment set.
pub(super) fn read(layers: &mut Layers, path: &Path, text: &str, environment: &Environment) {
    let place = |line, column| tree::in_file(path, line, column);
    let mut root = match Node::parse(text, &place) {
        Ok(root) => root,
        Err((message, line, column)) => {
            return layers.problem(place(line, column), format!("this is not YAML: {message}"));
        }
    };
    if let Err(message) = version(&root) {
        let at = root.get("version").unwrap_or(&root).at.clone();
        return layers.problem(at, message);
    }
    overlay::lay(&mut root, environment, layers);
    for section in ["storage", "auth"] {
        expand(&mut root, section, layers);
    }
    security::refuse_empty(&root, layers);
    walk::judge(&root, layers);
    let mut settings = Settings {
        root: &root,
        layers,
    };
    settings.log();
    settings.storage();
    settings.http();
}

/// Names variables that were meant for a file of CNCF Distribution when there is none. One that would
/// have kept somebody out is refused.
pub(super) fn warn_unread(layers: &mut Layers, environment: &Environment) {
    let meant = |name: &&String| {
        let section = name
            .strip_prefix(overlay::PREFIX)
            .unwrap_or_default()
            .split('_')
            .next()
            .unwrap_or_default();
        overlay::is_key(name)
            && !security::secures(name)
            && keys::names_in("")
                .iter()
                .any(|known| known.to_ascii_uppercase() == section)
    };
    security::refuse_unread(environment, layers);
    let names: Vec<&str> = environment
        .keys()
        .filter(meant)
        .map(String::as_str)
        .collect();
    if !names.is_empty() {
        let names = names.join(", ");
        layers.warnings.push(format!(
            "{names}: not read, since the configuration is not a file of CNCF Distribution"
        ));
    }
}

/// It is mandatory.
fn version(root: &Node) -> Result<(), String> {
    let advice = "a configuration of CNCF Distribution has `version: 0.1`";
    if !matches!(root.data, Data::Map(_)) {
        return Err(format!("this is no configuration: {advice} and sections"));
    }
    match root.get("version").map(Node::text) {
        Some(Some(version)) if version == VERSION => Ok(()),
        Some(version) => Err(format!(
            "the version is {}, but {advice}",
            version.unwrap_or_else(|| "no text".into())
        )),
        None => Err(format!("the version is missing; {advice}")),
    }
}

/// `storage: inmemory` is short for `storage: {inmemory: {}}`, `auth: none` likewise.
fn expand(root: &mut Node, section: &str, layers: &mut Layers) {
    let Data::Map(entries) = &mut root.data else {
        return;
    };
    let Some(entry) = entries.iter_mut().find(|entry| entry.name == section) else {
        return;
    };
    let at = entry.node.at.clone();
    match &entry.node.data {
        Data::Text(name) if name.is_empty() => entry.node.data = Data::Null,
        Data::Text(name) => {
            let node = Node {
                at: at.clone(),
                data: Data::Map(Vec::new()),
            };
            let inner = Entry {
                name: name.clone(),
                at: at.clone(),
                node,
            };
            entry.node = Node {
                at,
                data: Data::Map(vec![inner]),
            };
        }
        Data::Map(inner) if section == "auth" && inner.len() > 1 => {
            let names: Vec<&str> = inner.iter().map(|entry| entry.name.as_str()).collect();
            let names = names.join(", ");
            layers.problem(
                at,
                format!("`auth` names more than one way ({names}), but takes exactly one"),
            );
        }
        _ => {}
    }
}
