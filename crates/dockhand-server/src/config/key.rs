//! What is known of each key besides its value: where it stands, what it takes, what it is for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::values::{
    Address, Backend, Fields, Headers, Locations, LogFormat, LogLevel, Period, PublicUrl, Size,
    TlsVersion, UrlPath,
};
use crate::cidr::Cidr;

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The section it stands in, such as `server.tls`.
    pub section: &'static str,
    field: &'static str,
    doc: &'static [&'static str],
    /// What it takes, with an example, to end a sentence with.
    pub expects: &'static str,
    /// How a value is written in the environment.
    pub shape: Shape,
    /// Whether it may stay without a value.
    pub optional: bool,
    accepts: fn(&toml::Value) -> bool,
}

/// How a value is written where there is no TOML around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it is.
    Text,
    /// As in TOML: numbers, `true` and `false`.
    Plain,
    /// With commas between its elements.
    List,
    /// As an inline table of TOML.
    Table,
}

impl Key {
    pub(super) const fn of<T: Setting>(
        section: &'static str,
        field: &'static str,
        doc: &'static [&'static str],
    ) -> Self {
        Self {
            section,
            field,
            doc,
            expects: T::EXPECTS,
            shape: T::SHAPE,
            optional: T::OPTIONAL,
            accepts: accepts::<T>,
        }
    }

    /// Its name in its section, such as `min-version`.
    #[must_use]
    pub fn name(&self) -> String {
        self.field.replace('_', "-")
    }

    /// Its whole name, such as `server.tls.min-version`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name())
    }

    /// The environment variable that sets it, such as `DOCKHAND_SERVER_TLS_MIN_VERSION`.
    #[must_use]
    pub fn variable(&self) -> String {
        let section = self.section.replace('.', "_");
        format!("DOCKHAND_{section}_{}", self.field).to_ascii_uppercase()
    }

    /// What it is for, and why its default is what it is.
    #[must_use]
    pub fn doc(&self) -> String {
        let lines: Vec<&str> = self.doc.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }

    /// Whether a value is one that it takes.
    pub(super) fn accepts(&self, value: &toml::Value) -> bool {
        (self.accepts)(value)
    }
}

fn accepts<T: Setting>(value: &toml::Value) -> bool {
    // serde would take a date for a text.
    !value.is_datetime() && T::deserialize(value.clone()).is_ok()
}

/// A type that a key may have.
pub(super) trait Setting: Serialize + DeserializeOwned {
    /// What is expected, with an example.
    const EXPECTS: &'static str;
    /// How it is written in the environment.
    const SHAPE: Shape = Shape::Text;
    /// Whether it may be without a value.
    const OPTIONAL: bool = false;
}

impl<T: Setting> Setting for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;
}

macro_rules! settings {
    ($($kind:ty, $shape:ident, $expects:literal;)*) => {
        $(impl Setting for $kind {
            const EXPECTS: &'static str = $expects;
            const SHAPE: Shape = Shape::$shape;
        })*
    };
}

settings! {
    bool, Plain, "true or false";
    NonZeroUsize, Plain, "a whole number from 1, such as 1000";
    PathBuf, Text, "the path of a file or folder, such as \"/etc/dockhand/cert.pem\"";
    Period, Text, "a time with its unit (ms, s, m, h, d), such as \"30s\"";
    Size, Text, "a size with its unit (B, KiB, MiB, GiB, kB, MB, GB), such as \"4MiB\"";
    Address, Text, "a host and a port, such as \"127.0.0.1:5000\"";
    PublicUrl, Text, "an http or https address, such as \"https://registry.example.com\"";
    UrlPath, Text, "a path that begins with / and does not end with it, such as \"/registry\"";
    Headers, Table, "a table of headers that are not the server's own, such as { X-Frame-Options = \"DENY\" }";
    Fields, Table, "a table of texts, such as { host = \"eu-1\" }";
    Vec<Cidr>, List, "a list of blocks of addresses, such as [\"10.0.0.0/8\", \"192.0.2.7\"]";
    Locations, Text, "\"auto\", \"absolute\" or \"relative\"";
    TlsVersion, Text, "\"1.2\" or \"1.3\"";
    Backend, Text, "\"filesystem\" or \"memory\"";
    LogLevel, Text, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
    LogFormat, Text, "\"text\" or \"json\"";
}

/// Declares one section of the configuration: its struct, its defaults, and what is known of its keys.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident in $section:literal {
            $($(#[doc = $doc:literal])+ $field:ident: $kind:ty = $default:expr;)*
        }
        with {
            $($(#[doc = $inner_doc:literal])+ $inner:ident: $inner_kind:ty,)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $kind,)*
            $($(#[doc = $inner_doc])+ pub $inner: $inner_kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($inner: <$inner_kind>::default(),)*
                }
            }
        }

        impl $name {
            const KEYS: &'static [Key] =
                &[$(Key::of::<$kind>($section, stringify!($field), &[$($doc),+])),*];
        }
    };
}
pub(super) use section;
