//! Paths inside an image.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// The longest path, as Linux has it.
const LENGTH_MAX: usize = 4096;

/// A path inside an image: its parts with one `/` between them and none in front; empty for the root.
/// There is no `.` and no `..` in it. File names are bytes, mostly of UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePath(Vec<u8>);

impl ImagePath {
    /// Reads what a person or a tar file says: `./usr/bin/`, `/usr/bin` and `usr/bin` are the same.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] when it has a part `..`, a NUL, or more than 4,096 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut path = Vec::with_capacity(bytes.len());
        let refuse = |why: &str| {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
            let message = format!("the path `{}` {why}", shown.escape_debug());
            Error::new(ErrorKind::Unsafe, message)
        };
        for part in bytes.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(refuse("has `..` in it, which leads out of the image")),
                _ if part.contains(&0) => return Err(refuse("has a NUL in it")),
                _ => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                }
            }
        }
        if path.len() > LENGTH_MAX {
            return Err(refuse("is longer than a path can be"));
        }
        Ok(Self(path))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts, the outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        { self.0.split(|byte| *byte == b'/') }.filter(|part| !part.is_empty())
    }

    /// The last part; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default()
    }

    /// The directory that it is in; the root for the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Self(self.0[..end].to_vec())
    }

    /// The directories that it is in, the root first; none for the root.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let root = (!self.is_root()).then_some(&self.0[..0]);
        let ends = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        root.into_iter().chain(ends.map(|(end, _)| &self.0[..end]))
    }

    /// What is left of it below `above`; nothing when it is not there.
    pub(crate) fn below(&self, above: &Self) -> Option<Self> {
        if above.is_root() || self == above {
            return Some(match self == above {
                true => Self::default(),
                false => self.clone(),
            });
        }
        let rest = self.0.strip_prefix(&above.0[..])?.strip_prefix(b"/")?;
        Some(Self(rest.to_vec()))
    }

    /// This directory's entry `name`, which is one part.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self(path)
    }
}

impl std::borrow::Borrow<[u8]> for ImagePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl std::str::FromStr for ImagePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_path_are_one() {
        for text in [
            "usr/bin",
            "/usr/bin",
            "./usr/bin/",
            "usr//bin/.",
            "//usr/./bin",
        ] {
            let path: ImagePath = text.parse().unwrap();
            assert_eq!(path.as_bytes(), b"usr/bin", "{text}");
            assert_eq!(path.name(), b"bin");
            assert_eq!(path.parent().as_bytes(), b"usr");
            assert_eq!(path.ancestors().collect::<Vec<_>>(), [&b""[..], b"usr"]);
            assert_eq!(path.to_string(), "/usr/bin");
        }
        for text in ["", "/", ".", "./"] {
            assert!(text.parse::<ImagePath>().unwrap().is_root(), "{text}");
        }
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let long = "a/".repeat(3000);
        for text in ["..", "../a", "a/../b", "/..", "a/..", "a\0b", &long] {
            let error = text.parse::<ImagePath>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsafe, "{text}");
        }
        // Two dots are a name when there is more to it.
        assert_eq!("a/..b/c..".parse::<ImagePath>().unwrap().parts().count(), 3);
    }
}
