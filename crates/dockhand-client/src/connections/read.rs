//! Reads `dockhand.toml`: what is wrong in it is told with its line, all at once.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::table::{CLIENT_KEYS, KEYS, Root};
use super::words::hint;
use crate::credentials::Environment;
use crate::{Error, ErrorKind, Result};

/// The tables of the server, which may stand in the same file.
pub(super) const SERVER: [&str; 4] = ["server", "storage", "log", "metrics"];

/// The file's folder below the folder of settings, and its name.
const PLACE: &str = "dockhand/dockhand.toml";

/// The file that was named, by `DOCKHAND_CONFIG` if not here, else the person's own; nothing when there
/// is none, or when the one that is named for the server is of CNCF Distribution.
pub(super) fn read(file: Option<&Path>, environment: &Environment) -> Result<Root> {
    let named = file.map(Path::to_owned);
    let named = named.or_else(|| environment.path("DOCKHAND_CONFIG"));
    let own = || Some(environment.config_folder()?.join(PLACE));
    let Some(path) = named.clone().or_else(own) else {
        return Ok(Root::default());
    };
    let is_yaml = { path.extension() }.is_some_and(|end| end == "yml" || end == "yaml");
    if is_yaml {
        return Ok(Root::default());
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text, environment.home()),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Root::default())
        }
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            Err(Error::new(ErrorKind::Config, message).with_source(error))
        }
    }
}

fn parse(path: &Path, text: &str, home: Option<PathBuf>) -> Result<Root> {
    let mut file = File {
        path,
        text,
        problems: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(root) => file.root(root.get_ref()),
        Err(error) => file.failed(&error),
    }
    if file.problems.is_empty() {
        match toml::from_str::<Root>(text) {
            Ok(mut root) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                for path in root
                    .connections
                    .values_mut()
                    .flat_map(|table| table.paths())
                {
                    *path = resolved(path, folder, home.as_deref());
                }
                return Ok(root);
            }
            Err(error) => file.failed(&error),
        }
    }
    Err(Error::new(ErrorKind::Config, file.problems.join("\n")))
}

/// A path in the file is relative to the file, or to the person's home.
fn resolved(path: &Path, folder: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<String>,
}

impl File<'_> {
    fn failed(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.problem(at, error.message());
    }

    fn problem(&mut self, byte: usize, message: &str) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let begun = before.rsplit('\n').next().unwrap_or_default();
        let column = begun.chars().count() + 1;
        let path = self.path.display();
        self.problems
            .push(format!("{path}:{line}:{column}: {message}"));
    }

    fn root(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("client", DeValue::Table(client)) => self.keys("client", "client", client),
                ("connections", DeValue::Table(connections)) => {
                    for (name, value) in connections {
                        self.table(&format!("connections.{}", name.get_ref()), "", value);
                    }
                }
                ("client" | "connections", _) => {
                    let message = format!("`{}` is a table", name.get_ref());
                    self.problem(value.span().start, &message);
                }
                (other, _) if SERVER.contains(&other) => {}
                (other, _) => {
                    let known = SERVER.iter().copied().chain(["client", "connections"]);
                    let hint = hint(other, known);
                    let message = format!("unknown table `{other}`{hint}");
                    self.problem(name.span().start, &message);
                }
            }
        }
    }

    /// One table of a connection, and those in it.
    fn table(&mut self, path: &str, section: &str, value: &toml::Spanned<DeValue<'_>>) {
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("`{path}` is a table; write its keys under [{path}]");
            return self.problem(value.span().start, &message);
        };
        self.keys(path, section, table);
        for (name, value) in table {
            let is_section = |(section, _): &&(&str, _)| *section == name.get_ref().as_ref();
            if section.is_empty()
                && let Some((section, _)) = KEYS.iter().find(is_section)
            {
                self.table(&format!("{path}.{section}"), section, value);
            }
        }
    }

    fn keys(&mut self, path: &str, section: &str, table: &DeTable<'_>) {
        let known = match section {
            "client" => CLIENT_KEYS,
            _ => { KEYS.iter() }
                .find(|(name, _)| *name == section)
                .map_or(&[][..], |(_, keys)| keys),
        };
        for (name, _) in table {
            let written = name.get_ref().as_ref();
            if known.contains(&written) {
                continue;
            }
            let elsewhere = { KEYS.iter() }
                .find(|(other, keys)| !other.is_empty() && keys.contains(&written))
                .filter(|_| section != "client");
            let hint = match elsewhere {
                Some((other, _)) => format!("; did you mean `{other}.{written}`?"),
                None => hint(written, known.iter().copied()),
            };
            let takes = known.join(", ");
            let message = format!("unknown key `{path}.{written}`{hint} ([{path}] takes: {takes})");
            self.problem(name.span().start, &message);
        }
    }
}
