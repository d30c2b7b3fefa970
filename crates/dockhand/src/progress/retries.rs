//! Requests that are tried again: one line at a time for all that fail at one host for one cause.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dockhand_client::ErrorKind;
use http::StatusCode;

/// How long is waited for more failures of the same cause before a line is told.
pub(super) const GATHER: Duration = Duration::from_millis(250);
/// How long after a line of a cause the next one is told at the soonest; twice as long each time.
const EVERY: Duration = Duration::from_secs(5);
/// The longest time between two lines of a cause that goes on.
const EVERY_MAX: Duration = Duration::from_secs(60);
/// How long a request counts as tried again after its wait is over: it gets its answer in that time, or
/// comes back here.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// More causes than this at once are not told apart: each has its line in memory.
const CAUSES_MAX: usize = 64;

/// A host, and how it failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) host: String,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<StatusCode>,
}

/// What failed at which host for which cause.
#[derive(Debug, Default)]
pub(super) struct Retries(Mutex<HashMap<Cause, Group>>);

/// The requests that failed for one cause.
#[derive(Debug)]
struct Group {
    /// What the last one said.
    why: String,
    /// When each is tried next, by what it does.
    due: HashMap<String, Instant>,
    /// When the last line was told.
    told: Option<Instant>,
    every: Duration,
    /// Whether a line will be told soon.
    pending: bool,
    /// When the last request failed.
    failed: Instant,
}

impl Group {
    fn new(now: Instant) -> Self {
        Self {
            why: String::new(),
            due: HashMap::new(),
            told: None,
            every: EVERY,
            pending: false,
            failed: now,
        }
    }

    /// Takes away what was tried again and did not come back.
    fn settle(&mut self, now: Instant) {
        self.due.retain(|_, due| *due + UNDER_WAY > now);
    }

    fn line(&mut self, host: &str, now: Instant) -> Option<String> {
        self.settle(now);
        self.pending = false;
        let first = self.due.iter().min_by_key(|(_, due)| **due)?;
        let next = { self.due.values() }
            .filter(|due| **due > now)
            .min()
            .map(|due| time(due.duration_since(now)));
        let why = &self.why;
        let line = match (self.due.len(), next) {
            (1, Some(next)) => format!(
                "cannot {} at {host}: {why}; trying again in {next}",
                first.0
            ),
            (1, None) => format!("cannot {} at {host}: {why}; trying again", first.0),
            (many, Some(next)) => {
                format!("{host}: {why}; {many} requests are being retried, next in {next}")
            }
            (many, None) => format!("{host}: {why}; {many} requests are being retried"),
        };
        if self.told.replace(now).is_some() {
            self.every = (self.every * 2).min(EVERY_MAX);
        }
        Some(line)
    }
}

impl Retries {
    /// Takes down that a request is tried again after `wait`. Whether a line is to be told after
    /// [`GATHER`].
    pub(super) fn add(
        &self,
        cause: &Cause,
        doing: &str,
        why: &str,
        wait: Duration,
        now: Instant,
    ) -> bool {
        let Ok(mut groups) = self.0.lock() else {
            return false;
        };
        if groups.len() >= CAUSES_MAX && !groups.contains_key(cause) {
            groups.retain(|_, group| group.pending || group.failed + EVERY_MAX > now);
            if groups.len() >= CAUSES_MAX {
                return false;
            }
        }
        let group = groups
            .entry(cause.clone())
            .or_insert_with(|| Group::new(now));
        if group.failed + EVERY_MAX < now {
            *group = Group::new(now);
        }
        group.settle(now);
        group.failed = now;
        why.clone_into(&mut group.why);
        group.due.insert(doing.to_owned(), now + wait);
        let due = group.told.is_none_or(|told| now >= told + group.every);
        let soon = due && !group.pending;
        group.pending |= soon;
        soon
    }

    /// The line of a cause.
    pub(super) fn line(&self, cause: &Cause, now: Instant) -> Option<String> {
        let mut groups = self.0.lock().ok()?;
        groups.get_mut(cause)?.line(&cause.host, now)
    }

    /// The lines that were to be told soon, when there is no more time.
    pub(super) fn rest(&self, now: Instant) -> Vec<String> {
        let Ok(mut groups) = self.0.lock() else {
            return Vec::new();
        };
        let pending = groups.iter_mut().filter(|(_, group)| group.pending);
        pending
            .filter_map(|(cause, group)| group.line(&cause.host, now))
            .collect()
    }
}

/// A time to wait, as people read it.
fn time(wait: Duration) -> String {
    match wait.as_secs() {
        0..10 => format!("{:.1} s", wait.as_secs_f32().max(0.1)),
        _ => format!("{:.0} s", wait.as_secs_f32()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(status: u16) -> Cause {
        Cause {
            host: "registry.example:5000".to_owned(),
            kind: ErrorKind::Server,
            status: StatusCode::from_u16(status).ok(),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn all_that_fail_for_one_cause_have_one_line() {
        let (retries, start) = (Retries::default(), Instant::now());
        let add = |blob: u32, wait: Duration, now| {
            let doing = format!("put the blob {blob}");
            retries.add(&cause(503), &doing, "503 Service Unavailable", wait, now)
        };
        assert!(add(1, SECOND * 4, start));
        for blob in 2..=7 {
            assert!(!add(blob, SECOND * 5, start));
        }
        let line = retries.line(&cause(503), start + GATHER).unwrap();
        assert_eq!(
            line,
            "registry.example:5000: 503 Service Unavailable; 7 requests are being retried, next in 3.8 s"
        );
        // Nothing new before its time, then again, and less often each time.
        assert!(!add(1, SECOND, start + SECOND * 4));
        assert!(add(1, SECOND * 30, start + SECOND * 6));
        let line = retries.line(&cause(503), start + SECOND * 6).unwrap();
        assert!(line.ends_with("cannot put the blob 1 at registry.example:5000: 503 Service Unavailable; trying again in 30 s"), "{line}");
        assert!(!add(1, SECOND, start + SECOND * 14));
        assert!(add(1, SECOND, start + SECOND * 17));
        // After a long silence it is news.
        assert!(retries.line(&cause(503), start + SECOND * 17).is_some());
        assert!(add(1, SECOND, start + SECOND * 100));
    }

    #[test]
    fn causes_are_told_apart_and_none_is_left_untold() {
        let (retries, now) = (Retries::default(), Instant::now());
        assert!(retries.add(&cause(503), "get a", "503", SECOND, now));
        assert!(retries.add(&cause(429), "get b", "429", SECOND, now));
        let mut rest = retries.rest(now);
        rest.sort();
        assert_eq!(
            rest,
            [
                "cannot get a at registry.example:5000: 503; trying again in 1.0 s",
                "cannot get b at registry.example:5000: 429; trying again in 1.0 s",
            ]
        );
        assert_eq!(retries.rest(now), Vec::<String>::new());
        // What was tried again and did not come back is done.
        assert!(retries.line(&cause(503), now + SECOND * 3).is_none());
    }
}
