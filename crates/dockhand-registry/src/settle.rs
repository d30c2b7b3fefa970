//! From a stage to a blob: the bytes first, then the one transaction that makes them visible.

use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName, UploadId, Verified};

use crate::blob_store::{StageWriter, Staged};
use crate::error::Error;
use crate::layout::blob_key;
use crate::metadata::{BlobCommit, Committed, MetadataError, NextKey};
use crate::registry::Registry;

#[cfg(test)]
mod tests;

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
        settled?;
        // The stage of an upload keeps its bytes until the blob is one, and then they are left over.
        if session {
            self.discard_later(id, Staged::default());
        }
        Ok(proof)
    }

    /// Puts the bytes where those of the blob are, or are to be, and commits. `spare` is the generation
    /// of bytes that were adopted and are surely not the blob.
    async fn adopt_and_commit(
        &self,
        push: &Push<'_>,
        writer: Box<dyn StageWriter>,
        spare: &mut Option<u32>,
    ) -> Result<(), Error> {
        let digest = *push.proof.digest();
        let (key, generation) = match self.metadata.next_key(&digest).await? {
            NextKey::Live { key, .. } => (key, None),
            NextKey::Free { generation } => (blob_key(&digest, generation), Some(generation)),
        };
        // Also over a blob that is there: only these bytes are known to be right. The same length says
        // nothing of a flipped bit, and to read the others back would ask the page cache, not the disk.
        writer.adopt(push.proof, &key).await?;
        let committed = self.metadata.commit_blob(push.commit(generation)).await;
        *spare = generation.filter(|_| is_spare(&committed));
        match committed? {
            // The row went away meanwhile, or the generation was used up: nothing is linked.
            Committed::Gone => Err(Error::Busy),
            Committed::Stored | Committed::Existed { .. } => Ok(()),
        }
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
