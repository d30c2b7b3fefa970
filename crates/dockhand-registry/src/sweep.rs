//! What is dropped in the background: uploads that nobody will finish.

use std::time::SystemTime;

use crate::blob_store::Staged;
use crate::error::Error;
use crate::registry::Registry;

/// How many uploads one look drops at most, so that the writer is free again soon.
const BATCH: usize = 100;

impl Registry {
    /// Drops uploads that have lain still for too long, and says how many.
    ///
    /// # Errors
    /// Of either store; the next sweep goes on.
    pub async fn sweep_expired(&self) -> Result<usize, Error> {
        let now = SystemTime::now();
        let Some(before) = now.checked_sub(self.settings.upload_expiry) else {
            return Ok(0);
        };
        let mut dropped = 0;
        loop {
            let expired = self.metadata.expired_uploads(before, BATCH).await?;
            for (repo, id) in &expired {
                let _turn = self.sessions.enter(*id).await?;
                if let Some(staged) = self.metadata.cancel_upload(repo, *id).await? {
                    self.blobs.discard(*id, &staged).await?;
                    dropped += 1;
                }
            }
            if expired.len() < BATCH {
                return Ok(dropped);
            }
        }
    }

    /// Drops staged bytes that no upload knows: what a crash left of uploads that were never
    /// acknowledged. Only before the first request is served, when every stage without a row is one.
    ///
    /// # Errors
    /// Of either store.
    pub async fn sweep_orphans(&self) -> Result<usize, Error> {
        let mut dropped = 0;
        for id in self.blobs.staged().await? {
            if !self.metadata.upload_known(id).await? {
                self.blobs.discard(id, &Staged::default()).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}
