//! From a stage to a blob: the bytes first, then the one transaction that makes them visible.

use std::time::SystemTime;

use dockhand_oci::{RepoName, UploadId, Verified};
use futures_util::StreamExt;

use crate::blob_store::{BlobKey, StageWriter, Staged};
use crate::error::Error;
use crate::layout::blob_key;
use crate::metadata::{BlobCommit, Committed, NextKey};
use crate::registry::Registry;

/// How often a blob may vanish between being found and being linked before the push gives up.
const SETTLE_TRIES: usize = 3;

impl Registry {
    /// Makes verified bytes a blob of the repository: bytes first, then the one transaction that
    /// makes them visible.
    pub(crate) async fn settle(
        &self,
        repo: &RepoName,
        writer: Box<dyn StageWriter>,
        proof: Verified,
        id: UploadId,
        session: bool,
    ) -> Result<Verified, Error> {
        let (digest, size) = (*proof.digest(), proof.size());
        let commit = |generation| BlobCommit {
            repo: repo.clone(),
            digest,
            size,
            generation,
            upload: session.then_some(id),
            now: SystemTime::now(),
        };
        let mut left = session;
        for _ in 0..SETTLE_TRIES {
            match self.metadata.next_key(&digest).await? {
                NextKey::Live { key, size } if self.intact(&key, size).await => {
                    if let Committed::Gone = self.metadata.commit_blob(commit(None)).await? {
                        continue;
                    }
                    drop(writer);
                    left = true;
                }
                NextKey::Live { key, .. } => {
                    // Bytes that were lost or cut short are healed by whoever pushes them again.
                    tracing::warn!(%digest, "a damaged blob is replaced by what was pushed again");
                    writer.adopt(&proof, &key).await?;
                    // The bytes are adopted, but the row went away meanwhile: nothing is linked.
                    if let Committed::Gone = self.metadata.commit_blob(commit(None)).await? {
                        return Err(Error::Busy);
                    }
                }
                NextKey::Free { generation } => {
                    writer.adopt(&proof, &blob_key(&digest, generation)).await?;
                    let committed = self.metadata.commit_blob(commit(Some(generation))).await?;
                    match committed {
                        Committed::Existed { surplus: Some(key) } => {
                            let blobs = self.blobs.clone();
                            tokio::spawn(async move { blobs.delete(&key).await });
                        }
                        Committed::Stored | Committed::Existed { surplus: None } => {}
                        Committed::Gone => return Err(Error::Busy),
                    }
                }
            }
            if left {
                self.discard_later(id, Staged::default());
            }
            return Ok(proof);
        }
        Err(Error::Busy)
    }

    /// Whether the last byte of a blob is there: two system calls, no hash.
    async fn intact(&self, key: &BlobKey, size: u64) -> bool {
        let Ok(mut tail) = self.blobs.read(key, size.saturating_sub(1)..size).await else {
            return false;
        };
        while let Some(chunk) = tail.next().await {
            if chunk.is_err() {
                return false;
            }
        }
        true
    }
}
