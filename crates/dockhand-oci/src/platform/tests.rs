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
fn an_architecture_alone_means_linux() {
    for (text, printed) in [
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("armhf", "linux/arm/v7"),
        ("armel", "linux/arm/v6"),
        ("arm", "linux/arm/v7"),
        ("i386", "linux/386"),
        ("riscv64", "linux/riscv64"),
    ] {
        assert_eq!(
            text.parse::<Platform>().unwrap().to_string(),
            printed,
            "{text}"
        );
    }
}

#[test]
fn names_are_normalized() {
    for (text, normal) in [
        ("Linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("macos/aarch64", "darwin/arm64"),
        ("linux/s390x", "linux/s390x"),
    ] {
        let platform: Platform = text.parse().unwrap();
        assert_eq!(platform.normalized().to_string(), normal, "{text}");
    }
}

/// Which of `offered`, in any order, serves `wanted` best.
fn best(wanted: &str, offered: &[&str]) -> Option<String> {
    let wanted: Platform = wanted.parse().unwrap();
    let platforms: Vec<Platform> = offered.iter().map(|text| text.parse().unwrap()).collect();
    let choose = |platforms: &[Platform]| {
        let pairs = platforms
            .iter()
            .map(|platform| (platform, platform.to_string()));
        Platform::best(&wanted, pairs)
    };
    let forward = choose(&platforms);
    let backward: Vec<Platform> = platforms.into_iter().rev().collect();
    assert_eq!(choose(&backward), forward, "{wanted} of {offered:?}");
    forward
}

#[test]
fn the_best_image_for_a_platform() {
    for (wanted, offered, chosen) in [
        (
            "linux/amd64",
            &["linux/arm64", "linux/amd64"][..],
            Some("linux/amd64"),
        ),
        ("linux/amd64", &["windows/amd64", "linux/arm64"], None),
        (
            "linux/arm",
            &["linux/arm/v6", "linux/arm/v7"],
            Some("linux/arm/v7"),
        ),
        (
            "linux/arm",
            &["linux/arm/v5", "linux/arm/v6"],
            Some("linux/arm/v6"),
        ),
        (
            "linux/arm/v6",
            &["linux/arm/v5", "linux/arm/v7"],
            Some("linux/arm/v5"),
        ),
        ("linux/arm/v6", &["linux/arm/v7"], None),
        (
            "linux/arm/v8",
            &["linux/arm/v6", "linux/arm/v7"],
            Some("linux/arm/v7"),
        ),
        ("linux/arm/v7", &["linux/arm"], Some("linux/arm")),
        (
            "linux/arm64",
            &["linux/arm/v7", "linux/arm64/v8"],
            Some("linux/arm64/v8"),
        ),
        ("linux/arm64/v8", &["linux/arm64"], Some("linux/arm64")),
        (
            "linux/arm64",
            &["linux/arm/v6", "linux/arm/v7"],
            Some("linux/arm/v7"),
        ),
        (
            "linux/arm64/v9",
            &["linux/arm/v7", "linux/arm64"],
            Some("linux/arm64"),
        ),
        ("linux/arm64", &["linux/arm64/v9"], None),
        ("linux/amd64/v3", &["linux/amd64"], Some("linux/amd64")),
        (
            "linux/amd64/v4",
            &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64"],
            Some("linux/amd64/v3"),
        ),
        (
            "linux/amd64",
            &["linux/amd64/v2", "linux/386"],
            Some("linux/386"),
        ),
        ("linux/386", &["linux/amd64"], None),
        (
            "linux/riscv64",
            &["linux/riscv64/v1"],
            Some("linux/riscv64/v1"),
        ),
        (
            "windows(10.0.17763.1)/amd64",
            &[
                "windows(10.0.17763.9)/amd64",
                "windows(10.0.17763.10)/amd64",
            ],
            Some("windows(10.0.17763.10)/amd64"),
        ),
        (
            "windows(10.0.17763)/amd64",
            &["windows(10.0.14393.1)/amd64", "windows(10.0.177631)/amd64"],
            None,
        ),
        (
            "windows/amd64",
            &["windows(10.0.14393.1)/amd64", "windows(10.0.20348.1)/amd64"],
            Some("windows(10.0.20348.1)/amd64"),
        ),
        (
            "windows(1+b)/amd64",
            &["windows(1+a+b)/amd64"],
            Some("windows(1+a+b)/amd64"),
        ),
        ("windows(1+b)/amd64", &["windows(1+a)/amd64"], None),
    ] {
        assert_eq!(
            best(wanted, offered).as_deref(),
            chosen,
            "{wanted} of {offered:?}"
        );
    }
}

#[test]
fn only_the_platform_itself_matches() {
    for (offered, wanted, matches) in [
        ("linux/arm64/v8", "linux/arm64", true),
        ("linux/amd64", "linux/amd64/v1", true),
        ("linux/arm", "linux/arm/v7", true),
        ("linux/arm/v6", "linux/arm", false),
        ("linux/arm/v7", "linux/arm64", false),
        ("linux/386", "linux/amd64", false),
        ("linux/riscv64/v1", "linux/riscv64", true),
        ("linux/riscv64", "linux/riscv64/v1", false),
        ("windows(10.0.17763.1)/amd64", "windows/amd64", true),
        ("windows/amd64", "windows(10.0)/amd64", true),
    ] {
        let (a, b): (Platform, Platform) = (offered.parse().unwrap(), wanted.parse().unwrap());
        assert_eq!(a.matches(&b), matches, "{offered} for {wanted}");
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
        prop_assert_eq!(platform.rank(&platform), Some(0));
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order(
        wanted in arbitrary::platform(),
        offered in proptest::collection::vec(arbitrary::platform(), 0..6),
    ) {
        let choose = |offered: &[Platform]| {
            Platform::best(&wanted, offered.iter().map(|one| (one, one.to_string())))
        };
        let backward: Vec<Platform> = offered.iter().rev().cloned().collect();
        prop_assert_eq!(choose(&offered), choose(&backward));
    }
}
