//! Texts and the places that they are.

use proptest::prelude::*;

use super::Place;

/// A text, and what it prints as when that is another one.
const PLACES: &[(&str, &str)] = &[
    ("debian", "docker.io/library/debian"),
    ("docker://debian:12", "docker.io/library/debian:12"),
    ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
    ("docker://dir:5000/app", "docker://dir:5000/app"),
    ("docker://oci:5000/a/b:1", "docker://oci:5000/a/b:1"),
    ("oci:x", "oci:x"),
    ("oci:/a/b:1.0", "oci:/a/b:1.0"),
    ("oci:a@b", "oci:a@b"),
    ("oci:a@b:1", "oci:a@b:1"),
    ("oci:x:ghcr.io/a/b:1", "oci:x:ghcr.io/a/b:1"),
    ("oci:x:host:5000/a", "oci:x:host:5000/a"),
    ("ocidir:///a/b:1", "oci:/a/b:1"),
    ("ocidir://a", "oci:a"),
    ("oci-archive:x.tar:1", "oci-archive:x.tar:1"),
    ("oci-archive:-", "-"),
    ("oci-archive:-:1", "oci-archive:-:1"),
    ("-", "-"),
    ("docker-archive:x.tar", "docker-archive:x.tar"),
    ("docker-archive:x.tar:debian", "docker-archive:x.tar:debian"),
    (
        "docker-archive:x.tar:debian:12",
        "docker-archive:x.tar:debian:12",
    ),
    ("docker-archive:-", "docker-archive:-"),
    ("dir:x:y", "dir:x:y"),
    ("./x.tar", "./x.tar"),
    ("../x:y", "../x:y"),
    ("/x@y", "/x@y"),
    (".", "."),
];

#[test]
fn places_print_what_reads_back() {
    for (text, printed) in PLACES {
        let place: Place = text.parse().unwrap();
        assert_eq!(place.to_string(), *printed, "{text}");
        assert_eq!(printed.parse::<Place>().unwrap(), place);
    }
}

#[test]
fn what_is_no_place_is_refused_with_its_text() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let twice = format!("docker-archive:x:a@{digest}@{digest}");
    let texts = [
        "",
        "oci:",
        "oci::1",
        "oci:x:",
        "oci:x:a b",
        "oci:x@sha256:12",
        "oci:x:/a",
        "dir:",
        "docker://",
        "docker://https://x/y",
        "https://x/y",
        "docker-archive:x:A",
        "oci-archive::",
        "Debian",
        &twice,
    ];
    for text in texts {
        let error = text.parse::<Place>().unwrap_err();
        assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
    }
}

#[test]
fn what_is_named_after_an_image_keeps_what_it_says_itself() {
    let image = "ghcr.io/team/app:2".parse().unwrap();
    let debian = "debian".parse().unwrap();
    let named = |text: &str, image| {
        text.parse::<Place>()
            .unwrap()
            .named_after(image)
            .to_string()
    };
    let cases = [
        ("oci:x", "oci:x:2", "oci:x:latest"),
        ("oci:x:9", "oci:x:9", "oci:x:9"),
        ("oci:x:a/b", "oci:x:a/b", "oci:x:a/b"),
        ("oci-archive:x", "oci-archive:x:2", "oci-archive:x:latest"),
        (
            "docker-archive:x",
            "docker-archive:x:ghcr.io/team/app:2",
            "docker-archive:x:debian:latest",
        ),
        (
            "docker-archive:x:a:1",
            "docker-archive:x:a:1",
            "docker-archive:x:a:1",
        ),
        ("dir:x", "dir:x", "dir:x"),
    ];
    for (text, after_image, after_debian) in cases {
        assert_eq!(named(text, &image), after_image);
        assert_eq!(named(text, &debian), after_debian);
    }
    assert_eq!(Place::at("x.tar").to_string(), "./x.tar");
    assert_eq!(Place::at("-"), Place::stream());
}

fn text() -> impl Strategy<Value = String> {
    let scheme = "(docker://|ocidir://|oci:|oci-archive:|docker-archive:|dir:|\\./|/|)";
    let path = "[a-z./@: -]{0,12}";
    let image = "(:[a-z0-9._/-]{1,10})?(:[a-zA-Z0-9._-]{1,6})?(@sha256:[0-9a-f]{64})?";
    (scheme, path, image).prop_map(|(scheme, path, image)| format!("{scheme}{path}{image}"))
}

proptest! {
    #[test]
    fn what_is_read_prints_as_what_reads_back(text in text()) {
        if let Ok(place) = text.parse::<Place>() {
            let printed = place.to_string();
            prop_assert_eq!(printed.parse::<Place>().unwrap(), place, "{}", printed);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Place>();
    }
}
