//! The command line: arguments in; output, exit code and a running registry out.

use crate::serving::{Serving, run, text};

#[test]
fn it_serves_from_nothing_and_keeps_what_was_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    assert!(server.url.starts_with("http://127.0.0.1:"));
    let digest = server.push(b"hello");
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("stopping"), "{log}");
    let hex = digest.trim_start_matches("sha256:");
    let blob = folder
        .path()
        .join("dockhand-data/docker/registry/v2/blobs/sha256");
    assert!(blob.join(&hex[..2]).join(hex).join("data").is_file());
    let again = Serving::start(folder.path(), &[]);
    assert_eq!(again.pull(&digest), b"hello");
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path(), &["--data", "d"]);
    let digests: Vec<_> = (0..20u8).map(|i| server.push(&[i; 3000])).collect();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let again = Serving::start(folder.path(), &["--data", "d"]);
    for (i, digest) in digests.iter().enumerate() {
        assert_eq!(again.pull(digest), [u8::try_from(i).unwrap(); 3000]);
    }
}

#[test]
fn one_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::start(folder.path(), &["--data", "d"]);
    let second = run(
        folder.path(),
        &["serve", "--data", "d", "--listen", "127.0.0.1:0"],
    );
    let error = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&first.child.id().to_string()),
        "names who has it: {error}"
    );
}

#[test]
fn an_address_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::start(folder.path(), &["--data", "a"]);
    let address = first.url.trim_start_matches("http://");
    let second = run(
        folder.path(),
        &["serve", "--data", "b", "--listen", address],
    );
    let error = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
    assert!(error.contains("hint: "), "{error}");
}

#[test]
fn wrong_usage_and_wrong_configuration_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), "[server]\nlisen = \"x\"\n").unwrap();
    for args in [
        &["nonsense"][..],
        &["serve", "--tls-cert", "x.pem"],
        &["serve", "bad.toml"],
        &["serve", "missing.toml"],
        &["serve", "--listen", "nowhere"],
        &["check", "bad.toml"],
    ] {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("error"), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let error = text(&run(folder.path(), &["serve", "bad.toml"]).stderr);
    assert!(
        error.contains("bad.toml:2") && error.contains("`listen`"),
        "{error}"
    );
}

#[test]
fn check_prints_a_configuration_that_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), &["check"]);
    assert_eq!(printed.status.code(), Some(0));
    std::fs::write(folder.path().join("again.toml"), &printed.stdout).unwrap();
    let again = run(folder.path(), &["check", "again.toml"]);
    assert_eq!(text(&again.stdout), text(&printed.stdout));
    let distribution = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /srv/reg\nhttp:\n  addr: :5003\n";
    std::fs::write(folder.path().join("config.yml"), distribution).unwrap();
    let other = text(&run(folder.path(), &["check", "config.yml"]).stdout);
    assert!(
        other.contains("/srv/reg") && other.contains(":5003"),
        "{other}"
    );
}

#[test]
fn a_configuration_of_distribution_that_would_be_unsafe_to_ignore_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text_of =
        "version: 0.1\nstorage:\n  inmemory: {}\nauth:\n  htpasswd:\n    realm: x\n    path: /x\n";
    std::fs::write(folder.path().join("config.yml"), text_of).unwrap();
    let output = run(
        folder.path(),
        &["serve", "config.yml", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("auth"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn json_logs_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &["--log-format", "json"]);
    server.push(b"x");
    let (_, log) = server.stop();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let pushed = lines
        .iter()
        .find(|line| line["method"] == "POST")
        .expect("the push is logged");
    assert_eq!(pushed["status"], 201);
    assert!(pushed["request"].is_string());
}
