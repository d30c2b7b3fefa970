//! Images in files: pull, push, and the other commands on layouts and archives.

use std::io::Write;
use std::process::Stdio;

use crate::images::{Bench, Made};
use crate::serving::text;

#[test]
fn an_image_goes_into_files_and_back_with_the_same_digest() {
    let bench = Bench::new();
    let (index, children) = bench.index("app:1");
    for (path, flags) in [
        ("layout", &[][..]),
        ("image.tar", &[]),
        ("odd-name", &["--format", "oci-archive"]),
        ("dir", &["--format", "dir", "--platform", "linux/arm64"]),
    ] {
        let pull = ["pull", "%/app:1", "-o", path];
        bench.ok(&[&pull[..], flags].concat());
        bench.ok(&["validate", path]);
        let target = format!("%/back/{path}:1");
        bench.ok(&["push", path, &target]);
        let expected = if path == "dir" { &children[1] } else { &index };
        let digest = bench.ok(&["digest", &target]);
        assert_eq!(digest.trim(), expected, "{path}");
    }
    let error = bench.fails(3, &["push", "nothing-here", "%/back:1"]);
    assert!(error.contains("nothing-here"), "{error}");
}

#[test]
fn an_archive_for_docker_has_the_name_of_the_image() {
    let bench = Bench::new();
    let image = bench.image("team/app:1", Made::default());
    bench.ok(&[
        "pull",
        "%/team/app:1",
        "-o",
        "docker.tar",
        "--format",
        "docker",
    ]);
    let listed = std::process::Command::new("tar")
        .args(["-xOf", "docker.tar", "manifest.json"])
        .current_dir(bench.path())
        .output()
        .unwrap();
    assert!(
        text(&listed.stdout).contains(&bench.at("team/app:1")),
        "{}",
        text(&listed.stdout)
    );
    bench.ok(&["push", "docker.tar", "%/again:1"]);
    let config = |name: &str| bench.ok(&["config", name]);
    assert_eq!(config("%/again:1"), config("%/team/app:1"));
    assert!(image["digest"].is_string());
}

#[test]
fn a_layout_is_a_place_as_others() {
    let bench = Bench::new();
    let (one, _) = bench.index("app:1");
    bench.image(
        "app:2",
        Made {
            layer: b"two",
            ..Made::default()
        },
    );
    bench.ok(&["pull", "%/app:1", "%/app:2", "-o", "images"]);
    assert_eq!(bench.ok(&["ls", "oci:images", "--sort", "name"]), "1\n2\n");
    assert_eq!(bench.ok(&["digest", "oci:images:1"]).trim(), one);
    assert!(
        bench
            .ok(&["inspect", "oci:images:1"])
            .contains("linux/arm64")
    );
    bench.ok(&["tag", "oci:images:1", "one"]);
    assert_eq!(
        bench.ok(&["ls", "oci:images", "--digest", &one, "--sort", "name"]),
        "1\none\n"
    );
    bench.ok(&["rm", "oci:images:1"]);
    assert_eq!(
        bench.ok(&["ls", "oci:images", "--sort", "name"]),
        "2\none\n"
    );
    bench.ok(&["cp", "oci:images", "%/from/layout", "--all-tags"]);
    assert_eq!(bench.ok(&["ls", "%/from/layout"]), "2\none\n");
    assert_eq!(bench.ok(&["digest", "%/from/layout:one"]).trim(), one);
    assert!(
        bench
            .fails(1, &["rm", "docker-archive:x.tar:a"])
            .contains("x.tar")
    );
}

#[test]
fn archives_go_through_pipes() {
    let bench = Bench::new();
    let (index, _) = bench.index("app:1");
    let written = bench.run(&["cp", "%/app:1", "-"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    assert!(written.stdout.len() > 1024, "an archive and nothing else");
    let target = bench.at("piped:1");
    let mut push = bench
        .command(&["push", "-", &target])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    push.stdin
        .take()
        .unwrap()
        .write_all(&written.stdout)
        .unwrap();
    let output = push.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(bench.ok(&["digest", &target]).trim(), index);
}

#[test]
fn a_layer_that_is_missing_is_named_and_nothing_is_pushed() {
    let bench = Bench::new();
    let (_, children) = bench.index("app:1");
    bench.ok(&["pull", "%/app:1", "-o", "there"]);
    let manifest = format!("%/app@{}", children[0]);
    let manifest = bench.json(&["manifest", &manifest]);
    let layer = manifest["manifest"]["layers"][0]["digest"]
        .as_str()
        .unwrap();
    let blob = layer.replace(':', "/");
    std::fs::remove_file(bench.path().join("there/blobs").join(blob)).unwrap();
    let error = bench.fails(3, &["push", "there", "%/other:1"]);
    assert!(error.contains(layer), "{error}");
    bench.fails(3, &["exists", "%/other:1"]);
}
