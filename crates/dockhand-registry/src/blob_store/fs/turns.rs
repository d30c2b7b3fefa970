//! One at a time per upload: the next writer waits until the last write of a dropped one is over.
//!
//! A writer may be dropped while the blocking pool still writes for it. Without a turn, those bytes
//! could land in the file after the next writer has begun to put others there.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockhand_oci::UploadId;
use tokio::sync::OwnedMutexGuard;

use super::failed;
use crate::blob_store::StoreError;

/// How long a turn is waited for: what is left of a dropped writer is one batch or one fsync, which
/// a disk that works ends in seconds.
const PATIENCE: Duration = Duration::from_secs(30);

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The uploads that someone works on.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<UploadId, Lock>>);

/// The right to touch the stage of an upload, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    id: UploadId,
    lock: Option<Lock>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn.
    pub(super) async fn enter(self: &Arc<Self>, id: UploadId) -> Result<Turn, StoreError> {
        let lock = self.locks().entry(id).or_default().clone();
        let mut turn = Turn {
            turns: self.clone(),
            id,
            lock: Some(lock.clone()),
            guard: None,
        };
        turn.guard = match lock.clone().try_lock_owned() {
            Ok(guard) => Some(guard),
            Err(_) => tokio::time::timeout(PATIENCE, lock.lock_owned()).await.ok(),
        };
        if turn.guard.is_none() {
            let text = "an earlier write is still not done; the disk is too slow or hangs";
            let source = io::Error::new(io::ErrorKind::TimedOut, text);
            return Err(failed(
                format!("waiting for the stage of upload {id}"),
                source,
            ));
        }
        Ok(turn)
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<UploadId, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut locks = self.turns.locks();
        self.guard = None;
        self.lock = None;
        // Clones are only made under this lock: one left means that nobody works or waits.
        if locks
            .get(&self.id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dockhand_oci::UploadId;

    use super::Turns;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_and_nothing_stays_behind() {
        let turns = Arc::new(Turns::default());
        let id = UploadId::from_random(7);
        let first = turns.enter(id).await.unwrap();
        let other = turns.enter(UploadId::from_random(8)).await.unwrap();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.enter(id).await.map(drop) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop((first, other));
        waiting.await.unwrap().unwrap();
        assert!(turns.locks().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_has_an_end() {
        let turns = Arc::new(Turns::default());
        let id = UploadId::from_random(7);
        let first = turns.enter(id).await.unwrap();
        assert!(turns.enter(id).await.is_err());
        drop(first);
        assert!(turns.locks().is_empty());
    }
}
