//! Media types, and the ones that a registry knows by name.
//!
//! Grammar: <https://www.rfc-editor.org/rfc/rfc6838#section-4.2>. The text is kept as it came;
//! comparing ignores ASCII case, as the RFC has it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest type and longest subtype: RFC 6838 gives each 127 characters, 255 with the slash.
const PART_MAX: usize = 127;

/// Why a text is no media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// There is not exactly one slash with something on both sides.
    #[error("a media type is written `type/subtype`")]
    Shape,
    /// Type or subtype is longer than the RFC has it.
    #[error("a media type has at most {PART_MAX} characters on each side of its slash")]
    TooLong,
    /// A character that the grammar does not have, or one that cannot stand first.
    #[error(
        "a media type has letters, digits and `! # $ & - ^ _ . +`, and begins with a letter or digit on each side of its slash"
    )]
    Grammar,
}

/// A media type without parameters, such as `application/vnd.oci.image.manifest.v1+json`.
#[derive(Clone)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// The manifest of one image or artifact.
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    /// A list of manifests.
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    /// The configuration of an image.
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    /// The content `{}`, which stands where an artifact has no configuration.
    pub const OCI_EMPTY: &'static str = "application/vnd.oci.empty.v1+json";
    /// A layer, not compressed.
    pub const OCI_LAYER: &'static str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer, compressed by gzip.
    pub const OCI_LAYER_GZIP: &'static str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer, compressed by zstd.
    pub const OCI_LAYER_ZSTD: &'static str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// A layer that must not be given on (deprecated), not compressed.
    pub const OCI_LAYER_NONDISTRIBUTABLE: &'static str =
        "application/vnd.oci.image.layer.nondistributable.v1.tar";
    /// A layer that must not be given on (deprecated), compressed by gzip.
    pub const OCI_LAYER_NONDISTRIBUTABLE_GZIP: &'static str =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// A layer that must not be given on (deprecated), compressed by zstd.
    pub const OCI_LAYER_NONDISTRIBUTABLE_ZSTD: &'static str =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    /// Docker's manifest of one image, schema 2.
    pub const DOCKER_MANIFEST: &'static str =
        "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of manifests.
    pub const DOCKER_LIST: &'static str =
        "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's old manifest, schema 1, without signatures.
    pub const DOCKER_SCHEMA1: &'static str = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker's old manifest, schema 1, with signatures in it.
    pub const DOCKER_SCHEMA1_SIGNED: &'static str =
        "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// The configuration of a Docker image.
    pub const DOCKER_CONFIG: &'static str = "application/vnd.docker.container.image.v1+json";
    /// A layer of a Docker image, compressed by gzip.
    pub const DOCKER_LAYER_GZIP: &'static str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A layer of a Docker image that lies elsewhere (Windows base layers).
    pub const DOCKER_LAYER_FOREIGN: &'static str =
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Bytes of no known type: what blobs are served as.
    pub const OCTET_STREAM: &'static str = "application/octet-stream";

    /// Reads a `Content-Type` header: parameters after `;` and white space around are dropped.
    ///
    /// # Errors
    /// [`MediaTypeError`] when what stands before the parameters is no media type.
    pub fn from_content_type(header: &str) -> Result<Self, MediaTypeError> {
        let essence = header.split(';').next().unwrap_or_default();
        essence.trim_matches([' ', '\t']).parse()
    }

    /// The media type as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the type `name`, case aside: `media_type.is(MediaType::OCI_INDEX)`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }

    /// The bytes that comparing goes by.
    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }

    /// A type whose text stands in this crate and is known to follow the grammar.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let (kind, subtype) = text.split_once('/').ok_or(MediaTypeError::Shape)?;
        restricted_name(kind)?;
        restricted_name(subtype)?;
        Ok(Self(text.into()))
    }
}

/// The RFC's `restricted-name`: one side of the slash.
fn restricted_name(part: &str) -> Result<(), MediaTypeError> {
    let first = part.as_bytes().first().ok_or(MediaTypeError::Shape)?;
    if part.len() > PART_MAX {
        return Err(MediaTypeError::TooLong);
    }
    if part.contains('/') {
        return Err(MediaTypeError::Shape);
    }
    let character = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    if first.is_ascii_alphanumeric() && part.bytes().all(character) {
        Ok(())
    } else {
        Err(MediaTypeError::Grammar)
    }
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for MediaType {}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff);
    }
}

impl Ord for MediaType {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for MediaType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
