//! From a stage to a blob: the bytes first, then the one transaction that makes them visible.

use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName, UploadId, Verified};
use futures_util::StreamExt;

use crate::blob_store::{BlobKey, StageWriter, Staged};
use crate::error::Error;
use crate::layout::blob_key;
use crate::metadata::{BlobCommit, Committed, MetadataError, NextKey};
use crate::registry::Registry;

#[cfg(test)]
mod tests;

/// How often a blob may vanish between being found and being linked before the push gives up.
const SETTLE_TRIES: usize = 3;

/// What a push asks for.
struct Push<'a> {
    repo: &'a RepoName,
    proof: &'a Verified,
    /// The upload that is over with it.
    upload: Option<UploadId>,
}

impl Push<'_> {
    fn commit(&self, generation: Option<u32>) -> BlobCommit {
        BlobCommit {
            repo: self.repo.clone(),
            digest: *self.proof.digest(),
            size: self.proof.size(),
            generation,
            upload: self.upload,
            now: SystemTime::now(),
        }
    }
}

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
        let digest = *proof.digest();
        let push = Push {
            repo,
            proof: &proof,
            upload: session.then_some(id),
        };
        let mut spare = None;
        let adopting = self.adoptions.begin(&digest).await;
        let settled = self.adopt_and_commit(&push, writer, &mut spare).await;
        drop(adopting);
        if let Some(generation) = spare {
            self.take_back(&digest, generation).await;
        }
        // The stage of an upload keeps its bytes until the blob is one, and then they are left over.
        if settled? || session {
            self.discard_later(id, Staged::default());
        }
        Ok(proof)
    }

    /// Says whether what was staged is left over. `spare` is the generation of bytes that were
    /// adopted and are surely not the blob.
    async fn adopt_and_commit(
        &self,
        push: &Push<'_>,
        writer: Box<dyn StageWriter>,
        spare: &mut Option<u32>,
    ) -> Result<bool, Error> {
        let digest = *push.proof.digest();
        for _ in 0..SETTLE_TRIES {
            match self.metadata.next_key(&digest).await? {
                NextKey::Live { key, size } if self.intact(&key, size).await => {
                    match self.metadata.commit_blob(push.commit(None)).await? {
                        Committed::Gone => {}
                        Committed::Stored | Committed::Existed { .. } => return Ok(true),
                    }
                }
                NextKey::Live { key, .. } => {
                    // Bytes that were lost or cut short are healed by whoever pushes them again.
                    tracing::warn!(%digest, "a damaged blob is replaced by what was pushed again");
                    writer.adopt(push.proof, &key).await?;
                    return match self.metadata.commit_blob(push.commit(None)).await? {
                        // The row went away meanwhile: nothing is linked.
                        Committed::Gone => Err(Error::Busy),
                        Committed::Stored | Committed::Existed { .. } => Ok(false),
                    };
                }
                NextKey::Free { generation } => {
                    writer
                        .adopt(push.proof, &blob_key(&digest, generation))
                        .await?;
                    let committed = self.metadata.commit_blob(push.commit(Some(generation)));
                    let committed = committed.await;
                    *spare = is_spare(&committed).then_some(generation);
                    return match committed? {
                        Committed::Gone => Err(Error::Busy),
                        Committed::Stored | Committed::Existed { .. } => Ok(false),
                    };
                }
            }
        }
        Err(Error::Busy)
    }

    /// Deletes the bytes of a generation that no row names. Should it fail, they lie there until the
    /// digest is pushed again.
    async fn take_back(&self, digest: &Digest, generation: u32) {
        let _alone = self.adoptions.none(digest).await;
        let deleted = match self.metadata.claimed(digest, generation).await {
            Ok(true) => return,
            Ok(false) => self.blobs.delete(&blob_key(digest, generation)).await,
            Err(error) => {
                tracing::warn!(%digest, %error, "bytes without a row are left, which may be in use");
                return;
            }
        };
        if let Err(error) = deleted {
            tracing::warn!(%digest, %error, "bytes without a row could not be deleted");
        }
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

/// Whether bytes that were adopted are surely not the blob. When it is not known how the commit
/// ended, they may be.
fn is_spare(committed: &Result<Committed, MetadataError>) -> bool {
    match committed {
        Ok(Committed::Stored | Committed::Existed { surplus: None }) => false,
        Ok(Committed::Existed { surplus: Some(_) } | Committed::Gone) => true,
        Err(error) => error.is_refusal(),
    }
}
