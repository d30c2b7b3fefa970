//! Commands that write and delete: tag, rm, blob, upload, artifact, attach, discover, validate.

use serde_json::json;

use crate::images::{Bench, Made};
use crate::serving::text;

#[test]
fn tags_are_added_and_taken_away_alone() {
    let bench = Bench::new();
    let image = bench.image("app:1", Made::default());
    let digest = image["digest"].as_str().unwrap();
    assert_eq!(
        bench.ok(&["tag", "%/app:1", "2", "3"]),
        format!("{0}:2\n{0}:3\n", bench.at("app"))
    );
    bench.image(
        "app:other",
        Made {
            layer: b"other",
            ..Made::default()
        },
    );
    assert_eq!(
        bench
            .ok(&["tag", "%/app:1", "other", "4", "--no-clobber"])
            .lines()
            .count(),
        1
    );
    assert_eq!(
        bench.ok(&["ls", "%/app", "--digest", digest]),
        "1\n2\n3\n4\n"
    );
    let said = bench.ok(&["rm", "%/app:2", "--dry-run"]);
    assert_eq!(said, format!("would delete {}\n", bench.at("app:2")));
    bench.ok(&["rm", "%/app:2", "%/app:3"]);
    assert_eq!(bench.ok(&["ls", "%/app", "--digest", digest]), "1\n4\n");
    bench.fails(3, &["rm", "%/app:2"]);
    bench.ok(&["rm", "%/app:2", "--ignore-missing"]);
    let error = bench.fails(9, &["rm", "%/app:4", "%/app:2"]);
    assert!(
        error.contains("1 of 2 failed") && error.contains("app:2"),
        "{error}"
    );
    assert_eq!(bench.ok(&["ls", "%/app", "--digest", digest]), "1\n");
}

#[test]
fn a_manifest_goes_only_when_what_goes_with_it_is_known() {
    let bench = Bench::new();
    let image = bench.image("app:1", Made::default());
    bench.ok(&["tag", "%/app:1", "2"]);
    let pinned = format!("%/app@{}", image["digest"].as_str().unwrap());
    let error = bench.fails(2, &["rm", &pinned]);
    assert!(
        error.contains("2 tags would go with it: 1, 2") && error.contains("--yes"),
        "{error}"
    );
    let gone = bench.json(&["rm", &pinned, "--dry-run"]);
    assert_eq!(
        (&gone[0]["tags"], &gone[0]["dryRun"]),
        (&json!(["1", "2"]), &json!(true))
    );
    bench.ok(&["exists", &pinned]);
    bench.ok(&["rm", &pinned, "--yes"]);
    bench.fails(3, &["exists", &pinned]);
    assert!(
        bench
            .fails(2, &["rm", "%/app"])
            .contains("neither tag nor digest")
    );
}

#[test]
fn a_repository_goes_whole() {
    let bench = Bench::new();
    bench.index("app:1");
    bench.image("app:2", Made::default());
    assert!(
        bench
            .fails(2, &["rm", "--repo", "%/app"])
            .contains("2 tags")
    );
    let planned = bench.json(&["rm", "--repo", "%/app", "--dry-run"]);
    assert_eq!(planned[0]["manifests"].as_array().unwrap().len(), 4);
    bench.ok(&["rm", "--repo", "%/app", "--yes"]);
    assert_eq!(
        bench.json(&["rm", "--repo", "%/app", "--yes", "--ignore-missing"])[0]["manifests"],
        json!([])
    );
}

#[test]
fn blobs_by_themselves() {
    let bench = Bench::new();
    std::fs::write(bench.path().join("b"), "some bytes").unwrap();
    let digest = bench.ok(&["blob", "put", "%/app", "b"]);
    let digest = digest.trim();
    let again = bench.run(&["blob", "put", "%/app", "b"]);
    assert!(text(&again.stderr).contains("there already"));
    let named = format!("%/app@{digest}");
    assert_eq!(bench.ok(&["blob", "head", &named]), "10\n");
    assert_eq!(bench.ok(&["blob", "get", &named]), "some bytes");
    bench.ok(&["blob", "get", &named, "-o", "got"]);
    assert_eq!(
        std::fs::read(bench.path().join("got")).unwrap(),
        b"some bytes"
    );
    let other = named.replace("/app@", "/other/app@");
    bench.ok(&["blob", "mount", &other, "--from", "app"]);
    assert_eq!(bench.ok(&["blob", "head", &other]), "10\n");
    bench.ok(&["blob", "rm", &named, "--dry-run"]);
    bench.ok(&["blob", "head", &named]);
    bench.ok(&["blob", "rm", &named]);
    assert!(bench.fails(3, &["blob", "get", &named]).contains(digest));
    bench.ok(&["blob", "rm", &named, "--ignore-missing"]);
    let wrong = format!("%/app@sha256:{}", "0".repeat(64));
    assert!(
        bench
            .fails(7, &["blob", "put", &wrong, "b"])
            .contains("what was named")
    );
    assert!(
        bench
            .fails(2, &["blob", "get", "%/app:1"])
            .contains("REPOSITORY@DIGEST")
    );
    assert!(
        bench
            .fails(3, &["blob", "put", "%/app", "none"])
            .contains("none")
    );
}

#[test]
fn artifacts_are_files_in_a_registry() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path().join("docs")).unwrap();
    std::fs::write(bench.path().join("docs/a.txt"), "hello").unwrap();
    std::fs::write(bench.path().join("b.json"), "{}").unwrap();
    let push = [
        "artifact",
        "push",
        "%/files:1,2",
        "docs/a.txt:text/plain",
        "b.json:application/json",
    ];
    let more = ["--artifact-type", "example/files", "-a", "made.by=us"];
    let pushed = bench.json(&[&push[..], &more].concat());
    assert_eq!(pushed["artifactType"], "example/files");
    assert_eq!(bench.ok(&["ls", "%/files"]), "1\n2\n");
    let manifest = bench.json(&["manifest", "%/files:2"])["manifest"].clone();
    assert_eq!(
        (
            &manifest["artifactType"],
            &manifest["annotations"]["made.by"]
        ),
        (&json!("example/files"), &json!("us"))
    );
    let printed = bench.ok(&["artifact", "pull", "%/files:1", "-o", "out"]);
    assert_eq!(printed.lines().count(), 2);
    assert_eq!(
        std::fs::read(bench.path().join("out/docs/a.txt")).unwrap(),
        b"hello"
    );
    bench.ok(&["artifact", "pull", "%/files:1", "-o", "out"]);
    let kept = bench.fails(
        1,
        &[
            "artifact",
            "pull",
            "%/files:1",
            "-o",
            "out",
            "--keep-old-files",
        ],
    );
    assert!(kept.contains("is there already"), "{kept}");
}

#[test]
fn an_artifact_does_not_reach_out_of_the_folder() {
    let bench = Bench::new();
    let mut layer = bench.blob("evil", "text/plain", b"gotcha");
    layer["annotations"] = json!({ "org.opencontainers.image.title": "../escaped" });
    let config = bench.blob("evil", "application/vnd.oci.empty.v1+json", b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": crate::images::MANIFEST, "artifactType": "example/evil",
        "config": config, "layers": [layer],
    });
    bench.manifest("evil:1", &manifest);
    let error = bench.fails(1, &["artifact", "pull", "%/evil:1", "-o", "out"]);
    assert!(error.contains("../escaped"), "{error}");
    assert!(!bench.path().join("escaped").exists());
}

#[test]
fn what_is_attached_is_discovered() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    std::fs::write(bench.path().join("sbom.json"), "{}").unwrap();
    let attach = |image: &str, kind: &str| {
        let line = [
            "attach",
            image,
            "sbom.json:application/json",
            "--artifact-type",
            kind,
        ];
        bench.json(&line)["digest"].as_str().unwrap().to_owned()
    };
    let sbom = attach("%/app:1", "example/sbom");
    let about = attach(&format!("%/app@{sbom}"), "example/signature");
    let flat = bench.json(&["discover", "%/app:1"]);
    assert_eq!(
        (
            &flat["referrers"][0]["digest"],
            flat["referrers"].as_array().unwrap().len()
        ),
        (&json!(sbom), 1)
    );
    let tree = bench.ok(&["discover", "%/app:1", "--tree"]);
    let (first, second) = (tree.find(&sbom).unwrap(), tree.find(&about).unwrap());
    assert!(
        first < second && tree.contains("    └── example/signature"),
        "{tree}"
    );
    let none = bench.json(&["discover", "%/app:1", "--artifact-type", "example/other"]);
    assert_eq!(none["referrers"], json!([]));
    assert_eq!(bench.ok(&["ls", "%/app"]), "1\n");
}

#[test]
fn an_image_is_whole_or_not() {
    let bench = Bench::new();
    bench.index("app:1");
    let checked = bench.json(&["validate", "%/app:1"]);
    assert_eq!(
        (&checked["manifests"], &checked["problems"]),
        (&json!(3), &json!([]))
    );
    assert!(checked["bytes"].as_u64().unwrap() > 100);
    assert!(
        bench
            .ok(&["validate", "%/app:1", "--fast"])
            .contains("0 problems")
    );
    // Behind the registry's back one byte changes.
    let layer = format!("layer of app:1 for {}", "amd64");
    let digest = dockhand_oci::Algorithm::Sha256
        .digest(layer.as_bytes())
        .hex();
    let data = bench
        .path()
        .join("dockhand-data/docker/registry/v2/blobs/sha256");
    std::fs::write(
        data.join(&digest[..2]).join(&digest).join("data"),
        layer.replace("amd", "AMD"),
    )
    .unwrap();
    bench.ok(&["validate", "%/app:1", "--fast"]);
    let output = bench.run(&["validate", "%/app:1"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains(&digest),
        "{}",
        text(&output.stdout)
    );
}
