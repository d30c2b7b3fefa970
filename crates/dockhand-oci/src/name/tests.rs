//! Repository names and tags against the grammar of the specification.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

#[test]
fn names_are_read() {
    let longest = "a/".repeat(127) + "b";
    assert_eq!(longest.len(), NAME_MAX);
    for text in [
        "a",
        "0",
        "library/debian",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a----b",
        "a/b/c/d/e/f",
        "team/blobs",
        "a/blobs/uploads",
        "manifests/tags",
        "tags/list",
        "v2",
        "a1.b2_c3__d4-e5/f",
        &longest,
    ] {
        assert_eq!(text.parse::<RepoName>().unwrap().as_str(), text);
    }
}

#[test]
fn what_is_no_name_says_why() {
    use NameError::{Empty, Grammar, TooLong};
    let long = "a".repeat(NAME_MAX + 1);
    for (text, error) in [
        ("", Empty),
        ("/", Empty),
        ("/a", Empty),
        ("a/", Empty),
        ("a//b", Empty),
        ("A", Grammar),
        ("a/B", Grammar),
        (".", Grammar),
        ("..", Grammar),
        ("../a", Grammar),
        ("a/../b", Grammar),
        ("a..b", Grammar),
        ("a___b", Grammar),
        ("a._b", Grammar),
        ("a-_b", Grammar),
        ("_a", Grammar),
        ("_dockhand", Grammar),
        ("a/_dockhand/tags", Grammar),
        ("a_", Grammar),
        ("-a", Grammar),
        ("a-", Grammar),
        ("a b", Grammar),
        ("a%2fb", Grammar),
        ("a\\b", Grammar),
        ("a\0", Grammar),
        ("a\n", Grammar),
        ("a:b", Grammar),
        ("a@b", Grammar),
        ("é", Grammar),
        (&long, TooLong),
    ] {
        assert_eq!(text.parse::<RepoName>(), Err(error), "{text:?}");
    }
}

#[test]
fn tags_are_read() {
    let longest = "t".repeat(TAG_MAX);
    for text in [
        "latest",
        "1",
        "_",
        "v1.2.3-rc_1",
        "A.B",
        "a..b",
        "list",
        "sha256-abc",
        &longest,
    ] {
        assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
    }
    assert_eq!(Tag::latest(), "latest".parse().unwrap());
}

#[test]
fn what_is_no_tag_says_why() {
    use TagError::{Empty, Grammar, TooLong};
    let long = "t".repeat(TAG_MAX + 1);
    for (text, error) in [
        ("", Empty),
        (".", Grammar),
        ("..", Grammar),
        ("-a", Grammar),
        (".a", Grammar),
        ("a/b", Grammar),
        ("a b", Grammar),
        ("a:b", Grammar),
        ("a+b", Grammar),
        ("a\0", Grammar),
        ("a\r\n", Grammar),
        ("é", Grammar),
        (&long, TooLong),
    ] {
        assert_eq!(text.parse::<Tag>(), Err(error), "{text:?}");
    }
}

#[test]
fn serde_reads_only_words() {
    let name: RepoName = serde_json::from_str("\"a/b\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"a/b\"");
    let error = serde_json::from_str::<RepoName>("\"A\"")
        .unwrap_err()
        .to_string();
    assert_eq!(error, NameError::Grammar.to_string());
    let error = serde_json::from_str::<Tag>("\"\"").unwrap_err().to_string();
    assert_eq!(error, TagError::Empty.to_string());
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(name in arbitrary::repo_name(), tag in arbitrary::tag()) {
        prop_assert_eq!(name.to_string().parse::<RepoName>().unwrap(), name);
        prop_assert_eq!(tag.to_string().parse::<Tag>().unwrap(), tag);
    }

    /// The grammar a second time, as the specification's regular expression has it.
    #[test]
    fn the_grammar_is_the_expression(text in "[a-b0._/A-]{0,9}") {
        let part = |part: &str| {
            let mut previous = "_";
            let mut rest = part;
            while !rest.is_empty() {
                let word = rest.find(['.', '_', '-']).unwrap_or(rest.len());
                let mark = rest[word..].find(|c: char| c.is_ascii_alphanumeric());
                if word == 0 || rest[..word].contains('A') {
                    return false;
                }
                previous = &rest[word..mark.map_or(rest.len(), |mark| word + mark)];
                let dashes = !previous.is_empty() && previous.chars().all(|c| c == '-');
                if !(dashes || ["", ".", "_", "__"].contains(&previous)) {
                    return false;
                }
                rest = &rest[word + previous.len()..];
            }
            !part.is_empty() && previous.is_empty()
        };
        prop_assert_eq!(text.parse::<RepoName>().is_ok(), text.split('/').all(part));
    }
}
