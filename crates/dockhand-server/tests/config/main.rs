//! The configuration through its own door, [`load`]: files, environment, flags, documents.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cases;
mod documents;
mod layers;

use std::ffi::OsString;
use std::fs;

use dockhand_server::config::{Config, ConfigError, Loaded, Overrides, load};

/// Loads a file of this name and text, with variables; messages name the file without its folder.
fn load_text(
    name: &str,
    text: &str,
    variables: &[(&str, &str)],
    flags: &Overrides,
) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let bare = |message: String| message.replace(&format!("{}/", folder.path().display()), "");
    match load(Some(&path), variables, flags) {
        Ok(mut loaded) => {
            loaded.warnings = loaded.warnings.into_iter().map(bare).collect();
            Ok(loaded)
        }
        Err(error @ ConfigError::Invalid(_)) => Err(bare(error.to_string())),
        Err(error) => panic!("{error}"),
    }
}

/// The keys whose values are not the defaults, a line each.
fn changes(config: &Config) -> String {
    let defaults = lines(&Config::default());
    lines(config)
        .into_iter()
        .filter(|line| !defaults.contains(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `section.key = value` for each key that has a value.
fn lines(config: &Config) -> Vec<String> {
    let text = config.to_toml();
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => section = name,
            None if line.starts_with('#') => {}
            None => lines.push(format!("{section}.{line}")),
        }
    }
    lines
}
