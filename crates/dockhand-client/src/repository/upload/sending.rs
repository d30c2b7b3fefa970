//! One blob being sent: again after a failure, from where the registry is, and in chunks to a registry
//! that refuses it in one piece.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dockhand_oci::{Descriptor, Endpoint};
use futures_util::StreamExt;
use http::{Method, StatusCode};

use super::super::Repository;
use super::Upload;
use crate::{BlobSource, Error, ErrorKind, Result};

/// The sizes of chunks that are tried one after the other where greater bodies are refused, in bytes. A
/// quarter each time: every step costs a refused request. The third is what nginx allows by default.
const CHUNKS: [u64; 5] = [16 << 20, 4 << 20, 1 << 20, 256 << 10, 64 << 10];
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
    /// The length of the body that was sent last, in bytes.
    length: u64,
    /// The length of the longest chunk that was taken, in bytes.
    taken: u64,
    /// The shortest chunk that the registry takes, in bytes; 0 when it does not say.
    chunk_min: u64,
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
            length: 0,
            taken: 0,
            chunk_min: 0,
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
            if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) {
                if !self.shrink() {
                    return Err(self.named(self.too_large(error)));
                }
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
            // A session that is gone is no reason to give up: another one may stay.
            let passing = lost.then(|| Error::new(ErrorKind::Connect, "the upload is gone"));
            let error = match lost {
                true => error.of_kind(ErrorKind::Connect),
                false => error,
            };
            let Some(wait) = patience.wait(passing.as_ref().unwrap_or(&error)) else {
                return Err(self.named(error.tried(patience.tries(), None)));
            };
            self.pause(&error, wait).await?;
            match self.find_out().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The same trouble: what was wanted says more than the question after it.
                Err(later) if later.kind() == error.kind() => {
                    return Err(self.named(error.tried(later.attempts() + 1, None)));
                }
                Err(later) => return Err(later),
            }
            let offset = self.upload.as_ref().map_or(0, Upload::offset);
            if offset >= reached + PROGRESS {
                reached = offset;
                patience = self.repository.patience();
            }
        }
    }

    /// Waits before the next try.
    async fn pause(&self, error: &Error, wait: Duration) -> Result<()> {
        let request = self.repository.request(
            Method::PUT,
            &Endpoint::Uploads(self.repository.name.clone()),
            format!("put the blob {}@{}", self.repository.name, self.blob.digest),
        )?;
        let http = &self.repository.client.http;
        http.wait(&request, error, wait).await;
        Ok(())
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
        let body_max = &self.repository.client.habits.body_max;
        let body_max = body_max.load(Ordering::Relaxed);
        self.chunk_min = upload.chunk_min;
        let chunk = body_max.max(upload.chunk_min);
        while body_max > 0 && size - upload.offset.min(size) > chunk {
            self.length = chunk;
            upload.append(Arc::clone(&self.source), chunk).await?;
            self.taken = self.taken.max(chunk);
        }
        let left = size.saturating_sub(upload.offset);
        self.length = left;
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

    /// Remembers for all blobs that a body of this length was refused. `false` when no shorter one can be
    /// tried.
    fn shrink(&self) -> bool {
        // What is refused is the blob, and not the chunk, when one of this length was taken before.
        if self.length <= self.taken {
            return false;
        }
        let Some(next) = next_chunk(self.length, self.chunk_min) else {
            return false;
        };
        let body_max = &self.repository.client.habits.body_max;
        // Others may have learned of a lower limit meanwhile.
        let lower = |known| Some(if known == 0 { next } else { next.min(known) });
        let _ = body_max.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
        true
    }

    /// The failure of a blob for which no chunk is small enough, with what helps.
    fn too_large(&self, error: Error) -> Error {
        let Self {
            length, chunk_min, ..
        } = self;
        if *length <= self.taken {
            let hint = "parts of this length were taken before, so the blob as a whole is larger than the \
                        registry allows";
            return error.with_hint(hint);
        }
        let least = match *chunk_min > CHUNKS[CHUNKS.len() - 1] {
            true => format!(", and the registry takes no part below {chunk_min} bytes"),
            false => String::new(),
        };
        error.with_hint(format!(
            "a body of {length} bytes is too large for the registry or a proxy in front of it{least}: raise the \
             limit there (nginx: client_max_body_size)"
        ))
    }
}

/// The size of chunk to try after a body of `refused` bytes, of at least `least`, was refused.
fn next_chunk(refused: u64, least: u64) -> Option<u64> {
    let shorter = CHUNKS.into_iter().find(|chunk| *chunk < refused)?;
    Some(shorter.max(least)).filter(|next| *next < refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_get_shorter_down_to_what_is_worth_it() {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        for (refused, least, expected) in [
            (1_054_720, 0, Some(MIB)),
            (40 * MIB, 0, Some(16 * MIB)),
            (16 * MIB, 0, Some(4 * MIB)),
            (MIB, 0, Some(256 * KIB)),
            (256 * KIB, 0, Some(64 * KIB)),
            (64 * KIB + 1, 0, Some(64 * KIB)),
            (64 * KIB, 0, None),
            (1000, 0, None),
            (10 * MIB, 5 * MIB, Some(5 * MIB)),
            (5 * MIB, 5 * MIB, None),
            (MIB, 5 * MIB, None),
        ] {
            assert_eq!(next_chunk(refused, least), expected, "{refused} {least}");
        }
    }
}
