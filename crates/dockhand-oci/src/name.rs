//! Repository names and tags: values that exist only when they follow the specification.
//!
//! Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest repository name. Clients put `host/name` under 255 characters in all.
pub const NAME_MAX: usize = 255;
/// Longest tag, by the specification's grammar.
pub const TAG_MAX: usize = 128;

/// Why a text is no repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing stands there, or nothing between two slashes.
    #[error("a repository name has no empty part, and no slash at its start or end")]
    Empty,
    /// It is longer than [`NAME_MAX`].
    #[error("a repository name has at most {NAME_MAX} characters")]
    TooLong,
    /// A character or a separator that the grammar does not have.
    #[error(
        "a repository name is lower-case letters and digits, joined by `.`, `_`, `__` or dashes, in parts separated by `/`"
    )]
    Grammar,
}

/// A repository name such as `library/debian`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName(Arc<str>);

impl RepoName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepoName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong);
        }
        text.split('/').try_for_each(component)?;
        Ok(Self(text.into()))
    }
}

/// One part of a name: runs of letters and digits with one separator between two of them.
fn component(part: &str) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::Empty);
    }
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return Err(NameError::Grammar);
    }
    let separators = bytes.split(alphanumeric).filter(|run| !run.is_empty());
    for run in separators {
        let dashes = run.iter().all(|b| *b == b'-');
        if !(dashes || matches!(run, b"." | b"_" | b"__")) {
            return Err(NameError::Grammar);
        }
    }
    Ok(())
}

/// Why a text is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing stands there.
    #[error("a tag has at least one character")]
    Empty,
    /// It is longer than [`TAG_MAX`].
    #[error("a tag has at most {TAG_MAX} characters")]
    TooLong,
    /// A character that the grammar does not have.
    #[error(
        "a tag begins with a letter, a digit or `_`, then has letters, digits, `_`, `.` and `-`"
    )]
    Grammar,
}

/// A tag such as `latest`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag that is meant when none is named: `latest`.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let first = *text.as_bytes().first().ok_or(TagError::Empty)?;
        if text.len() > TAG_MAX {
            return Err(TagError::TooLong);
        }
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if word(first) && text.bytes().all(|b| word(b) || b == b'.' || b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(TagError::Grammar)
        }
    }
}

/// What both words share: they print as their text and are read by parsing it.
macro_rules! text_word {
    ($word:ty) => {
        impl AsRef<str> for $word {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $word {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $word {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_word!(RepoName);
text_word!(Tag);

#[cfg(test)]
mod tests;
