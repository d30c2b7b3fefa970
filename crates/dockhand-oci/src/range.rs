//! Ranges of bytes: what a reader asks for, and where a chunk of an upload goes.
//!
//! Reading: <https://www.rfc-editor.org/rfc/rfc9110#section-14>. Chunks:
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks>

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One range of a `Range` request header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange(Span);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// `5-`
    From(u64),
    /// `5-9`, both ends in it.
    FromTo(u64, u64),
    /// `-5`
    Last(u64),
}

impl ByteRange {
    /// Reads a `Range` header.
    ///
    /// Nothing means that the header is to be ignored and the whole be served, as RFC 9110 lets a
    /// server do: another unit, several ranges, or no syntax of a range. Positions beyond `u64` are
    /// taken as its greatest, so that they lie behind every end.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, range) = header.trim_matches(BLANK).split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim_matches(BLANK).split_once('-')?;
        let span = match (first, last) {
            ("", last) => Span::Last(saturating(last)?),
            (first, "") => Span::From(saturating(first)?),
            (first, last) => Span::FromTo(saturating(first)?, saturating(last)?),
        };
        Some(Self(span))
    }

    /// The bytes that are meant of content of this size, never none of them.
    ///
    /// Nothing means 416: the range begins behind the end, or ends before it begins, or is the last 0
    /// bytes, or the content is empty.
    #[must_use]
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        let range = match self.0 {
            Span::From(first) => first..size,
            Span::FromTo(first, last) => first..last.saturating_add(1).min(size),
            Span::Last(length) => size.saturating_sub(length)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Span::From(first) => write!(f, "bytes={first}-"),
            Span::FromTo(first, last) => write!(f, "bytes={first}-{last}"),
            Span::Last(length) => write!(f, "bytes=-{length}"),
        }
    }
}

/// White space that may stand around a header's value.
const BLANK: [char; 2] = [' ', '\t'];

/// Digits and nothing else; too many of them are the greatest number.
fn saturating(digits: &str) -> Option<u64> {
    is_number(digits).then(|| digits.parse().unwrap_or(u64::MAX))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Where a chunk goes in its upload: the `Content-Range` of a PATCH or PUT, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub end: u64,
}

impl ContentRange {
    /// How many bytes it covers; the greatest number when that one is too small by one.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self.end.checked_sub(self.start) {
            Some(distance) => distance.saturating_add(1),
            None => 0,
        }
    }
}

/// Why a text is no range of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRangeError {
    /// There are not two numbers with a dash between them.
    #[error("the range of a chunk is written `<first byte>-<last byte>`, as in `0-1023`")]
    Syntax,
    /// A number does not fit 64 bits.
    #[error("a position in the range of a chunk is too large")]
    TooLarge,
    /// The end lies before the start.
    #[error("the range of a chunk ends before it starts")]
    Reversed,
    /// The end lies behind the total that was named.
    #[error("the range of a chunk goes beyond the total that it names")]
    BeyondTotal,
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    /// Reads `0-1023`, and as HTTP writes it elsewhere `bytes 0-1023/4096`, which some clients send.
    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        let text = text.trim_matches(BLANK);
        let range = ["bytes=", "bytes "]
            .iter()
            .find_map(|unit| text.strip_prefix(unit))
            .unwrap_or(text);
        let (range, total) = match range.split_once('/') {
            Some((range, "*")) => (range, None),
            Some((range, total)) => (range, Some(position(total)?)),
            None => (range, None),
        };
        let (start, end) = range.split_once('-').ok_or(ContentRangeError::Syntax)?;
        let (start, end) = (position(start)?, position(end)?);
        if end < start {
            return Err(ContentRangeError::Reversed);
        }
        if total.is_some_and(|total| total <= end) {
            return Err(ContentRangeError::BeyondTotal);
        }
        Ok(Self { start, end })
    }
}

fn position(digits: &str) -> Result<u64, ContentRangeError> {
    if !is_number(digits) {
        return Err(ContentRangeError::Syntax);
    }
    digits.parse().map_err(|_| ContentRangeError::TooLarge)
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests;
