//! The types of values: each is made only by reading its text, and prints as that text.

mod address;
mod maps;
mod quantity;
mod words;

pub use address::{Address, PublicUrl, UrlPath};
pub use maps::{Fields, Headers};
pub use quantity::{Period, Size};
pub use words::{Backend, Locations, LogFormat, LogLevel, TlsVersion};

use crate::cidr::Cidr;

/// The text is not a value of the wanted type; what is wanted is said by whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value of this kind")]
pub struct ValueError;

/// Reads a type from its text and writes it as that, wherever serde is asked to.
macro_rules! by_text {
    ($($kind:ty),*) => {$(
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

by_text!(Address, PublicUrl, UrlPath, Cidr);
