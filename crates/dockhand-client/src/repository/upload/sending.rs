//! One blob being sent: again after a failure, from where the registry is, and in chunks to a registry
//! that refuses it in one piece.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dockhand_oci::{Descriptor, Endpoint};
use futures_util::StreamExt;
use http::{Method, StatusCode};

use super::super::Repository;
use super::Upload;
use crate::{BlobSource, Error, ErrorKind, Result};

/// The size of a chunk where chunks are needed, in bytes, unless the registry asks for more.
const CHUNK: u64 = 16 * 1024 * 1024;
/// The smallest chunk that is tried when the registry refuses greater ones, in bytes.
const CHUNK_MIN: u64 = 1024 * 1024;
/// So many bytes more than at the last failure are progress: patience begins anew.
const PROGRESS: u64 = 1024 * 1024;

/// One blob being sent, however many tries and sessions that takes.
pub(super) struct Sending<'a> {
    repository: &'a Repository,
    blob: &'a Descriptor,
    source: Arc<dyn BlobSource>,
    /// `None` once it is ended, to begin another.
    upload: Option<Upload>,
    /// Whether the session goes on at a byte that the registry named: it may have named a wrong one.
    resumed: bool,
    /// Whether it was begun anew for that reason.
    restarted: bool,
}

impl<'a> Sending<'a> {
    /// `blob` from `source`, to the upload that was begun for it.
    pub(super) fn new(
        repository: &'a Repository,
        blob: &'a Descriptor,
        source: Arc<dyn BlobSource>,
        upload: Upload,
    ) -> Self {
        Self {
            repository,
            blob,
            source,
            upload: Some(upload),
            resumed: false,
            restarted: false,
        }
    }

    /// Sends it until it is there, or patience ends.
    pub(super) async fn run(mut self) -> Result<()> {
        if self.blob.size == 0 {
            self.refuse_more()
                .await
                .map_err(|error| self.named(error))?;
        }
        let mut patience = self.repository.patience();
        let mut reached = 0;
        loop {
            let Err(error) = self.send().await else {
                return Ok(());
            };
            if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) && self.shrink() {
                self.upload = None;
                continue;
            }
            if self.is_miscounted(&error) {
                self.upload = None;
                (self.resumed, self.restarted) = (false, true);
                continue;
            }
            // Without a status it is the source that is not there.
            let lost = error.kind() == ErrorKind::NotFound && error.status().is_some();
            let again = if lost {
                Error::new(ErrorKind::Connect, error.to_string())
            } else {
                error
            };
            let Some(wait) = patience.wait(&again) else {
                return Err(self.named(again.tried(patience.tries(), None)));
            };
            let request = self.repository.request(
                Method::PUT,
                &Endpoint::Uploads(self.repository.name.clone()),
                format!("put the blob {}@{}", self.repository.name, self.blob.digest),
            )?;
            self.repository
                .client
                .http
                .wait(&request, &again, wait)
                .await;
            if self.find_out().await? {
                return Ok(());
            }
            let offset = self.upload.as_ref().map_or(0, Upload::offset);
            if offset >= reached + PROGRESS {
                reached = offset;
                patience = self.repository.patience();
            }
        }
    }

    /// Whether a failure may come of the registry having other bytes than it said, which a new session
    /// mends. Tried once.
    fn is_miscounted(&self, error: &Error) -> bool {
        let strays = self.upload.as_ref().is_some_and(Upload::has_strayed);
        let range = error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE);
        let digest = error.kind() == ErrorKind::DigestMismatch && error.status().is_some();
        !self.restarted && (range || (digest && (strays || self.resumed)))
    }

    /// Nothing is sent of a blob of no bytes, so nobody would notice that the source has some.
    async fn refuse_more(&self) -> Result<()> {
        let mut stream = self.source.open(0).await?;
        while let Some(chunk) = stream.next().await {
            if !chunk?.is_empty() {
                let message = "the content is longer than it was said to be";
                return Err(Error::new(ErrorKind::SizeMismatch, message));
            }
        }
        Ok(())
    }

    fn named(&self, error: Error) -> Error {
        let doing = format!("put the blob {}@{}", self.repository.name, self.blob.digest);
        error.doing(doing).at(self.repository.client.host())
    }

    /// Sends what the registry does not have yet.
    async fn send(&mut self) -> Result<()> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            empty => empty.insert(self.repository.begin_upload().await?),
        };
        let size = self.blob.size;
        let body_max = self
            .repository
            .client
            .habits
            .body_max
            .load(Ordering::Relaxed);
        let chunk = body_max.max(upload.chunk_min);
        while body_max > 0 && size - upload.offset.min(size) > chunk {
            upload.append(Arc::clone(&self.source), chunk).await?;
        }
        let left = size.saturating_sub(upload.offset);
        let rest = Some((Arc::clone(&self.source), left)).filter(|_| left > 0);
        upload.finish(&self.blob.digest, rest).await
    }

    /// After a failure: how far the registry came. `true` when the blob is there although the answer
    /// was lost.
    async fn find_out(&mut self) -> Result<bool> {
        let Some(upload) = &mut self.upload else {
            return Ok(false);
        };
        match upload.ask().await {
            // A registry that has more than there is has something else.
            Ok(Some(_)) if upload.fits(self.blob) => {
                self.resumed = true;
                Ok(false)
            }
            // Nobody answers any more.
            Err(error) if error.status().is_none() => Err(self.named(error)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                upload.ended = true;
                self.upload = None;
                let there = self.repository.blob_size(&self.blob.digest).await;
                Ok(there.ok().flatten() == Some(self.blob.size))
            }
            _ => {
                self.upload = None;
                Ok(false)
            }
        }
    }

    /// Remembers that the registry does not take bodies of this size. `false` when the smallest was
    /// refused.
    fn shrink(&self) -> bool {
        let body_max = &self.repository.client.habits.body_max;
        let now = match body_max.load(Ordering::Relaxed) {
            0 => CHUNK.min(self.blob.size / 2),
            known => known / 2,
        };
        body_max.store(now.max(CHUNK_MIN), Ordering::Relaxed);
        now >= CHUNK_MIN
    }
}
