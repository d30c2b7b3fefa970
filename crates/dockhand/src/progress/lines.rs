//! A line every few seconds: for logs of continuous integration.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use dockhand_client::Event;

use crate::output::size;

/// How often a line is told.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<State>);

#[derive(Debug)]
struct State {
    begun: u64,
    done: u64,
    bytes: u64,
    moved: i64,
    told: Instant,
    moved_then: i64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            begun: 0,
            done: 0,
            bytes: 0,
            moved: 0,
            told: Instant::now(),
            moved_then: 0,
        }
    }
}

impl Lines {
    /// The line to tell now, if it is time for one.
    pub(super) fn event(&self, event: &Event) -> Option<String> {
        let mut state = self.0.lock().ok()?;
        match event {
            Event::Started(blob) => {
                state.begun += 1;
                state.bytes += blob.size;
            }
            Event::Progress(_, bytes) => state.moved += bytes,
            Event::Done(..) => state.done += 1,
            _ => return None,
        }
        state.line(Instant::now())
    }
}

impl State {
    fn line(&mut self, now: Instant) -> Option<String> {
        let passed = now.saturating_duration_since(self.told);
        if passed < EVERY {
            return None;
        }
        let fresh = u64::try_from(self.moved - self.moved_then).unwrap_or_default();
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let speed = size(fresh.saturating_mul(1000) / millis);
        self.told = now;
        self.moved_then = self.moved;
        let moved = size(u64::try_from(self.moved).unwrap_or_default());
        Some(format!(
            "{} of {} done, {moved} of at most {} moved, {speed}/s",
            self.done,
            self.begun,
            size(self.bytes)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_every_five_seconds_with_the_speed_since_the_last() {
        let mut state = State::default();
        let start = state.told;
        (state.begun, state.done, state.bytes) = (3, 1, 20 << 20);
        state.moved = 10 << 20;
        assert_eq!(state.line(start + Duration::from_secs(4)), None);
        let line = state.line(start + Duration::from_secs(5));
        let expected = "1 of 3 done, 10.0 MiB of at most 20.0 MiB moved, 2.0 MiB/s";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(state.line(start + Duration::from_secs(6)), None);
    }
}
