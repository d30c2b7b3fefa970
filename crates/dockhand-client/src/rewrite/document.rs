//! A JSON object in which what nobody touches stays as it was written, byte for byte.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::{Error, ErrorKind, Result};

/// A JSON object: its fields in their order, each as it was written. Numbers that no program can hold,
/// fields that nobody knows and white space within values survive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document {
    fields: IndexMap<String, Box<RawValue>>,
    #[serde(skip)]
    changed: bool,
}

impl Document {
    /// Reads an object.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the bytes are none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| unusable(&error))
    }

    /// Whether a field was changed since it was read.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// What a field has; nothing when it is not there, or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it has something of another type.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>> {
        let Some(raw) = self.fields.get(field) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get()).map_err(|error| {
            let message = format!("the field `{field}` makes no sense: {error}");
            Error::new(ErrorKind::Protocol, message)
        })
    }

    /// Gives a field this value, in its place or at the end. One that says the same is left alone.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, field: &str, value: &T) -> Result<()> {
        let fresh = to_raw_value(value).map_err(|error| unusable(&error))?;
        let same = |old: &RawValue| {
            let [old, fresh] = [old, &*fresh].map(|raw| serde_json::from_str::<Value>(raw.get()));
            matches!((old, fresh), (Ok(old), Ok(fresh)) if old == fresh)
        };
        if !self.fields.get(field).is_some_and(|old| same(old)) {
            self.fields.insert(field.to_owned(), fresh);
            self.changed = true;
        }
        Ok(())
    }

    /// Takes a field away.
    pub fn remove(&mut self, field: &str) {
        self.changed |= self.fields.shift_remove(field).is_some();
    }

    /// Changes the object in a field, which is made when it is not there and goes when it is empty then.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the field has no object, and what `edit` fails with.
    pub fn within<T>(
        &mut self,
        field: &str,
        edit: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut inner: Self = self.get(field)?.unwrap_or_default();
        let done = edit(&mut inner)?;
        if inner.changed {
            match inner.fields.is_empty() {
                true => self.remove(field),
                false => self.set(field, &inner)?,
            }
        }
        Ok(done)
    }

    /// The names of the fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The object as JSON, without white space between its fields.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it cannot be written, which does not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| unusable(&error))
    }
}

fn unusable(error: &serde_json::Error) -> Error {
    let message = format!("the document makes no sense: {error}");
    Error::new(ErrorKind::Protocol, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"b": 1.00, "big":123456789012345678901234567890,"a":{"x" : 1},"n":null}"#;

    #[test]
    fn what_nobody_touches_stays() {
        let mut document = Document::parse(TEXT.as_bytes()).unwrap();
        document.set("b", &1.0).unwrap();
        document.set("a", &serde_json::json!({ "x": 1 })).unwrap();
        assert!(!document.is_changed());
        document.within("a", |a| a.set("y", "z")).unwrap();
        document.set("last", &true).unwrap();
        let written = String::from_utf8(document.to_bytes().unwrap()).unwrap();
        assert_eq!(
            written,
            r#"{"b":1.00,"big":123456789012345678901234567890,"a":{"x":1,"y":"z"},"n":null,"last":true}"#
        );
    }

    #[test]
    fn objects_come_and_go_with_their_fields() {
        let mut document = Document::parse(TEXT.as_bytes()).unwrap();
        document
            .within("new", |new| {
                new.remove("x");
                Ok(())
            })
            .unwrap();
        assert!(!document.is_changed());
        document.within("n", |n| n.set("k", "v")).unwrap();
        document
            .within("a", |a| {
                a.remove("x");
                Ok(())
            })
            .unwrap();
        assert_eq!(document.fields().collect::<Vec<_>>(), ["b", "big", "n"]);
        assert_eq!(document.get::<String>("absent").unwrap(), None);
        assert!(document.get::<String>("b").is_err());
    }
}
