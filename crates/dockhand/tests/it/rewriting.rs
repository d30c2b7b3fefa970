//! Images made and changed: append, edit, rebase, flatten, index.

use serde_json::Value;

use crate::images::Bench;
use crate::serving::text;

/// Writes a tar file with these files.
fn tar(bench: &Bench, name: &str, files: &[(&str, &str)]) {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    std::fs::write(bench.path().join(name), builder.into_inner().unwrap()).unwrap();
}

/// An image with one layer, which has the file `/which` that says its name.
pub(crate) fn image(bench: &Bench, name: &str, platform: &str) -> String {
    tar(bench, "layer.tar", &[("which", name), ("etc/os", platform)]);
    let to = format!("%/{name}");
    let line = [
        "append",
        "-f",
        "layer.tar",
        "--set-platform",
        platform,
        "-t",
        &to,
    ];
    let pinned = bench.ok(&line);
    pinned.trim().split_once('@').unwrap().1.to_owned()
}

#[test]
fn an_image_is_made_of_files_and_changed() {
    let bench = Bench::new();
    let first = image(&bench, "app:1", "linux/amd64");
    assert_eq!(bench.ok(&["digest", "%/app:1"]).trim(), first);
    tar(&bench, "more.tar", &[("more", "more"), ("which", "upper")]);
    let printed = bench.ok(&["append", "-b", "%/app:1", "-f", "more.tar", "-t", ":2"]);
    assert!(printed.starts_with(&bench.at("app@sha256:")), "{printed}");
    assert_eq!(bench.ok(&["cat", "%/app:2", "/which"]), "upper");
    assert_eq!(bench.ok(&["cat", "%/app:1:/which"]), "app:1");
    let line = [
        "edit",
        "%/app:2",
        "-l",
        "team=blue",
        "-e",
        "A=b",
        "--entrypoint",
        "/run",
        "--entrypoint",
        "-x",
        "--cmd",
        "[\"a b\"]",
        "--user",
        "1000",
        "--workdir",
        "/srv",
        "--expose",
        "80,53/udp",
        "-a",
        "note=yes",
        "--created",
        "2024-05-06T07:08:09Z",
        "--replace",
    ];
    let answer = bench.json(&line);
    assert_eq!(answer["images"][0]["platform"], "linux/amd64");
    assert_eq!(answer["digest"], answer["images"][0]["after"]);
    let config: Value = serde_json::from_str(&bench.ok(&["config", "%/app:2"])).unwrap();
    let run = &config["config"];
    assert_eq!(run["Entrypoint"], serde_json::json!(["/run", "-x"]));
    assert_eq!(run["Cmd"], serde_json::json!(["a b"]));
    assert_eq!(
        (&run["Labels"]["team"], &run["User"]),
        (&"blue".into(), &"1000".into())
    );
    assert_eq!(config["created"], "2024-05-06T07:08:09Z");
    let manifest: Value = serde_json::from_str(&bench.ok(&["manifest", "%/app:2"])).unwrap();
    assert_eq!(manifest["annotations"]["note"], "yes");
    let before = bench.ok(&["digest", "%/app:2"]);
    let dry = bench.ok(&[
        "mutate",
        "%/app:2",
        "--no-label",
        "team",
        "--replace",
        "--dry-run",
    ]);
    assert!(dry.contains("@sha256:"), "{dry}");
    assert_eq!(bench.ok(&["digest", "%/app:2"]), before);
    bench.ok(&[
        "flatten",
        "%/app:2",
        "-t",
        "%/flat:1",
        "--compression",
        "zstd",
    ]);
    let flat: Value = serde_json::from_str(&bench.ok(&["manifest", "%/flat:1"])).unwrap();
    assert_eq!(flat["layers"].as_array().unwrap().len(), 1);
    assert_eq!(bench.ok(&["cat", "%/flat:1", "which"]), "upper");
    bench.ok(&["validate", "%/flat:1"]);
    for (code, line, words) in [
        (2, &["append", "-f", "layer.tar"][..], "--to"),
        (
            3,
            &["append", "-f", "absent.tar", "-t", "%/x:1"],
            "absent.tar",
        ),
        (2, &["edit", "%/app:2", "--expose", "http"], "80"),
        (2, &["edit", "%/app:2", "--cmd", "[1]"], "list of words"),
        (
            3,
            &["edit", "%/app:2", "--platform", "linux/s390x", "-l", "a=b"],
            "linux/amd64",
        ),
        (2, &["edit", "%/app:2", "-l", "a"], "NAME=value"),
    ] {
        let error = bench.fails(code, line);
        assert!(error.contains(words), "{line:?}: {error}");
    }
}

#[test]
fn an_index_is_made_and_all_of_it_is_edited() {
    let bench = Bench::new();
    let amd = image(&bench, "amd:1", "linux/amd64");
    image(&bench, "arm:1", "linux/arm64");
    let line = [
        "index", "create", "%/app:1", "%/amd:1", "%/arm:1", "-a", "made=yes",
    ];
    let index = bench.json(&line);
    assert_eq!(index["manifests"][0]["digest"], amd.as_str());
    let listed = bench.ok(&["index", "ls", "%/app:1"]);
    assert!(
        listed.contains("linux/amd64") && listed.contains("linux/arm64"),
        "{listed}"
    );
    bench.ok(&["validate", "%/app:1"]);
    let answer = bench.json(&[
        "edit",
        "%/app:1",
        "-l",
        "a=b",
        "-t",
        ":2",
        "-t",
        "%/other:1",
    ]);
    assert_eq!(answer["images"].as_array().unwrap().len(), 2);
    assert_eq!(answer["copies"].as_array().unwrap().len(), 2);
    for name in ["%/app:2", "%/other:1"] {
        assert_eq!(
            bench.ok(&["digest", name]).trim(),
            answer["digest"].as_str().unwrap()
        );
    }
    let line = [
        "edit",
        "%/app:1",
        "-l",
        "a=b",
        "--platform",
        "linux/arm64",
        "-t",
        ":3",
    ];
    assert_eq!(bench.json(&line)["images"].as_array().unwrap().len(), 1);
    let digest = ["digest", "%/app:3", "--platform", "linux/amd64"];
    assert_eq!(bench.ok(&digest).trim(), amd);
    image(&bench, "risc:1", "linux/riscv64");
    bench.ok(&["index", "add", "%/app:1", "%/risc:1"]);
    bench.ok(&["index", "rm", "%/app:1", &amd]);
    let listed = bench.ok(&["index", "ls", "%/app:1"]);
    assert!(
        listed.contains("linux/riscv64") && !listed.contains("linux/amd64"),
        "{listed}"
    );
    let error = bench.fails(3, &["index", "rm", "%/app:1", "--platform", "linux/s390x"]);
    assert!(error.contains("linux/arm64"), "{error}");
}

#[test]
fn an_image_follows_its_base() {
    let bench = Bench::new();
    let base = image(&bench, "base:1", "linux/amd64");
    tar(&bench, "own.tar", &[("own", "own")]);
    bench.ok(&["append", "-b", "%/base:1", "-f", "own.tar", "-t", "%/app:1"]);
    let error = bench.fails(2, &["base-check", "%/app:1"]);
    assert!(error.contains("--base"), "{error}");
    let name = format!("org.opencontainers.image.base.name={}", bench.at("base:1"));
    let digest = format!("org.opencontainers.image.base.digest={base}");
    bench.ok(&["edit", "%/app:1", "-a", &name, "-a", &digest, "--replace"]);
    assert_eq!(
        bench.json(&["base-check", "%/app:1"])[0]["state"],
        "current"
    );
    tar(&bench, "new.tar", &[("which", "new"), ("new", "new")]);
    bench.ok(&[
        "append",
        "-f",
        "new.tar",
        "--set-platform",
        "linux/amd64",
        "-t",
        "%/base:1",
    ]);
    let moved = bench.run(&["base-check", "%/app:1"]);
    assert_eq!(moved.status.code(), Some(8));
    assert!(
        text(&moved.stdout).contains("moved"),
        "{}",
        text(&moved.stdout)
    );
    bench.ok(&["rebase", "%/app:1", "--replace"]);
    assert_eq!(
        bench.json(&["base-check", "%/app:1"])[0]["state"],
        "current"
    );
    assert_eq!(bench.ok(&["cat", "%/app:1", "which"]), "new");
    assert_eq!(bench.ok(&["cat", "%/app:1", "own"]), "own");
    let line = [
        "rebase",
        "%/app:1",
        "--old-base",
        "%/app:1",
        "--new-base",
        "%/base:1",
    ];
    // Built on itself, nothing of it is left but the base.
    bench.ok(&[&line[..], &["-t", ":same"]].concat());
    image(&bench, "stranger:1", "linux/amd64");
    let line = [
        "rebase",
        "%/app:1",
        "--old-base",
        "%/stranger:1",
        "--new-base",
        "%/base:1",
    ];
    let error = bench.fails(1, &line);
    assert!(error.contains("not built on"), "{error}");
}

#[test]
fn images_in_files_are_changed_too() {
    let bench = Bench::new();
    tar(&bench, "layer.tar", &[("a", "a")]);
    let platform = ["--set-platform", "linux/arm64"];
    let line = ["append", "-f", "layer.tar", "-t", "oci:layout:1"];
    bench.ok(&[&line[..], &platform].concat());
    bench.ok(&["edit", "oci:layout:1", "-l", "a=b", "--replace"]);
    assert!(
        bench
            .ok(&["config", "oci:layout:1"])
            .contains("\"a\":\"b\"")
    );
    assert_eq!(bench.ok(&["cat", "oci:layout:1", "a"]), "a");
    bench.ok(&[
        "edit",
        "oci:layout:1",
        "-l",
        "c=d",
        "-t",
        "oci-archive:image.tar:2",
    ]);
    assert!(
        bench
            .ok(&["config", "oci-archive:image.tar:2"])
            .contains("\"c\":\"d\"")
    );
    let error = bench.fails(
        1,
        &["edit", "oci-archive:image.tar:2", "-l", "e=f", "--replace"],
    );
    assert!(error.contains("--to"), "{error}");
    bench.ok(&[
        "edit",
        "oci-archive:image.tar:2",
        "-l",
        "e=f",
        "-t",
        "%/app:1",
    ]);
    bench.ok(&["validate", "%/app:1"]);
}
