//! Named connections: the settings of registries, from `dockhand.toml` and `DOCKHAND_*`.
//!
//! ```toml
//! [client]
//! default = "production"                          # DOCKHAND_CONNECTION
//!
//! [connections.production]
//! driver = "distribution"                         # or oci, zot, gitlab; DOCKHAND_DRIVER
//! base-uri = "https://registry.example.com/v2/"   # DOCKHAND_BASE_URI
//! auth = { driver = "basic", username = "robot", password-file = "robot.secret" }
//! tls = { ca = "company.pem" }
//! ```
//!
//! Nothing of it is needed: a registry without a connection is reached with defaults. Variables beat
//! the file, for the default connection alone.

mod build;
mod driver;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod variables;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dockhand_oci::RepoName;
use tracing::level_filters::LevelFilter;

pub use driver::{ApiKeyUse, Driver};

use crate::credentials::{Chain, Environment, Explanation, Kind, Outcome};
use crate::{Auth, BaseUrl, Connection, Error, ErrorKind, Result};
use table::Table;

/// The name of the default connection when nobody names one.
const DEFAULT: &str = "default";

/// The connections that are set up on this machine.
#[derive(Clone, Debug)]
pub struct Connections {
    tables: BTreeMap<String, Table>,
    /// The name of the default connection, and whether somebody chose it.
    default: (String, bool),
    chain: Chain,
    /// The variables that say something of the default connection.
    variables: Vec<&'static str>,
}

/// How to reach one registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The name of the connection; none when the registry has no connection of its own.
    pub name: Option<String>,
    /// What kind of registry it is.
    pub driver: Driver,
    /// Where it is, who asks, and how patiently.
    pub connection: Connection,
    /// Where credentials come from when the registry asks; none where the connection says who asks.
    pub credentials: Option<Chain>,
    /// The level of its log, where it was set; [`Connection::logging`] is what counts.
    pub logging: Option<LevelFilter>,
}

impl Settings {
    /// How a credential for this registry, and `repository` in it, is found.
    ///
    /// # Errors
    /// As [`Chain::explain`].
    pub async fn explain(&self, repository: Option<&RepoName>) -> Result<Explanation> {
        let host = self.connection.base.host();
        if let Some(chain) = &self.credentials {
            return chain.explain(&host, repository).await;
        }
        let used = |kind, user: Option<&String>| Outcome::Used {
            kind,
            user: user.cloned(),
        };
        let outcome = match &self.connection.auth {
            Auth::Basic(user, _) => used(Kind::Password, Some(user)),
            Auth::ApiKey(user, _) => used(Kind::ApiKey, user.as_ref()),
            Auth::Bearer(_) | Auth::Signed(_) => used(Kind::RegistryToken, None),
            Auth::Anonymous | Auth::Challenge(_) => Outcome::Skipped {
                why: "it asks as nobody".to_owned(),
            },
        };
        let name = self.name.as_deref().unwrap_or_default();
        let place = format!("connection {name:?}");
        Ok(Explanation::of_one(host, repository, place, outcome))
    }
}

impl Connections {
    /// Reads the connections: from this file, else from the one that `DOCKHAND_CONFIG` names, else from
    /// `dockhand/dockhand.toml` in the person's folder of settings, and from the variables.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with all that is wrong, a line for each, with its place.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self> {
        let root = read::read(file, environment)?;
        let mut tables = root.connections;
        let by_variable = environment.text("DOCKHAND_CONNECTION").map(str::to_owned);
        let chosen = by_variable.or(root.client.default);
        let is_chosen = chosen.is_some();
        let default = chosen.unwrap_or_else(|| DEFAULT.to_owned());
        if variables::lead_somewhere(environment) {
            tables.entry(default.clone()).or_default();
        }
        if let Some(table) = tables.get_mut(&default) {
            variables::overlay(table, environment)?;
        }
        Ok(Self {
            tables,
            default: (default, is_chosen),
            variables: variables::that_are_set(environment),
            chain: Chain::new(environment.clone()),
        })
    }

    /// With another chain for the credentials that registries ask for.
    #[must_use]
    pub fn with_credentials(mut self, chain: Chain) -> Self {
        self.chain = chain;
        self
    }

    /// The names of the connections.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// The name of the connection that is used when none is named, if one was chosen or has that name.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        let (name, is_chosen) = &self.default;
        (*is_chosen || self.tables.contains_key(name)).then_some(name)
    }

    /// The variables of the environment that say something of the default connection.
    #[must_use]
    pub fn variables(&self) -> &[&'static str] {
        &self.variables
    }

    /// The least important events that any connection of its own asks `tracing` to hear; none does where
    /// no level is set.
    #[must_use]
    pub fn logging(&self) -> Option<LevelFilter> {
        let levels = self.tables.values().map(|table| table.logging.level);
        levels.flatten().map(|level| level.0).max()
    }

    /// The connection of this name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is none, or when its settings do not fit together.
    pub fn get(&self, name: &str) -> Result<Settings> {
        let Some(table) = self.tables.get(name) else {
            let hint = words::hint(name, self.names());
            let known: Vec<&str> = self.names().collect();
            let known = match known.is_empty() {
                true => "none is set up".to_owned(),
                false => format!("there are: {}", known.join(", ")),
            };
            let message = format!("there is no connection {name:?}{hint} ({known})");
            return Err(Error::new(ErrorKind::Config, message));
        };
        let driver = table.driver.unwrap_or_default();
        let built = build::connection(table, driver, &self.chain);
        let built = built.map_err(|error| error.doing(format!("use connection {name:?}")));
        let (connection, credentials) = built?;
        Ok(Settings {
            name: Some(name.to_owned()),
            driver,
            connection,
            credentials,
            logging: table.logging.level.map(|level| level.0),
        })
    }

    /// The connection that is used when none is named: the one that `DOCKHAND_CONNECTION` or
    /// `client.default` names, else that of the name `default`, if there is one.
    ///
    /// # Errors
    /// As [`Connections::get`], when one was chosen that is not there.
    pub fn default(&self) -> Result<Option<Settings>> {
        self.default_name().map(|name| self.get(name)).transpose()
    }

    /// How to reach a registry, named as in image references or by its URL: the settings of its
    /// connection, the default one first when there are several, else defaults. Connections with TLS
    /// are not for a URL without.
    ///
    /// # Errors
    /// As [`Connections::get`], and [`ErrorKind::Invalid`] when the text is no registry's address.
    pub fn for_host(&self, host: &str) -> Result<Settings> {
        let base: BaseUrl = host.parse()?;
        let fits = |name: &&str| {
            let own = self.tables.get(*name).and_then(Table::base);
            own.is_some_and(|own| {
                let same_scheme = base.is_guessed() || base.is_plain() == own.is_plain();
                own.host() == base.host() && same_scheme
            })
        };
        let first = std::iter::once(self.default.0.as_str());
        if let Some(name) = first.chain(self.names()).find(fits) {
            return self.get(name);
        }
        let driver = Driver::of_host(&base.host());
        let mut connection = Connection::new(base);
        connection.auth = Auth::Challenge(Arc::new(self.chain.clone()));
        Ok(Settings {
            name: None,
            driver,
            connection,
            credentials: Some(self.chain.clone()),
            logging: None,
        })
    }
}
