//! What the command line sets, above everything else.

use std::path::{Path, PathBuf};

use toml::Value;

use super::keys;
use super::layers::Layers;
use super::problem::Origin;
use super::values::LogFormat;

/// The flags of `dockhand serve` and `dockhand check`; what is `None` was not given.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--listen HOST:PORT`
    pub listen: Option<String>,
    /// `--tls-cert FILE`
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key FILE`
    pub tls_key: Option<PathBuf>,
    /// `--log-format text|json`
    pub log_format: Option<LogFormat>,
    /// `--access-log on|off`
    pub access_log: Option<bool>,
    /// `--relative-locations`
    pub relative_locations: Option<bool>,
}

impl Overrides {
    /// Sets what was given.
    pub(super) fn apply(&self, layers: &mut Layers) {
        let text = |text: &str| Value::String(text.to_owned());
        let path = |path: &Path| text(&path.to_string_lossy());
        let format = |format| {
            text(if format == LogFormat::Json {
                "json"
            } else {
                "text"
            })
        };
        let locations = |relative| text(if relative { "relative" } else { "absolute" });
        let given = [
            ("--data", "storage.path", self.data.as_deref().map(path)),
            (
                "--listen",
                "server.listen",
                self.listen.as_deref().map(text),
            ),
            (
                "--tls-cert",
                "server.tls.cert",
                self.tls_cert.as_deref().map(path),
            ),
            (
                "--tls-key",
                "server.tls.key",
                self.tls_key.as_deref().map(path),
            ),
            ("--log-format", "log.format", self.log_format.map(format)),
            (
                "--access-log",
                "log.access",
                self.access_log.map(Value::Boolean),
            ),
            (
                "--relative-locations",
                "server.locations",
                self.relative_locations.map(locations),
            ),
        ];
        for (flag, path, value) in given {
            if let (Some(key), Some(value)) = (keys().find(|key| key.path() == path), value) {
                layers.set(key, value, Origin::Flag(flag));
            }
        }
    }
}
