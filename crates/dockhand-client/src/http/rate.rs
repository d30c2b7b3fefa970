//! A bound on how fast content moves, for all requests of a connection together.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures_util::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::ByteStream;

/// How many bytes may pass at once after a pause: less would wake up for every piece of a fast line.
const BURST_MIN: u32 = 64 * 1024;

/// What everything that is read from a registry, or sent to it, goes through.
#[derive(Debug)]
pub(crate) struct Rate {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

impl Rate {
    /// So many bytes a second.
    pub(super) fn new(bytes: NonZeroU32) -> Arc<Self> {
        let burst = bytes.get() / 20;
        let burst = NonZeroU32::new(burst.max(BURST_MIN)).unwrap_or(bytes);
        let limiter = RateLimiter::direct(Quota::per_second(bytes).allow_burst(burst));
        Arc::new(Self { limiter, burst })
    }

    /// The same bytes, no faster than this allows.
    pub(super) fn hold(self: &Arc<Self>, stream: ByteStream) -> ByteStream {
        let rate = Arc::clone(self);
        let held = stream.then(move |chunk| {
            let rate = Arc::clone(&rate);
            async move {
                let chunk = chunk?;
                rate.pass(chunk.len()).await;
                Ok(chunk)
            }
        });
        held.boxed()
    }

    /// Waits until so many bytes may pass.
    async fn pass(&self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(self.burst.get() as usize);
            left -= piece;
            let piece = u32::try_from(piece).ok().and_then(NonZeroU32::new);
            if let Some(piece) = piece {
                // A piece is never greater than what may pass at once.
                let _ = self.limiter.until_n_ready(piece).await;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn all_streams_together_are_held_back() {
        let rate = Rate::new(NonZeroU32::new(256 * 1024).unwrap());
        let began = Instant::now();
        let read = |pieces: usize| {
            let pieces = stream::iter(vec![Bytes::from(vec![0; 40_000]); pieces]);
            let held = rate.hold(pieces.map(Ok).boxed());
            held.fold(0, |sum, chunk| async move { sum + chunk.unwrap().len() })
        };
        let (one, two) = tokio::join!(read(3), read(4));
        assert_eq!((one, two), (120_000, 160_000));
        // 64 KiB may pass at once, the rest at its rate.
        let least = Duration::from_secs_f64((280_000.0 - 65_536.0) / 262_144.0);
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }
}
