//! Media types: a table of good and bad ones, and what comparing and printing promise.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

#[test]
fn types_are_read_as_they_stand() {
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    for text in [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
        MediaType::DOCKER_SCHEMA1_SIGNED,
        "text/plain",
        "Application/JSON",
        "a/b",
        "0/9",
        "x/y!#$&-^_.+z",
        &longest,
    ] {
        assert_eq!(text.parse::<MediaType>().unwrap().as_str(), text);
    }
}

#[test]
fn what_is_no_type_says_why() {
    use MediaTypeError::{Grammar, Shape, TooLong};
    let long = format!("a/{}", "b".repeat(128));
    for (text, error) in [
        ("", Shape),
        ("/", Shape),
        ("json", Shape),
        ("application/", Shape),
        ("/json", Shape),
        ("a/b/c", Shape),
        ("*/*", Grammar),
        ("application/*", Grammar),
        (" a/b", Grammar),
        ("a/b ", Grammar),
        ("a/.b", Grammar),
        ("a/b;c=d", Grammar),
        ("a/b\r\nX: y", Grammar),
        ("a/b\0", Grammar),
        ("a/ü", Grammar),
        ("a/b,c/d", Shape),
        ("a/b,c", Grammar),
        (&long, TooLong),
    ] {
        assert_eq!(text.parse::<MediaType>(), Err(error), "{text:?}");
    }
}

#[test]
fn a_content_type_loses_its_parameters() {
    for (header, text) in [
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("\t application/json \t;q=1;x", "application/json"),
        ("application/json;", "application/json"),
    ] {
        let read = MediaType::from_content_type(header).unwrap();
        assert_eq!(read.as_str(), text, "{header:?}");
    }
    for header in ["", ";", " ; charset=utf-8", "json; x=a/b"] {
        let read = MediaType::from_content_type(header);
        assert_eq!(read, Err(MediaTypeError::Shape), "{header:?}");
    }
}

#[test]
fn case_is_kept_but_not_compared() {
    let lower: MediaType = "application/json".parse().unwrap();
    let upper: MediaType = "Application/JSON".parse().unwrap();
    assert_eq!(lower, upper);
    assert_eq!(upper.to_string(), "Application/JSON");
    assert!(upper.is("application/json") && !upper.is("application/jso"));
    assert_eq!(HashSet::from([lower, upper]).len(), 1);
}

#[test]
fn serde_reads_only_types() {
    let read: MediaType = serde_json::from_str("\"a/b\"").unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), "\"a/b\"");
    let error = serde_json::from_str::<MediaType>("\"ab\"").unwrap_err();
    assert!(error.to_string().contains("type/subtype"), "{error}");
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(media_type in arbitrary::media_type()) {
        let printed = media_type.to_string();
        let read: MediaType = printed.parse().unwrap();
        prop_assert_eq!(read.as_str(), media_type.as_str());
        prop_assert_eq!(MediaType::from_content_type(&printed).unwrap(), media_type);
    }

    #[test]
    fn order_agrees_with_equality(
        a in arbitrary::media_type(),
        b in arbitrary::media_type(),
    ) {
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        let shouted: MediaType = a.as_str().to_ascii_uppercase().parse().unwrap();
        prop_assert_eq!(a.cmp(&shouted), Ordering::Equal);
    }
}
