//! The tables of `dockhand.toml` that are about connections, as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tracing::level_filters::LevelFilter;

use super::driver::{AuthDriver, Driver};
use super::words::{Period, Secret, one_or_more, parsed};
use crate::BaseUrl;

/// The tables of the client; those of the server are somebody else's.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Root {
    #[serde(default)]
    pub(super) client: Client,
    #[serde(default)]
    pub(super) connections: BTreeMap<String, Table>,
}

/// `[client]`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Client {
    /// The connection that is used when none is named.
    pub(super) default: Option<String>,
}

/// `[connections.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Table {
    #[serde(deserialize_with = "parsed")]
    pub(super) driver: Option<Driver>,
    #[serde(deserialize_with = "parsed")]
    pub(super) base_uri: Option<BaseUrl>,
    /// `system`, `none` or a URL, which may have a password.
    pub(super) proxy: Option<Secret>,
    pub(super) user_agent: Option<String>,
    pub(super) headers: BTreeMap<String, Secret>,
    pub(super) lanes: Option<std::num::NonZeroUsize>,
    pub(super) auth: AuthTable,
    pub(super) tls: TlsTable,
    pub(super) timeouts: TimeoutsTable,
    pub(super) retries: RetriesTable,
    pub(super) logging: LoggingTable,
}

/// `[connections.NAME.auth]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct AuthTable {
    #[serde(deserialize_with = "parsed")]
    pub(super) driver: Option<AuthDriver>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token: Option<Secret>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) api_key: Option<Secret>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) private_key: Option<PathBuf>,
    pub(super) public_key: Option<PathBuf>,
    pub(super) authority_name: Option<String>,
    pub(super) registry_name: Option<String>,
}

/// `[connections.NAME.tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct TlsTable {
    #[serde(deserialize_with = "one_or_more")]
    pub(super) ca: Vec<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) insecure: bool,
    pub(super) plain_http: bool,
}

/// `[connections.NAME.timeouts]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct TimeoutsTable {
    pub(super) connect: Option<Period>,
    pub(super) answer: Option<Period>,
    pub(super) idle: Option<Period>,
}

/// `[connections.NAME.retries]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RetriesTable {
    pub(super) count: Option<u32>,
    pub(super) first: Option<Period>,
    pub(super) longest: Option<Period>,
}

/// `[connections.NAME.logging]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct LoggingTable {
    #[serde(deserialize_with = "parsed")]
    pub(super) level: Option<Level>,
}

/// The least important events of a connection that are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(pub(super) LevelFilter);

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = [
            ("off", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        super::words::one_of("a level", text, names).map(Self)
    }
}

/// The keys of `[client]`.
pub(super) const CLIENT_KEYS: &[&str] = &["default"];

/// The tables below a connection, and the keys of each: what may be written.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "driver",
            "base-uri",
            "proxy",
            "user-agent",
            "headers",
            "lanes",
            "auth",
            "tls",
            "timeouts",
            "retries",
            "logging",
        ],
    ),
    (
        "auth",
        &[
            "driver",
            "username",
            "password",
            "password-file",
            "token",
            "token-file",
            "api-key",
            "api-key-file",
            "private-key",
            "public-key",
            "authority-name",
            "registry-name",
        ],
    ),
    ("tls", &["ca", "cert", "key", "insecure", "plain-http"]),
    ("timeouts", &["connect", "answer", "idle"]),
    ("retries", &["count", "first", "longest"]),
    ("logging", &["level"]),
];

impl Table {
    /// Where it leads.
    pub(super) fn base(&self) -> Option<BaseUrl> {
        let base = self.base_uri.clone()?;
        Some(match self.tls.plain_http {
            true => base.with_tls(false),
            false => base,
        })
    }

    /// The files that it names.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let auth = [
            &mut self.auth.password_file,
            &mut self.auth.token_file,
            &mut self.auth.api_key_file,
            &mut self.auth.private_key,
            &mut self.auth.public_key,
        ];
        let tls = [&mut self.tls.cert, &mut self.tls.key];
        let single = auth.into_iter().chain(tls).flatten();
        single.chain(&mut self.tls.ca)
    }
}
