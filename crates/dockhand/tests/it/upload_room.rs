//! Uploads that nobody finished, seen and dropped by who runs the registry.

use std::path::Path;

use serde_json::Value;

use crate::images::Bench;
use crate::serving::{run, text};

/// Begins an upload, gives it bytes if there are any, and gives its identity.
fn begin(bench: &Bench, repository: &str, bytes: &str) -> String {
    let url = bench.ok(&["upload", "start", &format!("%/{repository}")]);
    if !bytes.is_empty() {
        assert_eq!(ureq::patch(url.trim()).send(bytes).unwrap().status(), 202);
    }
    let (path, _) = url.split_once('?').unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

fn list(folder: &Path, flags: &[&str]) -> Vec<Value> {
    let output = run(folder, &[&["upload", "ls", "--json"], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ids(listed: &[Value]) -> Vec<String> {
    let ids = listed.iter().map(|entry| entry["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// The lines of the table, without the times.
fn table(folder: &Path, flags: &[&str]) -> Vec<Vec<String>> {
    let output = run(folder, &[&["upload", "ls"], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim);
        let cells = cells.filter(|cell| !cell.is_empty() && !cell.ends_with("Z"));
        cells.map(str::to_owned).collect()
    };
    shown.lines().map(cells).collect()
}

#[test]
fn uploads_are_listed_and_dropped_while_the_server_runs_and_when_it_is_stopped() {
    let bench = Bench::new();
    let folder = bench.path();
    assert_eq!(list(folder, &[]), [] as [Value; 0]);
    let (full, empty) = (begin(&bench, "team/app", "hello"), begin(&bench, "b", ""));
    let shown = table(folder, &[]);
    assert_eq!(
        shown[0],
        [
            "ID",
            "REPOSITORY",
            "CLIENT",
            "STARTED",
            "LAST WRITE",
            "SIZE"
        ]
    );
    assert!(shown.contains(&vec![
        full.clone(),
        "team/app".to_owned(),
        "127.0.0.1".to_owned(),
        "5 B".to_owned()
    ]));
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(
        ids(&list(folder, &["--empty"])),
        std::slice::from_ref(&empty)
    );
    assert_eq!(ids(&list(folder, &["--older-than", "1h"])), [] as [&str; 0]);
    assert_eq!(list(folder, &["--older-than", "0"]).len(), 2);
    let csv = bench.ok(&["upload", "ls", "--empty", "--output", "csv"]);
    assert!(
        csv.starts_with("id,repository,client,started,touched,bytes\n"),
        "{csv}"
    );

    let shown = bench.ok(&["upload", "rm", &full, "--dry-run"]);
    assert_eq!(shown, format!("would drop {full} of team/app, 5 B\n"));
    let shown = bench.ok(&["upload", "rm", &full]);
    assert_eq!(shown, format!("dropped {full} of team/app, 5 B\n"));
    assert_eq!(ids(&list(folder, &[])), std::slice::from_ref(&empty));

    let Bench { folder, server } = bench;
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    let folder = folder.path();
    assert!(!folder.join("dockhand-data/admin.sock").exists());
    assert_eq!(ids(&list(folder, &[])), std::slice::from_ref(&empty));
    let flags = ["upload", "rm", "--empty", "--yes", "--json"];
    let dropped = run(folder, &flags);
    let gone: Vec<Value> = serde_json::from_slice(&dropped.stdout).unwrap();
    assert_eq!(ids(&gone), [empty]);
    assert_eq!(gone[0]["dryRun"], false);
    assert_eq!(list(folder, &[]), [] as [Value; 0]);
}

#[test]
fn what_a_killed_server_left_is_opened() {
    let bench = Bench::new();
    let id = begin(&bench, "app", "hello");
    let Bench { folder, mut server } = bench;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(folder.path().join("dockhand-data/admin.sock").exists());
    assert_eq!(ids(&list(folder.path(), &[])), [id]);
}

#[test]
fn what_is_to_be_dropped_has_to_be_said() {
    let bench = Bench::new();
    let id = begin(&bench, "app", "");
    let error = bench.fails(2, &["upload", "rm"]);
    assert!(error.contains("--older-than AGE or --empty"), "{error}");
    let error = bench.fails(2, &["upload", "rm", "--empty"]);
    assert_eq!(
        error,
        "error: 1 upload with 0 B would be dropped, and none was\n\
         hint: say --yes to drop them, --dry-run to see them\n"
    );
    bench.fails(2, &["upload", "rm", &id, "--empty"]);
    bench.fails(2, &["upload", "rm", "nonsense"]);
    let other = "00000000-0000-0000-0000-000000000001";
    let error = bench.fails(3, &["upload", "rm", other]);
    assert!(
        error.contains(&format!("upload {other} is not open")),
        "{error}"
    );
    let error = bench.fails(9, &["upload", "rm", other, &id]);
    assert!(error.contains("1 of 2 failed"), "{error}");
    assert_eq!(list(bench.path(), &[]), [] as [Value; 0]);
    // Nothing that a rule chooses is nothing to do.
    assert_eq!(bench.ok(&["upload", "rm", "--empty"]), "");
}

#[test]
fn a_folder_without_a_registry_is_named_and_nothing_is_made_there() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["upload", "ls", "--data", "nowhere"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "error: there is no registry in nowhere\n\
         hint: --data DIR names the folder in which `dockhand serve` keeps its data\n"
    );
    assert!(!folder.path().join("nowhere").exists());
}
