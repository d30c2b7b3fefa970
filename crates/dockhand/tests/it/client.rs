//! The client's side of the command: what all its commands share.

use std::process::Stdio;

use crate::serving::{Serving, dockhand, run, text};

#[test]
fn help_is_for_people_and_names_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(folder.path(), &["--help"]).stdout);
    assert!(
        help.contains("Exit codes:") && help.contains("130 interrupted"),
        "{help}"
    );
    let help = text(&run(folder.path(), &["digest", "--help"]).stdout);
    assert!(help.starts_with("Print the digest of an image"), "{help}");
    for flag in [
        "--plain-http",
        "--ca-file",
        "--password-stdin",
        "--max-wait",
        "--json",
    ] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
    let help = text(&run(folder.path(), &["serve", "--help"]).stdout);
    assert!(!help.contains("--password-stdin"), "{help}");
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let host = server.url.trim_start_matches("http://");
    let absent = format!("{host}/team/app:1");
    let quick = ["--retries", "0", "--timeout", "5s"];
    for (args, code, words) in [
        (vec!["digest", absent.as_str()], 3, "team/app:1"),
        (vec!["digest", "127.0.0.1:1/app"], 6, "127.0.0.1:1"),
        (vec!["digest", "UPPER/case:x:y"], 2, "error"),
        (
            vec!["digest", absent.as_str(), "-u", "me"],
            2,
            "--password-stdin",
        ),
        (vec!["ping"], 2, "--connection"),
        (vec!["ping", host, "--ca-file", "none.pem"], 2, "none.pem"),
    ] {
        let output = run(folder.path(), &[&args[..], &quick].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn flags_come_from_the_environment_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let mut ping = dockhand(folder.path());
    ping.args(["ping"])
        .env("DOCKHAND_CONNECTION", &server.url)
        .env("DOCKHAND_OUTPUT", "json");
    let output = ping.output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["apiVersion"], "registry/2.0");
    assert_eq!(
        format!("http://{}", answer["host"].as_str().unwrap()),
        server.url
    );
}

#[test]
fn an_interrupt_ends_it_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/app:1", silent.local_addr().unwrap());
    let mut command = dockhand(folder.path());
    command.args(["digest", &image]).stderr(Stdio::piped());
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    // Once it has connected it listens for signals.
    let (connection, _) = silent.accept().unwrap();
    let pid = child.id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(connection);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(text(&output.stderr), "error: interrupted\n");
}
