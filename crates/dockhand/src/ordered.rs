//! JSON in the order in which it was written, indented.

use std::error::Error;

use indexmap::IndexMap;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON document whose fields keep their order, and whose numbers and texts stay as they were written.
#[derive(Debug)]
pub(crate) struct Ordered(Box<RawValue>);

impl Ordered {
    /// # Errors
    /// When the bytes are no JSON, or nest too deep.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, impl Error> {
        // Reading it as a value bounds how deep it nests; what is kept is the text.
        serde_json::from_slice::<Value>(bytes)?;
        serde_json::from_slice(bytes).map(Self)
    }

    /// Indented, with a line end.
    ///
    /// # Errors
    /// When it cannot be written, which does not happen.
    pub(crate) fn pretty(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written(&self.0, serializer)
    }
}

/// A value within.
struct Within<'a>(&'a RawValue);

impl Serialize for Within<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written(self.0, serializer)
    }
}

fn written<S: Serializer>(raw: &RawValue, serializer: S) -> Result<S::Ok, S::Error> {
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let fields: IndexMap<String, &RawValue> =
                serde_json::from_str(raw.get()).map_err(S::Error::custom)?;
            serializer.collect_map(fields.iter().map(|(key, value)| (key, Within(value))))
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(S::Error::custom)?;
            serializer.collect_seq(list.into_iter().map(Within))
        }
        _ => raw.serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_numbers_stay() {
        let text =
            r#"{"b": 1.00,"a":[ {"z":{},"y":[]}, 12345678901234567890123 ],"c":"\u0061","n":null}"#;
        let shown = Ordered::parse(text.as_bytes()).unwrap().pretty().unwrap();
        let expected = r#"{
  "b": 1.00,
  "a": [
    {
      "z": {},
      "y": []
    },
    12345678901234567890123
  ],
  "c": "\u0061",
  "n": null
}
"#;
        assert_eq!(shown, expected);
        assert_eq!(Ordered::parse(b" 3 ").unwrap().pretty().unwrap(), "3\n");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for text in ["", "{", "{} {}", deep.as_str()] {
            assert!(Ordered::parse(text.as_bytes()).is_err(), "{text:.9}");
        }
    }
}
