//! Times and sizes, written with their units.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, SpanRelativeTo};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueError;

/// A length of time, such as `30s`, `1h 30m` or `7d`; a bare number has no meaning except 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(number: u64) -> Self {
        Self(Duration::from_secs(number))
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(number: u64) -> Self {
        Self::seconds(number * 3600)
    }

    /// For what takes one of the standard library.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let span: jiff::Span = text.parse().map_err(|_| ValueError)?;
        let length = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| ValueError)?;
        Duration::try_from(length).map(Self).map_err(|_| ValueError)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(length) => write!(f, "{length:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// A number of bytes, such as `4MiB` or `10GB`; a bare number has no meaning except 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units in which a size is printed when it is a whole number of them, largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
];

impl Size {
    /// So many times 1024 bytes.
    #[must_use]
    pub const fn kib(number: u64) -> Self {
        Self(number << 10)
    }

    /// So many times 1024² bytes.
    #[must_use]
    pub const fn mib(number: u64) -> Self {
        Self(number << 20)
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bare = text.bytes().all(|b| b.is_ascii_digit());
        if bare && text != "0" {
            return Err(ValueError);
        }
        text.parse::<ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| ValueError)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Reads a quantity: its text, or the number 0, which needs no unit.
struct Quantity<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = ValueError> + Default> Visitor<'_> for Quantity<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number with its unit")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        if number == 0 {
            Ok(T::default())
        } else {
            Err(E::custom(ValueError))
        }
    }
}

macro_rules! quantity {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Quantity::<Self>(std::marker::PhantomData))
            }
        }
    )*};
}

quantity!(Period, Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds, printed) in [
            ("30s", 30, "30s"),
            ("5m", 300, "5m"),
            ("168h", 604_800, "168h"),
            ("7d", 604_800, "168h"),
            ("1h30m", 5400, "1h 30m"),
            ("1h 30m", 5400, "1h 30m"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("1500ms", 1, "1s 500ms"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0.as_secs(), seconds, "{text}");
            assert_eq!(period.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<Period>().unwrap(), period, "{printed}");
        }
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "5 parsecs",
            "1 month",
            "1y",
            "99999999999999999999h",
            "5s5",
        ] {
            assert_eq!(bad.parse::<Period>(), Err(ValueError), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("4MiB", 4 << 20, "4MiB"),
            ("4 MiB", 4 << 20, "4MiB"),
            ("10GB", 10_000_000_000, "10GB"),
            ("1.5GiB", 3 << 29, "1536MiB"),
            ("32kib", 32 << 10, "32KiB"),
            ("1000B", 1000, "1kB"),
            ("1023B", 1023, "1023B"),
            ("0", 0, "0B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<Size>().unwrap(), size, "{printed}");
        }
        for bad in ["", "4096", "MiB", "-1MiB", "4 megs", "1.2.3MB", "4MiB!"] {
            assert_eq!(bad.parse::<Size>(), Err(ValueError), "{bad}");
        }
    }
}
