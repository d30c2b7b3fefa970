//! Buffers that are used again, so that reading neither zeroes nor maps memory for each chunk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// How much is read at once: long enough that a system call is nothing beside the copy, short enough
/// to stay in the second-level cache until the socket takes it.
pub(super) const CHUNK: usize = 256 * 1024;

/// Up to here a buffer of just the size is cheaper than one that has to come back.
pub(super) const SMALL: usize = 64 * 1024;

/// Buffers that lie idle at most, 8 MiB: more than are between two reads at any moment, and little
/// for a process that is to stay under 30 MiB when it idles. Beyond it, buffers are freed.
const IDLE: usize = 32;

/// The idle buffers, the one that came back last on top: it is the one still in the cache.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// A buffer to read into, as long as what is wanted or as [`CHUNK`].
pub(super) struct Buffer {
    /// Initialised to its end.
    bytes: Vec<u8>,
    wanted: usize,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// A buffer for the next part of `remaining` bytes.
    pub(super) fn take(self: &Arc<Self>, remaining: u64) -> Buffer {
        let wanted = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
        if wanted <= SMALL {
            return Buffer {
                bytes: vec![0; wanted],
                wanted,
                home: None,
            };
        }
        let bytes = self.idle().pop().unwrap_or_else(|| vec![0; CHUNK]);
        Buffer {
            bytes,
            wanted,
            home: Some(self.clone()),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Where to read to, without what is already `filled`.
    pub(super) fn rest(&mut self, filled: usize) -> &mut [u8] {
        self.bytes.get_mut(filled..self.wanted).unwrap_or_default()
    }

    /// The buffer as what was read; it comes back when the last clone is dropped.
    pub(super) fn freeze(mut self) -> Bytes {
        if self.home.is_some() {
            Bytes::from_owner(self)
        } else {
            Bytes::from(std::mem::take(&mut self.bytes))
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.wanted).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let mut idle = home.idle();
        if idle.len() < IDLE {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Buffers, CHUNK, IDLE, SMALL};

    #[test]
    fn buffers_come_back_up_to_a_bound() {
        let buffers = Arc::new(Buffers::default());
        let taken: Vec<_> = (0..IDLE + 5)
            .map(|_| buffers.take(u64::MAX).freeze())
            .collect();
        assert!(taken.iter().all(|bytes| bytes.len() == CHUNK));
        let last = taken[0].clone();
        drop(taken);
        assert_eq!(buffers.idle().len(), IDLE);
        drop((buffers.take(CHUNK as u64 + 1), last));
        assert_eq!(buffers.idle().len(), IDLE);
    }

    #[test]
    fn small_ones_have_just_the_size() {
        let buffers = Arc::new(Buffers::default());
        assert_eq!(buffers.take(0).freeze().len(), 0);
        assert_eq!(buffers.take(4096).freeze().len(), 4096);
        drop(buffers.take(SMALL as u64).freeze());
        assert!(buffers.idle().is_empty());
        assert_eq!(buffers.take(SMALL as u64 + 1).freeze().len(), SMALL + 1);
        assert_eq!(buffers.idle().len(), 1);
    }
}
