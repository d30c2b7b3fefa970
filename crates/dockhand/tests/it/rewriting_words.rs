//! What edits and indexes made by hand refuse, and what they say they did.

use serde_json::Value;

use crate::images::Bench;
use crate::rewriting::image;
use crate::serving::text;

/// What a command that must succeed says on standard error.
fn told(bench: &Bench, line: &[&str]) -> String {
    let output = bench.run(line);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line:?}: {error}");
    error
}

#[test]
fn no_index_gets_two_images_for_one_platform() {
    let bench = Bench::new();
    image(&bench, "amd:1", "linux/amd64");
    image(&bench, "amd:2", "linux/amd64");
    image(&bench, "arm:1", "linux/arm64");
    // Of these one would be lost.
    let line = ["index", "create", "%/app:1", "%/amd:1", "%/amd:2"];
    let error = bench.fails(2, &line);
    assert!(
        error.contains("linux/amd64") && error.contains("--replace"),
        "{error}"
    );
    bench.fails(3, &["ls", "%/app"]);
    let said = told(&bench, &[&line[..], &["--replace"]].concat());
    assert!(said.contains("instead of sha256:"), "{said}");
    let said = told(
        &bench,
        &["index", "create", "%/app:1", "%/amd:1", "%/arm:1"],
    );
    assert!(said.contains("listed linux/amd64 sha256:"), "{said}");
    assert!(
        said.contains(&format!("of {}", bench.at("arm:1"))),
        "{said}"
    );
    let before = bench.ok(&["digest", "%/app:1"]);
    let line = ["edit", "%/app:1", "--replace", "--set-platform"];
    let error = bench.fails(2, &[&line[..], &["linux/s390x"]].concat());
    assert!(
        error.contains("linux/s390x") && error.contains("--platform"),
        "{error}"
    );
    let line = [&line[..], &["linux/arm64", "--platform", "linux/amd64"]].concat();
    let error = bench.fails(2, &line);
    assert!(error.contains("linux/arm64"), "{error}");
    assert_eq!(bench.ok(&["digest", "%/app:1"]), before);
    let line = ["edit", "%/app:1", "--replace", "--platform", "linux/amd64"];
    bench.ok(&[&line[..], &["--set-platform", "linux/s390x"]].concat());
    let listed = bench.ok(&["index", "ls", "%/app:1"]);
    assert!(listed.starts_with("PLATFORM     MANIFEST"), "{listed}");
    assert!(
        listed.contains("linux/s390x") && listed.contains("linux/arm64"),
        "{listed}"
    );
    let error = bench.fails(2, &["index", "rm", "%/app:1"]);
    assert!(
        error.contains("--platform") && error.contains("digests"),
        "{error}"
    );
    let said = told(
        &bench,
        &["index", "rm", "%/app:1", "--platform", "linux/s390x"],
    );
    assert!(said.contains("took out linux/s390x sha256:"), "{said}");
}

#[test]
fn what_was_written_is_said_as_it_is() {
    let bench = Bench::new();
    image(&bench, "app:1", "linux/amd64");
    let line = ["edit", "%/app:1", "-l", "a=b", "-t"];
    let said = told(&bench, &[&line[..], &[":2"]].concat());
    let digest = bench.ok(&["digest", "%/app:2"]);
    let pinned = format!("{}@{}", bench.at("app:2"), digest.trim());
    assert!(said.contains(&format!("wrote {pinned}: ")), "{said}");
    // The same again: it is there, but it is not the image that was edited.
    let said = told(&bench, &[&line[..], &[":2"]].concat());
    assert!(
        said.contains(&format!("nothing to write: {pinned} is there already")),
        "{said}"
    );
    let said = told(&bench, &["edit", "%/app:2", "-l", "a=b", "--replace"]);
    assert!(
        said.contains(&format!("nothing to change: it is {pinned} already")),
        "{said}"
    );
    let said = told(&bench, &[&line[..], &["%/other:1", "--dry-run"]].concat());
    assert!(
        said.contains(&format!("would write {}@sha256:", bench.at("other:1"))),
        "{said}"
    );
    std::fs::write(bench.path().join("more.tar"), [0; 1024]).unwrap();
    let line = ["append", "-b", "%/app:1", "-f", "more.tar", "-t", ":more"];
    let said = told(&bench, &line);
    assert!(
        said.contains(&format!("wrote {}@sha256:", bench.at("app:more"))),
        "{said}"
    );
}

#[test]
fn an_image_says_when_it_was_appended() {
    let bench = Bench::new();
    std::fs::write(bench.path().join("a.tar"), [0; 1024]).unwrap();
    let time = "2024-05-06T07:08:09Z";
    for (name, flags) in [
        ("%/app:dated", &["--created", time][..]),
        ("%/app:undated", &[]),
    ] {
        let line = [
            "append",
            "-f",
            "a.tar",
            "-t",
            name,
            "--set-platform",
            "linux/amd64",
        ];
        bench.ok(&[&line[..], flags].concat());
    }
    let config: Value = bench.json(&["config", "%/app:dated"]);
    assert_eq!(config["created"], time);
    assert_eq!(config["history"][0]["created"], time);
    assert_eq!(
        bench.json(&["config", "%/app:undated"]).get("created"),
        None
    );
    // Who asks for an age is told what has none.
    let output = bench.run(&["ls", "%/app", "--older-than", "1d"]);
    assert_eq!(text(&output.stdout), "dated\n");
    let error = text(&output.stderr);
    assert!(
        error.contains("when it was made: undated (1 tag)"),
        "{error}"
    );
    let output = bench.run(&["ls", "%/app", "--older-than", "1d", "--match", "^dated"]);
    assert_eq!(text(&output.stderr), "");
}
