//! Content that can be made again from two numbers, and the digests by which it is known.

use std::fmt;

use fastrand::Rng;
use sha2::{Digest as _, Sha256};

/// A sha256 digest, printed as `sha256:<hex>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sha([u8; 32]);

impl Sha {
    /// The digest of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads `sha256:<hex>`; nothing else is expected of a registry here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text
            .trim()
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64)?;
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A blob: its bytes are the stream of a generator, so that it costs no memory until it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob {
    seed: u64,
    /// How many bytes it has.
    pub(crate) size: usize,
    /// The digest of them.
    pub(crate) digest: Sha,
}

/// 4 MiB as a power of two: where the usual sizes end.
const USUAL: f64 = 22.0;
/// 16 MiB as a power of two: where the larger ones end.
const LARGE: f64 = 24.0;
/// One blob of so many is larger than the usual ones.
const LARGE_EVERY: u32 = 40;

impl Blob {
    /// A blob of 1 byte to 4 MiB, every order of magnitude as likely as every other; now and then
    /// one of up to 16 MiB.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let power = match rng.u32(0..LARGE_EVERY) {
            0 => USUAL + rng.f64() * (LARGE - USUAL),
            _ => rng.f64() * USUAL,
        };
        Self::sized(rng, power.exp2() as usize)
    }

    /// A blob of so many bytes.
    pub(crate) fn sized(rng: &mut Rng, size: usize) -> Self {
        let mut blob = Self {
            seed: rng.u64(..),
            size,
            digest: Sha([0; 32]),
        };
        blob.digest = Sha::of(&blob.bytes());
        blob
    }

    /// Makes the bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size];
        Rng::with_seed(self.seed).fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_printed() {
        let sha = Sha::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha.to_string(), text);
        assert_eq!(Sha::parse(text), Some(sha));
        assert_eq!(Sha::parse("sha256:e3"), None);
        assert_eq!(Sha::parse(&text.replace("sha256", "sha512")), None);
    }

    #[test]
    fn a_blob_is_the_same_each_time_it_is_made() {
        let mut rng = Rng::with_seed(7);
        for _ in 0..20 {
            let blob = Blob::random(&mut rng);
            assert!((1..=1 << 24).contains(&blob.size));
            assert_eq!(Sha::of(&blob.bytes()), blob.digest);
        }
    }
}
