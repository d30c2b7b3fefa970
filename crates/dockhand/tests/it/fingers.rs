//! What those know who come from crane, skopeo, oras, regctl or docker, and what is said where it is
//! not so here.

use serde_json::Value;

use crate::images::{Bench, Made};
use crate::serving::{dockhand, run, text};

#[test]
fn flags_of_every_command_stand_before_it_or_after() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    let after = bench.ok(&["digest", "%/app:1", "--json"]);
    assert_eq!(bench.ok(&["--json", "digest", "%/app:1"]), after);
    assert!(after.starts_with('{'), "{after}");
    bench.ok(&["-q", "cp", "%/app:1", "%/app:2"]);
    bench.ok(&["--timeout", "20s", "blob", "-q", "--help"]);
    // The closer one counts, and a flag more than a variable.
    let mut ping = dockhand(bench.path());
    ping.args(["--output", "text", "ping", bench.server.host()]);
    let output = ping.env("DOCKHAND_OUTPUT", "json").output().unwrap();
    assert!(text(&output.stdout).contains("registry "), "{output:?}");
}

#[test]
fn flags_of_the_client_mean_nothing_to_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = dockhand(folder.path());
    let output = check.arg("check").env("DOCKHAND_JOBS", "many").output();
    assert!(output.unwrap().status.success());
    for line in [
        &["-q", "serve"][..],
        &["serve", "--plain-http"],
        &["--json", "check"],
        &["man", "-u", "me"],
        &["--timeout", "3s", "completion", "bash"],
    ] {
        let output = run(folder.path(), line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains("means nothing to `"), "{line:?}: {said}");
        assert!(output.stdout.is_empty(), "{line:?}");
    }
}

#[test]
fn words_of_other_tools_do_the_same_here() {
    let bench = Bench::new();
    bench.index("app:1");
    let manifest = bench.ok(&["manifest", "%/app:1"]);
    let config = bench.ok(&["config", "%/app:1"]);
    let digest = bench.ok(&["digest", "%/app:1"]);
    for (line, said) in [
        (&["inspect", "--raw", "%/app:1"][..], &manifest),
        (&["inspect", "--config", "%/app:1"], &config),
        (&["image", "manifest", "%/app:1"], &manifest),
        (&["image", "config", "%/app:1"], &config),
        (&["image", "digest", "%/app:1"], &digest),
        (&["resolve", "%/app:1"], &digest),
        (&["digest", "%/app:1", "--tls-verify=false"], &digest),
        (&["digest", "%/app:1", "--creds", "me:x"], &digest),
        (&["digest", "%/app:1", "--retry-times", "3"], &digest),
        (&["tag", "ls", "%/app"], &"1\n".to_owned()),
        (&["repo", "tags", "%/app"], &"1\n".to_owned()),
        (&["repo", "ls", "%"], &"app\n".to_owned()),
    ] {
        let said_here = match line.contains(&"--retry-times") {
            // The bench says --retries too, which is the same flag.
            true => text(
                &run(
                    bench.path(),
                    &[line[0], &bench.at("app:1"), line[2], line[3]],
                )
                .stdout,
            ),
            false => bench.ok(line),
        };
        assert_eq!(&said_here, said, "{line:?}");
    }
    let skopeo = [
        "copy",
        "--multi-arch",
        "all",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--dest-creds",
        "me:x",
        "--digestfile",
        "digest.txt",
        "docker://%/app:1",
        "docker://%/app:2",
    ];
    bench.ok(&skopeo);
    let written = std::fs::read_to_string(bench.path().join("digest.txt")).unwrap();
    assert_eq!(written, digest.trim());
    bench.ok(&["image", "copy", "%/app:1", "%/app:3"]);
    bench.ok(&["tag", "rm", "%/app:3"]);
    bench.ok(&["pull", "%/app:1", "image.tar"]);
    for line in [
        &["validate", "--tarball", "image.tar"][..],
        &["validate", "--remote", "%/app:1"],
        &["auth", "logout", "%"],
    ] {
        bench.ok(line);
    }
    assert_eq!(bench.ok(&["tag", "ls", "%/app"]), "1\n2\n");
    let layer = bench.blob("app", "text/plain", b"hello");
    let blob = format!("%/app@{}", layer["digest"].as_str().unwrap());
    assert_eq!(bench.ok(&["blob", &blob]), "hello");
    let version = text(&run(bench.path(), &["version"]).stdout);
    assert_eq!(version, text(&run(bench.path(), &["--version"]).stdout));
    let error = bench.fails(2, &["pull", "%/app:1", "%/app:2"]);
    assert!(error.contains("-o PATH"), "{error}");
}

#[test]
fn what_is_not_so_here_has_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for (line, hint) in [
        (&["cp", "a", "b", "--remove-signatures"][..], "--referrers"),
        (&["cp", "a", "b", "--format", "v2s2"], "byte for byte"),
        (
            &["cp", "a", "b", "--multi-arch", "system"],
            "--platform local",
        ),
        (&["inspect", "a", "--format", "{{.Digest}}"], "--json"),
        (&["inspect", "a", "--override-os=linux"], "--platform"),
        (&["ls", "a", "--semver", "^1"], "--semver='^1'"),
        (&["digest", "a", "-p", "linux/amd64"], "--platform"),
        (&["image", "export", "a"], "dockhand pull"),
        (&["registry", "serve"], "dockhand serve"),
        (&["save", "a"], "--format docker"),
    ] {
        let output = run(folder.path(), line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains(hint), "{line:?}: {said}");
        assert!(!said.contains("use '-- "), "{line:?}: {said}");
    }
    // What nobody knows is told as ever, and what is nearly right is named.
    let said = text(&run(folder.path(), &["cp", "a", "b", "--refferers"]).stderr);
    assert!(said.contains("'--refferers'"), "{said}");
}

#[test]
fn errors_are_objects_for_programs() {
    let bench = Bench::new();
    for (line, code, kind) in [
        (&["digest", "%/none:1", "--json"][..], 3, "notFound"),
        (&["--json", "digest", "%/none:1", "-u", "me"], 2, "usage"),
        (&["digest", "--output", "json"], 2, "usage"),
        (&["digest", "a", "--json", "--nonsense"], 2, "usage"),
        (&["image", "export", "a", "--json"], 2, "usage"),
    ] {
        let said = bench.fails(code, line);
        let told: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{line:?}: {said}"));
        assert_eq!(
            (&told["event"], &told["code"], &told["kind"]),
            (&"error".into(), &code.into(), &kind.into()),
            "{told}"
        );
        assert!(!told["message"].as_str().unwrap().is_empty(), "{told}");
    }
    let said = bench.fails(3, &["rm", "%/a:1", "%/a:2", "--json"]);
    let told: Vec<Value> = { said.lines() }
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 3, "{said}");
    assert!(
        told[2]["message"].as_str().unwrap().contains("2 of 2"),
        "{said}"
    );
}

#[test]
fn every_command_has_a_document() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    let layer = bench.blob("app", "text/plain", b"hello");
    let digest = layer["digest"].as_str().unwrap();
    let (blob, there) = (format!("%/app@{digest}"), format!("%/other@{digest}"));
    let got = bench.json(&["blob", "get", &blob, "-o", "hello.txt"]);
    assert_eq!(
        (&got["path"], &got["size"], &got["outcome"]),
        (&"hello.txt".into(), &5.into(), &"written".into())
    );
    let mounted = bench.json(&["blob", "mount", &there, "--from", "app"]);
    assert_eq!(mounted["outcome"], "mounted");
    let gone = bench.json(&["blob", "rm", &there]);
    assert_eq!(
        (&gone["outcome"], &gone["digest"]),
        (&"deleted".into(), &digest.into())
    );
    let gone = bench.json(&["blob", "rm", &there, "--ignore-missing"]);
    assert_eq!(gone["outcome"], "missing");
    let repos = bench.json(&["repos", "%"]);
    assert!(
        repos
            .as_array()
            .unwrap()
            .contains(&serde_json::json!({"name": "app"})),
        "{repos}"
    );
    let found = bench.json(&["search", "ap", "%"]);
    assert_eq!(found, serde_json::json!([{"name": "app"}]));
}

#[test]
fn an_artifact_is_unknown_unless_somebody_says_what_it_is() {
    let bench = Bench::new();
    std::fs::write(bench.path().join("a.txt"), "hello").unwrap();
    let push = bench.run(&["artifact", "push", "%/files:1", "a.txt"]);
    let unknown = "application/vnd.unknown.artifact.v1";
    assert!(
        text(&push.stderr).contains(unknown),
        "{}",
        text(&push.stderr)
    );
    let manifest = bench.json(&["manifest", "%/files:1"]);
    assert_eq!(manifest["manifest"]["artifactType"], unknown);
    let pulled = bench.json(&["artifact", "pull", "%/files:1", "-o", "out"]);
    assert!(
        pulled[0]["name"].as_str().unwrap().ends_with("a.txt"),
        "{pulled}"
    );
    bench.ok(&["attach", "%/files:1", "a.txt", "--artifact-type", "x/y"]);
    let tree = bench.ok(&["discover", "%/files:1", "--tree"]);
    assert_eq!(bench.ok(&["discover", "%/files:1", "-o", "tree"]), tree);
    let json: Value =
        serde_json::from_str(&bench.ok(&["discover", "%/files:1", "--format", "json"])).unwrap();
    assert_eq!(json["referrers"][0]["artifactType"], "x/y");
}
