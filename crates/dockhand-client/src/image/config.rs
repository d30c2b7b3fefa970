//! The config of an image: what runs, how, and what the layers were made by.
//!
//! Properties: <https://github.com/opencontainers/image-spec/blob/main/config.md#properties>

use std::collections::BTreeMap;

use dockhand_oci::Platform;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// The config of an image. What real ones leave out is empty; what this crate does not know is kept in
/// `other`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The processor, the system and their versions.
    #[serde(flatten)]
    pub platform: ConfigPlatform,
    /// How it runs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RunConfig,
    /// What its layers are.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// What made each layer.
    #[serde(default, deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// Fields that this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What an image runs on, as its config has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigPlatform {
    /// The processor, in Go's words.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The operating system, in Go's words.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// The version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features of the operating system.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// How a container of the image runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// The user, and group, that it runs as.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// The ports that it listens on: `80/tcp`.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// The environment: `NAME=value`.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// What runs, before the arguments.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Vec<String>,
    /// The arguments, or what runs when there is no entrypoint.
    #[serde(deserialize_with = "words")]
    pub cmd: Vec<String>,
    /// The directories that are volumes.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// The directory that it runs in.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// The labels.
    #[serde(deserialize_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends it.
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
    /// Fields that this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The layers of an image by what they are without compression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(default, rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// The digest of each layer's tar file, the lowest first. Text, because old images have what is no
    /// digest.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<String>,
    /// Fields that this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A step that made an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether it made no layer.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub empty_layer: bool,
    /// What else was said of it: `author`, `comment`, and what this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ImageConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is no JSON, or a field is of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("the config makes no sense: {error}");
            Error::new(ErrorKind::Protocol, message).with_source(error)
        })
    }

    /// What the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let own = self.platform.clone();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Platform {
            architecture: own.architecture,
            os: own.os,
            os_version: said(own.os_version),
            os_features: own.os_features,
            variant: said(own.variant),
            ..Platform::default()
        }
    }

    /// When it was made, when that is said and a time.
    #[must_use]
    pub fn created(&self) -> Option<jiff::Timestamp> {
        self.created.as_deref()?.parse().ok()
    }
}

/// Reads `null` as the empty value.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the keys of an object whose values say nothing, or a list.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map.into_iter().map(|(key, _)| key).collect(),
        Value::Array(list) => { list.into_iter() }
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    })
}

/// Reads a list of words; old images have one text.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(word) => vec![word],
        Value::Array(list) => { list.into_iter() }
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    })
}

/// Reads labels; values that are no text become what they print as.
fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let read: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    let text = |value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let read = read.unwrap_or_default().into_iter();
    Ok(read.map(|(key, value)| (key, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_configs_are_read_and_keep_what_is_not_known() {
        let text = r#"{
            "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2024-01-02T03:04:05.6Z",
            "config": {
                "Env": ["PATH=/bin"], "Cmd": ["sh"], "Entrypoint": null, "ExposedPorts": {"80/tcp": {}},
                "Labels": {"a": "b", "n": 1, "e": null}, "Healthcheck": {"Test": ["NONE"]}, "User": null
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
            "history": [{"created_by": "x", "comment": "c"}, {"empty_layer": true}],
            "moby.buildkit.buildinfo.v1": "e30="
        }"#;
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform().to_string(), "linux/arm64/v8");
        assert_eq!(config.config.exposed_ports, ["80/tcp"]);
        assert!(config.config.entrypoint.is_empty());
        assert_eq!(config.config.labels["n"], "1");
        assert_eq!(config.config.labels["e"], "");
        assert!(config.config.other.contains_key("Healthcheck"));
        assert_eq!(config.other["moby.buildkit.buildinfo.v1"], "e30=");
        assert_eq!(config.history[0].other["comment"], "c");
        assert!(config.history[1].empty_layer && config.created().is_some());
    }

    #[test]
    fn configs_that_say_little_are_read() {
        for text in [
            "{}",
            r#"{"config": null, "rootfs": null, "history": null, "created": null}"#,
            r#"{"architecture": null, "os": null, "config": {"Labels": null, "Cmd": "sh"}}"#,
        ] {
            let config = ImageConfig::parse(text.as_bytes()).unwrap();
            assert!(config.rootfs.diff_ids.is_empty(), "{text}");
            assert_eq!(config.created(), None);
        }
        for text in ["", "[]", "{\"os\": 3}"] {
            let error = ImageConfig::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{text}");
        }
    }
}
