//! Hashes bytes as they pass and refuses those that are not what was named.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{Descriptor, Hasher};
use futures_util::stream::{self, StreamExt};

use crate::{BlobSource, ByteStream, Error, ErrorKind, Result};

/// Follows the bytes of one blob, in order.
pub(crate) struct Verifier {
    hasher: Hasher,
    blob: Descriptor,
}

impl Verifier {
    /// Nothing was seen of this blob yet.
    pub(crate) fn new(blob: &Descriptor) -> Self {
        Self {
            hasher: Hasher::new(blob.digest.algorithm()),
            blob: blob.clone(),
        }
    }

    /// How many bytes were seen.
    pub(crate) fn seen(&self) -> u64 {
        self.hasher.length()
    }

    /// The next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<()> {
        if self.seen() + bytes.len() as u64 > self.blob.size {
            return Err(self.wrong_size("more"));
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// There are no more bytes.
    pub(crate) fn finish(self) -> Result<()> {
        if self.seen() < self.blob.size {
            return Err(self.wrong_size("fewer"));
        }
        self.hasher.verify(&self.blob.digest)?;
        Ok(())
    }

    fn wrong_size(&self, word: &str) -> Error {
        let message = format!(
            "blob {} has {word} bytes than the {} that it was said to have",
            self.blob.digest, self.blob.size
        );
        Error::new(ErrorKind::SizeMismatch, message)
    }
}

/// `bytes` with an error at the end when they are not `blob`, or as soon as they are too many.
pub(crate) fn stream(bytes: ByteStream, blob: &Descriptor) -> ByteStream {
    let state = Some((bytes, Verifier::new(blob)));
    stream::unfold(state, |state| async move {
        let (mut bytes, mut verifier) = state?;
        match bytes.next().await {
            Some(Ok(chunk)) => match verifier.update(&chunk) {
                Ok(()) => Some((Ok(chunk), Some((bytes, verifier)))),
                Err(error) => Some((Err(error), None)),
            },
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(verifier.finish().err()?), None)),
        }
    })
    .boxed()
}

/// A source whose bytes are hashed as they are read: of content that is not the blob, the last piece is
/// never given out, so that nobody can take it for whole. What is read again after a failure is
/// hashed once.
pub(crate) struct Checked {
    inner: Arc<dyn BlobSource>,
    blob: Descriptor,
    /// `None` once all of it was seen and is right.
    verifier: Arc<Mutex<Option<Verifier>>>,
}

impl Checked {
    pub(crate) fn new(inner: Arc<dyn BlobSource>, blob: &Descriptor) -> Self {
        Self {
            inner,
            blob: blob.clone(),
            verifier: Arc::new(Mutex::new(Some(Verifier::new(blob)))),
        }
    }
}

#[async_trait]
impl BlobSource for Checked {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let stream = self.inner.open(offset).await?;
        let (verifier, blob) = (Arc::clone(&self.verifier), self.blob.clone());
        let mut at = offset;
        let checked = stream.map(move |chunk| {
            let chunk = chunk?;
            let mut verifier = verifier.lock().unwrap_or_else(PoisonError::into_inner);
            check(&mut verifier, &blob, at, &chunk)?;
            at += chunk.len() as u64;
            Ok(chunk)
        });
        Ok(checked.boxed())
    }
}

/// Follows `chunk`, which lies at `at`, as far as it was not seen before.
fn check(verifier: &mut Option<Verifier>, blob: &Descriptor, at: u64, chunk: &Bytes) -> Result<()> {
    let Some(following) = verifier else {
        return Ok(());
    };
    let seen = following.seen();
    let known = usize::try_from(seen.saturating_sub(at)).unwrap_or(usize::MAX);
    let Some(fresh) = chunk.get(known..).filter(|_| at <= seen) else {
        return Ok(());
    };
    following.update(fresh)?;
    if following.seen() == blob.size
        && let Some(whole) = verifier.replace(Verifier::new(blob))
    {
        whole.finish()?;
        *verifier = None;
    }
    Ok(())
}
