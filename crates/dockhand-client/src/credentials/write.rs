//! Keeping and forgetting credentials: what `login` and `logout` do.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::file::{AuthFile, Dialect, Place};
use super::helper::Helper;
use super::key::Key;
use super::{Chain, edit, entry};
use crate::{Credential, Error, ErrorKind, Result};

/// Where a credential was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stored {
    /// The file, or the one that names the helper.
    pub file: String,
    /// The helper that keeps the secret; without one it stands in the file, readable for whoever may
    /// read that.
    pub helper: Option<String>,
}

/// Where a credential was, and is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Erased {
    /// The file, or the helper.
    pub place: String,
}

impl Chain {
    /// Keeps a credential for a registry, or for a namespace `host/org` in it: in the file that was named,
    /// else in the one that is there already (Docker's before Podman's), else in a new one of Docker's;
    /// by a helper when the file names one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the file cannot be understood, the helper is missing or fails, or
    /// there is no home folder; [`ErrorKind::Io`] when writing fails.
    pub async fn store(&self, registry: &str, credential: &Credential) -> Result<Stored> {
        let key = Key::parse(registry);
        let place = self.target()?;
        let written = written(&key, place.dialect)?;
        let file = read(&place).await?.unwrap_or_default();
        let shown = place.path.display().to_string();
        let Some(name) = file.helper(&key.host) else {
            let entry = raw(&entry::write(credential))?;
            edit::edit(place, move |file| {
                forget(file, &key);
                file.auths.insert(written, entry);
                true
            })
            .await?;
            return Ok(Stored {
                file: shown,
                helper: None,
            });
        };
        let helper = self.helper(name);
        let stored = helper.store(&written, credential).await;
        stored.map_err(|failure| failure.into_error().doing(format!("log in to {registry}")))?;
        self.memory.answers.lock().await.clear();
        if place.dialect == Dialect::Docker {
            // The mark by which Docker knows whom it is logged in to.
            let mark = raw(&serde_json::json!({}))?;
            edit::edit(place, move |file| {
                forget(file, &key);
                file.auths.insert(written, mark);
                true
            })
            .await?;
        }
        Ok(Stored {
            file: shown,
            helper: Some(helper.program()),
        })
    }

    /// Forgets the credential of a registry, or of a namespace in it, in every file and helper that a
    /// look-up would come to. Variables and netrc stay as they are: see [`Chain::explain`].
    ///
    /// # Errors
    /// As [`Chain::store`]; what could be forgotten is forgotten all the same.
    pub async fn erase(&self, registry: &str) -> Result<Vec<Erased>> {
        let key = Key::parse(registry);
        let mut erased = Vec::new();
        let mut failed = None;
        for place in self.places() {
            if let Err(error) = self.erase_in(place, &key, &mut erased).await {
                failed.get_or_insert(error.doing(format!("log out of {registry}")));
            }
        }
        self.memory.answers.lock().await.clear();
        match failed {
            Some(error) => Err(error),
            None => Ok(erased),
        }
    }

    async fn erase_in(&self, place: Place, key: &Key, erased: &mut Vec<Erased>) -> Result<()> {
        let Some(file) = read(&place).await? else {
            return Ok(());
        };
        let shown = place.path.display().to_string();
        let dialect = place.dialect;
        if file.auths.keys().any(|other| Key::parse(other) == *key) {
            let key = key.clone();
            edit::edit(place, move |file| forget(file, &key)).await?;
            erased.push(Erased { place: shown });
        }
        match file.helper(&key.host) {
            Some(name) if !key.is_namespace() => {
                let helper = self.helper(name);
                let server = written(key, dialect)?;
                let known = helper.erase(&server).await;
                if known.map_err(super::helper::Failure::into_error)? {
                    erased.push(Erased {
                        place: helper.program(),
                    });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn helper<'a>(&'a self, name: &'a str) -> Helper<'a> {
        Helper {
            name,
            environment: &self.environment,
        }
    }

    /// The one file that was named.
    fn named(&self) -> Option<Place> {
        let by_variable = || self.environment.path("REGISTRY_AUTH_FILE");
        let path = { self.authfile.clone() }.or_else(by_variable)?;
        Some(Place::named(path))
    }

    fn places(&self) -> Vec<Place> {
        match self.named() {
            Some(place) => vec![place],
            None => Place::all(&self.environment),
        }
    }

    /// The file that a new credential goes to.
    fn target(&self) -> Result<Place> {
        let places = self.places();
        let writable = |place: &&Place| place.dialect != Dialect::Legacy;
        let there = |place: &&Place| place.path.symlink_metadata().is_ok();
        let present = places.iter().filter(writable).find(there);
        let chosen = present.or_else(|| places.iter().find(writable));
        chosen.cloned().ok_or_else(|| {
            let message = "there is no home folder to keep credentials in";
            Error::new(ErrorKind::Config, message)
                .with_hint("set HOME, or name a file with --authfile")
        })
    }
}

/// The key that a file of this kind has for it.
fn written(key: &Key, dialect: Dialect) -> Result<String> {
    match dialect {
        Dialect::Podman | Dialect::Legacy => Ok(key.podman()),
        Dialect::Docker if key.is_namespace() => {
            let message =
                "Docker's file keeps credentials for whole registries, not for parts of them";
            Err(Error::new(ErrorKind::Config, message)
                .with_hint("name the registry alone, or Podman's file with --authfile"))
        }
        Dialect::Docker => Ok(key.docker().to_owned()),
    }
}

/// Takes all entries out that are for `key`, however they are written.
fn forget(file: &mut AuthFile, key: &Key) -> bool {
    let before = file.auths.len();
    file.auths.retain(|other, _| Key::parse(other) != *key);
    file.auths.len() < before
}

async fn read(place: &Place) -> Result<Option<AuthFile>> {
    let read = place.read().await;
    read.map_err(|error| error.into_error(&place.path))
}

fn raw(value: &serde_json::Value) -> Result<Box<RawValue>> {
    to_raw_value(value)
        .map_err(|error| Error::new(ErrorKind::Config, "it cannot be written").with_source(error))
}
