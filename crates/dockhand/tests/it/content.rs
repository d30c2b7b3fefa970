//! What commands do with the content of layouts, with single images of `sync`, and with folders in artifacts.

use crate::images::{Bench, Made};

#[test]
fn a_layout_gives_back_what_nothing_needs() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.index("app:2");
    bench.ok(&["cp", "%/app:1", "oci:lay:1"]);
    bench.ok(&["cp", "%/app:2", "oci:lay:2"]);
    bench.ok(&["cp", "%/app:1", "oci:other:1"]);
    let blobs = |dir: &str| {
        let folder = bench.path().join(dir).join("blobs/sha256");
        folder.read_dir().unwrap().count()
    };
    let whole = blobs("lay");
    bench.ok(&["rm", "oci:lay:2"]);
    assert_eq!(blobs("lay"), whole);
    bench.ok(&["cp", "%/app:2", "oci:lay:2"]);
    let planned = bench.ok(&["rm", "oci:lay", "--prune", "--dry-run"]);
    assert!(planned.contains("would delete 0 blobs"), "{planned}");
    let said = bench.ok(&["rm", "oci:lay:2", "--prune"]);
    assert!(said.contains("deleted oci:lay:2"), "{said}");
    assert_eq!(blobs("lay"), blobs("other"));
    bench.ok(&["validate", "oci:lay:1"]);
    let error = bench.fails(2, &["rm", "%/app:1", "--prune"]);
    assert!(error.contains("for layouts"), "{error}");
    bench.ok(&["exists", "%/app:1"]);
}

#[test]
fn sync_of_an_image_copies_this_one() {
    let bench = Bench::new();
    let image = bench.image("app:1", Made::default());
    bench.ok(&["tag", "%/app:1", "2"]);
    let digest = image["digest"].as_str().unwrap();
    bench.ok(&["sync", "%/app:1", "%/same"]);
    assert_eq!(bench.ok(&["ls", "%/same"]), "1\n");
    bench.ok(&["sync", "%/app:1", "%/other:stable"]);
    assert_eq!(bench.ok(&["ls", "%/other"]), "stable\n");
    bench.ok(&["sync", &format!("%/app@{digest}"), "%/pinned:x"]);
    assert_eq!(bench.ok(&["ls", "%/pinned"]), "x\n");
    bench.ok(&["sync", &format!("%/app@{digest}"), "%/bare"]);
    bench.ok(&["exists", &format!("%/bare@{digest}")]);
    assert_eq!(bench.ok(&["ls", "%/bare"]), "");
    bench.ok(&["sync", "%/app:1", "oci:lay"]);
    assert_eq!(bench.ok(&["ls", "oci:lay"]), "1\n");
    bench.ok(&["sync", "oci:lay:1", "%/back"]);
    assert_eq!(bench.ok(&["ls", "%/back"]), "1\n");
    for more in [&["--prune"][..], &["--match", "1"]] {
        let line = [&["sync", "%/app:1", "%/same"], more].concat();
        let error = bench.fails(2, &line);
        assert!(error.contains("one image"), "{error}");
    }
}

#[test]
fn folders_and_subjects_come_with_an_artifact() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path().join("site/css")).unwrap();
    std::fs::write(bench.path().join("site/css/main"), "a {}").unwrap();
    std::fs::write(bench.path().join("note"), "about it").unwrap();
    bench.ok(&[
        "artifact",
        "push",
        "%/site:1",
        "site",
        "--artifact-type",
        "x/site",
    ]);
    let said = bench.ok(&["attach", "%/site:1", "note", "--artifact-type", "x/note"]);
    let note = said.trim();
    bench.ok(&["artifact", "pull", note, "-o", "alone"]);
    let out = |path: &str| bench.path().join(path);
    assert!(out("alone/note").is_file() && !out("alone/site").exists());
    bench.ok(&["artifact", "pull", note, "-o", "both", "--include-subject"]);
    assert!(out("both/note").is_file());
    let style = std::fs::read_to_string(out("both/site/css/main")).unwrap();
    assert_eq!(style, "a {}");
}
