//! An upload that a request writes to, and where that request begins.
//!
//! A chunk with a `Content-Range` says where it begins, and that decides. One without begins at the
//! offset in its URL, which is where the upload stood when the client got that URL. A `PATCH` that is
//! sent again is refused by it, because its bytes are there already.
//!
//! A URL without an offset was made by the client itself, or given out by an older version. Then one
//! thing is known: a request that had to wait for another one, which moved the upload, begins where the
//! upload stood before.
//!
//! A request without a byte is never out of order.
//!
//! A `PUT` without `Content-Range` is tried again at the same URL, with all of its bytes:
//!
//! - When it was cut behind bytes of earlier requests, the upload stays at those.
//! - When it was the first to bring bytes, what came is kept for clients that ask how far it came. A
//!   `PUT` that begins at 0 then begins the upload anew. So does one without an offset, although it may
//!   bring only the rest: the digest tells.

use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Hasher, RepoName, UploadId};
use futures_util::stream::{self, StreamExt};

use super::Chunk;
use crate::blob_store::{StageWriter, Staged, StoreError};
use crate::error::Error;
use crate::metadata::{Checkpoint, UploadRow};
use crate::registry::Registry;
use crate::sessions::Session;

/// What a request does to an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// More may follow.
    Append,
    /// It is the last one.
    Finish,
}

/// An upload whose turn a request has.
pub(super) struct OpenUpload {
    registry: Registry,
    pub(super) repo: RepoName,
    id: UploadId,
    pub(super) row: UploadRow,
    intent: Intent,
    _turn: Session,
}

impl Registry {
    /// Waits for the turn on an upload, and checks that the chunk begins where it stands.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks>
    pub(super) async fn open_upload(
        &self,
        repo: RepoName,
        id: UploadId,
        chunk: &mut Chunk,
        intent: Intent,
    ) -> Result<OpenUpload, Error> {
        let (turn, stood) = match self.sessions.try_enter(id) {
            Some(turn) => (turn, chunk.offset),
            None => {
                let stood = match chunk.offset {
                    Some(offset) => offset,
                    None => self.upload_row(&repo, id).await?.staged.length,
                };
                (self.sessions.enter(id).await?, Some(stood))
            }
        };
        let row = self.upload_row(&repo, id).await?;
        let at = row.staged.length;
        let may_be_all = chunk.range.is_none() && matches!(chunk.offset, None | Some(0));
        let again = intent == Intent::Finish && row.cut_put && may_be_all;
        let mut upload = OpenUpload {
            registry: self.clone(),
            repo,
            id,
            row,
            intent,
            _turn: turn,
        };
        let start = match (chunk.range, stood) {
            (Some(range), _) => range.start,
            (None, Some(stood)) if stood != at && !again && chunk.brings_bytes().await => stood,
            (None, _) => at,
        };
        if start != at {
            return Err(Error::ChunkOutOfOrder { id, at, start });
        }
        if again && chunk.brings_bytes().await {
            upload.begin_anew().await?;
        }
        Ok(upload)
    }
}

impl Chunk {
    /// Waits for the first byte, and says whether there is one.
    async fn brings_bytes(&mut self) -> bool {
        let body = std::mem::replace(&mut self.body, stream::empty().boxed());
        let is_something = |piece: &Result<Bytes, _>| !piece.as_ref().is_ok_and(Bytes::is_empty);
        let body = body.filter(move |piece| std::future::ready(is_something(piece)));
        let mut body = body.boxed().peekable();
        let first = Pin::new(&mut body).peek().await;
        let brings = matches!(first, Some(Ok(_)));
        self.body = body.boxed();
        brings
    }
}

impl OpenUpload {
    /// The hash behind the bytes that are there.
    pub(super) fn hash(&self) -> Result<Hasher, Error> {
        let hash = Hasher::resume(&self.row.hash);
        hash.filter(|hash| hash.length() == self.row.staged.length)
            .ok_or_else(|| Error::Internal("the saved hash of an upload cannot be read".into()))
    }

    /// Takes a chunk into the stage. When the connection is cut, what came is kept before the error
    /// is passed on.
    pub(super) async fn take(
        &self,
        hash: Hasher,
        chunk: Chunk,
    ) -> Result<(Box<dyn StageWriter>, Hasher), Error> {
        let mut writer = match self.registry.blobs.stage(self.id, &self.row.staged).await {
            Ok(writer) => writer,
            Err(error) => return Err(self.bury(error).await),
        };
        let comes_again = self.intent == Intent::Finish && chunk.range.is_none();
        let (hash, outcome) = self.registry.pour(&mut *writer, hash, chunk).await;
        match (hash, outcome) {
            (Some(hash), Ok(())) => Ok((writer, hash)),
            (Some(hash), Err(Error::Body(cut))) => {
                if !comes_again || self.row.staged.length == 0 {
                    self.checkpoint(writer, &hash).await?;
                }
                Err(Error::Body(cut))
            }
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(Error::Unavailable),
        }
    }

    /// Makes what the upload has so far durable, and says where it stands.
    pub(super) async fn checkpoint(
        &self,
        writer: Box<dyn StageWriter>,
        hash: &Hasher,
    ) -> Result<u64, Error> {
        let (offset, before) = (hash.length(), self.row.staged.length);
        if offset == before {
            return Ok(offset);
        }
        let staged = writer.sync().await?;
        let cut_put = self.intent == Intent::Finish && (before == 0 || self.row.cut_put);
        self.move_to(staged, hash, cut_put).await?;
        Ok(offset)
    }

    async fn move_to(&self, staged: Staged, hash: &Hasher, cut_put: bool) -> Result<(), Error> {
        let checkpoint = Checkpoint {
            epoch: self.row.epoch,
            staged,
            hash: hash.save(),
            cut_put,
            now: SystemTime::now(),
        };
        let metadata = &self.registry.metadata;
        match metadata.checkpoint_upload(self.id, checkpoint).await? {
            true => Ok(()),
            false => Err(Error::UploadBusy(self.id)),
        }
    }

    /// Forgets the bytes that are there.
    async fn begin_anew(&mut self) -> Result<(), Error> {
        let hash = Hasher::new(self.hash()?.algorithm());
        self.move_to(Staged::default(), &hash, false).await?;
        let staged = std::mem::take(&mut self.row.staged);
        self.row.epoch += 1;
        self.row.hash = hash.save();
        self.row.cut_put = false;
        Ok(self.registry.blobs.discard(self.id, &staged).await?)
    }

    /// Ends an upload whose staged bytes are gone, as they are after a sync that failed: the client
    /// begins anew instead of being promised what nobody has. Other errors pass.
    async fn bury(&self, error: StoreError) -> Error {
        let (registry, id) = (&self.registry, self.id);
        let StoreError::StageLost { .. } = error else {
            return error.into();
        };
        tracing::error!(%id, %error, "an upload has lost its bytes and is dropped");
        match registry.metadata.cancel_upload(&self.repo, id).await {
            Ok(staged) => {
                registry.discard_later(id, staged.unwrap_or_default());
                Error::UploadUnknown(id)
            }
            Err(error) => error.into(),
        }
    }

    /// Hashes a stage by the algorithm that was named only at its end.
    pub(super) async fn hash_again(
        &self,
        writer: Box<dyn StageWriter>,
        algorithm: Algorithm,
    ) -> Result<(Box<dyn StageWriter>, Hasher), Error> {
        let blobs = &self.registry.blobs;
        let staged = writer.sync().await?;
        let mut bytes = blobs.read_staged(self.id, &staged).await?;
        let mut hash = Hasher::new(algorithm);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            let running = tokio::task::spawn_blocking(move || {
                hash.update(&chunk);
                hash
            });
            hash = running.await.map_err(|e| Error::Internal(Box::new(e)))?;
        }
        Ok((blobs.stage(self.id, &staged).await?, hash))
    }
}
