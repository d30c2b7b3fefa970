//! Paths: every endpoint printed and read again, names that look like paths, and what hides in one.

use proptest::prelude::*;

use super::*;
use crate::{Algorithm, arbitrary};

/// Names that a parser which looks for the fixed words from the left would take apart wrongly.
const AWKWARD: [&str; 12] = [
    "team/blobs",
    "a/blobs/uploads",
    "manifests/tags",
    "tags/list",
    "a/manifests/b",
    "blobs/uploads",
    "uploads",
    "v2",
    "v2/v2",
    "referrers/history",
    "tags/history",
    "a/tags/b/history",
];

fn all_of(name: &RepoName) -> Vec<Endpoint> {
    let digest = Algorithm::Sha512.digest(b"x");
    let mut all = vec![
        Endpoint::Tags(name.clone()),
        Endpoint::Manifest(name.clone(), digest.into()),
        Endpoint::Blob(name.clone(), digest),
        Endpoint::Uploads(name.clone()),
        Endpoint::Upload(name.clone(), UploadId::from_random(7 << 64)),
        Endpoint::Referrers(name.clone(), digest),
    ];
    for tag in [
        "latest",
        "list",
        "uploads",
        "manifests",
        "blobs",
        "history",
        "tags",
        "referrers",
    ] {
        let tag: Tag = tag.parse().unwrap();
        all.push(Endpoint::Manifest(name.clone(), tag.clone().into()));
        all.push(Endpoint::TagHistory(name.clone(), tag));
    }
    all
}

#[test]
fn awkward_names_are_names() {
    for name in AWKWARD {
        for endpoint in all_of(&name.parse().unwrap()) {
            let path = endpoint.to_string();
            assert_eq!(Endpoint::parse(&path), Ok(endpoint.clone()), "{path}");
            assert_eq!(endpoint.repository().unwrap().as_str(), name);
        }
    }
}

#[test]
fn paths_are_printed_as_the_specification_has_them() {
    let name: RepoName = "a/b".parse().unwrap();
    let digest = Algorithm::Sha256.digest(b"");
    let id = UploadId::from_random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    for (endpoint, path) in [
        (Endpoint::Base, "/v2/".to_owned()),
        (Endpoint::Catalog, "/v2/_catalog".to_owned()),
        (Endpoint::Tags(name.clone()), "/v2/a/b/tags/list".to_owned()),
        (
            Endpoint::Manifest(name.clone(), Tag::latest().into()),
            "/v2/a/b/manifests/latest".to_owned(),
        ),
        (
            Endpoint::Blob(name.clone(), digest),
            format!("/v2/a/b/blobs/{digest}"),
        ),
        (
            Endpoint::Uploads(name.clone()),
            "/v2/a/b/blobs/uploads/".to_owned(),
        ),
        (
            Endpoint::Upload(name.clone(), id),
            "/v2/a/b/blobs/uploads/01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        ),
        (
            Endpoint::Referrers(name.clone(), digest),
            format!("/v2/a/b/referrers/{digest}"),
        ),
        (
            Endpoint::TagHistory(name, Tag::latest()),
            "/v2/a/b/_dockhand/tags/latest/history".to_owned(),
        ),
    ] {
        assert_eq!(endpoint.to_string(), path);
    }
}

#[test]
fn other_spellings_mean_the_same() {
    let digest = Algorithm::Sha256.digest(b"");
    let name: RepoName = "a".parse().unwrap();
    let blob = Endpoint::Blob(name.clone(), digest);
    let encoded = digest.to_string().replace(':', "%3A");
    for (path, endpoint) in [
        ("/v2".to_owned(), Endpoint::Base),
        ("/v2/a/blobs/uploads".to_owned(), Endpoint::Uploads(name)),
        (format!("/v2/a/blobs/{encoded}"), blob.clone()),
        (
            format!("/v2/a/blobs/{}", encoded.to_lowercase()),
            blob.clone(),
        ),
        (format!("/v2/%61/bl%6Fbs/{encoded}"), blob.clone()),
    ] {
        assert_eq!(Endpoint::parse(&path), Ok(endpoint), "{path}");
    }
    let every: String = blob
        .to_string()
        .bytes()
        .map(|b| match b {
            b'/' => "/".to_owned(),
            b => format!("%{b:02X}"),
        })
        .collect();
    assert_eq!(Endpoint::parse(&every), Ok(blob));
}

#[test]
fn the_longest_endpoint_fits() {
    let name: RepoName = "a".repeat(crate::NAME_MAX).parse().unwrap();
    let endpoint = Endpoint::Manifest(name, Algorithm::Sha512.digest(b"").into());
    let every: String = endpoint
        .to_string()
        .bytes()
        .map(|b| match b {
            b'/' => "/".to_owned(),
            b => format!("%{b:02x}"),
        })
        .collect();
    assert!(every.len() < PATH_MAX);
    assert_eq!(Endpoint::parse(&every), Ok(endpoint));
}

#[test]
fn what_is_no_endpoint_says_which_part() {
    use EndpointError::{Digest, Name, NotFound, Reference, Tag, Upload};
    let grammar = Name(NameError::Grammar);
    let empty = Name(NameError::Empty);
    let algorithm = DigestError::UnknownAlgorithm;
    let long = format!("/v2/{}/tags/list", "a".repeat(4096));
    for (path, error) in [
        ("", NotFound),
        ("/", NotFound),
        ("v2/", NotFound),
        ("/v1/", NotFound),
        ("/v2x", NotFound),
        ("/V2/", NotFound),
        ("/v2//", NotFound),
        ("//v2/", NotFound),
        ("/v2/_catalog/", NotFound),
        ("/v2/a", NotFound),
        ("/v2/a/b", NotFound),
        ("/v2/a/b/c", NotFound),
        ("/v2/tags/list", NotFound),
        ("/v2/a/tags/list/", NotFound),
        ("/v2/a/tags/lists", NotFound),
        ("/v2/a/uploads/", NotFound),
        ("/v2/a/manifests/b/c", NotFound),
        ("/v2/a/tags/b/history", NotFound),
        ("/v2/a/b/history", NotFound),
        ("/v2//tags/list", empty),
        ("/v2/a//tags/list", empty),
        ("/v2/a//b/tags/list", empty),
        ("/v2/../tags/list", grammar),
        ("/v2/a/../b/tags/list", grammar),
        ("/v2/./a/tags/list", grammar),
        ("/v2/A/tags/list", grammar),
        ("/v2/_dockhand/tags/list", grammar),
        ("/v2/a/_dockhand/tags/list", grammar),
        ("/v2/_dockhand/tags/x/history", NotFound),
        ("/v2/A/_dockhand/tags/x/history", grammar),
        ("/v2/a/_dockhand/tags/.x/history", Tag(TagError::Grammar)),
        ("/v2/a/_dockhand/tags//history", Tag(TagError::Empty)),
        ("/v2/a;x/tags/list", grammar),
        ("/v2/a\0/tags/list", grammar),
        ("/v2/a\r\n/tags/list", grammar),
        ("/v2/a/tags/list\0", NotFound),
        (
            "/v2/a/manifests/",
            Reference(ReferenceError::Tag(TagError::Empty)),
        ),
        (
            "/v2/a/manifests/..",
            Reference(ReferenceError::Tag(TagError::Grammar)),
        ),
        (
            "/v2/a/manifests/md5:0",
            Reference(ReferenceError::Digest(algorithm)),
        ),
        ("/v2/a/blobs/", Digest(DigestError::NoAlgorithm)),
        ("/v2/a/blobs/latest", Digest(DigestError::NoAlgorithm)),
        ("/v2/a/blobs/md5:0", Digest(algorithm)),
        ("/v2/a/referrers/latest", Digest(DigestError::NoAlgorithm)),
        ("/v2/a/blobs/uploads/x", Upload(UploadIdError)),
        ("/v2/a/blobs/uploads//", NotFound),
        (&long, NotFound),
    ] {
        assert_eq!(Endpoint::parse(path), Err(error), "{path:?}");
    }
}

#[test]
fn nothing_hides_in_an_encoding() {
    for (path, error) in [
        ("/v2/a%2fb/tags/list", EndpointError::NotFound),
        ("/v2/a%2Fb/tags/list", EndpointError::NotFound),
        ("/v2/a/tags%2flist", EndpointError::NotFound),
        ("/v2%2f", EndpointError::NotFound),
        ("/v2/a%00/tags/list", EndpointError::NotFound),
        ("/v2/a/manifests/b%0d%0aX:y", EndpointError::NotFound),
        ("/v2/a/manifests/b%C2%85", EndpointError::NotFound),
        ("/v2/%ff/tags/list", EndpointError::NotFound),
        // A slash in two and three bytes, which no decoder of UTF-8 may take.
        ("/v2/a%c0%afb/tags/list", EndpointError::NotFound),
        ("/v2/a%e0%80%afb/tags/list", EndpointError::NotFound),
        (
            "/v2/%2e%2e/tags/list",
            EndpointError::Name(NameError::Grammar),
        ),
        (
            "/v2/a/%2e%2e/b/tags/list",
            EndpointError::Name(NameError::Grammar),
        ),
        // Decoded once: what is left is no name.
        (
            "/v2/a%252fb/tags/list",
            EndpointError::Name(NameError::Grammar),
        ),
        (
            "/v2/a%5cb/tags/list",
            EndpointError::Name(NameError::Grammar),
        ),
        (
            "/v2/a%zz/tags/list",
            EndpointError::Name(NameError::Grammar),
        ),
        ("/v2/a%/tags/list", EndpointError::Name(NameError::Grammar)),
    ] {
        assert_eq!(Endpoint::parse(path), Err(error), "{path:?}");
    }
}

#[test]
fn upload_identities_have_one_spelling() {
    let text = "01234567-89ab-cdef-0123-456789abcdef";
    assert_eq!(text.parse::<UploadId>().unwrap().to_string(), text);
    for text in [
        "",
        "01234567-89AB-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdef0",
        "0123456-789ab-cdef-0123-456789abcdef",
        "------------------------------------",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567-89ab-cdef-0123-456789abcdé",
    ] {
        assert_eq!(text.parse::<UploadId>(), Err(UploadIdError), "{text:?}");
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(endpoint in arbitrary::endpoint()) {
        prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
    }

    #[test]
    fn encoding_changes_nothing(endpoint in arbitrary::endpoint(), encode in any::<u64>()) {
        let path: String = endpoint
            .to_string()
            .bytes()
            .enumerate()
            .map(|(at, b)| match b != b'/' && encode >> (at % 64) & 1 == 1 {
                true => format!("%{b:02X}"),
                false => char::from(b).to_string(),
            })
            .collect();
        prop_assert_eq!(Endpoint::parse(&path), Ok(endpoint));
    }
}
