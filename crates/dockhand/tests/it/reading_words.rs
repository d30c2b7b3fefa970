//! What reading commands say of times, kinds, order, and of what is not there.

use serde_json::json;

use crate::images::{Bench, INDEX, Made};
use crate::serving::text;

#[test]
fn times_and_kinds_are_listed() {
    let bench = Bench::new();
    for (tag, at) in [
        ("old", "2020-01-01T00:00:00Z"),
        ("new", "2024-01-01T00:00:00Z"),
    ] {
        let name = format!("app:{tag}");
        bench.image(
            &name,
            Made {
                at,
                ..Made::default()
            },
        );
    }
    // Between the two, counted from today.
    let then: jiff::Timestamp = "2022-01-01T00:00:00Z".parse().unwrap();
    let age = jiff::Timestamp::now().as_second() - then.as_second();
    let age = format!("{}h", age / 3600);
    assert_eq!(bench.ok(&["ls", "%/app", "--newer-than", &age]), "new\n");
    assert_eq!(bench.ok(&["ls", "%/app", "--older-than", &age]), "old\n");
    let both = [
        "ls",
        "%/app",
        "--older-than",
        &age,
        "--newer-than",
        "900000d",
    ];
    assert_eq!(bench.ok(&both), "old\n");
    let table = bench.ok(&["ls", "%/app", "-d", "--sort", "created"]);
    assert!(
        table.lines().next().unwrap().ends_with("KIND   CREATED"),
        "{table}"
    );
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .ends_with("image  2020-01-01T00:00:00Z"),
        "{table}"
    );
    let rows = bench.json(&["ls", "%/app", "-d", "--sort", "created"]);
    assert_eq!(rows[1]["created"], "2024-01-01T00:00:00Z");
    assert!(!bench.ok(&["ls", "%/app", "-d"]).contains("CREATED"));
    bench.index("app:list");
    std::fs::write(bench.path().join("a.txt"), "a").unwrap();
    bench.ok(&[
        "artifact",
        "push",
        "%/app:note",
        "a.txt",
        "--artifact-type",
        "example/note",
    ]);
    let rows = bench.json(&["ls", "%/app", "-d", "--sort", "name"]);
    let kinds: Vec<_> = { rows.as_array().unwrap().iter() }
        .map(|row| row["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["index", "image", "artifact", "image"]);
}

#[test]
fn documents_keep_their_order() {
    let bench = Bench::new();
    let config = r#"{"os":"linux","architecture":"amd64","big":12345678901234567890123,"config":{"Z":1.0,"A":[]}}"#;
    let config = bench.blob(
        "app",
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let config = format!(
        r#"{{"size":{},"mediaType":{},"digest":{}}}"#,
        config["size"], config["mediaType"], config["digest"]
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[],"annotations":{{"z":"1","a":"2"}}}}"#,
        crate::images::MANIFEST
    );
    std::fs::write(bench.path().join("m.json"), manifest).unwrap();
    bench.ok(&["manifest", "put", "%/app:1", "m.json"]);
    let places = |text: &str, words: &[&str]| -> Vec<usize> {
        { words.iter() }
            .map(|word| text.find(word).unwrap_or_else(|| panic!("{word}: {text}")))
            .collect()
    };
    let words = [
        "\n  \"schemaVersion\"",
        "\"config\"",
        "\"size\"",
        "\"layers\": []",
        "\"z\"",
        "\"a\"",
    ];
    for flag in ["--pretty", "--json"] {
        let shown = bench.ok(&["manifest", "%/app:1", flag]);
        let shown = shown.split("\"manifest\": {").last().unwrap();
        let words = &words[usize::from(flag == "--json")..];
        assert!(places(shown, words).is_sorted(), "{shown}");
        let shown = bench.ok(&["config", "%/app:1", flag]);
        let words = [
            "\"os\"",
            "\"architecture\"",
            "12345678901234567890123",
            "\"Z\": 1.0",
            "\"A\"",
        ];
        assert!(places(&shown, &words).is_sorted(), "{shown}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    let output = bench.run(&["discover", "%/app:1"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), String::new())
    );
    let error = text(&output.stderr);
    assert!(error.contains("nothing refers to"), "{error}");
    let child = bench.image(
        "app:2",
        Made {
            processor: "arm64",
            ..Made::default()
        },
    );
    let children: Vec<_> = ["app:1", "app:2"]
        .map(|name| {
            let digest = bench.ok(&["digest", &bench.at(name)]);
            json!({ "mediaType": child["mediaType"], "digest": digest.trim(), "size": child["size"] })
        })
        .to_vec();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
    bench.manifest("app:bare", &index);
    let error = bench.fails(3, &["config", "%/app:bare"]);
    assert!(
        error.contains("index ls") && !error.contains("one of: \n"),
        "{error}"
    );
}

#[test]
fn a_link_that_leads_nowhere_is_named() {
    let bench = Bench::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "usr/bin/tool", "../lib/tool")
        .unwrap();
    std::fs::write(bench.path().join("l.tar"), builder.into_inner().unwrap()).unwrap();
    bench.ok(&[
        "append",
        "-f",
        "l.tar",
        "-t",
        "%/app:1",
        "--set-platform",
        "linux/amd64",
    ]);
    let error = bench.fails(3, &["cat", "%/app:1", "/usr/bin/tool"]);
    assert!(
        error.contains("/usr/bin/tool is a link to ../lib/tool") && error.contains("no /usr/lib"),
        "{error}"
    );
}

#[test]
fn manifest_rm_takes_the_manifest_of_a_tag() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.image(
        "app:2",
        Made {
            layer: b"other",
            ..Made::default()
        },
    );
    bench.ok(&["tag", "%/app:1", "also"]);
    let digest = bench.ok(&["digest", "%/app:1"]);
    let error = bench.fails(2, &["manifest", "rm", "%/app:1"]);
    assert!(error.contains("also") && error.contains("--yes"), "{error}");
    let said = bench.ok(&["manifest", "rm", "%/app:1", "--yes"]);
    assert!(said.contains(digest.trim()), "{said}");
    assert_eq!(bench.ok(&["ls", "%/app"]), "2\n");
    bench.fails(3, &["manifest", "rm", "%/app:1", "--yes"]);
}
