//! The kinds of registries, as data.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::words;

/// A kind of registry: what it has besides the specification, and how it wants to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Driver {
    /// CNCF Distribution, and what behaves like it.
    Distribution,
    /// Anything that speaks the specification; nothing else is expected of it.
    #[default]
    Oci,
    /// zot.
    Zot,
    /// The registry of a GitLab.
    Gitlab,
}

/// How a registry takes an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiKeyUse {
    /// As a bearer token.
    Bearer,
    /// As the password of the user whose key it is.
    Password,
}

impl Driver {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Distribution, Self::Oci, Self::Zot, Self::Gitlab];

    /// Its name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Oci => "oci",
            Self::Zot => "zot",
            Self::Gitlab => "gitlab",
        }
    }

    /// What kind of registry a host is known to be.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        match host {
            "registry.gitlab.com" => Self::Gitlab,
            _ => Self::Oci,
        }
    }

    /// How it takes an API key.
    #[must_use]
    pub const fn api_key(self) -> ApiKeyUse {
        match self {
            Self::Distribution | Self::Oci => ApiKeyUse::Bearer,
            // <https://zotregistry.dev/latest/articles/authn-authz/#api-keys>
            // <https://docs.gitlab.com/user/packages/container_registry/authenticate_with_container_registry/>
            Self::Zot | Self::Gitlab => ApiKeyUse::Password,
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        words::one_of(
            "a driver",
            text,
            Self::ALL.map(|driver| (driver.name(), driver)),
        )
    }
}

/// How a connection says who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AuthDriver {
    /// Nobody.
    None,
    /// User name and password, always.
    Basic,
    /// A token, always.
    Bearer,
    /// An API key, always.
    ApiKey,
    /// Tokens that this program signs.
    Jwt,
    /// What the registry's challenge asks for.
    Challenge,
}

impl FromStr for AuthDriver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = [
            ("none", Self::None),
            ("basic", Self::Basic),
            ("bearer", Self::Bearer),
            ("apikey", Self::ApiKey),
            ("jwt", Self::Jwt),
            ("challenge", Self::Challenge),
            // As Laravel Dockhand calls `none`.
            ("null", Self::None),
        ];
        words::one_of("an auth driver", text, names)
    }
}
