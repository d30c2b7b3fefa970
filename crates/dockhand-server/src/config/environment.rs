//! Reads the environment: `DOCKHAND_` and the path of a key.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::Deserialize;
use toml::Value;
use toml::de::ValueDeserializer;

use super::key::Shape;
use super::layers::Layers;
use super::problem::Origin;
use super::suggest::nearest_variable;
use super::{Key, keys};

/// The environment, sorted by name; names that are not text are nobody's.
pub(super) type Environment = BTreeMap<String, OsString>;

/// What all our variables begin with.
const PREFIX: &str = "DOCKHAND_";

/// What variables of the client begin with. They are not the server's business, even in its
/// environment.
const CLIENT: [&str; 31] = [
    "DOCKHAND_API_KEY",
    "DOCKHAND_AUTH",
    "DOCKHAND_BASE_URI",
    "DOCKHAND_CA_FILE",
    "DOCKHAND_CERT_FILE",
    "DOCKHAND_CONFIG",
    "DOCKHAND_CONNECTION",
    "DOCKHAND_DEBUG",
    "DOCKHAND_DRIVER",
    "DOCKHAND_HEADER",
    "DOCKHAND_INSECURE",
    "DOCKHAND_JOBS",
    "DOCKHAND_KEY_FILE",
    "DOCKHAND_LOGGING",
    "DOCKHAND_LOG_DRIVER",
    "DOCKHAND_MAX_WAIT",
    "DOCKHAND_NOTIFICATIONS",
    "DOCKHAND_OUTPUT",
    "DOCKHAND_PASSWORD",
    "DOCKHAND_PLAIN_HTTP",
    "DOCKHAND_PRIVATE_KEY",
    "DOCKHAND_PROGRESS",
    "DOCKHAND_PUBLIC_KEY",
    "DOCKHAND_QUIET",
    "DOCKHAND_REGISTRY_NAME",
    "DOCKHAND_RESOLVE",
    "DOCKHAND_RETRIES",
    "DOCKHAND_TIMEOUT",
    "DOCKHAND_TOKEN",
    "DOCKHAND_USERNAME",
    "DOCKHAND_VERBOSE",
];

/// Sets what the environment sets.
pub(super) fn read(layers: &mut Layers, environment: &Environment) {
    for (name, value) in environment {
        if !name.starts_with(PREFIX) {
            continue;
        }
        let at = Origin::Variable(name.clone());
        match (keys().find(|key| key.variable() == *name), value.to_str()) {
            (Some(key), Some(text)) => set(layers, key, text, at),
            (Some(_), None) => layers.problem(at, "its value is not UTF-8"),
            (None, _) if is_of_kubernetes(name) => {}
            (None, _) => unknown(layers, name, at),
        }
    }
}

/// Sets a key from its text. An empty text takes away what may be without a value.
fn set(layers: &mut Layers, key: &Key, text: &str, at: Origin) {
    if text.is_empty() && key.optional {
        return layers.clear(key, at);
    }
    let as_text = || Value::String(text.to_owned());
    let as_toml = || {
        ValueDeserializer::parse(text)
            .and_then(Value::deserialize)
            .ok()
    };
    let value = match key.shape {
        Shape::Text => as_text(),
        Shape::List if !text.starts_with('[') => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        Shape::Table if text.is_empty() => Value::Table(toml::Table::new()),
        Shape::Plain | Shape::List | Shape::Table => as_toml().unwrap_or_else(as_text),
    };
    layers.set(key, value, at);
}

/// Judges a name that is no key's: one that could be a slip of the pen must not pass, since what it
/// should have set (TLS, perhaps) would silently stay as it was.
fn unknown(layers: &mut Layers, name: &str, at: Origin) {
    let rests: Vec<String> = keys()
        .filter_map(|key| key.variable().strip_prefix(PREFIX).map(str::to_owned))
        .collect();
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let ours = ["SERVER_", "STORAGE_", "LOG_", "METRICS_"]
        .iter()
        .any(|own| rest.starts_with(own));
    let of_client = |client: &str| name == client || (!ours && name.starts_with(client));
    if CLIENT.iter().any(|client| of_client(client)) {
        return;
    }
    let shortened = rests
        .iter()
        .find(|known| known.ends_with(&format!("_{rest}")))
        .cloned();
    match shortened.or_else(|| nearest_variable(rest, rests)) {
        Some(meant) => {
            layers.problem(
                at,
                format!("no key has this variable; did you mean {PREFIX}{meant}?"),
            );
        }
        None if ours => {
            layers.problem(
                at,
                "no key has this variable; `dockhand check` prints all keys",
            );
        }
        None => layers.warn(&at, "ignored, since no key has this variable"),
    }
}

/// Whether Kubernetes made the variable: it describes a service named `dockhand` or `registry` to
/// each of its neighbours by `DOCKHAND_PORT`, `DOCKHAND_SERVICE_HOST`, `DOCKHAND_PORT_5000_TCP_ADDR`.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
pub(super) fn is_of_kubernetes(name: &str) -> bool {
    let service = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    let port = name.ends_with("_PORT");
    let numbered = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let (number, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = rest.split('_').next().unwrap_or_default();
        number.bytes().all(|b| b.is_ascii_digit()) && matches!(protocol, "TCP" | "UDP" | "SCTP")
    });
    service || port || numbered
}
