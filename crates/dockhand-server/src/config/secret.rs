//! Text that must not be seen.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A password, key or token. It cannot print: neither `Debug` nor serialisation shows it, and it has
/// no `Display`.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands where a secret is.
const HIDDEN: &str = "<hidden>";

impl Secret {
    /// Takes a text that must not be seen.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_cannot_print() {
        let secret: Secret = serde_json::from_str("\"canary\"").unwrap();
        assert_eq!(secret.reveal(), "canary");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "<hidden> Some(<hidden>)"
        );
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"<hidden>\"");
    }
}
