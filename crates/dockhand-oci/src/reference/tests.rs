//! References: the colon decides, and a bad digest is never a tag.

use proptest::prelude::*;

use super::*;
use crate::{Algorithm, arbitrary};

#[test]
fn the_colon_decides() {
    let digest = Algorithm::Sha256.digest(b"");
    assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
    assert_eq!("latest".parse(), Ok(Reference::Tag(Tag::latest())));
    // 64 hex digits without an algorithm are a tag.
    assert_eq!(
        digest.hex().parse(),
        Ok(Reference::Tag(digest.hex().parse().unwrap()))
    );
    for (text, error) in [
        ("", ReferenceError::Tag(TagError::Empty)),
        ("a/b", ReferenceError::Tag(TagError::Grammar)),
        (":", ReferenceError::Digest(DigestError::UnknownAlgorithm)),
        (
            "sha256:",
            ReferenceError::Digest(DigestError::Length {
                algorithm: Algorithm::Sha256,
                wanted: 64,
                found: 0,
            }),
        ),
        (
            "sha256:baddigeststring",
            ReferenceError::Digest(DigestError::Length {
                algorithm: Algorithm::Sha256,
                wanted: 64,
                found: 15,
            }),
        ),
        (
            "md5:00",
            ReferenceError::Digest(DigestError::UnknownAlgorithm),
        ),
    ] {
        assert_eq!(text.parse::<Reference>(), Err(error), "{text:?}");
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(reference in arbitrary::reference()) {
        prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
    }
}
