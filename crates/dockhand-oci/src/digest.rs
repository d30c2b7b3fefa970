//! Digests as text and as bytes; [`hasher`] computes them.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>

mod hasher;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use hasher::{Hasher, Mismatch, Verified};

/// The registered digest algorithms, both of which a registry of today has to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, what nearly everything is pushed by.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name as it stands before the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many bytes (not hex digits) a digest of this algorithm has.
    #[must_use]
    pub const fn byte_length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|a| a.as_str() == text)
            .ok_or(DigestError::UnknownAlgorithm)
    }
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:` in front.
    #[error("a digest is written `sha256:` or `sha512:` and then hex digits")]
    NoAlgorithm,
    /// The algorithm is none that this registry computes.
    #[error("the digest algorithm is not supported; use sha256 or sha512")]
    UnknownAlgorithm,
    /// The encoded part has the wrong length.
    #[error("the digest has {found} hex digits where {algorithm} has {wanted}")]
    Length {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// The digits it has.
        wanted: usize,
        /// The digits that were given.
        found: usize,
    },
    /// The encoded part has something else than `0-9a-f`.
    #[error("the encoded part of a digest is lower-case hex digits only")]
    NotHex,
}

/// A content digest: always one that could have been computed, made only by parsing or hashing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// As many bytes as the algorithm has, zeros after them, so that the value stays `Copy`.
    bytes: [u8; 64],
}

impl Digest {
    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.byte_length())
            .unwrap_or(&[])
    }

    /// The part after the colon.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(self.algorithm.byte_length() * 2);
        self.push_hex(&mut text);
        text
    }

    fn push_hex(&self, text: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.as_bytes() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }

    /// The digest whose hash these bytes are, the way back from [`Digest::as_bytes`]; nothing when
    /// their number is not that of the algorithm.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        (hash.len() == algorithm.byte_length()).then(|| Self::from_hash(algorithm, hash))
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = *from;
        }
        Self { algorithm, bytes }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(8 + self.algorithm.byte_length() * 2);
        text.push_str(self.algorithm.as_str());
        text.push(':');
        self.push_hex(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let wanted = algorithm.byte_length() * 2;
        if hex.len() != wanted {
            return Err(DigestError::Length {
                algorithm,
                wanted,
                found: hex.len(),
            });
        }
        let mut bytes = [0; 64];
        for (to, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *to = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self { algorithm, bytes })
    }
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::NotHex),
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
