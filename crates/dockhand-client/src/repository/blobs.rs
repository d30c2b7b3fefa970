//! Blobs of a repository, read: a broken connection goes on where it broke.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs>

use std::sync::atomic::Ordering;

use dockhand_oci::{Descriptor, Digest, Endpoint};
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};

use super::Repository;
use crate::http::{Answer, Patience, Request};
use crate::{ByteStream, Error, ErrorKind, Result};

/// So many bytes more than at the last failure are progress: patience begins anew.
const PROGRESS: u64 = 1024 * 1024;

impl Repository {
    /// The size of a blob, in bytes; `None` when the repository does not have it.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let doing = format!("find the blob {}@{digest}", self.name);
        let endpoint = Endpoint::Blob(self.name.clone(), *digest);
        let head = self.request(Method::HEAD, &endpoint, doing.clone())?;
        let said = match self.client.http.send(&head).await {
            Ok(answer) => answer.length(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        // Some say 0 of everything they are asked by HEAD.
        let empty = digest.algorithm().digest(b"") == *digest;
        if said.is_some_and(|said| said > 0 || empty) {
            return Ok(said);
        }
        // It answers without a length, or not at all: its first byte tells.
        let get = self.request(Method::GET, &endpoint, doing)?;
        let get = get.header(RANGE, "bytes=0-0");
        match self.client.http.send(&get).await {
            Ok(answer) => match whole_length(&answer) {
                Some(size) => Ok(Some(size)),
                None => {
                    let message = "the registry does not say how long the blob is";
                    let error = Error::new(ErrorKind::Protocol, message);
                    Err(error.doing(get.doing).at(self.client.host()))
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// A blob whose size nobody has said yet, as a descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the repository does not have it.
    pub async fn blob_descriptor(&self, digest: &Digest) -> Result<Descriptor> {
        let Some(size) = self.blob_size(digest).await? else {
            let message = format!("there is no blob {digest} in {}", self.name);
            return Err(Error::new(ErrorKind::NotFound, message).at(self.client.host()));
        };
        Ok(Descriptor::new("application/octet-stream", *digest, size))
    }

    /// The bytes of a blob from `offset` on. When the connection breaks, they go on from where they
    /// broke.
    pub(super) async fn read_blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        if offset >= blob.size {
            return Ok(stream::empty().boxed());
        }
        let reading = Reading {
            repository: self.clone(),
            blob: blob.clone(),
            at: offset,
            end: blob.size,
            is_part: false,
            reached: offset,
            patience: self.patience(),
        };
        let first = reading.open().await?;
        Ok(reading.stream(first))
    }

    /// The bytes from `start` up to `end` of a blob.
    pub(super) async fn read_part(
        &self,
        blob: &Descriptor,
        start: u64,
        end: u64,
    ) -> Result<ByteStream> {
        let reading = Reading {
            repository: self.clone(),
            blob: blob.clone(),
            at: start,
            end,
            is_part: true,
            reached: start,
            patience: self.patience(),
        };
        let first = reading.open().await?;
        Ok(reading.stream(first))
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(&self.client.http.connection.retries)
    }
}

/// A blob, or a part of it, on its way in.
struct Reading {
    repository: Repository,
    blob: Descriptor,
    at: u64,
    end: u64,
    /// Whether others read the rest at the same time.
    is_part: bool,
    /// Where it was at the last failure.
    reached: u64,
    patience: Patience,
}

impl Reading {
    fn request(&self) -> Result<Request> {
        let Self {
            repository, blob, ..
        } = self;
        let doing = format!("get the blob {}@{}", repository.name, blob.digest);
        let endpoint = Endpoint::Blob(repository.name.clone(), blob.digest);
        let request = repository.request(Method::GET, &endpoint, doing)?;
        Ok(match (self.at, self.end) {
            (0, end) if end >= blob.size => request,
            // With an end, always: go-containerregistry's registry knows no other ranges.
            (at, end) => request.header(RANGE, &format!("bytes={at}-{}", end - 1)),
        })
    }

    /// Asks for what is missing; the stream begins at [`at`](Self::at).
    async fn open(&self) -> Result<ByteStream> {
        let request = self.request()?;
        let answer = self.repository.client.http.send(&request).await?;
        let failed = |kind, message: String| {
            let doing = request.doing.as_str();
            let host = self.repository.client.host();
            Err(Error::new(kind, message).doing(doing).at(host))
        };
        if let Some(said) = whole_length(&answer).filter(|said| *said != self.blob.size) {
            let size = self.blob.size;
            let message =
                format!("the registry has {said} bytes of it, not the {size} that are said");
            return failed(ErrorKind::SizeMismatch, message);
        }
        if answer.status() == StatusCode::OK && self.is_part {
            let no_ranges = &self.repository.client.habits.no_ranges;
            no_ranges.store(true, Ordering::Relaxed);
            if self.at > 0 {
                let message = "the registry does not send parts of a blob";
                return failed(ErrorKind::Unsupported, message.to_owned());
            }
        }
        let begins = if answer.status() == StatusCode::PARTIAL_CONTENT {
            first(&answer).unwrap_or(self.at)
        } else {
            0
        };
        if begins > self.at {
            let message = "the registry sent another part of the content than was asked for";
            return failed(ErrorKind::Protocol, message.to_owned());
        }
        Ok(skip(answer.stream(), self.at - begins))
    }

    fn stream(self, first: ByteStream) -> ByteStream {
        stream::unfold(Some((self, first)), |state| async move {
            let (mut reading, mut stream) = state?;
            loop {
                if reading.at >= reading.end {
                    return None;
                }
                let error = match stream.next().await {
                    Some(Ok(mut chunk)) => {
                        // More than was asked for, of a registry that knows no ranges.
                        let left = usize::try_from(reading.end - reading.at).unwrap_or(usize::MAX);
                        if reading.end < reading.blob.size {
                            chunk.truncate(left);
                        }
                        reading.at += chunk.len() as u64;
                        return Some((Ok(chunk), Some((reading, stream))));
                    }
                    Some(Err(error)) => error,
                    None => Error::new(ErrorKind::Connect, "the content ended too early"),
                };
                match reading.again(error).await {
                    Ok(fresh) => stream = fresh,
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
        .boxed()
    }

    /// Waits and opens what is missing, or gives up.
    async fn again(&mut self, error: Error) -> Result<ByteStream> {
        let request = self.request()?;
        let host = self.repository.client.host();
        let named = |error: Error| error.doing(request.doing.clone()).at(host.clone());
        let mut error = error;
        if self.at >= self.reached + PROGRESS {
            self.reached = self.at;
            self.patience = self.repository.patience();
        }
        loop {
            let Some(wait) = self.patience.wait(&error) else {
                return Err(named(error.tried(self.patience.tries(), None)));
            };
            self.repository
                .client
                .http
                .wait(&request, &error, wait)
                .await;
            match self.open().await {
                Ok(stream) => return Ok(stream),
                Err(next) => error = next,
            }
        }
    }
}

/// `stream` without its first `count` bytes.
fn skip(stream: ByteStream, count: u64) -> ByteStream {
    if count == 0 {
        return stream;
    }
    let mut left = count;
    let kept = stream.filter_map(move |chunk| {
        let kept = chunk.map(|mut chunk| {
            let cut = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            left -= cut as u64;
            chunk.split_off(cut)
        });
        std::future::ready(
            Some(kept).filter(|kept| kept.as_ref().map_or(true, |kept| !kept.is_empty())),
        )
    });
    kept.boxed()
}

/// Where a partial answer begins: `bytes 5-9/10`.
fn first(answer: &Answer) -> Option<u64> {
    let range = answer.header(CONTENT_RANGE)?.trim().strip_prefix("bytes")?;
    range.trim_start().split('-').next()?.parse().ok()
}

/// How long the whole is that an answer has, or has a part of, if it says so.
fn whole_length(answer: &Answer) -> Option<u64> {
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => total(answer),
        // Compressed on the way, the length is another.
        StatusCode::OK if !answer.headers().contains_key(CONTENT_ENCODING) => answer.length(),
        _ => None,
    }
}

/// How long the whole is that a partial answer is from.
fn total(answer: &Answer) -> Option<u64> {
    answer
        .header(CONTENT_RANGE)?
        .rsplit('/')
        .next()?
        .trim()
        .parse()
        .ok()
}
