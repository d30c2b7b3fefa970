//! Tables whose names the operator chooses.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names and values that every line of the log carries.
pub type Fields = BTreeMap<String, String>;

/// Headers that every answer gets besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

/// Headers that say what an answer is and where it ends: a fixed value would make it another one.
const OWN: [HeaderName; 12] = {
    use http::header::*;
    [
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        ETAG,
        LINK,
        LOCATION,
        RANGE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
};

/// As [`OWN`], those of registries: `Docker-Content-Digest`, `OCI-Subject` and their like.
const OWN_PREFIXES: [&str; 4] = [
    "docker-content-",
    "docker-distribution-",
    "docker-upload-",
    "oci-",
];

impl Headers {
    /// Adds a header, unless it is one of the server's own or no header at all.
    pub(in crate::config) fn add(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let name: HeaderName = name.parse().map_err(|_| "this is no name of a header")?;
        let value: HeaderValue = value.parse().map_err(|_| "this is no value of a header")?;
        let prefixed = |prefix: &&str| name.as_str().starts_with(*prefix);
        if OWN.contains(&name) || OWN_PREFIXES.iter().any(prefixed) {
            return Err("the server sets this header itself");
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Each header with its value.
    pub fn iter(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.0.iter()
    }

    /// As a list of pairs.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.0.clone()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_str(), value.to_str().unwrap_or_default())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut headers = Self::default();
        for (name, value) in BTreeMap::<String, String>::deserialize(deserializer)? {
            headers
                .add(&name, &value)
                .map_err(serde::de::Error::custom)?;
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_server_are_not_overwritten() {
        let mut headers = Headers::default();
        assert_eq!(headers.add("X-Frame-Options", "DENY"), Ok(()));
        for own in [
            "Content-Length",
            "location",
            "Docker-Content-Digest",
            "OCI-Subject",
        ] {
            assert_eq!(
                headers.add(own, "1"),
                Err("the server sets this header itself"),
                "{own}"
            );
        }
        assert_eq!(headers.add("a b", "1"), Err("this is no name of a header"));
        assert_eq!(
            headers.add("a", "1\n2"),
            Err("this is no value of a header")
        );
        assert_eq!(headers.iter().count(), 1);
    }
}
