//! Looking at indexes and artifacts: diff, du, inspect; what of them is broken.

use serde_json::{Value, json};

use crate::images::{Bench, INDEX, Made};
use crate::rewriting::image;
use crate::serving::text;

/// The output, with the code that it must exit with.
fn said(bench: &Bench, code: i32, line: &[&str]) -> (String, String) {
    let output = bench.run(line);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{line:?}: {out}{error}");
    (out, error)
}

fn said_json(bench: &Bench, code: i32, line: &[&str]) -> Value {
    let (out, _) = said(bench, code, &[line, &["--json"]].concat());
    serde_json::from_str(&out).unwrap()
}

/// Four indexes in `app`: of two platforms, with another image for one of them, with one platform
/// instead of another, and with an annotation.
fn indexes(bench: &Bench) {
    for (name, platform) in [
        ("amd:1", "linux/amd64"),
        ("arm:1", "linux/arm64"),
        ("arm:2", "linux/arm64"),
        ("risc:1", "linux/riscv64"),
    ] {
        image(bench, name, platform);
    }
    for line in [
        &["%/app:1", "%/amd:1", "%/arm:1"][..],
        &["%/app:2", "%/amd:1", "%/arm:2"],
        &["%/app:3", "%/amd:1", "%/risc:1"],
        &["%/app:4", "%/amd:1", "%/arm:1", "-a", "note=yes"],
        &["%/app:5", "%/arm:1", "%/amd:1"],
    ] {
        bench.ok(&[&["index", "create"], line].concat());
    }
}

#[test]
fn indexes_that_differ_anywhere_differ() {
    let bench = Bench::new();
    indexes(&bench);
    assert_eq!(bench.ok(&["diff", "%/app:1", "%/app:1"]), "");
    assert_eq!(bench.json(&["diff", "%/app:1", "%/app:1"])["same"], true);
    // On another platform, whichever this machine is of.
    let (out, _) = said(&bench, 8, &["diff", "%/app:1", "%/app:2"]);
    assert!(out.contains("linux/arm64: sha256:"), "{out}");
    assert!(out.contains("~ /which  "), "{out}");
    assert!(!out.contains("linux/amd64:"), "{out}");
    let answer = said_json(&bench, 8, &["diff", "%/app:1", "%/app:2"]);
    assert_eq!(answer["images"][0]["platform"], "linux/arm64");
    assert_eq!(answer["images"][0]["files"][0]["path"], "/which");
    assert_eq!(answer["same"], false);
    // In what is listed.
    let (out, _) = said(&bench, 8, &["diff", "%/app:1", "%/app:3"]);
    assert!(out.contains("- linux/arm64  sha256:"), "{out}");
    assert!(out.contains("+ linux/riscv64  sha256:"), "{out}");
    let answer = said_json(&bench, 8, &["diff", "%/app:1", "%/app:3"]);
    assert_eq!(answer["added"][0]["platform"], "linux/riscv64");
    assert_eq!(answer["removed"][0]["platform"], "linux/arm64");
    assert_eq!(answer["images"], json!([]));
    // In what is said, and only in the order.
    let (out, _) = said(&bench, 8, &["diff", "%/app:1", "%/app:4"]);
    assert!(
        out.contains("+ index /annotations {\"note\":\"yes\"}"),
        "{out}"
    );
    let (out, _) = said(&bench, 8, &["diff", "%/app:1", "%/app:5"]);
    assert!(out.contains("another order"), "{out}");
    // An index and an image.
    let (out, _) = said(&bench, 8, &["diff", "%/app:1", "%/amd:1"]);
    assert!(out.contains("~ index /mediaType"), "{out}");
    assert!(out.contains("- linux/arm64  sha256:"), "{out}");
}

#[test]
fn one_platform_of_indexes_may_be_the_same() {
    let bench = Bench::new();
    indexes(&bench);
    let line = ["diff", "%/app:1", "%/app:2", "--platform"];
    assert_eq!(bench.ok(&[&line[..], &["linux/amd64"]].concat()), "");
    let (out, _) = said(&bench, 8, &[&line[..], &["linux/arm64"]].concat());
    assert!(out.contains("~ /which  "), "{out}");
    // An artifact has no files to compare, but a manifest.
    std::fs::write(bench.path().join("a.txt"), "a").unwrap();
    for (tag, note) in [("1", "a=1"), ("2", "a=2")] {
        let name = format!("%/notes:{tag}");
        let line = [
            "artifact",
            "push",
            &name,
            "a.txt",
            "--artifact-type",
            "example/note",
        ];
        bench.ok(&[&line[..], &["-a", note]].concat());
    }
    let (out, _) = said(&bench, 8, &["diff", "%/notes:1", "%/notes:2"]);
    assert!(
        out.contains("~ manifest /annotations/a \"1\" -> \"2\""),
        "{out}"
    );
}

/// An index in `app:broken` whose image for linux/arm64 is gone; its digest.
fn broken(bench: &Bench) -> String {
    let (_, children) = bench.index("app:broken");
    let gone = format!("%/app@{}", children[1]);
    bench.ok(&["rm", &gone, "--yes"]);
    children[1].clone()
}

#[test]
fn a_broken_index_is_shown_as_far_as_it_goes() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    let gone = broken(&bench);
    let (out, error) = said(&bench, 9, &["inspect", "%/app:broken"]);
    assert!(
        out.contains("linux/amd64  ") && out.contains("1 layer"),
        "{out}"
    );
    assert!(out.contains("linux/arm64  missing"), "{out}");
    assert!(error.contains("the manifest for linux/arm64"), "{error}");
    let answer = said_json(&bench, 9, &["inspect", "%/app:broken"]);
    assert_eq!(answer["images"][1]["missing"], "manifest");
    assert_eq!(answer["images"][1]["digest"], gone);
    assert_eq!(answer["images"][0].get("missing"), None);
    // Both tags have the same config, the broken one and the other share it.
    let (out, error) = said(&bench, 9, &["du", "%/app"]);
    assert!(
        out.contains("\n1       ") && out.contains("\nbroken  "),
        "{out}"
    );
    assert!(
        error.contains("app:broken") && error.contains(&gone),
        "{error}"
    );
    let answer = said_json(&bench, 9, &["du", "%/app"]);
    assert_eq!(answer[0]["broken"][0]["tag"], "broken");
    assert_eq!(answer[0]["tags"].as_array().unwrap().len(), 2);
    let (out, _) = said(&bench, 9, &["du", "%/app:broken"]);
    assert!(out.contains("app:broken"), "{out}");
}

#[test]
fn an_image_without_its_config_is_shown_and_listed() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    bench.ok(&["cp", "%/app:1", "oci:layout:1"]);
    let manifest = bench.json(&["manifest", "%/app:1"]);
    let config = manifest["manifest"]["config"]["digest"].as_str().unwrap();
    let file = config.replace(':', "/");
    std::fs::remove_file(bench.path().join("layout/blobs").join(file)).unwrap();
    let (out, error) = said(&bench, 9, &["inspect", "oci:layout:1"]);
    assert!(out.contains("config missing"), "{out}");
    assert!(error.contains("lacks the config (sha256:"), "{error}");
    assert_eq!(bench.ok(&["ls", "oci:layout", "--sort", "created"]), "1\n");
    let (out, error) = said(&bench, 0, &["ls", "oci:layout", "--newer-than", "1d"]);
    assert_eq!(out, "");
    assert!(error.contains("when it was made: 1 (1 tag)"), "{error}");
}

#[test]
fn unique_is_what_becomes_free() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    bench.ok(&["tag", "%/app:1", "also"]);
    image(&bench, "app:2", "linux/amd64");
    let answer = bench.json(&["du", "%/app"]);
    let tag = |at: usize| answer[0]["tags"][at].clone();
    assert_eq!(
        (&tag(0)["tag"], &tag(0)["unique"]),
        (&json!("1"), &json!(0))
    );
    assert_eq!(
        (&tag(2)["tag"], &tag(2)["unique"]),
        (&json!("also"), &json!(0))
    );
    assert_eq!(tag(1)["unique"], tag(1)["total"]);
    let table = bench.ok(&["du", "%/app"]);
    let last = table.lines().last().unwrap();
    assert!(last.starts_with("(total)  "), "{table}");
    let column = |line: &str| {
        line.find("  ")
            .map(|end| line[end..].trim_start().to_owned())
    };
    let all = answer[0]["total"].as_u64().unwrap();
    assert!(
        column(last)
            .unwrap()
            .contains(&format!("{:.1}", all as f64 / 1024.0)),
        "{table}"
    );
}

#[test]
fn inspect_says_what_an_artifact_is() {
    let bench = Bench::new();
    std::fs::write(bench.path().join("sbom.json"), "{}").unwrap();
    let line = ["artifact", "push", "%/app:sbom", "sbom.json:example/json"];
    bench.ok(&[&line[..], &["--artifact-type", "example/sbom"]].concat());
    let out = bench.ok(&["inspect", "%/app:sbom"]);
    for words in [
        "artifact type  example/sbom",
        "sbom.json  example/json  2 B",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains("PLATFORM"), "{out}");
    let answer = bench.json(&["inspect", "%/app:sbom"]);
    assert_eq!(
        (&answer["kind"], &answer["files"][0]["title"]),
        (&json!("artifact"), &json!("sbom.json"))
    );
    bench.image("app:1", Made::default());
    let answer = bench.json(&["inspect", "%/app:1"]);
    assert_eq!(answer["kind"], "image");
    let layer = &answer["images"][0]["layerData"][0];
    assert!(
        layer["digest"].as_str().unwrap().starts_with("sha256:"),
        "{answer}"
    );
    assert_eq!(layer["size"], 7);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    bench.manifest("app:none", &index);
    assert_eq!(bench.json(&["inspect", "%/app:none"])["kind"], "index");
}
