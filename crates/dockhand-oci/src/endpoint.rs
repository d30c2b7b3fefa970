//! Every path of the API, once: the server parses it, the client prints it.
//!
//! Paths: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints>.
//! The fixed words are looked for from the right, because a repository may be named `team/blobs`
//! or `a/blobs/uploads`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::{Digest, DigestError, NameError, Reference, ReferenceError, RepoName, Tag, TagError};

/// The longest path that can mean something: a name of 255, the words, and a sha512 digest with
/// every character percent-encoded stay well under it.
pub const PATH_MAX: usize = 2048;

/// The identity of an upload session: 128 random bits, printed as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(u128);

impl UploadId {
    /// An identity from random bits.
    #[must_use]
    pub const fn from_random(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let (a, rest) = hex.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not the identity of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the identity of an upload; use the Location that the registry gave")]
pub struct UploadIdError;

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let mut bits = 0u128;
        if text.len() != 36 {
            return Err(UploadIdError);
        }
        for (place, byte) in text.bytes().enumerate() {
            match byte {
                b'-' if DASHES.contains(&place) => {}
                b'0'..=b'9' | b'a'..=b'f' if !DASHES.contains(&place) => {
                    let digit = if byte.is_ascii_digit() {
                        byte - b'0'
                    } else {
                        byte - b'a' + 10
                    };
                    bits = bits << 4 | u128::from(digit);
                }
                _ => return Err(UploadIdError),
            }
        }
        Ok(Self(bits))
    }
}

/// A path of the API with the words in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v2/`: is this a registry?
    Base,
    /// `/v2/_catalog`: the repositories.
    Catalog,
    /// `/v2/<name>/tags/list`.
    Tags(RepoName),
    /// `/v2/<name>/manifests/<reference>`.
    Manifest(RepoName, Reference),
    /// `/v2/<name>/blobs/<digest>`.
    Blob(RepoName, Digest),
    /// `/v2/<name>/blobs/uploads/`: where uploads begin.
    Uploads(RepoName),
    /// `/v2/<name>/blobs/uploads/<id>`: one upload.
    Upload(RepoName, UploadId),
    /// `/v2/<name>/referrers/<digest>`.
    Referrers(RepoName, Digest),
    /// `/v2/<name>/_dockhand/tags/<tag>/history`: where the tag pointed, newest first. An extension;
    /// no part of a repository name begins with `_`, so it can hide none.
    TagHistory(RepoName, Tag),
}

/// Why a path is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The path is none of the API's.
    #[error("this path is none of the registry API")]
    NotFound,
    /// The repository name is not one.
    #[error(transparent)]
    Name(NameError),
    /// The reference is neither tag nor digest.
    #[error(transparent)]
    Reference(ReferenceError),
    /// The digest is not one.
    #[error(transparent)]
    Digest(DigestError),
    /// The tag is not one.
    #[error(transparent)]
    Tag(TagError),
    /// The upload cannot exist: no such identity is ever given out.
    #[error(transparent)]
    Upload(UploadIdError),
}

impl Endpoint {
    /// Reads the path of a request, percent-encoded as it came and without its query.
    ///
    /// # Errors
    /// [`EndpointError`] says which part is wrong.
    pub fn parse(path: &str) -> Result<Self, EndpointError> {
        if path.len() > PATH_MAX {
            return Err(EndpointError::NotFound);
        }
        let decoded = decode(path)?;
        let rest = match decoded.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or(EndpointError::NotFound)?,
            None => return Err(EndpointError::NotFound),
        };
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        let (head, last) = rest.rsplit_once('/').ok_or(EndpointError::NotFound)?;
        let (before, word) = head.rsplit_once('/').ok_or(EndpointError::NotFound)?;
        Self::from_right(before, word, last)
    }

    /// Decides by the last two parts, then by the parts before them.
    fn from_right(before: &str, word: &str, last: &str) -> Result<Self, EndpointError> {
        let name = |text: &str| text.parse().map_err(EndpointError::Name);
        let digest = |text: &str| text.parse().map_err(EndpointError::Digest);
        // First, because a tag may be called `manifests`; no repository name ends in `_dockhand/tags`.
        if let ("history", Some(before)) = (last, before.strip_suffix("/_dockhand/tags")) {
            let tag = word.parse().map_err(EndpointError::Tag)?;
            return Ok(Self::TagHistory(name(before)?, tag));
        }
        match (word, last) {
            ("tags", "list") => Ok(Self::Tags(name(before)?)),
            ("manifests", last) => {
                let reference = last.parse().map_err(EndpointError::Reference);
                Ok(Self::Manifest(name(before)?, reference?))
            }
            ("referrers", last) => Ok(Self::Referrers(name(before)?, digest(last)?)),
            ("blobs", "uploads") => Ok(Self::Uploads(name(before)?)),
            ("blobs", last) => Ok(Self::Blob(name(before)?, digest(last)?)),
            ("uploads", last) => {
                let before = before
                    .strip_suffix("/blobs")
                    .ok_or(EndpointError::NotFound)?;
                if last.is_empty() {
                    return Ok(Self::Uploads(name(before)?));
                }
                let id = last.parse().map_err(EndpointError::Upload);
                Ok(Self::Upload(name(before)?, id?))
            }
            _ => Err(EndpointError::NotFound),
        }
    }

    /// The repository that the path names.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepoName> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _)
            | Self::TagHistory(name, _) => Some(name),
        }
    }
}

/// Decodes once. A slash or a control character that was hidden by encoding makes the path nothing
/// of ours: it would be read differently by a proxy in front.
fn decode(path: &str) -> Result<Cow<'_, str>, EndpointError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let slashes = |text: &str| text.bytes().filter(|b| *b == b'/').count();
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| EndpointError::NotFound)?;
    if slashes(&decoded) != slashes(path) || decoded.chars().any(char::is_control) {
        return Err(EndpointError::NotFound);
    }
    Ok(decoded)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("/v2/"),
            Self::Catalog => f.write_str("/v2/_catalog"),
            Self::Tags(name) => write!(f, "/v2/{name}/tags/list"),
            Self::Manifest(name, reference) => write!(f, "/v2/{name}/manifests/{reference}"),
            Self::Blob(name, digest) => write!(f, "/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => write!(f, "/v2/{name}/blobs/uploads/"),
            Self::Upload(name, id) => write!(f, "/v2/{name}/blobs/uploads/{id}"),
            Self::Referrers(name, digest) => write!(f, "/v2/{name}/referrers/{digest}"),
            Self::TagHistory(name, tag) => write!(f, "/v2/{name}/_dockhand/tags/{tag}/history"),
        }
    }
}

#[cfg(test)]
mod tests;
