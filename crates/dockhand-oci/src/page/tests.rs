//! Pages: the number of entries, and links written and found again.

use proptest::prelude::*;

use super::*;

#[test]
fn n_is_digits() {
    for (text, n) in [
        ("0", 0),
        ("1", 1),
        ("0100", 100),
        ("9223372036854775808", 1 << 63),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551616", u64::MAX),
        ("99999999999999999999999999", u64::MAX),
    ] {
        assert_eq!(parse_n(text), Ok(n), "{text}");
    }
    for text in [
        "", "-1", "+1", " 1", "1 ", "1.0", "1e9", "0x1", "٣", "one", "1\0", "1,2",
    ] {
        assert_eq!(parse_n(text), Err(PageError::NotANumber), "{text:?}");
    }
}

#[test]
fn a_link_is_printed_with_quotes() {
    assert_eq!(
        Link::next("/v2/a/tags/list?n=2&last=b"),
        "</v2/a/tags/list?n=2&last=b>; rel=\"next\""
    );
}

#[test]
fn a_target_cannot_end_the_header() {
    assert_eq!(
        Link::next("/v2/>; rel=\"prev\",\r\nX: y\0é<"),
        "</v2/%3E;%20rel=%22prev%22,%0D%0AX:%20y%00%C3%A9%3C>; rel=\"next\""
    );
}

#[test]
fn the_next_link_is_found() {
    for (header, target) in [
        ("</a>; rel=\"next\"", Some("/a")),
        ("</a>; rel=next", Some("/a")),
        ("</a>;rel=next", Some("/a")),
        ("</a> ; REL = \"Next\"", Some("/a")),
        ("</a>; title=\"x\"; rel=\"next\"", Some("/a")),
        ("</a>; rel=\"prev next\"", Some("/a")),
        ("</a>; rel=prev, </b>; rel=next", Some("/b")),
        ("</a>,</b>;rel=next", Some("/b")),
        ("</a,b;c>; rel=next", Some("/a,b;c")),
        (
            "</a>; title=\"x, <y>; rel=next\", </b>; rel=next",
            Some("/b"),
        ),
        (
            "</a>; title=\"\\\", </x>; rel=next\", </b>; rel=next",
            Some("/b"),
        ),
        (
            "<https://h:1/v2/_catalog?last=z&n=1>; rel=\"next\"",
            Some("https://h:1/v2/_catalog?last=z&n=1"),
        ),
        ("<>; rel=next", Some("")),
        ("</a>; rel=prev; rel=next", None),
        ("</a>; rel=\"nextish\"", None),
        ("</a>; rel", None),
        ("</a>", None),
        ("</a; rel=next", None),
        ("/a; rel=next", None),
        ("", None),
    ] {
        assert_eq!(Link::parse_next(header), target, "{header:?}");
    }
}

proptest! {
    #[test]
    fn a_printed_link_is_found_again(target in "[!#-;=?-~]{0,40}") {
        let header = Link::next(&target);
        prop_assert_eq!(Link::parse_next(&header), Some(target.as_str()));
    }

    #[test]
    fn any_target_makes_one_safe_header(target in any::<String>()) {
        let header = Link::next(&target);
        prop_assert!(header.bytes().all(|b| (b' '..=b'~').contains(&b)));
        let found = Link::parse_next(&header).unwrap();
        let decoded = percent_encoding::percent_decode_str(found).decode_utf8_lossy();
        let given = percent_encoding::percent_decode_str(&target).decode_utf8_lossy();
        prop_assert_eq!(decoded, given);
    }

    #[test]
    fn numbers_are_read_back(n in any::<u64>()) {
        prop_assert_eq!(parse_n(&n.to_string()), Ok(n));
    }
}
