//! Image references: Docker's defaults, hosts of every kind, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::{Algorithm, arbitrary};

/// Text, then registry, repository, tag, and the familiar text when it is another one.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

const GOOD: &[Row] = &[
    ("debian", "docker.io", "library/debian", None, None),
    ("debian:12", "docker.io", "library/debian", Some("12"), None),
    ("team/app", "docker.io", "team/app", None, None),
    ("a/b/c:d", "docker.io", "a/b/c", Some("d"), None),
    (
        "docker.io/debian",
        "docker.io",
        "library/debian",
        None,
        Some("debian"),
    ),
    (
        "docker.io/library/debian:1",
        "docker.io",
        "library/debian",
        Some("1"),
        Some("debian:1"),
    ),
    (
        "index.docker.io/debian",
        "docker.io",
        "library/debian",
        None,
        Some("debian"),
    ),
    (
        "docker.io/my.team/app",
        "docker.io",
        "my.team/app",
        None,
        None,
    ),
    (
        "docker.io/localhost/app",
        "docker.io",
        "localhost/app",
        None,
        None,
    ),
    ("library/a/b", "docker.io", "library/a/b", None, None),
    (
        "ghcr.io/team/app:1.2",
        "ghcr.io",
        "team/app",
        Some("1.2"),
        None,
    ),
    ("localhost/app", "localhost", "app", None, None),
    (
        "localhost:5000",
        "docker.io",
        "library/localhost",
        Some("5000"),
        None,
    ),
    (
        "localhost:5000/app:x",
        "localhost:5000",
        "app",
        Some("x"),
        None,
    ),
    ("host:5000/a/b", "host:5000", "a/b", None, None),
    ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", None, None),
    ("[::1]/a:b", "[::1]", "a", Some("b"), None),
    (
        "[2001:db8::1]:5000/a:b",
        "[2001:db8::1]:5000",
        "a",
        Some("b"),
        None,
    ),
    ("HOST/a", "HOST", "a", None, None),
    (
        "xn--bcher-kva.example/a",
        "xn--bcher-kva.example",
        "a",
        None,
        None,
    ),
];

#[test]
fn references_are_read_with_docker_s_defaults() {
    for (text, registry, repository, tag, familiar) in GOOD {
        let read: ImageRef = text.parse().unwrap();
        assert_eq!(
            (read.registry.as_str(), read.repository.as_str()),
            (*registry, *repository)
        );
        assert_eq!(read.tag.as_ref().map(Tag::as_str), *tag, "{text}");
        assert_eq!(read.familiar(), familiar.unwrap_or(text));
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        assert_eq!(read.to_string(), format!("{registry}/{repository}{tag}"));
    }
}

#[test]
fn the_digest_counts_more_than_the_tag() {
    let digest = Algorithm::Sha256.digest(b"");
    let read: ImageRef = format!("host:1/a:b@{digest}").parse().unwrap();
    assert_eq!(
        (&read.digest, read.reference()),
        (&Some(digest), Reference::Digest(digest))
    );
    assert_eq!(read.tag_or_latest(), Some("b".parse().unwrap()));
    let read: ImageRef = format!("debian@{digest}").parse().unwrap();
    assert_eq!(
        (read.tag_or_latest(), read.reference()),
        (None, Reference::Digest(digest))
    );
    assert_eq!(read.familiar(), format!("debian@{digest}"));
    let read: ImageRef = "debian".parse().unwrap();
    assert_eq!(read.reference(), Reference::Tag(Tag::latest()));
    assert_eq!(read.tag_or_latest(), Some(Tag::latest()));
}

#[test]
fn docker_hub_is_asked_at_another_host() {
    assert_eq!(
        "debian".parse::<ImageRef>().unwrap().host(),
        "registry-1.docker.io"
    );
    assert_eq!("h:5000/a".parse::<ImageRef>().unwrap().host(), "h:5000");
}

#[test]
fn what_is_no_reference_says_why() {
    use ImageRefError::{Digest, Name, Registry, Scheme, Tag};
    for (text, error) in [
        ("", Name(NameError::Empty)),
        ("/", Name(NameError::Empty)),
        ("/a", Name(NameError::Empty)),
        ("a/", Name(NameError::Empty)),
        ("host:5000/", Name(NameError::Empty)),
        ("a//b", Name(NameError::Empty)),
        ("Debian", Name(NameError::Grammar)),
        ("h.io/A", Name(NameError::Grammar)),
        ("a b", Name(NameError::Grammar)),
        ("a/../b", Name(NameError::Grammar)),
        ("a:", Tag(TagError::Empty)),
        ("a:b:c", Name(NameError::Grammar)),
        ("a:.b", Tag(TagError::Grammar)),
        ("a@", Digest(DigestError::NoAlgorithm)),
        ("a@b", Digest(DigestError::NoAlgorithm)),
        ("a@md5:00", Digest(DigestError::UnknownAlgorithm)),
        ("../a", Registry),
        (":5000/a", Registry),
        ("host:/a", Registry),
        ("host:x/a", Registry),
        ("host:+80/a", Registry),
        ("host:65536/a", Registry),
        ("-h.io/a", Registry),
        ("h-.io/a", Registry),
        ("h..io/a", Registry),
        ("h_x.io/a", Registry),
        ("[::1/a", Registry),
        ("[]/a", Registry),
        ("[1.2.3.4]/a", Registry),
        ("[::g]:80/a", Registry),
        ("::1/a", Registry),
        ("https://h.io/a", Scheme),
        ("docker://debian", Scheme),
    ] {
        assert_eq!(text.parse::<ImageRef>(), Err(error), "{text:?}");
    }
    let long = format!("h.io/{}", "a".repeat(256));
    assert_eq!(long.parse::<ImageRef>(), Err(Name(NameError::TooLong)));
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(image in arbitrary::image_ref()) {
        prop_assert_eq!(image.to_string().parse::<ImageRef>().unwrap(), image.clone());
        prop_assert_eq!(image.familiar().parse::<ImageRef>().unwrap(), image);
    }
}
