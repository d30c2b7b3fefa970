//! The push of a manifest, and what became of it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use dockhand_oci::{Digest, LinkKind, RepoName, Tag};

use super::Referrer;

/// A manifest to store.
#[derive(Clone, Debug)]
pub struct ManifestPut {
    /// Where.
    pub repo: RepoName,
    /// Its digest, verified.
    pub digest: Digest,
    /// What it is to be served as.
    pub media_type: String,
    /// Its effective artifact type.
    pub artifact_type: Option<String>,
    /// What it refers to; it need not exist.
    pub subject: Option<Digest>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The document.
    pub bytes: Bytes,
    /// What it needs.
    pub links: Vec<Edge>,
    /// The tags that are to point at it.
    pub tags: Vec<Tag>,
    /// The entries of an index as referrers. They count when a tag is one of the referrers tag
    /// schema, `<algorithm>-<hex>`; empty for anything but an index.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
    pub fallback: Vec<Referrer>,
    /// What must hold now: of each of the tags, or without tags of the manifest itself.
    pub only_if: Precondition,
    /// Whether the repository must have every required link.
    pub links_must_exist: bool,
    /// Whether the size of a link must be that of the content, where the repository has the content.
    pub sizes_must_match: bool,
    /// The time.
    pub now: SystemTime,
}

/// A link of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it leads to.
    pub kind: LinkKind,
    /// The digest of that.
    pub digest: Digest,
    /// Its size in bytes, as the manifest gives it.
    pub size: u64,
    /// Whether the repository must have it; not so for content that lies elsewhere.
    pub required: bool,
}

/// What must hold for a write to happen.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-preconditions>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-Match`: it is one of these now.
    Matches(Vec<Digest>),
    /// `If-Match: *`: it exists.
    Exists,
    /// `If-None-Match: *`: it does not exist.
    Absent,
}

impl Precondition {
    /// Whether it holds when this is what stands there.
    #[must_use]
    pub fn holds(&self, current: Option<&Digest>) -> bool {
        match self {
            Self::None => true,
            Self::Matches(wanted) => current.is_some_and(|current| wanted.contains(current)),
            Self::Exists => current.is_some(),
            Self::Absent => current.is_none(),
        }
    }
}

/// What became of a [`ManifestPut`]. Unless it was stored, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there, and every tag points at it.
    Stored {
        /// Whether the repository did not have it before.
        created: bool,
    },
    /// The repository lacks these required links.
    Missing(Vec<Digest>),
    /// The manifest gives a size that is not that of the stored content.
    SizeMismatch {
        /// The content.
        digest: Digest,
        /// What the manifest gives, in bytes.
        declared: u64,
        /// What the repository has, in bytes.
        stored: u64,
    },
    /// The precondition does not hold.
    PreconditionFailed {
        /// What stands there, of the first tag for which it does not hold.
        current: Option<Digest>,
    },
}
