//! Single blobs, uploads, and whether an image is whole.

use std::fs;
use std::time::{Duration, Instant};

use crate::serving::{Serving, run, text};

#[test]
fn a_blob_goes_in_and_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let host = server.url.trim_start_matches("http://");
    let at = |args: &[&str]| run(folder.path(), args);
    fs::write(folder.path().join("in"), "some bytes").unwrap();
    let output = at(&["blob", "put", &format!("{host}/app"), "in"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let digest = text(&output.stdout).trim().to_owned();
    let blob = format!("{host}/app@{digest}");
    let output = at(&["blob", "head", &blob, "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found, serde_json::json!({ "digest": digest, "size": 10 }));
    assert_eq!(text(&at(&["blob", "get", &blob]).stdout), "some bytes");
    assert!(at(&["blob", "get", &blob, "-O", "out"]).status.success());
    assert_eq!(
        fs::read_to_string(folder.path().join("out")).unwrap(),
        "some bytes"
    );
    let other = format!("{host}/other@{digest}");
    assert!(
        at(&["blob", "mount", &other, "--from", "app"])
            .status
            .success()
    );
    assert!(at(&["blob", "head", &other]).status.success());
    // Some registries look for it by themselves.
    let third = format!("{host}/third@{digest}");
    assert!(at(&["blob", "mount", &third]).status.success());
    assert!(at(&["blob", "head", &third]).status.success());
    let none = format!("{host}/third@sha256:{}", "0".repeat(64));
    let output = at(&["blob", "mount", &none, "--from", "app"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(at(&["blob", "rm", &blob]).status.success());
    assert_eq!(at(&["blob", "head", &blob]).status.code(), Some(3));
    // Content that is not what was named is not sent at all.
    fs::write(folder.path().join("in"), "other bytes").unwrap();
    let output = at(&["blob", "put", &blob, "in"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(at(&["blob", "head", &blob]).status.code(), Some(3));
}

#[test]
fn a_rate_holds_for_what_is_sent_and_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let repository = format!("{}/app", server.url.trim_start_matches("http://"));
    fs::write(folder.path().join("in"), vec![7; 200_000]).unwrap();
    // 64 KiB may pass at once, the rest at 128 KiB a second.
    let least = Duration::from_secs_f64((200_000.0 - 65_536.0) / 131_072.0);
    let held = |line: &[&str]| {
        let began = Instant::now();
        let output = run(folder.path(), &[line, &["--rate", "128KiB"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(began.elapsed() >= least, "{line:?}: {:?}", began.elapsed());
        text(&output.stdout).trim().to_owned()
    };
    let digest = held(&["blob", "put", &repository, "in"]);
    held(&[
        "blob",
        "get",
        &format!("{repository}@{digest}"),
        "-O",
        "out",
    ]);
}

#[test]
fn an_upload_is_looked_at_and_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let repository = format!("{}/app", server.url.trim_start_matches("http://"));
    let at = |args: &[&str]| run(folder.path(), args);
    let url = text(&at(&["upload", "start", &repository]).stdout)
        .trim()
        .to_owned();
    assert_eq!(
        text(&at(&["upload", "status", &repository, &url]).stdout),
        "0\n"
    );
    assert!(
        at(&["upload", "cancel", &repository, &url])
            .status
            .success()
    );
    let output = at(&["upload", "status", &repository, &url]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn an_image_is_whole_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\ncheck-sizes = false\n";
    fs::write(folder.path().join("lenient.toml"), settings).unwrap();
    let server = Serving::start(folder.path(), &["lenient.toml"]);
    let host = server.url.trim_start_matches("http://");
    let digest = server.push(b"{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2 },
        "layers": [],
    });
    let put = |tag: &str, manifest: &serde_json::Value| {
        let url = format!("{}/v2/app/manifests/{tag}", server.url);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let answer = ureq::put(&url)
            .content_type(kind)
            .send(manifest.to_string().as_bytes());
        assert_eq!(answer.unwrap().status(), 201);
    };
    put("whole", &manifest);
    let output = run(
        folder.path(),
        &["validate", &format!("{host}/app:whole"), "--json"],
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({ "manifests": 1, "blobs": 1, "bytes": 2, "problems": [] });
    assert_eq!(found, expected);
    // This registry stores a manifest that gives a wrong size; the client must notice.
    let mut lying = manifest.clone();
    lying["config"]["size"] = 3.into();
    put("lying", &lying);
    let lying = format!("{host}/app:lying");
    let output = run(folder.path(), &["validate", &lying]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let output = run(folder.path(), &["cp", &lying, "oci:out"]);
    assert!(!output.status.success() && output.stdout.is_empty());
    let output = run(folder.path(), &["exists", "oci:out:lying"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let blob = format!("{}/app@{}", server.host(), server.push(b"some bytes"));
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let read = pipe.clone();
    let reader = std::thread::spawn(move || fs::read(read).unwrap());
    let output = run(folder.path(), &["blob", "get", &blob, "-o", "pipe"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(reader.join().unwrap(), b"some bytes");
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

#[test]
fn shells_and_manuals_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| run(folder.path(), args);
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&at(&["completion", shell]).stdout);
        assert!(script.contains("validate"), "{shell}");
    }
    assert!(text(&at(&["man"]).stdout).contains(".TH"));
    assert!(at(&["man", "pages"]).status.success());
    assert!(folder.path().join("pages/dockhand-digest.1").exists());
}
