//! Pages of lists: how many entries are asked for, and the `Link` that leads to the next ones.
//!
//! Paging: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>,
//! header: <https://www.rfc-editor.org/rfc/rfc8288#section-3>

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Why a text is no number of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It is something else than digits.
    #[error("`n` is a whole number of entries, written in digits")]
    NotANumber,
}

/// Reads the `n` of a query: digits alone, no sign. What is too large is the greatest number, because
/// the registry's own limit of a page is far below it anyway.
///
/// # Errors
/// [`PageError`] for anything else.
pub fn parse_n(text: &str) -> Result<u64, PageError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PageError::NotANumber);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// The `Link` header.
#[derive(Clone, Copy, Debug)]
pub struct Link;

/// What would end the target, or the header: encoded when a `Link` is printed.
const UNSAFE_IN_TARGET: &AsciiSet = &CONTROLS.add(b'<').add(b'>').add(b'"').add(b' ');

impl Link {
    /// The value of a `Link` header that leads to the next page. Characters that no URI has are
    /// percent-encoded, so that nothing in `target` can end the header or begin another.
    #[must_use]
    pub fn next(target: &str) -> String {
        let target = utf8_percent_encode(target, UNSAFE_IN_TARGET);
        format!("<{target}>; rel=\"next\"")
    }

    /// The target of the first link whose relation is `next`, in quotes or not, alone or among others.
    #[must_use]
    pub fn parse_next(header: &str) -> Option<&str> {
        let mut rest = header;
        loop {
            let (_, from_target) = rest.split_once('<')?;
            let (target, after) = from_target.split_once('>')?;
            let (parameters, behind) = split_unquoted(after, b',');
            if is_next(parameters) {
                return Some(target);
            }
            rest = behind?;
        }
    }
}

/// Whether the first `rel` among these parameters names `next`; later ones do not count.
fn is_next(mut parameters: &str) -> bool {
    loop {
        let (parameter, behind) = split_unquoted(parameters, b';');
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("rel")
        {
            let relations = value.trim().trim_matches('"').split_ascii_whitespace();
            return { relations }.any(|relation| relation.eq_ignore_ascii_case("next"));
        }
        match behind {
            Some(behind) => parameters = behind,
            None => return false,
        }
    }
}

/// Splits at the first `mark` that stands in no quoted text. A backslash in quotes takes the next
/// character with it.
fn split_unquoted(text: &str, mark: u8) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'"' {
            quoted = !quoted;
        } else if quoted {
            escaped = byte == b'\\';
        } else if byte == mark {
            // `mark` is ASCII, so both sides are whole characters.
            return (&text[..at], text.get(at + 1..));
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests;
