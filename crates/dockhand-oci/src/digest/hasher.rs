//! Running hashes, and the value that proves that bytes and digest met.

use std::fmt;

use sha2::Digest as _;
use sha2::digest::common::hazmat::SerializableState;

use super::{Algorithm, Digest};

/// A hash that runs while bytes stream by, and that can be put aside and taken up again.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    length: u64,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Self { state, length: 0 }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// How many bytes have gone in.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The algorithm that is running.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The digest of all that went in.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hash) => Digest::from_hash(Algorithm::Sha256, &hash.finalize()),
            State::Sha512(hash) => Digest::from_hash(Algorithm::Sha512, &hash.finalize()),
        }
    }

    /// Compares what went in with what it should be: the only way to a [`Verified`].
    ///
    /// # Errors
    /// [`Mismatch`] with both digests when the bytes are others, or another algorithm ran.
    pub fn verify(self, expected: &Digest) -> Result<Verified, Mismatch> {
        let size = self.length;
        let computed = self.finish();
        if computed == *expected {
            Ok(Verified {
                digest: computed,
                size,
            })
        } else {
            Err(Mismatch {
                expected: *expected,
                computed,
            })
        }
    }

    /// The running hash as bytes, so that another process can go on from here.
    ///
    /// The first byte names algorithm and form; [`Hasher::resume`] refuses what it does not know.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut saved = vec![match self.state {
            State::Sha256(_) => FORM_SHA256,
            State::Sha512(_) => FORM_SHA512,
        }];
        saved.extend_from_slice(&self.length.to_be_bytes());
        match &self.state {
            State::Sha256(hash) => saved.extend_from_slice(&hash.serialize()),
            State::Sha512(hash) => saved.extend_from_slice(&hash.serialize()),
        }
        saved
    }

    /// A hash that was [saved](Hasher::save); nothing when the bytes are not one.
    #[must_use]
    pub fn resume(saved: &[u8]) -> Option<Self> {
        let (form, rest) = saved.split_first()?;
        let (length, state) = rest.split_first_chunk::<8>()?;
        let length = u64::from_be_bytes(*length);
        if counted(*form, state)? != u128::from(length) || length > HASHED_MAX {
            return None;
        }
        let state = match *form {
            FORM_SHA256 => State::Sha256(sha2::Sha256::deserialize(&state.try_into().ok()?).ok()?),
            FORM_SHA512 => State::Sha512(sha2::Sha512::deserialize(&state.try_into().ok()?).ok()?),
            _ => return None,
        };
        Some(Self { state, length })
    }
}

/// How many bytes a saved state says it took in: whole blocks, then what waits for the next one.
/// Damaged bytes must not become a hash whose own count overflows.
fn counted(form: u8, state: &[u8]) -> Option<u128> {
    // After the words of the hash, which are half a block, stands the count of blocks in
    // little-endian order, an eighth of a block wide; then one byte with the rest.
    let block: usize = match form {
        FORM_SHA256 => 64,
        FORM_SHA512 => 128,
        _ => return None,
    };
    let (_, after) = state.split_at_checked(block / 2)?;
    let (count, after) = after.split_at_checked(block / 8)?;
    let blocks = { count.iter().rev() }.fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let whole = blocks.checked_mul(block as u128)?;
    whole.checked_add(u128::from(*after.first()?))
}

/// Most bytes that a saved hash may have taken in: SHA-256 counts bits in 64 bits.
const HASHED_MAX: u64 = u64::MAX >> 4;
/// First byte of a saved hash: SHA-256 in the form of sha2 0.11.
const FORM_SHA256: u8 = 1;
/// First byte of a saved hash: SHA-512 in the form of sha2 0.11.
const FORM_SHA512: u8 = 2;

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({}, {} bytes)", self.algorithm(), self.length)
    }
}

/// Proof that bytes of this size were hashed and have this digest; [`Hasher::verify`] alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    digest: Digest,
    size: u64,
}

impl Verified {
    /// The digest that the bytes have.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

/// The bytes that came are not those that were named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content has the digest {computed}, not {expected}")]
pub struct Mismatch {
    /// What was named.
    pub expected: Digest,
    /// What came.
    pub computed: Digest,
}
