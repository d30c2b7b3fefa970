//! What an operator looks for: warnings at the start, metrics, and a folder that is only read.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::serving::{Serving, dockhand, text};

fn stopped_log(server: Serving) -> String {
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    log
}

#[test]
fn an_address_that_others_can_reach_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = dockhand(folder.path());
    command.args(["serve", "--listen", "0.0.0.0:0"]);
    let log = stopped_log(Serving::begin(command));
    assert!(
        log.contains("NO LOGIN: anyone who can reach this address can pull, push and delete"),
        "{log}"
    );
    let log = stopped_log(Serving::start(folder.path(), &[]));
    assert!(!log.contains("NO LOGIN"), "{log}");
}

/// A certificate and its key, in files of this mode.
fn certificate(folder: &Path, mode: u32) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(
        folder.join("cert.pem"),
        params.self_signed(&key).unwrap().pem(),
    )
    .unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_that_every_user_can_read_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    for (mode, warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        certificate(folder.path(), mode);
        let log = stopped_log(Serving::start(folder.path(), &args));
        let found = log.contains("the private key can be read by every user");
        assert_eq!(found, warned, "{mode:o}: {log}");
        assert!(!warned || log.contains("key.pem"), "{log}");
    }
}

#[test]
fn metrics_tell_of_contents_disk_database_process_and_build() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.toml"), "[metrics]\nenabled = true\n").unwrap();
    let before = Serving::start(folder.path(), &["c.toml"]);
    before.push(b"hello");
    before.push(b"hello world");
    drop(before);
    let server = Serving::start(folder.path(), &["c.toml"]);
    let answer = ureq::get(format!("{}/metrics", server.url)).call();
    let metrics = answer.unwrap().body_mut().read_to_string().unwrap();
    let value = |name: &str| -> f64 {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
            .parse()
            .unwrap()
    };
    assert_eq!(value("dockhand_blobs"), 2.0);
    assert_eq!(value("dockhand_blobs_stored_bytes"), 16.0);
    for none in [
        "dockhand_repositories",
        "dockhand_manifests",
        "dockhand_tags",
    ] {
        assert_eq!(value(none), 0.0, "{none}");
    }
    assert!(value("dockhand_database_bytes") >= 4096.0);
    assert!(value("dockhand_database_log_bytes") >= 0.0);
    assert!(value("dockhand_disk_total_bytes") >= value("dockhand_disk_free_bytes"));
    let build = format!(
        "dockhand_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(metrics.contains(&build), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(metrics.matches("# EOF").count(), 1);
    if cfg!(target_os = "linux") {
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 5.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds");
        assert!((-2.0..300.0).contains(&age), "started {age} s ago");
    }
}

/// All that could change of the files below a folder, but for when they were read.
fn state(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime, u32, u64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let mut entries = vec![inner.clone()];
        entries.extend(
            fs::read_dir(&inner)
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
        for path in entries {
            let about = path.metadata().unwrap();
            let bytes = if !about.is_file() {
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            if about.is_dir() && path != inner {
                folders.push(path.clone());
            }
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.insert(
                name,
                (bytes, about.modified().unwrap(), about.mode(), about.ino()),
            );
        }
    }
    found
}

/// Makes a folder and all below it impossible to write, for those whom permissions bind.
fn protect(folder: &Path, protected: bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            protect(&path, protected);
        } else if protected {
            fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        }
    }
    let mode = if protected { 0o500 } else { 0o700 };
    fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
}

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn serves_and_changes_nothing(folder: &Path, digest: &str) {
    let data = folder.join("d");
    let before = state(&data);
    let server = Serving::start(folder, &["--data", "d", "readonly.toml"]);
    assert_eq!(server.pull(digest), b"hello");
    let tag = ureq::get(format!("{}/v2/app/manifests/v1", server.url)).call();
    assert_eq!(tag.unwrap().body_mut().read_to_string().unwrap(), MANIFEST);
    let ready = ureq::get(format!("{}/readyz", server.url)).call();
    assert_eq!(ready.unwrap().status(), 200);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let pushed = agent
        .post(format!("{}/v2/app/blobs/uploads/", server.url))
        .send_empty();
    assert_eq!(pushed.unwrap().status(), 405);
    let tag = format!("{}/v2/app/manifests/v1", server.url);
    assert_eq!(agent.delete(&tag).call().unwrap().status(), 405);
    let metrics = ureq::get(format!("{}/metrics", server.url)).call();
    let metrics = metrics.unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("dockhand_tags 1\n"), "{metrics}");
    // Others may read too, and nobody may write.
    let second = Serving::start(folder, &["--data", "d", "readonly.toml"]);
    assert_eq!(second.pull(digest), b"hello");
    let writer = crate::serving::run(folder, &["serve", "--data", "d", "--listen", "127.0.0.1:0"]);
    assert_eq!(writer.status.code(), Some(1), "{}", text(&writer.stderr));
    assert!(state(&data) == before, "changed while it was served");
    assert_eq!(server.stop().0, 0);
    drop(second);
    assert!(state(&data) == before, "changed by the end");
}

#[test]
fn a_folder_is_served_without_writing_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[storage]\nreadonly = true\n[metrics]\nenabled = true\n";
    fs::write(folder.path().join("readonly.toml"), config).unwrap();
    let mut server = Serving::start(folder.path(), &["--data", "d"]);
    let digest = server.push(b"hello");
    let pushed = ureq::put(format!("{}/v2/app/manifests/v1", server.url))
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .send(MANIFEST);
    assert_eq!(pushed.unwrap().status(), 201);
    // A kill leaves the last writes in the log.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let data = folder.path().join("d");
    assert!(data.join("dockhand.db-wal").metadata().unwrap().len() > 0);
    serves_and_changes_nothing(folder.path(), &digest);
    // A stop leaves none.
    assert_eq!(Serving::start(folder.path(), &["--data", "d"]).stop().0, 0);
    assert!(!data.join("dockhand.db-wal").exists());
    serves_and_changes_nothing(folder.path(), &digest);
    protect(&data, true);
    serves_and_changes_nothing(folder.path(), &digest);
    protect(&data, false);
}
