//! Hashes bytes as they pass and refuses those that are not what was named.

use dockhand_oci::{Descriptor, Hasher};
use futures_util::stream::{self, StreamExt};

use crate::{ByteStream, Error, ErrorKind, Result};

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
