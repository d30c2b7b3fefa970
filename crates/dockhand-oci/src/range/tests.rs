//! Ranges: tables of headers against sizes, and that no answer lies outside the content.

use proptest::prelude::*;

use super::*;

#[test]
fn ranges_meet_sizes() {
    for (header, size, bytes) in [
        ("bytes=0-0", 10, Some(0..1)),
        ("bytes=0-", 10, Some(0..10)),
        ("bytes=3-7", 10, Some(3..8)),
        ("bytes=9-", 10, Some(9..10)),
        ("bytes=9-99", 10, Some(9..10)),
        ("bytes=10-", 10, None),
        ("bytes=10-12", 10, None),
        ("bytes=-1", 10, Some(9..10)),
        ("bytes=-10", 10, Some(0..10)),
        ("bytes=-99", 10, Some(0..10)),
        ("bytes=-0", 10, None),
        ("bytes=0-", 0, None),
        ("bytes=-5", 0, None),
        ("Bytes=1-2", 10, Some(1..3)),
        (" bytes= 1-2\t", 10, Some(1..3)),
        ("bytes=00001-02", 10, Some(1..3)),
        ("bytes=0-18446744073709551615", u64::MAX, Some(0..u64::MAX)),
        ("bytes=0-99999999999999999999999", 10, Some(0..10)),
        ("bytes=99999999999999999999999-", u64::MAX, None),
        ("bytes=-99999999999999999999999", 10, Some(0..10)),
    ] {
        let range = ByteRange::parse(header).unwrap();
        assert_eq!(range.resolve(size), bytes, "{header} of {size}");
    }
}

#[test]
fn what_is_no_single_range_is_ignored() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=a-b",
        "bytes=1-x",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=--5",
        "bytes=1--2",
        "bytes=-1-2",
        "bytes=0-1,5-6",
        "bytes=0-1,",
        ",bytes=0-1",
        "bytes=1 -2",
        "bytes=0x1-2",
        "bytes=1.0-2",
        "bytes 0-1",
        "items=0-1",
        "bytes =0-1",
        "bytes=0-1;x",
        "bytes=0-1\0",
        "bytes=٣-٤",
        "bytes==0-1",
    ] {
        assert_eq!(ByteRange::parse(header), None, "{header:?}");
    }
}

#[test]
fn chunks_say_where_they_go() {
    for (text, start, end, length) in [
        ("0-0", 0, 0, 1),
        ("0-1023", 0, 1023, 1024),
        (" 5-9\t", 5, 9, 5),
        ("bytes=5-9", 5, 9, 5),
        ("bytes 5-9/10", 5, 9, 5),
        ("bytes 5-9/*", 5, 9, 5),
        ("5-9/100", 5, 9, 5),
        ("0-18446744073709551615", 0, u64::MAX, u64::MAX),
        (
            "18446744073709551615-18446744073709551615",
            u64::MAX,
            u64::MAX,
            1,
        ),
    ] {
        let range: ContentRange = text.parse().unwrap();
        assert_eq!(
            (range.start, range.end, range.length()),
            (start, end, length),
            "{text}"
        );
    }
    assert_eq!(ContentRange { start: 5, end: 2 }.length(), 0);
}

#[test]
fn what_is_no_chunk_says_why() {
    use ContentRangeError::{BeyondTotal, Reversed, Syntax, TooLarge};
    for (text, error) in [
        ("", Syntax),
        ("-", Syntax),
        ("5", Syntax),
        ("5-", Syntax),
        ("-5", Syntax),
        ("a-b", Syntax),
        ("+1-2", Syntax),
        ("1 - 2", Syntax),
        ("1-2-3", Syntax),
        ("1-2,3-4", Syntax),
        ("items 1-2", Syntax),
        ("bytes */10", Syntax),
        ("1-2/", Syntax),
        ("1-2/x", Syntax),
        ("1-2/3/4", Syntax),
        ("bytes=bytes=1-2", Syntax),
        ("1-2\0", Syntax),
        ("2-1", Reversed),
        ("0-18446744073709551616", TooLarge),
        ("0-9/9", BeyondTotal),
    ] {
        assert_eq!(text.parse::<ContentRange>(), Err(error), "{text:?}");
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(a in any::<u64>(), b in any::<u64>()) {
        let (low, high) = (a.min(b), a.max(b));
        for span in [Span::From(a), Span::FromTo(low, high), Span::Last(b)] {
            let range = ByteRange(span);
            prop_assert_eq!(ByteRange::parse(&range.to_string()), Some(range));
        }
        let chunk = ContentRange { start: low, end: high };
        prop_assert_eq!(chunk.to_string().parse(), Ok(chunk));
    }

    #[test]
    fn a_range_stays_inside_the_content(a in any::<u64>(), b in any::<u64>(), size in any::<u64>()) {
        for span in [Span::From(a), Span::FromTo(a.min(b), a.max(b)), Span::Last(b)] {
            if let Some(range) = ByteRange(span).resolve(size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
