//! Bytes that are between their key and their row.
//!
//! A push puts bytes under a key first and writes the row that names it then. Whoever wants to take
//! bytes back because no row names them has to know that no push is between the two.

use dockhand_oci::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Digests share locks: pushes do not hold each other up, and bytes are taken back only when the
/// disk is full or a blob came and went, so that nobody notices.
const LOCKS: usize = 64;

/// Pushes that are between key and row.
#[derive(Debug)]
pub(crate) struct Adoptions([RwLock<()>; LOCKS]);

impl Default for Adoptions {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl Adoptions {
    /// A push of `digest` begins; it ends when the guard is dropped.
    pub(crate) async fn begin(&self, digest: &Digest) -> RwLockReadGuard<'_, ()> {
        self.lock(digest).read().await
    }

    /// Waits until no push of `digest` is under way, and lets none begin.
    pub(crate) async fn none(&self, digest: &Digest) -> RwLockWriteGuard<'_, ()> {
        self.lock(digest).write().await
    }

    fn lock(&self, digest: &Digest) -> &RwLock<()> {
        let number = usize::from(digest.as_bytes().first().copied().unwrap_or_default());
        let [first, ..] = &self.0;
        self.0.get(number % LOCKS).unwrap_or(first)
    }
}
