//! What is dropped in the background: uploads that nobody will finish.

use std::time::SystemTime;

use crate::blob_store::Staged;
use crate::error::Error;
use crate::metadata::Expiry;
use crate::registry::Registry;

/// How many uploads one look drops at most, so that the writer is free again soon.
const BATCH: usize = 100;

impl Registry {
    /// Drops uploads that have lain still for too long, and says how many.
    ///
    /// # Errors
    /// Of either store; the next sweep goes on.
    pub async fn sweep_expired(&self) -> Result<usize, Error> {
        let expiry = self.expiry(SystemTime::now());
        let mut dropped = 0;
        loop {
            let expired = self.metadata.expired_uploads(expiry, BATCH).await?;
            let so_far = dropped;
            for id in &expired {
                // Whoever writes to it now will have touched it in a moment.
                let Some(_turn) = self.sessions.try_enter(*id) else {
                    continue;
                };
                if let Some(staged) = self.metadata.expire_upload(*id, expiry).await? {
                    self.blobs.discard(*id, &staged).await?;
                    dropped += 1;
                }
            }
            if expired.len() < BATCH || dropped == so_far {
                return Ok(dropped);
            }
        }
    }

    /// Since when an upload must have lain still. A time longer than the clock has run drops nothing.
    fn expiry(&self, now: SystemTime) -> Expiry {
        let ago = |time| now.checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH);
        let any = ago(self.settings.upload_expiry);
        let empty = ago(self.settings.empty_upload_expiry).max(any);
        Expiry { any, empty }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dockhand_oci::UploadId;

    use super::*;
    use crate::Settings;
    use crate::blob_store::memory::Memory;
    use crate::metadata::{Metadata, NewUpload};

    /// A registry with so many uploads that have expired.
    async fn with_expired(uploads: usize) -> Registry {
        let metadata = Arc::new(Metadata::in_memory().unwrap());
        let settings = Settings::default();
        for bits in 0..uploads {
            let new = NewUpload {
                repo: "app".parse().unwrap(),
                id: UploadId::from_random(bits as u128),
                client: String::new(),
                hash: Vec::new(),
                now: SystemTime::now() - 2 * settings.upload_expiry - Duration::from_secs(1),
                limits: settings.uploads.clone(),
            };
            metadata.start_upload(new, |_| Some(())).await.unwrap();
        }
        Registry::new(Arc::new(Memory::new()), metadata, settings)
    }

    fn enter(registry: &Registry, uploads: usize) -> Vec<crate::sessions::Session> {
        let ids = (0..uploads).map(|bits| UploadId::from_random(bits as u128));
        let turns = ids.map(|id| registry.sessions.try_enter(id).unwrap());
        turns.collect()
    }

    #[tokio::test]
    async fn what_is_written_to_is_passed_over() {
        let registry = with_expired(BATCH + 20).await;
        let writing = enter(&registry, 7);
        assert_eq!(registry.sweep_expired().await.unwrap(), BATCH + 13);
        drop(writing);
        assert_eq!(registry.sweep_expired().await.unwrap(), 7);
        assert_eq!(registry.sweep_expired().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_batch_that_gets_nowhere_is_the_last() {
        let registry = with_expired(BATCH + 20).await;
        let writing = enter(&registry, BATCH + 20);
        assert_eq!(registry.sweep_expired().await.unwrap(), 0);
        drop(writing);
    }
}
