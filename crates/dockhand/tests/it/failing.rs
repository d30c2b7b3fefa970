//! What is told when something fails: which host, why, and no more lines than anybody reads.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use dockhand_oci::Algorithm;
use serde_json::{Value, json};

use crate::images::{INDEX, MANIFEST};
use crate::peer::{Asked, Peer, Said, json as answer};
use crate::serving::{dockhand, run, text};

/// A layout with one image of so many layers, in the folder `layout`.
fn layout(folder: &Path, layers: u8) {
    let blobs = folder.join("layout/blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| -> Value {
        let digest = Algorithm::Sha256.digest(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    };
    let config = put("application/vnd.oci.image.config.v1+json", b"{}");
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let layers: Vec<Value> = (0..layers).map(|byte| put(layer, &[byte; 1000])).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    let mut manifest = put(MANIFEST, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
    std::fs::write(folder.join("layout/index.json"), index.to_string()).unwrap();
    let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
    std::fs::write(folder.join("layout/oci-layout"), mark).unwrap();
}

/// A registry that has nothing, and answers with `said` to who begins an upload.
fn empty(said: impl Fn() -> Said + Send + 'static) -> Peer {
    Peer::start(move |asked: &Asked| match asked.line.starts_with("POST ") {
        true => said(),
        false => answer(404, &json!({ "errors": [] })),
    })
}

fn dead_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn what_is_tried_again_has_one_line_a_host_and_cause() {
    let folder = tempfile::tempdir().unwrap();
    layout(folder.path(), 7);
    let push = |flags: &[&str]| -> (String, usize) {
        let peer = empty(|| answer(503, &json!({ "errors": [] })));
        let target = format!("{}/app:1", peer.host);
        let line = ["push", "layout", &target, "--retries", "3"];
        let output = run(folder.path(), &[&line[..], flags].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let tries = peer.asked();
        let tries = tries.iter().filter(|asked| asked.line.starts_with("POST "));
        (
            text(&output.stderr).replace(&peer.host, "HOST"),
            tries.count(),
        )
    };
    let (told, tries) = push(&[]);
    assert!(tries >= 16, "eight blobs, each tried again: {tries}");
    let begins = "HOST: 503 Service Unavailable; 8 requests are being retried";
    assert!(told.starts_with(begins), "{told}");
    // On a machine that is very slow a second one comes after five seconds.
    let lines = told.lines().filter(|line| line.contains("retried"));
    assert!(lines.count() <= 2, "{told}");
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("at HOST: 503 Service Unavailable, tried 4 times"),
        "{told}"
    );
    // Everything with -v; nothing with -q but the failure.
    let (told, tries) = push(&["-v"]);
    let again = told.lines().filter(|line| line.contains("trying again in"));
    assert!(again.count() >= tries - 8 - 1, "{told}");
    let (told, _) = push(&["-q"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    // Programs get each as an event.
    let (told, _) = push(&["--progress", "json"]);
    let events = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let retried = events.filter(|event| event["event"] == "retried");
    let whys: Vec<Value> = retried.map(|event| event["why"].clone()).collect();
    assert!(
        whys.len() >= 8 && whys.iter().all(|why| why == "503 Service Unavailable"),
        "{told}"
    );
}

#[test]
fn a_registry_that_is_down_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    layout(folder.path(), 7);
    let host = format!("127.0.0.1:{}", dead_port());
    let output = run(folder.path(), &["push", "layout", &format!("{host}/app:1")]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(told.lines().count() <= 3, "{told}");
    assert!(told.contains("Connection refused"), "{told}");
}

#[test]
fn the_host_that_failed_is_named_beside_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    layout(folder.path(), 1);
    let peer = empty(|| {
        let to = ("Location", "http://registry.example/up/1".to_owned());
        (202, vec![to], String::new())
    });
    let port = peer.host.rsplit(':').next().unwrap();
    let resolve = format!("registry.example:{}:127.0.0.1", dead_port());
    // The port of a name without one is that of the rule; with one, it is that which was written.
    let target = format!("registry.example:{port}/app:1");
    let line = ["push", "layout", &target, "--plain-http", "--retries", "0"];
    let output = run(
        folder.path(),
        &[&line[..], &["--resolve", &resolve]].concat(),
    );
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    let expected = format!(
        "cannot send a blob to app at registry.example:80: no connection: Connection refused (os error \
         111); registry.example:{port} sent us to http://registry.example:80; a proxy in front of it seems to \
         drop the port: have it pass on `Host` with the port {port} (nginx: proxy_set_header Host $http_host)\n"
    );
    assert!(told.ends_with(&expected), "{told}");
    assert_eq!(told.lines().count(), 1);
}

/// `dockhand digest` of a registry that takes no credentials, with variables and standard input.
fn refused(
    folder: &Path,
    peer: &Peer,
    flags: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> Output {
    let image = format!("{}/app:1", peer.host);
    let mut command = dockhand(folder);
    command.args(["digest", &image]).args(flags);
    command.envs(variables.iter().copied());
    let command = command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_password_that_ends_with_a_newline_is_said_to_and_not_shown() {
    let peer = Peer::start(|_| {
        let challenge = ("WWW-Authenticate", "Basic realm=\"x\"".to_owned());
        (401, vec![challenge], String::new())
    });
    let newline =
        "the password ends with a newline, which is sent as a part of it; `dockhand auth explain";
    let plain = "the credentials were refused; sign in again with `dockhand login";
    let check =
        |folder: &Path, flags: &[&str], variables: &[(&str, &str)], input: &str, expected: &str| {
            let output = refused(folder, &peer, flags, variables, input);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{told}");
            assert!(told.contains(expected), "{flags:?} {variables:?}: {told}");
            assert!(!told.contains("canary"), "{told}");
        };
    let home = || tempfile::tempdir().unwrap();
    // What is typed or piped in ends with a line.
    check(
        home().path(),
        &["-u", "me", "--password-stdin"],
        &[],
        "canary\r\n",
        plain,
    );
    let stdin = ["-u", "me", "--password-stdin"];
    check(
        home().path(),
        &stdin,
        &[],
        "canary \n",
        "the password ends with white space",
    );
    check(
        home().path(),
        &["-u", "me", "-p", "canary\n"],
        &[],
        "",
        newline,
    );
    let variables = [
        ("DOCKHAND_USERNAME", "me"),
        ("DOCKHAND_PASSWORD", "canary\n"),
    ];
    check(home().path(), &[], &variables, "", newline);
    // `echo me:canary | base64`
    let folder = home();
    let docker = folder.path().join(".docker");
    std::fs::create_dir(&docker).unwrap();
    let entry = json!({ "auth": "bWU6Y2FuYXJ5Cg==" });
    let file = json!({ "auths": { &peer.host: entry } });
    std::fs::write(docker.join("config.json"), file.to_string()).unwrap();
    check(folder.path(), &[], &[], "", newline);
    let helper = folder.path().join("docker-credential-test");
    let said = r#"printf '{"Username":"me","Secret":"canary\\n"}'"#;
    std::fs::write(&helper, format!("#!/bin/sh\n{said}\n")).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = json!({ "credHelpers": { &peer.host: "test" } });
    std::fs::write(docker.join("config.json"), file.to_string()).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    check(folder.path(), &[], &[("PATH", &path)], "", newline);
}
