//! Events as JSON, an object a line: what programs read. Their form is documented in docs/commands.md.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dockhand_client::{Event, Moved};
use dockhand_oci::Digest;
use serde_json::{Value, json};

/// How often the progress of one blob is told at most.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(super) struct Events(Mutex<HashMap<Digest, (i64, Instant)>>);

impl Events {
    pub(super) fn event(&self, event: &Event) {
        if let Some(told) = self.told(event, Instant::now()) {
            let _ = writeln!(std::io::stderr().lock(), "{told}");
        }
    }

    /// Tells that nothing more comes.
    pub(super) fn finish(&self, code: u8) {
        let told = json!({ "event": "finished", "code": code });
        let _ = writeln!(std::io::stderr().lock(), "{told}");
    }

    fn told(&self, event: &Event, now: Instant) -> Option<Value> {
        let mut moving = self.0.lock().ok()?;
        Some(match event {
            Event::Started(blob) => json!({
                "event": "started", "digest": blob.digest, "mediaType": blob.media_type,
                "size": blob.size,
            }),
            Event::Progress(digest, bytes) => {
                let (moved, told) = moving.entry(*digest).or_insert((0, now));
                *moved += bytes;
                if now.saturating_duration_since(*told) < EVERY {
                    return None;
                }
                *told = now;
                json!({ "event": "progress", "digest": digest, "moved": moved })
            }
            Event::Done(blob, how) => {
                moving.remove(&blob.digest);
                json!({ "event": "done", "digest": blob.digest, "size": blob.size, "how": how_moved(*how) })
            }
            Event::Retried {
                host,
                doing,
                why,
                wait,
                ..
            } => json!({
                "event": "retried", "host": host, "doing": doing, "why": why,
                "wait": wait.as_secs_f64(),
            }),
            Event::Warning { host, text } => {
                json!({ "event": "warning", "host": host, "text": text })
            }
            Event::RateLimit {
                host,
                limit,
                remaining,
            } => json!({
                "event": "rateLimit", "host": host, "limit": limit, "remaining": remaining,
            }),
            _ => return None,
        })
    }
}

fn how_moved(how: Moved) -> &'static str {
    match how {
        Moved::Sent => "sent",
        Moved::Mounted => "mounted",
        Moved::Existed => "existed",
    }
}

#[cfg(test)]
mod tests {
    use dockhand_oci::{Algorithm, Descriptor};

    use super::*;

    #[test]
    fn progress_is_told_now_and_then_and_its_end_always() {
        let events = Events::default();
        let blob = Descriptor::new("x/y", Algorithm::Sha256.digest(b"x"), 30);
        let start = Instant::now();
        let step = Event::Progress(blob.digest, 10);
        assert_eq!(events.told(&step, start), None);
        assert_eq!(events.told(&step, start + EVERY / 2), None);
        let told = events.told(&step, start + EVERY).unwrap();
        assert_eq!(
            (&told["event"], &told["moved"]),
            (&json!("progress"), &json!(30))
        );
        let told = events
            .told(&Event::Done(blob, Moved::Sent), start + EVERY)
            .unwrap();
        assert_eq!(
            (&told["event"], &told["how"]),
            (&json!("done"), &json!("sent"))
        );
    }
}
