//! Platforms: reading, printing, and which one serves whom.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

#[test]
fn platforms_are_read_and_printed() {
    for (text, os, architecture, variant, version, features) in [
        ("linux/amd64", "linux", "amd64", None, None, &[][..]),
        ("linux/arm64/v8", "linux", "arm64", Some("v8"), None, &[]),
        ("unknown/unknown", "unknown", "unknown", None, None, &[]),
        (
            "windows(10.0.17763.1)/amd64",
            "windows",
            "amd64",
            None,
            Some("10.0.17763.1"),
            &[],
        ),
        (
            "windows(10.0+win32k+x)/arm/v7",
            "windows",
            "arm",
            Some("v7"),
            Some("10.0"),
            &["win32k", "x"],
        ),
        (
            "windows(+win32k)/amd64",
            "windows",
            "amd64",
            None,
            None,
            &["win32k"],
        ),
    ] {
        let read: Platform = text.parse().unwrap();
        assert_eq!(
            (read.os.as_str(), read.architecture.as_str()),
            (os, architecture)
        );
        assert_eq!(read.variant.as_deref(), variant, "{text}");
        assert_eq!(read.os_version.as_deref(), version, "{text}");
        assert_eq!(read.os_features, features, "{text}");
        assert_eq!(read.to_string(), text);
    }
}

#[test]
fn what_is_no_platform_says_why() {
    use PlatformError::{Grammar, Shape};
    for (text, error) in [
        ("", Shape),
        ("linux", Shape),
        ("linux/arm/v7/x", Shape),
        ("linux)/arm", Shape),
        ("/", Grammar),
        ("linux/", Grammar),
        ("/amd64", Grammar),
        ("linux/arm/", Grammar),
        ("linux()/arm", Grammar),
        ("linux(1+)/arm", Grammar),
        ("linux(1)(2)/arm", Grammar),
        ("linux(1/arm", Grammar),
        ("li nux/arm", Grammar),
        ("linux/arm\0", Grammar),
        ("linux/ärm", Grammar),
    ] {
        assert_eq!(text.parse::<Platform>(), Err(error), "{text:?}");
    }
}

#[test]
fn the_offered_serves_the_wanted() {
    for (offered, wanted, serves) in [
        ("linux/amd64", "linux/amd64", true),
        ("linux/amd64", "linux/arm64", false),
        ("linux/amd64", "windows/amd64", false),
        ("linux/arm/v6", "linux/arm", true),
        ("linux/arm", "linux/arm/v7", true),
        ("linux/arm/v6", "linux/arm/v7", false),
        ("linux/arm64", "linux/arm64/v8", true),
        ("linux/arm64/v8", "linux/arm64", true),
        ("linux/arm64/v9", "linux/arm64/v8", false),
        ("linux/amd64", "linux/amd64/v1", true),
        ("linux/amd64", "linux/amd64/v3", false),
        ("linux/riscv64", "linux/riscv64/v1", false),
        ("windows(10.0.17763.1)/amd64", "windows/amd64", true),
        (
            "windows(10.0.17763.1)/amd64",
            "windows(10.0.17763)/amd64",
            true,
        ),
        (
            "windows(10.0.177631)/amd64",
            "windows(10.0.17763)/amd64",
            false,
        ),
        ("windows/amd64", "windows(10.0)/amd64", false),
        ("windows(1+a+b)/amd64", "windows(+b)/amd64", true),
        ("windows(1+a)/amd64", "windows(+b)/amd64", false),
    ] {
        let (a, b): (Platform, Platform) = (offered.parse().unwrap(), wanted.parse().unwrap());
        assert_eq!(a.matches(&b), serves, "{offered} for {wanted}");
    }
    let any = Platform::default();
    assert!("plan9/mips".parse::<Platform>().unwrap().matches(&any));
}

#[test]
fn json_keeps_what_it_does_not_know() {
    let json = r#"{"architecture":"amd64","os":"windows","os.version":"10","os.features":["f"],"features":["sse4"]}"#;
    let read: Platform = serde_json::from_str(json).unwrap();
    assert_eq!(read.os_version.as_deref(), Some("10"));
    assert_eq!(read.other["features"], serde_json::json!(["sse4"]));
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    let nulls = r#"{"os":null,"architecture":null,"variant":null,"os.features":null}"#;
    let read: Platform = serde_json::from_str(nulls).unwrap();
    assert_eq!(read, Platform::default());
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(platform in arbitrary::platform()) {
        prop_assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform.clone());
        let json = serde_json::to_string(&platform).unwrap();
        prop_assert_eq!(serde_json::from_str::<Platform>(&json).unwrap(), platform);
    }

    #[test]
    fn a_platform_serves_itself(platform in arbitrary::platform()) {
        prop_assert!(platform.matches(&platform));
    }
}
