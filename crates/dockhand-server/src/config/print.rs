//! Prints a configuration as a file that could be its own.

use toml::Value;

use super::{Config, Key, keys};

impl Config {
    /// The whole configuration as TOML, every key in the order of the reference; what has no value
    /// is a comment. Reading it back gives the same configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let root = Value::try_from(self).unwrap_or_else(|_| Value::Table(toml::Table::new()));
        let mut text = String::new();
        let mut section = "";
        for key in keys() {
            if key.section != section {
                section = key.section;
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}[{section}]\n"));
            }
            let name = key.name();
            text.push_str(&match value(&root, key) {
                Some(value) => format!("{name} = {value}\n"),
                None => format!("# {name} is not set\n"),
            });
        }
        text
    }
}

/// The value of a key, when it has one.
pub(super) fn value<'a>(root: &'a Value, key: &Key) -> Option<&'a Value> {
    let section = key
        .section
        .split('.')
        .try_fold(root, |table, name| table.get(name))?;
    section.get(key.name())
}

impl Key {
    /// Its default as it would be written; nothing when it has none.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        let root = Value::try_from(Config::default()).ok()?;
        value(&root, self).map(Value::to_string)
    }
}
