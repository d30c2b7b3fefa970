//! Uploads: begun, appended to, asked for, finished, cancelled; or done in one go.
//!
//! An upload stands where its last acknowledged (or cut) request left it. A request that fails for a
//! reason of its content leaves it where it was; one whose connection is cut keeps what had come,
//! as far as whoever tries again can be understood: see `open`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dockhand_oci::{Algorithm, ContentRange, Digest, Hasher, RepoName, UploadId, Verified};

use crate::blob_store::{StageWriter, Staged, StoreError};
use crate::error::Error;
use crate::ingest::{Body, ingest};
use crate::metadata::{GaveWay, NewUpload, UploadRow};
use crate::registry::{Registry, new_upload_id, to_the_end};

mod open;
mod overview;
#[cfg(test)]
mod tests;

use open::Intent;

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
    /// Where the upload stood by the URL that the client used, when that says so.
    pub offset: Option<u64>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// The bytes.
    pub body: Body,
}

impl Registry {
    /// Begins an upload. Its bytes will be hashed by `algorithm`, which saves a second reading when
    /// it turns out to be that of the digest. `client` is who asks, as far as that is known: what uploads
    /// are counted and listed by.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`], [`Error::ReadOnly`].
    pub async fn start_upload(
        &self,
        repo: &RepoName,
        algorithm: Algorithm,
        client: &str,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let id = new_upload_id()?;
        let new = NewUpload {
            repo: repo.clone(),
            id,
            client: client.to_owned(),
            hash: Hasher::new(algorithm).save(),
            now: SystemTime::now(),
            limits: self.settings.uploads.clone(),
        };
        let this = self.clone();
        to_the_end(async move {
            let sessions = Arc::clone(&this.sessions);
            let hold = move |id| sessions.try_enter(id);
            let started = this.metadata.start_upload(new, hold).await?;
            for GaveWay { id, staged, held } in started.gave_way {
                tracing::debug!(%id, "an upload without a byte gave way to another one");
                this.discard_later(id, staged);
                drop(held);
            }
            match started.refused {
                None => Ok(UploadStatus { id, offset: 0 }),
                Some(room) => Err(Error::TooManyUploads(room)),
            }
        })
        .await
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
        mut chunk: Chunk,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let (this, repo) = (self.clone(), repo.clone());
        to_the_end(async move {
            let upload = this
                .open_upload(repo, id, &mut chunk, Intent::Append)
                .await?;
            let (writer, hash) = upload.take(upload.hash()?, chunk).await?;
            let offset = upload.checkpoint(writer, &hash).await?;
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
        mut chunk: Chunk,
    ) -> Result<Verified, Error> {
        self.may_write()?;
        let (this, repo) = (self.clone(), repo.clone());
        to_the_end(async move {
            let upload = this
                .open_upload(repo, id, &mut chunk, Intent::Finish)
                .await?;
            let hash = match upload.row.staged.length {
                0 => Hasher::new(digest.algorithm()),
                _ => upload.hash()?,
            };
            let (mut writer, mut hash) = upload.take(hash, chunk).await?;
            if hash.algorithm() != digest.algorithm() {
                (writer, hash) = upload.hash_again(writer, digest.algorithm()).await?;
            }
            let proof = hash.verify(&digest)?;
            this.settle(&upload.repo, writer, proof, id, true).await
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

    pub(crate) async fn upload_row(
        &self,
        repo: &RepoName,
        id: UploadId,
    ) -> Result<UploadRow, Error> {
        self.metadata
            .upload(repo, id)
            .await?
            .ok_or(Error::UploadUnknown(id))
    }

    /// Streams a chunk through hash and stage and holds the client to what it announced.
    pub(crate) async fn pour(
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
