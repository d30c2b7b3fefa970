//! Descriptors: how one piece of content names another.
//!
//! Properties: <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties>.
//! Reading is as lenient as real content needs: Go programs write `null` for an empty list or map.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, MediaType, Platform};

/// A piece of content: its type, digest and size, and what else was said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type. Text, because a manifest may name any.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes; at most `i64::MAX`, which is what clients can read.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else the content may be had.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Annotations of this descriptor.
    #[serde(
        default,
        deserialize_with = "annotations",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact the content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What the content runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The content itself in base64, for small content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Fields that this crate does not know.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl Descriptor {
    /// A descriptor that says no more than it must.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            artifact_type: None,
            platform: None,
            data: None,
            other: serde_json::Map::new(),
        }
    }

    /// Checks that `data`, if there is any, is the content that this describes: a client may use it
    /// instead of fetching the content.
    /// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#embedded-content>
    ///
    /// # Errors
    /// [`DataError`] names the descriptor.
    pub fn verify_data(&self) -> Result<(), DataError> {
        let (Some(data), digest) = (&self.data, self.digest) else {
            return Ok(());
        };
        let bytes = STANDARD.decode(data);
        let bytes = bytes.map_err(|_| DataError::Encoding(digest))?;
        if bytes.len() as u64 != self.size {
            let (size, found) = (self.size, bytes.len());
            return Err(DataError::Size {
                digest,
                size,
                found,
            });
        }
        let found = digest.algorithm().digest(&bytes);
        if found == digest {
            Ok(())
        } else {
            Err(DataError::Digest { digest, found })
        }
    }

    /// Whether this is a layer that registries need not hold: clients do not push it but leave it
    /// where its `urls` say (Windows base layers).
    #[must_use]
    pub fn is_nondistributable(&self) -> bool {
        [
            MediaType::DOCKER_LAYER_FOREIGN,
            MediaType::OCI_LAYER_NONDISTRIBUTABLE,
            MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP,
            MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
        ]
        .iter()
        .any(|name| self.media_type.eq_ignore_ascii_case(name))
    }
}

/// The `data` of a descriptor is not the content that the descriptor describes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// It is not base64.
    #[error("{0} is not base64")]
    Encoding(Digest),
    /// It has another length than the descriptor gives.
    #[error("{digest} has {found} bytes, but its descriptor gives {size}")]
    Size {
        /// The described content.
        digest: Digest,
        /// The length that the descriptor gives.
        size: u64,
        /// The length of the data.
        found: usize,
    },
    /// It has another digest.
    #[error("{digest} has the digest {found}")]
    Digest {
        /// The described content.
        digest: Digest,
        /// The digest of the data.
        found: Digest,
    },
}

/// Reads a size: a whole number from 0 to `i64::MAX`.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = i64::deserialize(deserializer)?;
    u64::try_from(size).map_err(|_| serde::de::Error::custom("a size is not negative"))
}

/// Reads `null` as the empty value.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads annotations; `null` is no annotation, and as a value the empty text, as Go reads them.
pub(crate) fn annotations<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let read: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    let read = read.unwrap_or_default().into_iter();
    Ok(read
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests;
