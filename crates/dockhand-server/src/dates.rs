//! The `Date` of answers.
//!
//! hyper would write it, but keeps what it has printed until the clock has passed that second. When the
//! clock is put back, its answers would be from the future until then.

use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// Prints each second once.
#[derive(Debug, Default)]
pub(crate) struct Dates(ArcSwapOption<(u64, HeaderValue)>);

impl Dates {
    /// The value of `Date` at this moment; nothing when the clock shows a year that the header cannot.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1>
    pub(crate) fn at(&self, now: SystemTime) -> Option<HeaderValue> {
        let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        if let Some(last) = self.0.load().as_deref()
            && last.0 == second
        {
            return Some(last.1.clone());
        }
        let time = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
        let text = DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&time)
            .ok()?;
        let value = HeaderValue::try_from(text).ok()?;
        self.0.store(Some((second, value.clone()).into()));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_follows_the_clock_in_both_directions() {
        let dates = Dates::default();
        for (second, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] {
            for millis in [0, 999] {
                let now = UNIX_EPOCH + Duration::from_secs(second) + Duration::from_millis(millis);
                assert_eq!(dates.at(now).unwrap(), text);
            }
        }
        assert_eq!(dates.at(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
