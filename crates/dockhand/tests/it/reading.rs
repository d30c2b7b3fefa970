//! Commands that read: ls, repos, search, digest, manifest, config, inspect, exists.

use serde_json::json;

use crate::images::{Bench, Made};

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn ls_chooses_and_sorts() {
    let bench = Bench::new();
    for (tag, at) in [
        ("1.9", "2024-01-01T00:00:00Z"),
        ("1.10", "2024-03-01T00:00:00Z"),
        ("v2.0.0-rc.1", "2024-02-01T00:00:00Z"),
        ("latest", "2024-04-01T00:00:00Z"),
    ] {
        let layer = tag.as_bytes();
        bench.image(
            &format!("team/app:{tag}"),
            Made {
                at,
                layer,
                ..Made::default()
            },
        );
    }
    for (flags, expected) in [
        (&[][..], "1.10 1.9 latest v2.0.0-rc.1"),
        (&["--match", "^1"], "1.10 1.9"),
        (&["--exclude", "[.]"], "latest"),
        (&["--semver", "--sort", "semver"], "1.9 1.10 v2.0.0-rc.1"),
        (&["--semver=>=1.9, <1.10"], "1.9"),
        (&["--semver", "--newest", "1"], "v2.0.0-rc.1"),
        (&["--newest", "2"], "latest 1.10"),
        (&["--sort", "created"], "1.9 v2.0.0-rc.1 1.10 latest"),
        (
            &["--sort", "name", "--reverse", "--limit", "1"],
            "v2.0.0-rc.1",
        ),
        (&["--last", "1.9"], "latest v2.0.0-rc.1"),
        (&["--older-than", "1d"], "1.10 1.9 latest v2.0.0-rc.1"),
        (&["--older-than", "900000d"], ""),
    ] {
        let printed = bench.ok(&[&["ls", "%/team/app"], flags].concat());
        assert_eq!(lines(&printed).join(" "), expected, "{flags:?}");
    }
    assert_eq!(
        bench
            .ok(&["ls", "%/team/app", "--full-ref", "--limit", "1"])
            .trim(),
        bench.at("team/app:1.10")
    );
    assert!(bench.fails(2, &["ls", "%/team/app:1"]).contains("no tag"));
    assert!(bench.fails(3, &["ls", "%/team/none"]).contains("team/none"));
    assert!(
        bench
            .fails(2, &["ls", "%/team/app", "--match", "("])
            .contains("regex")
    );
}

#[test]
fn ls_shows_and_finds_digests() {
    let bench = Bench::new();
    let one = bench.image("app:a", Made::default())["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let two = bench.image(
        "app:b",
        Made {
            layer: b"other",
            ..Made::default()
        },
    )["digest"]
        .clone();
    bench.ok(&["tag", "%/app:a", "c"]);
    let listed = bench.json(&["ls", "%/app", "--digests", "--sort", "name"]);
    let digests: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["digest"].clone())
        .collect();
    assert_eq!(digests, [json!(one), two, json!(one)]);
    assert_eq!(
        lines(&bench.ok(&["ls", "%/app", "--digest", &one])),
        ["a", "c"]
    );
    let table = bench.ok(&["ls", "%/app", "-d"]);
    assert!(
        table.starts_with("TAG  DIGEST") && table.contains(&one),
        "{table}"
    );
    assert_eq!(lines(&table).len(), 4);
}

#[test]
fn repositories_are_listed_and_searched() {
    let bench = Bench::new();
    for name in ["library/debian", "team/app", "team/app-web", "other"] {
        bench.image(&format!("{name}:1"), Made::default());
    }
    let all = ["library/debian", "other", "team/app", "team/app-web"];
    assert_eq!(lines(&bench.ok(&["repos", "%"])), all);
    assert_eq!(
        lines(&bench.ok(&["catalog", "%", "--limit", "1", "--last", "other"])),
        ["team/app"]
    );
    assert_eq!(
        bench.json(&["repos", "%"]),
        json!(all.map(|name| json!({ "name": name })))
    );
    for (args, expected) in [
        (&["APP"][..], "team/app team/app-web"),
        (&["^team/app$", "--regex"], "team/app"),
        (&["*", "--glob"], "other"),
        (&["team/*", "--glob"], "team/app team/app-web"),
        (&["**/d*", "--glob"], "library/debian"),
        (&["nothing"], ""),
    ] {
        let printed = bench.ok(&[&["search"], &args[..1], &["%"], &args[1..]].concat());
        assert_eq!(lines(&printed).join(" "), expected, "{args:?}");
    }
    assert!(
        bench
            .fails(2, &["search", "(", "%", "--regex"])
            .contains("error")
    );
}

#[test]
fn manifests_and_configs_come_byte_for_byte() {
    let bench = Bench::new();
    let (index, children) = bench.index("app:1");
    assert_eq!(bench.ok(&["digest", "%/app:1"]).trim(), index);
    assert_eq!(
        bench
            .ok(&["digest", "%/app:1", "--platform", "linux/arm64"])
            .trim(),
        children[1]
    );
    let full = bench.ok(&["digest", "%/app:1", "--full-ref"]);
    assert_eq!(full.trim(), format!("{}@{index}", bench.at("app")));
    let raw = bench.run(&["manifest", "%/app:1"]).stdout;
    assert_eq!(
        dockhand_oci::Algorithm::Sha256.digest(&raw).to_string(),
        index
    );
    let child = bench
        .run(&["manifest", "get", "%/app:1", "--platform", "linux/arm64"])
        .stdout;
    assert_eq!(
        dockhand_oci::Algorithm::Sha256.digest(&child).to_string(),
        children[1]
    );
    let shown = bench.json(&["manifest", "%/app:1"]);
    assert_eq!(
        (
            &shown["digest"],
            shown["manifest"]["manifests"].as_array().unwrap().len()
        ),
        (&json!(index), 2)
    );
    let head = bench.ok(&["manifest", "head", "%/app:1"]);
    assert!(
        head.starts_with(&index) && head.contains("image.index"),
        "{head}"
    );
    let config = bench.json(&["config", "%/app:1", "--platform", "linux/arm64"]);
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&json!("arm64"), &json!("linux"))
    );
    bench.ok(&[
        "config",
        "%/app:1",
        "--platform",
        "linux/amd64",
        "-o",
        "config.json",
    ]);
    assert!(bench.path().join("config.json").is_file());
    let error = bench.fails(3, &["config", "%/app:1", "--platform", "linux/s390x"]);
    assert!(error.contains("linux/amd64, linux/arm64"), "{error}");
    assert!(
        bench
            .fails(3, &["digest", "%/app:1", "--platform", "plan9/amd64"])
            .contains("plan9")
    );
}

#[test]
fn a_manifest_is_put_only_as_what_it_is() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.ok(&["manifest", "%/app:1", "-o", "m.json"]);
    let put = bench.ok(&["manifest", "put", "%/app:2", "m.json", "--tag", "3"]);
    assert_eq!(put, bench.ok(&["digest", "%/app:1", "--full-ref"]));
    assert_eq!(lines(&bench.ok(&["ls", "%/app"])), ["1", "2", "3"]);
    let other = format!("%/app@sha256:{}", "0".repeat(64));
    assert!(
        bench
            .fails(7, &["manifest", "put", &other, "m.json"])
            .contains("and not")
    );
    std::fs::write(bench.path().join("none.json"), "{}").unwrap();
    assert!(
        !bench
            .fails(1, &["manifest", "put", "%/app:4", "none.json"])
            .is_empty()
    );
}

#[test]
fn inspect_says_what_a_person_wants_to_know() {
    let bench = Bench::new();
    let (index, _) = bench.index("app:1");
    bench.image("app:2", Made::default());
    bench.ok(&["attach", "%/app:1", "--artifact-type", "example/sbom"]);
    let seen = bench.json(&["inspect", "%/app:1"]);
    assert_eq!(
        (&seen["digest"], &seen["referrers"]),
        (&json!(index), &json!(1))
    );
    assert_eq!(seen["images"].as_array().unwrap().len(), 2);
    assert_eq!(seen["images"][1]["platform"], "linux/arm64");
    assert_eq!(seen["images"][0]["entrypoint"], json!(["/app"]));
    assert!(seen.get("tags").is_none());
    let shown = bench.ok(&["inspect", "%/app:2", "--tags"]);
    for words in [
        "linux/amd64",
        "2024-01-02T03:04:05Z",
        "[\"/app\"]",
        "80/tcp",
        "team=blue",
        "title=app",
        "tags:",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn exists_answers_by_its_exit_code() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    for (flags, code) in [
        (&["%/app:1"][..], 0),
        (&["%/app:2"], 3),
        (&["%/none:1"], 3),
        (&["%/app:1", "--older-than", "30d"], 0),
        (&["%/app:1", "--older-than", "900000d"], 8),
        (&["%/app:1", "--newer-than", "900000d"], 0),
        (&["%/app:1", "--newer-than", "30d"], 8),
        (&["%/app:2", "--older-than", "30d"], 3),
        (&["127.0.0.1:1/app"], 6),
    ] {
        let error = bench.fails(code, &[&["exists"], flags].concat());
        assert_eq!(error.is_empty(), code != 6, "{flags:?}: {error}");
    }
    let answer = bench.json(&["exists", "%/app:1", "--older-than", "1d"]);
    assert_eq!(
        (&answer["exists"], &answer["created"]),
        (&json!(true), &json!("2024-01-02T03:04:05Z"))
    );
}
