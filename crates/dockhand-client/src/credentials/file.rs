//! The files of Docker and Podman: what they have, and which there may be.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Environment;
use super::key::Key;
use crate::{Error, ErrorKind, Result};

/// The longest file that is read, in bytes. Real ones have a few KiB.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// The habits of the tool that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `config.json`: Docker Hub under its URL; a helper for everything.
    Docker,
    /// `auth.json`: Docker Hub as `docker.io`; namespaces; helpers for single registries.
    Podman,
    /// `~/.dockercfg`: the entries alone.
    Legacy,
}

/// A file that may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) dialect: Dialect,
}

impl Place {
    /// A file that was named: Docker's when it is called as Docker's is.
    pub(super) fn named(path: PathBuf) -> Self {
        let is_docker = path.file_name().is_some_and(|name| name == "config.json");
        let dialect = match is_docker {
            true => Dialect::Docker,
            false => Dialect::Podman,
        };
        Self { path, dialect }
    }

    /// All that may be there when none is named, the one that wins a tie first.
    /// <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>
    pub(super) fn all(environment: &Environment) -> Vec<Self> {
        let home = environment.home();
        let at_home = |path: &str| Some(home.as_ref()?.join(path));
        let docker = match environment.path("DOCKER_CONFIG") {
            Some(folder) => Some(folder.join("config.json")),
            None => at_home(".docker/config.json"),
        };
        let running = environment.podman_runtime();
        let lasting = environment.config_folder();
        let places = [
            (docker, Dialect::Docker),
            (
                running.map(|folder| folder.join("auth.json")),
                Dialect::Podman,
            ),
            (
                lasting.map(|folder| folder.join("containers/auth.json")),
                Dialect::Podman,
            ),
            (at_home(".dockercfg"), Dialect::Legacy),
        ];
        let some = |(path, dialect): (Option<PathBuf>, Dialect)| {
            Some(Self {
                path: path?,
                dialect,
            })
        };
        places.into_iter().filter_map(some).collect()
    }

    /// What the file has; `None` when there is none.
    ///
    /// # Errors
    /// [`Unreadable`], when it is there.
    pub(super) async fn read(&self) -> Result<Option<AuthFile>, Unreadable> {
        let Some(text) = read(&self.path).await? else {
            return Ok(None);
        };
        AuthFile::parse(&text, self.dialect)
            .map(Some)
            .map_err(Unreadable::Malformed)
    }
}

/// Why a file that is there says nothing.
#[derive(Clone, Debug)]
pub(super) enum Unreadable {
    /// This process may not read it.
    Forbidden,
    /// What is in it is not what it should be; the text says what, and shows nothing of it.
    Malformed(String),
}

impl Unreadable {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Forbidden => "this user may not read it",
            Self::Malformed(what) => what,
        }
    }

    pub(super) fn into_error(self, path: &Path) -> Error {
        let message = format!("{}: {}", path.display(), self.text());
        Error::new(ErrorKind::Config, message).with_hint("correct the file, or remove it")
    }
}

/// The text of a file; `None` when there is none.
pub(super) async fn read(path: &Path) -> Result<Option<String>, Unreadable> {
    use tokio::io::AsyncReadExt;

    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) => return absent(&error),
    };
    let mut text = String::new();
    match file.take(SIZE_MAX).read_to_string(&mut text).await {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Unreadable::Malformed("it is not UTF-8".to_owned()))
        }
        Err(error) => absent(&error),
    }
}

fn absent(error: &io::Error) -> Result<Option<String>, Unreadable> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        io::ErrorKind::PermissionDenied => Err(Unreadable::Forbidden),
        _ => Err(Unreadable::Malformed(error.to_string())),
    }
}

/// What a file has. What is not about credentials is kept as it was written.
#[derive(Debug, Default)]
pub(super) struct AuthFile {
    pub(super) auths: Object,
    pub(super) rest: Object,
    store: Option<String>,
    helpers: BTreeMap<String, String>,
}

/// An object whose values are kept as they were written.
pub(super) type Object = BTreeMap<String, Box<RawValue>>;

impl AuthFile {
    /// Reads a text; an empty one is a file with nothing in it.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut rest: Object = serde_json::from_str(text).map_err(|error| {
            // The error's own words may repeat what is there.
            let (line, column) = (error.line(), error.column());
            format!("it is not a JSON object (line {line}, column {column})")
        })?;
        if dialect == Dialect::Legacy {
            return Ok(Self {
                auths: rest,
                ..Self::default()
            });
        }
        let auths = rest.remove("auths");
        let raw = |key: &str| rest.get(key).map(AsRef::as_ref);
        let store = match dialect {
            Dialect::Docker => value(raw("credsStore"), "credsStore")?,
            Dialect::Podman | Dialect::Legacy => None,
        };
        Ok(Self {
            auths: value(auths.as_deref(), "auths")?.unwrap_or_default(),
            store: { store }.filter(|name: &String| !name.is_empty()),
            helpers: value(raw("credHelpers"), "credHelpers")?.unwrap_or_default(),
            rest,
        })
    }

    /// The helper that has the credential of a registry. An empty name in `credHelpers` says that the
    /// file itself has it.
    pub(super) fn helper(&self, host: &str) -> Option<&str> {
        let fits = |key: &str| Key::parse(key).fits(host, None).is_some();
        let own = { self.helpers.iter() }.find(|(key, _)| fits(key));
        match own {
            Some((_, name)) if name.is_empty() => None,
            Some((_, name)) => Some(name),
            None => self.store.as_deref(),
        }
    }
}

fn value<T: DeserializeOwned>(raw: Option<&RawValue>, key: &str) -> Result<Option<T>, String> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| format!("its `{key}` is not as Docker writes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_for_the_registries_that_they_are_named_for() {
        let text = r#"{"credsStore": "all", "credHelpers": {
            "ghcr.io": "one", "plain.example": "", "https://index.docker.io/v1/": "hub"}}"#;
        for (dialect, host, helper) in [
            (Dialect::Docker, "ghcr.io", Some("one")),
            (Dialect::Docker, "docker.io", Some("hub")),
            (Dialect::Docker, "plain.example", None),
            (Dialect::Docker, "other.example", Some("all")),
            (Dialect::Podman, "ghcr.io", Some("one")),
            (Dialect::Podman, "other.example", None),
            (Dialect::Legacy, "ghcr.io", None),
        ] {
            let file = AuthFile::parse(text, dialect).unwrap();
            assert_eq!(file.helper(host), helper, "{dialect:?} {host}");
        }
    }

    #[test]
    fn what_is_no_file_is_said_without_showing_it() {
        for (text, said) in [
            ("{\n\"canary\"", "line 2"),
            ("\"canary\"", "line 1"),
            (r#"{"auths": "canary"}"#, "`auths`"),
            (r#"{"credHelpers": ["canary"]}"#, "`credHelpers`"),
        ] {
            let error = AuthFile::parse(text, Dialect::Docker).unwrap_err();
            assert!(error.contains(said) && !error.contains("canary"), "{error}");
        }
        for text in ["", " \n", "\u{feff}{}", r#"{"auths": null}"#] {
            assert!(AuthFile::parse(text, Dialect::Docker).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_places_are_those_of_docker_and_podman() {
        let paths = |environment: &Environment| -> Vec<String> {
            let places = Place::all(environment).into_iter();
            places
                .map(|place| place.path.display().to_string())
                .collect()
        };
        let plain = Environment::new([("HOME", "/h")]);
        let own = [
            "/h/.docker/config.json",
            "/h/.config/containers/auth.json",
            "/h/.dockercfg",
        ];
        assert_eq!(paths(&plain), own);
        let named = Environment::new([
            ("HOME", "/h"),
            ("DOCKER_CONFIG", "/d"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("XDG_CONFIG_HOME", "/c"),
        ]);
        let others = [
            "/d/config.json",
            "/r/containers/auth.json",
            "/c/containers/auth.json",
            "/h/.dockercfg",
        ];
        assert_eq!(paths(&named), others);
        assert!(paths(&Environment::default()).is_empty());
    }
}
