//! Bars: one for all, and one for each of the largest on their way.

use std::collections::HashMap;
use std::sync::Mutex;

use dockhand_client::Event;
use dockhand_oci::Digest;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// More bars than this hide what they show.
const BARS_MAX: usize = 8;
/// Smaller blobs are gone before a bar is read.
const BAR_MIN: u64 = 1024 * 1024;
const TOTAL: &str =
    "{spinner} {msg} {bytes}/{total_bytes} [{wide_bar:.cyan/blue}] {bytes_per_sec} {eta}";
const ONE: &str = "  {prefix:14} [{bar:30.cyan/blue}] {bytes:>10}/{total_bytes:10}";

#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: Option<ProgressBar>,
    each: HashMap<Digest, ProgressBar>,
    /// How many bytes of each blob have moved.
    moved: HashMap<Digest, i64>,
    done: usize,
    begun: usize,
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

impl Bars {
    pub(super) fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            state: Mutex::default(),
        }
    }

    /// Writes a line above the bars; after the last there are none any more.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        let all_done = { self.state.lock() }.is_ok_and(|state| state.done >= state.begun);
        if all_done {
            self.clear();
        }
        self.all.suspend(write);
    }

    pub(super) fn clear(&self) {
        if let Ok(mut state) = self.state.lock() {
            let state = std::mem::take(&mut *state);
            // One that is only dropped draws itself once more.
            for bar in state.each.into_values().chain(state.total) {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        let _ = self.all.clear();
    }

    pub(super) fn event(&self, event: &Event) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        match event {
            Event::Started(blob) => {
                state.begun += 1;
                let total = state.total.get_or_insert_with(|| {
                    self.all.add(ProgressBar::new(0).with_style(style(TOTAL)))
                });
                total.inc_length(blob.size);
                if blob.size >= BAR_MIN && state.each.len() < BARS_MAX {
                    let bar = ProgressBar::new(blob.size).with_style(style(ONE));
                    let bar = self.all.insert(0, bar);
                    bar.set_prefix(blob.digest.hex().chars().take(12).collect::<String>());
                    state.each.insert(blob.digest, bar);
                }
            }
            Event::Progress(digest, bytes) => {
                *state.moved.entry(*digest).or_default() += bytes;
                step(state.total.as_ref(), *bytes);
                step(state.each.get(digest), *bytes);
            }
            Event::Done(blob, _) => {
                // What was there or was mounted moved no bytes, but counts.
                let moved = state.moved.remove(&blob.digest).unwrap_or_default();
                let rest = i64::try_from(blob.size).unwrap_or(i64::MAX) - moved;
                step(state.total.as_ref(), rest);
                state.done += 1;
                if let Some(bar) = state.each.remove(&blob.digest) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            _ => return,
        }
        if let Some(total) = &state.total {
            total.set_message(format!("{}/{}", state.done, state.begun));
        }
    }
}

fn step(bar: Option<&ProgressBar>, bytes: i64) {
    if let Some(bar) = bar {
        match u64::try_from(bytes) {
            Ok(bytes) => bar.inc(bytes),
            Err(_) => bar.dec(bytes.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use dockhand_client::Moved;
    use dockhand_oci::{Algorithm, Descriptor};

    use super::*;

    #[test]
    fn nothing_is_drawn_after_the_last_is_done() {
        let bars = Bars::new();
        let count = || {
            let state = bars.state.lock().unwrap();
            (state.done, state.begun, state.total.is_some())
        };
        let blob = |text: &str| {
            let digest = Algorithm::Sha256.digest(text.as_bytes());
            Descriptor::new("x/y", digest, BAR_MIN)
        };
        bars.event(&Event::Started(blob("a")));
        bars.event(&Event::Started(blob("b")));
        bars.event(&Event::Done(blob("a"), Moved::Sent));
        bars.suspend(|| {});
        assert_eq!(count(), (1, 2, true));
        bars.event(&Event::Done(blob("b"), Moved::Existed));
        assert_eq!(count(), (2, 2, true));
        bars.suspend(|| {});
        assert_eq!(count(), (0, 0, false));
    }
}
