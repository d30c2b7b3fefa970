//! One writer per upload: requests that write to the same upload take turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockhand_oci::UploadId;
use tokio::sync::OwnedMutexGuard;

use crate::error::Error;

/// How long a request waits for another one that writes to the same upload. A racer that resumes
/// after a cut connection gets its turn; a second writer by mistake gets an answer.
const WAIT: Duration = Duration::from_secs(10);

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The uploads that are being written to right now: as many entries as such requests.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<UploadId, Turn>>>);

/// The right to write to an upload, given back on drop.
#[derive(Debug)]
pub(crate) struct Session {
    id: UploadId,
    guard: Option<OwnedMutexGuard<()>>,
    all: Arc<Mutex<HashMap<UploadId, Turn>>>,
}

impl Sessions {
    /// Waits for the turn of this request.
    pub(crate) async fn enter(&self, id: UploadId) -> Result<Session, Error> {
        let (mut session, turn) = self.come(id);
        let guard = tokio::time::timeout(WAIT, turn.lock_owned()).await;
        session.guard = Some(guard.map_err(|_| Error::UploadBusy(id))?);
        Ok(session)
    }

    /// Takes the turn if it is nobody's.
    pub(crate) fn try_enter(&self, id: UploadId) -> Option<Session> {
        let (mut session, turn) = self.come(id);
        session.guard = Some(turn.try_lock_owned().ok()?);
        Some(session)
    }

    /// How many write to an upload or wait for their turn.
    #[cfg(test)]
    pub(crate) fn waiting(&self, id: UploadId) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&id).map_or(0, |turn| Arc::strong_count(turn) - 1)
    }

    fn come(&self, id: UploadId) -> (Session, Turn) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(all.entry(id).or_default());
        let session = Session {
            id,
            guard: None,
            all: Arc::clone(&self.0),
        };
        (session, turn)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is the map's own: with no other, nobody writes and nobody waits.
        if all
            .get(&self.id)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writers_take_turns_and_leave_nothing_behind() {
        let sessions = Sessions::default();
        let id = UploadId::from_random(1);
        let first = sessions.enter(id).await.unwrap();
        assert!(matches!(
            sessions.enter(id).await,
            Err(Error::UploadBusy(_))
        ));
        assert!(sessions.try_enter(id).is_none());
        drop(first);
        drop(sessions.try_enter(id).unwrap());
        drop(sessions.enter(id).await.unwrap());
        assert!(sessions.0.lock().unwrap().is_empty());
    }
}
