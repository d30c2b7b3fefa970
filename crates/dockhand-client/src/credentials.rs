//! Credentials as Docker, Podman and others stored them on this machine.
//!
//! ```text
//! given                    -u, --password-stdin of a command
//! named file, alone        --authfile
//! variables                DOCKHAND_USERNAME_GHCR_IO, DOCKHAND_PASSWORD_GHCR_IO, then without the registry
//! DOCKER_AUTH_CONFIG       a whole config.json in a variable
//! REGISTRY_AUTH_FILE       alone, when it is set
//! files, merged            ~/.docker/config.json, Podman's auth.json (session, lasting), ~/.dockercfg:
//!                          the most specific key wins, of equals the earlier file;
//!                          in a file credHelpers, then credsStore, then auths
//! ~/.netrc                 entries of machines
//! ```

mod edit;
mod entry;
mod environment;
mod explain;
mod file;
mod helper;
mod key;
mod netrc;
#[cfg(test)]
mod tests;
mod walk;
mod write;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::RepoName;
use tokio::sync::{Mutex, OnceCell};

pub use environment::Environment;
pub use explain::{Explanation, Kind, Outcome, Step};
pub use write::{Erased, Stored};

use crate::{Credential, CredentialSource, Event, Observer, Result};
use helper::{Failure, Helper};
use walk::Walk;

/// Every place where this machine keeps credentials for registries, in order.
///
/// Files are read when a registry asks for credentials and not before; a helper is asked only when no
/// place before it had the credential, and once, however many clones ask.
#[derive(Clone, Debug)]
pub struct Chain {
    environment: Environment,
    given: Option<Credential>,
    authfile: Option<PathBuf>,
    observer: Option<Arc<dyn Observer>>,
    memory: Arc<Memory>,
}

/// What clones share.
#[derive(Debug, Default)]
struct Memory {
    /// What helpers answered, by their name and the server they were asked for.
    answers: Mutex<HashMap<(String, String), Answer>>,
    /// Warnings that were given.
    warned: Mutex<HashSet<String>>,
}

type Answer = Arc<OnceCell<Result<Option<Credential>, Failure>>>;

impl Default for Chain {
    fn default() -> Self {
        Self::new(Environment::of_process())
    }
}

impl Chain {
    /// The places that this environment leads to.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            given: None,
            authfile: None,
            observer: None,
            memory: Arc::default(),
        }
    }

    /// With a credential that a person gave, before all others and for any registry that this chain is
    /// asked for.
    #[must_use]
    pub fn given(mut self, credential: Credential) -> Self {
        self.given = Some(credential);
        self
    }

    /// With this file instead of variables and of all other files.
    #[must_use]
    pub fn authfile(mut self, path: impl Into<PathBuf>) -> Self {
        self.authfile = Some(path.into());
        self
    }

    /// With somebody who hears warnings: a helper that is missing, an entry that cannot be read. Without,
    /// they are events of `tracing`.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// How a credential for `host`, and `repository` in it, is looked for, and what comes of it. Asks
    /// helpers as a look-up would.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a file is not what it should be.
    pub async fn explain(&self, host: &str, repository: Option<&RepoName>) -> Result<Explanation> {
        let mut walk = Walk::new(self, host, repository);
        walk.walk().await?;
        Ok(Explanation {
            host: walk.key.host,
            repository: repository.map(ToString::to_string),
            steps: walk.steps,
        })
    }

    /// Whether the credential for `host` would be that of `DOCKHAND_USERNAME` and `DOCKHAND_PASSWORD`, which
    /// name no registry. A program that talks to several should ask, before it hands them all the same
    /// password.
    #[must_use]
    pub fn uses_common_variables(&self, host: &str) -> bool {
        let walk = Walk::new(self, host, None);
        self.given.is_none() && self.authfile.is_none() && walk.uses_common_variables()
    }

    /// What a helper has for a server; asked once.
    async fn ask(&self, name: &str, server: &str) -> Result<Option<Credential>, Failure> {
        let key = (name.to_owned(), server.to_owned());
        let answer = Arc::clone(self.memory.answers.lock().await.entry(key).or_default());
        let environment = &self.environment;
        let helper = Helper { name, environment };
        answer.get_or_init(|| helper.get(server)).await.clone()
    }

    /// Says it, once.
    async fn warn(&self, host: &str, text: String) {
        if !self.memory.warned.lock().await.insert(text.clone()) {
            return;
        }
        match &self.observer {
            Some(observer) => observer.event(&Event::Warning {
                host: host.to_owned(),
                text,
            }),
            None => tracing::warn!(host, "{text}"),
        }
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn credential(
        &self,
        host: &str,
        repository: Option<&RepoName>,
    ) -> Result<Option<Credential>> {
        if self.given.is_some() {
            return Ok(self.given.clone());
        }
        let mut walk = Walk::new(self, host, repository);
        walk.walk().await?;
        for warning in walk.warnings {
            self.warn(&walk.key.host, warning).await;
        }
        Ok(walk.found)
    }
}
