//! Uploads: begun, appended to, asked for, finished, cancelled; or done in one go.
//!
//! An upload stands where its last acknowledged (or cut) request left it. A request that fails for a
//! reason of its content leaves it where it was; one whose connection is cut keeps what had come.

use std::time::{Duration, SystemTime};

use dockhand_oci::{Algorithm, ContentRange, Digest, Hasher, RepoName, UploadId, Verified};
use futures_util::StreamExt;

use crate::blob_store::{StageWriter, Staged, StoreError};
use crate::error::Error;
use crate::ingest::{Body, ingest};
use crate::metadata::{NewUpload, Started, UploadRow};
use crate::registry::{Registry, new_upload_id, to_the_end};

#[cfg(test)]
mod tests;

/// How long a question for the status waits for a request that is writing; then it is told what is
/// safe so far.
const STATUS_WAIT: Duration = Duration::from_secs(2);

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The upload.
    pub id: UploadId,
    /// How many of its bytes are safe.
    pub offset: u64,
}

/// Bytes for an upload, with what the client said of them.
pub struct Chunk {
    /// `Content-Range`.
    pub range: Option<ContentRange>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// The bytes.
    pub body: Body,
}

impl Registry {
    /// Begins an upload. Its bytes will be hashed by `algorithm`, which saves a second reading when
    /// it turns out to be that of the digest.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`], [`Error::ReadOnly`].
    pub async fn start_upload(
        &self,
        repo: &RepoName,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let id = new_upload_id()?;
        let (repo, hash) = (repo.clone(), Hasher::new(algorithm).save());
        let (now, limits) = (SystemTime::now(), self.settings.uploads.clone());
        match self
            .metadata
            .start_upload(NewUpload {
                repo,
                id,
                hash,
                now,
                limits,
            })
            .await?
        {
            Started::Yes => Ok(UploadStatus { id, offset: 0 }),
            Started::TooMany => Err(Error::TooManyUploads),
        }
    }

    /// Where an upload stands.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`], also when its bytes are lost.
    pub async fn upload_status(
        &self,
        repo: &RepoName,
        id: UploadId,
    ) -> Result<UploadStatus, Error> {
        // Whoever was cut off asks at once; what had come is being made safe at that moment.
        let _turn = tokio::time::timeout(STATUS_WAIT, self.sessions.enter(id)).await;
        let row = self.upload_row(repo, id).await?;
        if row.staged.length > 0
            && let Err(error) = self.blobs.read_staged(id, &row.staged).await
        {
            // Who writes to it ends it; a question changes nothing.
            return Err(match error {
                StoreError::StageLost { .. } => Error::UploadUnknown(id),
                error => error.into(),
            });
        }
        Ok(UploadStatus {
            id,
            offset: row.staged.length,
        })
    }

    /// Appends to an upload.
    ///
    /// # Errors
    /// [`Error::ChunkOutOfOrder`], [`Error::SizeMismatch`], [`Error::Body`] and others; see the head
    /// of this module for where the upload stands then.
    pub async fn append(
        &self,
        repo: &RepoName,
        id: UploadId,
        chunk: Chunk,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let (this, repo) = (self.clone(), repo.clone());
        to_the_end(async move {
            let _turn = this.sessions.enter(id).await?;
            let row = this.upload_row(&repo, id).await?;
            check_order(id, &row, chunk.range)?;
            let hash = resume(&row)?;
            let (writer, hash) = this.take(&repo, id, &row, hash, chunk).await?;
            let offset = this.checkpoint(id, &row, writer, &hash).await?;
            Ok(UploadStatus { id, offset })
        })
        .await
    }

    /// Appends the last bytes, if any, and makes the upload a blob of the repository.
    ///
    /// # Errors
    /// As [`Registry::append`], and [`Error::DigestMismatch`], after which the upload stands where it
    /// stood before.
    pub async fn finish_upload(
        &self,
        repo: &RepoName,
        id: UploadId,
        digest: Digest,
        chunk: Chunk,
    ) -> Result<Verified, Error> {
        self.may_write()?;
        let (this, repo) = (self.clone(), repo.clone());
        to_the_end(async move {
            let _turn = this.sessions.enter(id).await?;
            let row = this.upload_row(&repo, id).await?;
            check_order(id, &row, chunk.range)?;
            let hash = match row.staged.length {
                0 => Hasher::new(digest.algorithm()),
                _ => resume(&row)?,
            };
            let (mut writer, mut hash) = this.take(&repo, id, &row, hash, chunk).await?;
            if hash.algorithm() != digest.algorithm() {
                (writer, hash) = this.hash_again(id, writer, digest.algorithm()).await?;
            }
            let proof = hash.verify(&digest)?;
            this.settle(&repo, writer, proof, id, true).await
        })
        .await
    }

    /// Takes a whole blob in one request.
    ///
    /// # Errors
    /// As [`Registry::finish_upload`]; nothing stays behind.
    pub async fn put_blob(
        &self,
        repo: &RepoName,
        digest: Digest,
        chunk: Chunk,
    ) -> Result<Verified, Error> {
        self.may_write()?;
        let (this, repo) = (self.clone(), repo.clone());
        let id = new_upload_id()?;
        to_the_end(async move {
            let _turn = this.sessions.enter(id).await?;
            let done = this.put_blob_as(&repo, id, digest, chunk).await;
            if done.is_err() {
                this.discard_later(id, Staged::default());
            }
            done
        })
        .await
    }

    async fn put_blob_as(
        &self,
        repo: &RepoName,
        id: UploadId,
        digest: Digest,
        chunk: Chunk,
    ) -> Result<Verified, Error> {
        let mut writer = self.blobs.stage(id, &Staged::default()).await?;
        let hash = Hasher::new(digest.algorithm());
        let (hash, outcome) = self.pour(&mut *writer, hash, chunk).await;
        outcome?;
        let proof = hash.ok_or(Error::Unavailable)?.verify(&digest)?;
        self.settle(repo, writer, proof, id, false).await
    }

    /// Cancels an upload.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn cancel_upload(&self, repo: &RepoName, id: UploadId) -> Result<(), Error> {
        self.may_write()?;
        let _turn = self.sessions.enter(id).await?;
        let staged = self.metadata.cancel_upload(repo, id).await?;
        self.discard_later(id, staged.ok_or(Error::UploadUnknown(id))?);
        Ok(())
    }

    async fn upload_row(&self, repo: &RepoName, id: UploadId) -> Result<UploadRow, Error> {
        self.metadata
            .upload(repo, id)
            .await?
            .ok_or(Error::UploadUnknown(id))
    }

    /// Takes a chunk into the stage. When the connection is cut, what came is kept before the error
    /// is passed on.
    async fn take(
        &self,
        repo: &RepoName,
        id: UploadId,
        row: &UploadRow,
        hash: Hasher,
        chunk: Chunk,
    ) -> Result<(Box<dyn StageWriter>, Hasher), Error> {
        let mut writer = match self.blobs.stage(id, &row.staged).await {
            Ok(writer) => writer,
            Err(error) => return Err(self.bury(repo, id, error).await),
        };
        let (hash, outcome) = self.pour(&mut *writer, hash, chunk).await;
        let hash = match (hash, outcome) {
            (Some(hash), Ok(())) => hash,
            (Some(hash), Err(Error::Body(cut))) => {
                self.checkpoint(id, row, writer, &hash).await?;
                return Err(Error::Body(cut));
            }
            (_, Err(error)) => return Err(error),
            (None, Ok(())) => return Err(Error::Unavailable),
        };
        Ok((writer, hash))
    }

    /// Ends an upload whose staged bytes are gone, as they are after a sync that failed: the client
    /// begins anew instead of being promised what nobody has. Other errors pass.
    async fn bury(&self, repo: &RepoName, id: UploadId, error: StoreError) -> Error {
        let StoreError::StageLost { .. } = error else {
            return error.into();
        };
        tracing::error!(%id, %error, "an upload has lost its bytes and is dropped");
        match self.metadata.cancel_upload(repo, id).await {
            Ok(staged) => {
                self.discard_later(id, staged.unwrap_or_default());
                Error::UploadUnknown(id)
            }
            Err(error) => error.into(),
        }
    }

    /// Streams a chunk through hash and stage and holds the client to what it announced.
    async fn pour(
        &self,
        writer: &mut dyn StageWriter,
        hash: Hasher,
        mut chunk: Chunk,
    ) -> (Option<Hasher>, Result<(), Error>) {
        let before = hash.length();
        let (hash, mut outcome) =
            ingest(&mut chunk.body, writer, hash, self.settings.blob_limit).await;
        if let (Some(hash), Ok(())) = (&hash, &outcome) {
            let received = hash.length() - before;
            let declared = chunk.range.map(|range| range.length()).or(chunk.length);
            if let Some(declared) = declared.filter(|declared| *declared != received) {
                outcome = Err(Error::SizeMismatch { declared, received });
            }
        }
        (hash, outcome)
    }

    /// Makes what an upload has so far durable, and says where it stands.
    async fn checkpoint(
        &self,
        id: UploadId,
        row: &UploadRow,
        writer: Box<dyn StageWriter>,
        hash: &Hasher,
    ) -> Result<u64, Error> {
        let offset = hash.length();
        if offset == row.staged.length {
            return Ok(offset);
        }
        let staged = writer.sync().await?;
        let (hash, now) = (hash.save(), SystemTime::now());
        match self
            .metadata
            .checkpoint_upload(id, row.epoch, staged, hash, now)
            .await?
        {
            true => Ok(offset),
            false => Err(Error::UploadBusy(id)),
        }
    }

    /// Hashes a stage by the algorithm that was named only at its end.
    async fn hash_again(
        &self,
        id: UploadId,
        writer: Box<dyn StageWriter>,
        algorithm: Algorithm,
    ) -> Result<(Box<dyn StageWriter>, Hasher), Error> {
        let staged = writer.sync().await?;
        let mut bytes = self.blobs.read_staged(id, &staged).await?;
        let mut hash = Hasher::new(algorithm);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            let running = tokio::task::spawn_blocking(move || {
                hash.update(&chunk);
                hash
            });
            hash = running.await.map_err(|e| Error::Internal(Box::new(e)))?;
        }
        Ok((self.blobs.stage(id, &staged).await?, hash))
    }

    /// Forgets the bytes of an upload that is over; nobody waits for it.
    pub(crate) fn discard_later(&self, id: UploadId, staged: Staged) {
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            if let Err(error) = blobs.discard(id, &staged).await {
                tracing::warn!(%id, %error, "the staged bytes of an upload could not be dropped");
            }
        });
    }
}

fn resume(row: &UploadRow) -> Result<Hasher, Error> {
    let hash = Hasher::resume(&row.hash).filter(|hash| hash.length() == row.staged.length);
    hash.ok_or_else(|| Error::Internal("the saved hash of an upload cannot be read".into()))
}

/// A chunk that names its place has to begin where the upload stands.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks>
fn check_order(id: UploadId, row: &UploadRow, range: Option<ContentRange>) -> Result<(), Error> {
    match range {
        Some(range) if range.start != row.staged.length => Err(Error::ChunkOutOfOrder {
            id,
            at: row.staged.length,
            start: range.start,
        }),
        _ => Ok(()),
    }
}
