//! Platforms: what an entry of an index runs on.
//!
//! Properties: <https://github.com/opencontainers/image-spec/blob/main/image-index.md#image-index-property-descriptions>

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::descriptor::null_is_default;

mod matching;

/// The architectures of Go, and other names of them, which may stand alone for linux.
const ARCHITECTURES: [&str; 26] = [
    "386",
    "aarch64",
    "amd64",
    "arm",
    "arm64",
    "armel",
    "armhf",
    "i386",
    "i686",
    "loong64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "wasm",
    "x86",
    "x86-64",
    "x86_64",
];

/// The platform of an entry of an index. Real indexes leave parts out, so text may be empty here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in Go's words: `amd64`, `arm64`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The operating system, in Go's words: `linux`, `windows`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// The version of the operating system, `10.0.17763.1` of Windows.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features of the operating system, `win32k` of Windows.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that this crate does not know.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Why a text is no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// There are more than three parts, or one that is no known architecture.
    #[error(
        "a platform is written `os/architecture` or `os/architecture/variant`; an architecture alone means linux"
    )]
    Shape,
    /// A part is empty or has a character that platforms do not have.
    #[error("each part of a platform has letters, digits, `_`, `.` and `-`, and at least one")]
    Grammar,
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads `linux/arm64/v8`, `arm64` alone, which means linux, and `windows(10.0.17763+win32k)/amd64` as
    /// containerd writes it: in brackets the version of the system, then features with `+` before each.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        if ARCHITECTURES.contains(&text.to_ascii_lowercase().as_str()) {
            let linux = Self {
                os: "linux".to_owned(),
                architecture: text.to_owned(),
                ..Self::default()
            };
            return Ok(linux.normalized());
        }
        let mut parts = text.split('/');
        let system = parts.next().ok_or(PlatformError::Shape)?;
        let architecture = parts.next().ok_or(PlatformError::Shape)?;
        let variant = parts.next();
        if parts.next().is_some() {
            return Err(PlatformError::Shape);
        }
        let (os, options) = match system.strip_suffix(')') {
            Some(system) => system.split_once('(').ok_or(PlatformError::Shape)?,
            None => (system, ""),
        };
        let bracketed = os.len() != system.len();
        if bracketed && options.is_empty() {
            return Err(PlatformError::Grammar);
        }
        let mut options = options.split('+');
        let version = options.next().filter(|version| !version.is_empty());
        Ok(Self {
            os: part(os)?,
            architecture: part(architecture)?,
            variant: variant.map(part).transpose()?,
            os_version: version.map(part).transpose()?,
            os_features: options.map(part).collect::<Result<_, _>>()?,
            other: serde_json::Map::new(),
        })
    }
}

fn part(text: &str) -> Result<String, PlatformError> {
    let character = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if !text.is_empty() && text.bytes().all(character) {
        Ok(text.to_owned())
    } else {
        Err(PlatformError::Grammar)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if self.os_version.is_some() || !self.os_features.is_empty() {
            write!(f, "({}", self.os_version.as_deref().unwrap_or_default())?;
            for feature in &self.os_features {
                write!(f, "+{feature}")?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
