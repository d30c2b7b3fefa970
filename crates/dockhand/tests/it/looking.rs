//! Into images: cat, export, diff, du.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::images::Bench;
use crate::rewriting::image;
use crate::serving::text;

#[test]
fn files_come_out_of_images() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    assert_eq!(bench.ok(&["cat", "%/app:1", "/etc/os"]), "linux/amd64");
    for (code, line, words) in [
        (3, &["cat", "%/app:1", "absent"][..], "/absent"),
        (2, &["cat", "%/app:1"], "IMAGE PATH"),
        (2, &["cat", "%/app:1", "etc/os/x"], "no directory"),
        (2, &["cat", "%/app:1", "../x"], ".."),
        (
            3,
            &["cat", "%/app:1", "etc/os", "--platform", "linux/arm64"],
            "linux/amd64",
        ),
    ] {
        let error = bench.fails(code, line);
        assert!(error.contains(words), "{line:?}: {error}");
    }
}

#[test]
fn a_file_system_is_exported() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    let output = bench.run(&["export", "%/app:1"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let paths = |bytes: &[u8]| -> Vec<String> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    };
    assert_eq!(paths(&output.stdout), ["which", "etc/os"]);
    bench.ok(&["export", "%/app:1", "root.tar"]);
    assert_eq!(
        std::fs::read(bench.path().join("root.tar")).unwrap(),
        output.stdout
    );
    // A device stays what it is.
    bench.ok(&["export", "%/app:1", "/dev/null"]);
    bench.ok(&["pull", "%/app:1", "-o", "/dev/null", "--format", "docker"]);
    let device = std::fs::metadata("/dev/null").unwrap();
    assert!(!device.is_file(), "{device:?}");
    let answer = bench.json(&["export", "%/app:1", "--unpack", "root"]);
    assert_eq!(
        (&answer["files"], &answer["skipped"]),
        (&2.into(), &0.into())
    );
    let which = std::fs::read_to_string(bench.path().join("root/which")).unwrap();
    assert_eq!(which, "app:1");
    let error = bench.fails(1, &["export", "%/app:1", "--unpack", "root"]);
    assert!(error.contains("not empty"), "{error}");
    let few = ["export", "%/app:1", "few.tar", "--max-files", "1"];
    let error = bench.fails(1, &few);
    assert!(error.contains("more than 1 file"), "{error}");
    let left = std::fs::read_dir(bench.path()).unwrap();
    let left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("few") || name.contains(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // Whoever puts a link where the folder should be gets nothing through it.
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("kept"), "").unwrap();
    symlink(outside.path(), bench.path().join("link")).unwrap();
    bench.fails(1, &["export", "%/app:1", "--unpack", "link"]);
}

#[test]
fn images_are_compared_and_measured() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    bench.ok(&["edit", "%/app:1", "-l", "a=b", "-t", ":2"]);
    image(&bench, "app:3", "linux/amd64");
    assert_eq!(bench.ok(&["diff", "%/app:1", "%/app:1"]), "");
    let labels = bench.run(&["diff", "%/app:1", "%/app:2"]);
    assert_eq!(labels.status.code(), Some(8));
    let printed = text(&labels.stdout);
    assert!(
        printed.contains("+ config /config/Labels {\"a\":\"b\"}"),
        "{printed}"
    );
    assert!(!printed.contains("/which"), "{printed}");
    let files = bench.run(&["diff", "%/app:1", "%/app:3", "--json"]);
    let answer: Value = serde_json::from_slice(&files.stdout).unwrap();
    assert_eq!(answer["files"][0]["path"], "/which");
    assert_eq!(answer["files"][0]["change"], "changed");
    assert_eq!(answer["files"].as_array().unwrap().len(), 1);
    let none = bench.run(&["diff", "%/app:1", "%/app:3", "--json", "--no-files"]);
    let answer: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(answer["files"], serde_json::json!([]));
    let one = &bench.json(&["du", "%/app:1"])[0];
    let parts = &one["images"][0];
    let sum = |parts: &Value| {
        let layers = parts["layers"].as_array().unwrap().iter();
        let layers: u64 = layers.map(|layer| layer.as_u64().unwrap()).sum();
        layers + parts["config"].as_u64().unwrap() + parts["manifest"].as_u64().unwrap()
    };
    assert_eq!(one["total"], sum(parts));
    let whole = &bench.json(&["du", "%/app"])[0];
    let tags = whole["tags"].as_array().unwrap();
    assert_eq!(tags.len(), 3);
    // The first two share their layer.
    assert_eq!(tags[0]["shared"], parts["layers"][0]);
    assert_eq!(tags[2]["shared"], 0);
    let table = bench.ok(&["du", "%/app", "%/app:1"]);
    let head = format!("{}:\nTAG      SIZE", bench.at("app"));
    assert!(table.starts_with(&head), "{table}");
}
