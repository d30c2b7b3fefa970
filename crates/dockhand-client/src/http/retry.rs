//! When a request is sent again, and after how long.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822;
use jiff::{Timestamp, Zoned};

use crate::{Error, ErrorKind, Retries};

/// Whether an answer says that the same request may fare better later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    // 499, 520 to 524: from proxies in front of registries.
    matches!(
        status.as_u16(),
        408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524
    )
}

/// Whether a failure may be gone the next time.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error.status() {
        Some(status) => is_passing(status),
        None => matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout),
    }
}

/// How often an operation is tried again that got no answer at all: each time costs the whole time that
/// is waited for one, and a peer that is silent twice is hardly busy.
const SILENCES_MAX: u32 = 1;

/// The waits between the tries of one operation.
#[derive(Debug)]
pub(crate) struct Patience {
    waits: ExponentialBackoff,
    longest: Duration,
    tries: u32,
    silences: u32,
}

impl Patience {
    pub(crate) fn new(retries: &Retries) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(retries.first)
            .with_max_delay(retries.longest)
            .with_max_times(usize::try_from(retries.count).unwrap_or(usize::MAX))
            .with_jitter()
            .build();
        Self {
            waits,
            longest: retries.longest,
            tries: 1,
            silences: 0,
        }
    }

    /// How many tries were made, the first included.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// How long to wait before the next try; `None` when `error` is to be reported instead: it will not
    /// pass, it was tried often enough, here or by what is tried here, or the registry asks for more
    /// patience than allowed.
    pub(crate) fn wait(&mut self, error: &Error) -> Option<Duration> {
        let spent = error.attempts() > self.tries;
        if spent || !may_pass(error) {
            return None;
        }
        if error.is_unanswered() {
            self.silences += 1;
            if self.silences > SILENCES_MAX {
                return None;
            }
        }
        let own = self.waits.next()?;
        let wait = match error.retry_after() {
            Some(asked) if asked > self.longest => return None,
            // A date that has passed is one of another clock, and asks for a pause all the same.
            Some(asked) if !asked.is_zero() => asked.max(own.min(asked.saturating_mul(2))),
            _ => own,
        };
        self.tries += 1;
        Some(wait)
    }
}

/// What `Retry-After` asks for: seconds, or a date.
///
/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date: Zoned = rfc2822::parse(text).ok()?;
    let wait = date.timestamp().as_millisecond() - Timestamp::now().as_millisecond();
    Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers("4")), Some(Duration::from_secs(4)));
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
        let past = headers("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        let later = Timestamp::now() + jiff::SignedDuration::from_secs(100);
        let later = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&later);
        let wait = retry_after(&headers(&later.unwrap())).unwrap();
        assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn patience_ends() {
        let retries = Retries {
            count: 2,
            ..Retries::default()
        };
        let mut patience = Patience::new(&retries);
        let passing = || Error::new(ErrorKind::Connect, "broke");
        assert!(patience.wait(&passing()).is_some());
        assert!(patience.wait(&passing()).is_some());
        assert_eq!(patience.wait(&passing()), None);
        assert_eq!(patience.tries(), 3);
        let mut patience = Patience::new(&retries);
        assert_eq!(
            patience.wait(&Error::new(ErrorKind::NotFound, "gone")),
            None
        );
        let asked = |seconds| passing().tried(1, Some(Duration::from_secs(seconds)));
        assert!(patience.wait(&asked(4)).unwrap() >= Duration::from_secs(4));
        assert_eq!(patience.wait(&asked(4000)), None);
    }

    #[test]
    fn silence_and_clocks_that_are_wrong_are_not_hammered_at() {
        let mut patience = Patience::new(&Retries::default());
        let silent = || Error::new(ErrorKind::Timeout, "nothing came").unanswered();
        assert!(patience.wait(&silent()).is_some());
        assert_eq!(patience.wait(&silent()), None);
        let mut patience = Patience::new(&Retries::default());
        let past = Error::new(ErrorKind::Connect, "broke").tried(1, Some(Duration::ZERO));
        assert!(patience.wait(&past).unwrap() >= Retries::default().first);
    }
}
