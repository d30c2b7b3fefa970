//! Commands that copy: cp, sync.

use serde_json::json;

use crate::images::{Bench, Made};
use crate::serving::{Serving, run, text};

/// A bench and a second registry.
pub(crate) fn two() -> (Bench, tempfile::TempDir, Serving) {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let there = Serving::start(folder.path(), &[]);
    (bench, folder, there)
}

#[test]
fn cp_copies_all_platforms_to_many_names_at_once() {
    let (bench, _folder, there) = two();
    let (index, _) = bench.index("app:1");
    let (a, b) = (
        format!("{}/a:1,stable", there.host()),
        format!("{}/b", there.host()),
    );
    let planned = bench.json(&["cp", "%/app:1", &a, &b, "--dry-run"]);
    assert_eq!(
        (&planned[0]["manifests"], &planned[0]["dryRun"]),
        (&json!(3), &json!(true))
    );
    bench.fails(3, &["exists", &b]);
    let printed = bench.ok(&["cp", "%/app:1", &a, &b]);
    assert_eq!(
        printed,
        format!("{0}/a@{index}\n{0}/b@{index}\n", there.host())
    );
    assert_eq!(
        bench.ok(&["ls", &format!("{}/a", there.host())]),
        "1\nstable\n"
    );
    assert_eq!(bench.ok(&["digest", &b]).trim(), index);
    let again = bench.json(&["cp", "%/app:1", &b]);
    assert_eq!(
        (&again[0]["outcome"], &again[0]["bytesSent"]),
        (&json!("unchanged"), &json!(0))
    );
    bench.ok(&["cp", "%/app:1", &b, "--force", "--verify-deep"]);
    // What cp prints is what the next command takes.
    assert_eq!(
        bench
            .ok(&["digest", printed.lines().next().unwrap()])
            .trim(),
        index
    );
}

#[test]
fn cp_takes_some_platforms_and_leaves_names_alone() {
    let (bench, _folder, there) = two();
    let (index, children) = bench.index("app:1");
    let target = format!("{}/app:1", there.host());
    bench.ok(&["cp", "%/app:1", &target, "--platform", "linux/arm64"]);
    assert_eq!(bench.ok(&["digest", &target]).trim(), children[1]);
    let skipped = bench.json(&["cp", "%/app:1", &target, "--no-clobber"]);
    assert_eq!(skipped[0]["outcome"], "skipped");
    assert_ne!(bench.ok(&["digest", &target]).trim(), index);
    let error = bench.fails(3, &["cp", "%/app:1", &target, "--platform", "linux/s390x"]);
    assert!(error.contains("linux/amd64"), "{error}");
}

#[test]
fn a_platform_is_matched_as_container_engines_match_it() {
    let (bench, _folder, there) = two();
    let (_, children) = bench.index("app:1");
    for (wanted, child) in [
        ("x86_64", &children[0]),
        ("linux/amd64/v3", &children[0]),
        ("aarch64", &children[1]),
        ("linux/arm64/v8", &children[1]),
    ] {
        let digest = bench.ok(&["digest", "%/app:1", "--platform", wanted]);
        assert_eq!(digest.trim(), child, "digest {wanted}");
        let target = format!("{}/app:1", there.host());
        bench.ok(&["cp", "%/app:1", &target, "--platform", wanted]);
        assert_eq!(bench.ok(&["digest", &target]).trim(), child, "cp {wanted}");
    }
    bench.fails(2, &["digest", "%/app:1", "--platform", "linux"]);
}

#[test]
fn cp_takes_what_belongs_to_an_image() {
    let (bench, _folder, there) = two();
    let image = bench.image("app:1", Made::default());
    let digest = image["digest"].as_str().unwrap();
    bench.ok(&["attach", "%/app:1", "--artifact-type", "example/sbom"]);
    let signature = format!("{}.sig", digest.replace(':', "-"));
    bench.image(
        &format!("app:{signature}"),
        Made {
            layer: b"signature",
            ..Made::default()
        },
    );
    let target = format!("{}/app:1", there.host());
    bench.ok(&["cp", "%/app:1", &target, "--referrers", "--digest-tags"]);
    let found = bench.json(&["discover", &target]);
    assert_eq!(found["referrers"][0]["artifactType"], "example/sbom");
    let repository = format!("{}/app", there.host());
    assert_eq!(bench.ok(&["ls", &repository]), format!("1\n{signature}\n"));
    assert_eq!(bench.ok(&["ls", &repository, "--omit-digest-tags"]), "1\n");
}

#[test]
fn cp_takes_all_tags_or_those_that_are_chosen() {
    let (bench, _folder, there) = two();
    for tag in ["1.0", "1.1", "2.0", "latest"] {
        bench.image(
            &format!("app:{tag}"),
            Made {
                layer: tag.as_bytes(),
                ..Made::default()
            },
        );
    }
    let (some, all) = (
        format!("{}/some", there.host()),
        format!("{}/all", there.host()),
    );
    bench.ok(&["cp", "%/app", &some, "--all-tags", "--semver=^1"]);
    assert_eq!(bench.ok(&["ls", &some]), "1.0\n1.1\n");
    let copies = bench.json(&["cp", "%/app", &all, "--all-tags"]);
    let copies = copies.as_array().unwrap();
    // In the order of the tags; what they share is sent once: the config, and a layer of each.
    let targets: Vec<&str> = { copies.iter() }
        .map(|copy| copy["targets"][0].as_str().unwrap())
        .collect();
    let expected = ["1.0", "1.1", "2.0", "latest"].map(|tag| format!("{all}:{tag}"));
    assert_eq!(targets, expected);
    let sent = copies
        .iter()
        .map(|copy| copy["blobsSent"].as_u64().unwrap());
    assert_eq!(sent.sum::<u64>(), 1 + 4);
    assert_eq!(bench.ok(&["ls", &all]).lines().count(), 4);
    let again = bench.json(&["cp", "%/app", &all, "--all-tags"]);
    for copy in again.as_array().unwrap() {
        assert_eq!(copy["outcome"], "unchanged");
    }
    assert!(
        bench
            .fails(2, &["cp", "%/app", &all, "--semver"])
            .contains("--all-tags")
    );
}

#[test]
fn cp_writes_nothing_else_under_a_digest() {
    let (bench, _folder, there) = two();
    let (index, _) = bench.index("app:1");
    let target = format!("{}/app@{index}", there.host());
    assert_eq!(bench.ok(&["cp", "%/app:1", &target]).trim(), target);
    let other = format!("{}/app@sha256:{}", there.host(), "0".repeat(64));
    assert!(
        bench
            .fails(7, &["cp", "%/app:1", &other])
            .contains("and not")
    );
}

#[test]
fn credentials_of_one_registry_do_not_go_to_another() {
    let (bench, _folder, there) = two();
    bench.image("app:1", Made::default());
    let target = format!("{}/app:1", there.host());
    let error = bench.fails(2, &["cp", "%/app:1", &target, "-u", "me", "-p", "geheim"]);
    assert!(
        error.contains("--dst-username") && !error.contains("geheim"),
        "{error}"
    );
    bench.ok(&[
        "cp",
        "%/app:1",
        &target,
        "--dst-username",
        "me",
        "--dst-password",
        "geheim",
    ]);
}

#[test]
fn sync_makes_a_repository_what_another_is() {
    let (bench, folder, there) = two();
    for tag in ["1.0", "1.1", "2.0"] {
        bench.image(
            &format!("app:{tag}"),
            Made {
                layer: tag.as_bytes(),
                ..Made::default()
            },
        );
    }
    let target = format!("{}/copy/app", there.host());
    let line = ["sync", "%/app", &target, "--prune"];
    let planned = bench.json(&[&line[..], &["--dry-run"]].concat());
    assert_eq!(planned["copies"].as_array().unwrap().len(), 3);
    bench.ok(&line);
    assert_eq!(bench.ok(&["ls", &target]), "1.0\n1.1\n2.0\n");
    bench.ok(&["rm", "%/app:1.0"]);
    let refused = bench.fails(9, &[&line[..], &["--max-delete", "0"]].concat());
    assert!(refused.contains("nothing was deleted"), "{refused}");
    let done = bench.json(&line);
    assert_eq!(done["deleted"], json!([format!("{target}:1.0")]));
    assert_eq!(bench.ok(&["ls", &target]), "1.1\n2.0\n");
    let file = format!(
        "defaults:\n  semver: '>=2'\nsync:\n  - source: {0}/app\n    target: {1}/by-file\n  - source: {0}/none\n    target: {1}/none\n",
        bench.server.host(),
        there.host()
    );
    std::fs::write(bench.path().join("plan.yaml"), file).unwrap();
    let error = bench.fails(9, &["sync", "plan.yaml"]);
    assert!(error.contains("1 of 2 failed"), "{error}");
    let printed = run(folder.path(), &["ls", &format!("{}/by-file", there.host())]);
    assert_eq!(text(&printed.stdout), "2.0\n");
    assert!(
        bench
            .fails(2, &["sync", "%/app"])
            .contains("no destination")
    );
}

#[test]
fn progress_is_told_on_standard_error_alone() {
    let (bench, _folder, there) = two();
    bench.image("app:1", Made::default());
    let target = format!("{}/app:1", there.host());
    let output = bench.run(&["cp", "%/app:1", &target, "--progress", "json"]);
    let events: Vec<serde_json::Value> = text(&output.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"started") && kinds.contains(&"done"),
        "{kinds:?}"
    );
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let quiet = bench.run(&["cp", "%/app:1", &target, "--quiet", "--force"]);
    assert!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
}

#[test]
fn what_is_there_is_not_lost_to_an_archive() {
    let bench = Bench::new();
    bench.index("app:1");
    bench.image("app:2", Made::default());
    let archive = bench.path().join("x.tar");
    bench.ok(&["pull", "%/app:1", "-o", "x.tar"]);
    // The same again loses nothing.
    bench.ok(&["pull", "%/app:1", "-o", "x.tar"]);
    let before = std::fs::read(&archive).unwrap();
    let error = bench.fails(1, &["pull", "%/app:2", "-o", "x.tar"]);
    assert!(
        error.contains("1 in it would be lost") && error.contains("--overwrite"),
        "{error}"
    );
    bench.fails(1, &["cp", "-n", "%/app:1", "oci-archive:x.tar"]);
    assert!(std::fs::read(&archive).unwrap() == before);
    bench.ok(&["pull", "%/app:2", "-o", "x.tar", "--overwrite"]);
    std::fs::write(bench.path().join("mine.tar"), "not an image").unwrap();
    let error = bench.fails(1, &["pull", "%/app:1", "-o", "mine.tar"]);
    assert!(error.contains("no archive of images"), "{error}");
    bench.ok(&["cp", "-a", "%/app", "oci-archive:all.tar"]);
    bench.ok(&["cp", "-a", "%/app", "oci-archive:all.tar"]);
    let error = bench.fails(2, &["cp", "-a", "%/app", "dir:one"]);
    assert!(error.contains("holds one image"), "{error}");
    bench.fails(2, &["pull", "%/app:1", "-o", "-", "--format", "dir"]);
    // What is printed is what the next command takes.
    for place in ["dir:one", "docker-archive:d.tar:team/app:1", "oci:lay:1"] {
        let printed = bench.ok(&["cp", "%/app:2", place]);
        bench.ok(&["digest", printed.trim()]);
        let told = bench.json(&["cp", "%/app:2", place, "--force"]);
        bench.ok(&["digest", told[0]["targets"][0].as_str().unwrap()]);
    }
}

#[test]
fn each_failure_of_many_copies_is_told_with_its_name() {
    let (bench, _folder, there) = two();
    bench.image("app:1", Made::default());
    let (_, children) = bench.index("app:2");
    let error = bench.fails(2, &["rm", &format!("%/app@{}", children[1])]);
    assert!(
        error.contains("it is a part of 2, which would break"),
        "{error}"
    );
    bench.ok(&["rm", &format!("%/app@{}", children[1]), "--yes"]);
    let target = format!("{}/app", there.host());
    let output = bench.run(&["cp", "-a", "%/app", &target, "--json"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("app:2"),
        "{}",
        text(&output.stderr)
    );
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told[0]["outcome"], "copied");
    assert_eq!(told[1]["outcome"], "failed");
    assert!(told[1]["error"].as_str().unwrap().contains("404"), "{told}");
    // All of one kind keep the code of their kind.
    bench.fails(3, &["rm", "%/none:1", "%/none:2"]);
}

#[test]
fn filters_do_not_go_with_a_file_of_sync() {
    let bench = Bench::new();
    std::fs::write(bench.path().join("plan.yaml"), "sync: []\n").unwrap();
    for flag in [
        ["--match", "x"],
        ["--newest", "1"],
        ["--platform", "linux/amd64"],
    ] {
        let error = bench.fails(2, &["sync", "plan.yaml", flag[0], flag[1]]);
        assert!(error.contains("in the file"), "{error}");
    }
    let error = bench.fails(2, &["ls", "%"]);
    assert!(error.contains("names a registry"), "{error}");
    for verb in ["digest", "ls"] {
        let error = bench.fails(2, &[verb, "https://registry.example/app"]);
        assert!(error.contains("write registry.example/app"), "{error}");
    }
    let error = bench.fails(2, &["digest", "plan.yaml"]);
    assert!(error.contains("./plan.yaml"), "{error}");
    let error = bench.fails(2, &["exists", "%/app", "--older-than", "30"]);
    assert!(error.contains("30s"), "{error}");
}
