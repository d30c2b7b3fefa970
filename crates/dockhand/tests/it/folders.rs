//! What a server makes of the folder that it is given: an empty registry is never made in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::serving::{Serving, dockhand, run, text};

const BLOBS: &str = "docker/registry/v2/blobs";

/// The files below a folder, with their lengths and bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                folders.push(path);
            } else {
                found.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Serves the folder `d`, which has to be refused, and stay as it is.
fn refused(folder: &Path, more: &[&str]) -> String {
    let before = tree(&folder.join("d"));
    let mut args = vec!["serve", "--data", "d", "--listen", "127.0.0.1:0"];
    args.extend(more);
    let Output {
        status,
        stdout,
        stderr,
    } = run(folder, &args);
    let error = text(&stderr);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(stdout.is_empty(), "nothing is announced");
    assert!(error.contains("hint: "), "{error}");
    let after = tree(&folder.join("d"));
    assert!(before == after, "changed: {:?}", after.keys());
    error
}

/// A folder `d` with a registry that has one blob, its server stopped.
fn with_registry() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &["--data", "d"]);
    let digest = server.push(b"hello");
    assert_eq!(server.stop().0, 0);
    (folder, digest)
}

#[test]
fn a_tree_of_distribution_without_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let v2 = folder.path().join("d/docker/registry/v2");
    let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let link = v2.join("repositories/team/app/_layers/sha256").join(hex);
    fs::create_dir_all(&link).unwrap();
    fs::write(link.join("link"), format!("sha256:{hex}")).unwrap();
    let blob = v2.join("blobs/sha256/2c").join(hex);
    fs::create_dir_all(&blob).unwrap();
    fs::write(blob.join("data"), "hello").unwrap();
    let error = refused(folder.path(), &[]);
    assert!(
        error.contains("data of a CNCF Distribution registry"),
        "{error}"
    );
    assert!(error.contains("--new"), "{error}");
    // The same by Distribution's own configuration.
    let root = folder.path().join("d");
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
        root.display()
    );
    fs::write(folder.path().join("config.yml"), config).unwrap();
    let by_config = run(
        folder.path(),
        &["serve", "config.yml", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(by_config.status.code(), Some(1));
    assert!(text(&by_config.stderr).contains("CNCF Distribution"));
    // On purpose it starts empty, and leaves the links alone.
    let server = Serving::start(folder.path(), &["--data", "d", "--new"]);
    let catalog = ureq::get(format!("{}/v2/_catalog", server.url)).call();
    let catalog = catalog.unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(catalog, r#"{"repositories":[]}"#);
    let digest = server.push(b"hello");
    assert_eq!(server.pull(&digest), b"hello");
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("made a new, empty registry"), "{log}");
    assert!(link.join("link").is_file());
    // From now on it has a database.
    assert_eq!(
        Serving::start(folder.path(), &["--data", "d"]).pull(&digest),
        b"hello"
    );
}

#[test]
fn blobs_without_a_database_are_refused() {
    let (folder, digest) = with_registry();
    let database = folder.path().join("d/dockhand.db");
    let aside = folder.path().join("aside.db");
    fs::rename(&database, &aside).unwrap();
    let error = refused(folder.path(), &[]);
    assert!(error.contains("dockhand.db is missing"), "{error}");
    fs::write(&database, "").unwrap();
    let error = refused(folder.path(), &[]);
    assert!(error.contains("dockhand.db is empty (0 bytes)"), "{error}");
    let read_only = folder.path().join("readonly.toml");
    fs::write(&read_only, "[storage]\nreadonly = true\n").unwrap();
    let error = refused(folder.path(), &["readonly.toml"]);
    assert!(error.contains("dockhand.db is empty (0 bytes)"), "{error}");
    // Put back, all is as it was.
    fs::rename(&aside, &database).unwrap();
    assert_eq!(
        Serving::start(folder.path(), &["--data", "d"]).pull(&digest),
        b"hello"
    );
}

#[test]
fn a_log_without_its_database_is_never_thrown_away() {
    let (folder, _) = with_registry();
    let database = folder.path().join("d/dockhand.db");
    fs::rename(&database, folder.path().join("d/dockhand.db-wal")).unwrap();
    for more in [&[][..], &["--new"]] {
        let error = refused(folder.path(), more);
        assert!(error.contains("dockhand.db-wal"), "{error}");
    }
}

#[test]
fn a_database_without_its_blobs_is_refused() {
    let (folder, digest) = with_registry();
    let blobs = folder.path().join("d").join(BLOBS);
    fs::rename(blobs.join("sha256"), folder.path().join("aside")).unwrap();
    let mut args = vec!["serve", "--data", "d", "--listen", "127.0.0.1:0"];
    let output = run(folder.path(), &args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("names blobs"), "{error}");
    args.push("--new");
    let output = run(folder.path(), &args);
    assert_eq!(output.status.code(), Some(1), "--new is not the way out");
    // What the message says brings it up, and a push heals it.
    fs::create_dir(blobs.join("sha256")).unwrap();
    let server = Serving::start(folder.path(), &["--data", "d"]);
    drop(server);
    fs::remove_dir(blobs.join("sha256")).unwrap();
    fs::rename(folder.path().join("aside"), blobs.join("sha256")).unwrap();
    assert_eq!(
        Serving::start(folder.path(), &["--data", "d"]).pull(&digest),
        b"hello"
    );
}

#[test]
fn new_does_not_replace_a_registry() {
    let (folder, digest) = with_registry();
    let args = ["serve", "--data", "d", "--listen", "127.0.0.1:0", "--new"];
    let output = run(folder.path(), &args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("holds a registry already"), "{error}");
    assert!(error.contains("leave --new out"), "{error}");
    assert_eq!(
        Serving::start(folder.path(), &["--data", "d"]).pull(&digest),
        b"hello"
    );
}

#[test]
fn a_read_only_server_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.toml"), "[storage]\nreadonly = true\n").unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    let error = refused(folder.path(), &["c.toml"]);
    assert!(error.contains("a read-only server creates none"), "{error}");
}

/// Removes something under a running server, which has to refuse pushes, say so and end.
fn pulled_away(what: &str, by: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path(), &["--data", "d"]);
    server.push(b"before");
    by(&folder.path().join("d"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    // The probe itself looks, so that nothing is waited for.
    let ready = agent.get(format!("{}/readyz", server.url)).call();
    if let Ok(mut ready) = ready {
        assert_eq!(ready.status(), 503, "{what}");
        let body = ready.body_mut().read_to_string().unwrap();
        assert!(
            body.contains("data folder is not the one"),
            "{what}: {body}"
        );
    }
    // Whoever is still connected is refused, too.
    if let Ok(pushed) = agent
        .post(format!("{}/v2/app/blobs/uploads/", server.url))
        .send_empty()
    {
        assert!(
            pushed.status().is_server_error(),
            "{what}: {}",
            pushed.status()
        );
    }
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "{what}: it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(75), "{what}");
    let mut log = String::new();
    let mut stderr = server.child.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut log).unwrap();
    assert!(log.contains("while it was in use"), "{what}: {log}");
    assert!(log.contains("hint: "), "{what}: {log}");
}

#[test]
fn a_server_whose_folder_is_deleted_stops() {
    pulled_away("the folder", |data| fs::remove_dir_all(data).unwrap());
}

#[test]
fn a_server_whose_folder_is_replaced_stops() {
    pulled_away("a folder in its place", |data| {
        fs::rename(data, data.with_extension("old")).unwrap();
        fs::create_dir(data).unwrap();
    });
}

#[test]
fn a_server_whose_database_is_deleted_stops() {
    pulled_away("the database", |data| {
        fs::remove_file(data.join("dockhand.db")).unwrap();
    });
}

#[test]
fn a_server_whose_database_is_restored_under_it_stops() {
    pulled_away("a copy of the database", |data| {
        let database = data.join("dockhand.db");
        fs::copy(&database, data.join("copy.db")).unwrap();
        fs::rename(data.join("copy.db"), &database).unwrap();
    });
}

#[test]
fn a_start_that_was_killed_before_it_had_tables_is_no_registry() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d").join(BLOBS)).unwrap();
    fs::create_dir(folder.path().join("d/uploads")).unwrap();
    fs::write(folder.path().join("d/dockhand.db"), "").unwrap();
    let server = Serving::start(folder.path(), &["--data", "d"]);
    let digest = server.push(b"hello");
    assert_eq!(server.pull(&digest), b"hello");
}

#[test]
fn administration_of_a_stopped_folder_makes_no_registry() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d").join(BLOBS)).unwrap();
    let before = tree(&folder.path().join("d"));
    let output = dockhand(folder.path())
        .args(["upload", "ls", "--data", "d"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(tree(&folder.path().join("d")), before);
}
