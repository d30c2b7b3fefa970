//! Digests against known vectors; a hash put aside and taken up again is the same hash.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

/// FIPS 180-4 examples, <https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values>.
const VECTORS: [(&[u8], &str); 4] = [
    (
        b"",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (
        b"abc",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    (
        b"",
        "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ),
    (
        b"abc",
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
];

#[test]
fn known_vectors() {
    for (bytes, text) in VECTORS {
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.algorithm().digest(bytes), digest);
        assert_eq!(digest.to_string(), text);
        assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
        assert_eq!(digest.as_bytes().len(), digest.algorithm().byte_length());
        assert_eq!(
            serde_json::from_str::<Digest>(&format!("{text:?}")).unwrap(),
            digest
        );
    }
    let million = Algorithm::Sha256.digest(&vec![b'a'; 1_000_000]);
    let text = "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    assert_eq!(million.to_string(), text);
}

#[test]
fn what_is_no_digest_says_why() {
    use DigestError::{NoAlgorithm, NotHex, UnknownAlgorithm};
    let length = |algorithm: Algorithm, found| DigestError::Length {
        algorithm,
        wanted: algorithm.byte_length() * 2,
        found,
    };
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, error) in [
        (String::new(), NoAlgorithm),
        (hex.to_owned(), NoAlgorithm),
        (format!(":{hex}"), UnknownAlgorithm),
        (format!("SHA256:{hex}"), UnknownAlgorithm),
        (format!("sha384:{hex}"), UnknownAlgorithm),
        (format!(" sha256:{hex}"), UnknownAlgorithm),
        (format!("sha256+b64:{hex}"), UnknownAlgorithm),
        ("sha256:".to_owned(), length(Algorithm::Sha256, 0)),
        (format!("sha256:{hex}0"), length(Algorithm::Sha256, 65)),
        (format!("sha256:{hex} "), length(Algorithm::Sha256, 65)),
        (format!("sha512:{hex}"), length(Algorithm::Sha512, 64)),
        (format!("sha256:{}", hex.to_uppercase()), NotHex),
        (format!("sha256:{}", hex.replace('e', "/")), NotHex),
        (format!("sha256:{}", hex.replace('e', "\0")), NotHex),
        (format!("sha256:{}", "é".repeat(32)), NotHex),
    ] {
        assert_eq!(text.parse::<Digest>(), Err(error), "{text:?}");
    }
}

#[test]
fn only_the_right_bytes_are_verified() {
    let expected = Algorithm::Sha256.digest(b"hello");
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(b"hel");
    let wrong = hasher.clone().verify(&expected).unwrap_err();
    assert_eq!(wrong.expected, expected);
    assert_eq!(wrong.computed, Algorithm::Sha256.digest(b"hel"));
    hasher.update(b"lo");
    let verified = hasher.verify(&expected).unwrap();
    assert_eq!((*verified.digest(), verified.size()), (expected, 5));
    let mut other = Hasher::new(Algorithm::Sha512);
    other.update(b"hello");
    assert!(other.verify(&expected).is_err());
}

#[test]
fn damaged_states_are_refused() {
    for algorithm in Algorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&[7; 1000]);
        let saved = hasher.save();
        for end in 0..saved.len() {
            assert!(Hasher::resume(&saved[..end]).is_none(), "cut at {end}");
        }
        let longer = [&saved[..], &[0]].concat();
        assert!(Hasher::resume(&longer).is_none());
        let words = algorithm.byte_length();
        // The form, the length, and the count that the state keeps itself.
        for at in (0..9).chain(9 + words..9 + words + algorithm.byte_length() / 4 + 1) {
            let mut damaged = saved.clone();
            damaged[at] ^= 0x80;
            assert!(Hasher::resume(&damaged).is_none(), "{algorithm}, byte {at}");
        }
    }
}

/// A state that agrees with itself, but whose count of bits is about to overflow.
#[test]
fn a_state_of_more_bytes_than_can_be_is_refused() {
    let with_blocks = |blocks: u64| {
        let mut saved = Hasher::new(Algorithm::Sha256).save();
        saved[1..9].copy_from_slice(&(blocks * 64).to_be_bytes());
        saved[41..49].copy_from_slice(&blocks.to_le_bytes());
        Hasher::resume(&saved)
    };
    assert_eq!(with_blocks(1 << 53).unwrap().length(), 1 << 59);
    assert!(with_blocks(1 << 54).is_none());
    assert!(with_blocks((1 << 58) - 1).is_none());
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(digest in arbitrary::digest()) {
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        prop_assert_eq!(digest.algorithm().to_string().parse(), Ok(digest.algorithm()));
        let (algorithm, bytes) = (digest.algorithm(), digest.as_bytes());
        prop_assert_eq!(Digest::from_bytes(algorithm, bytes), Some(digest));
        prop_assert_eq!(Digest::from_bytes(algorithm, &bytes[1..]), None);
    }

    #[test]
    fn a_resumed_hash_is_the_straight_hash(
        algorithm in arbitrary::algorithm(),
        bytes in prop::collection::vec(any::<u8>(), 0..700),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut splits: Vec<_> = splits.iter().map(|i| i.index(bytes.len() + 1)).collect();
        splits.sort_unstable();
        let (mut hasher, mut from) = (Hasher::new(algorithm), 0);
        for to in splits {
            hasher.update(&bytes[from..to]);
            let saved = hasher.save();
            hasher = Hasher::resume(&saved).unwrap();
            prop_assert_eq!(hasher.save(), saved);
            prop_assert_eq!((hasher.length(), hasher.algorithm()), (to as u64, algorithm));
            from = to;
        }
        hasher.update(&bytes[from..]);
        prop_assert_eq!(hasher.length(), bytes.len() as u64);
        prop_assert_eq!(hasher.finish(), algorithm.digest(&bytes));
    }
}
