//! A data folder on a file system that is mounted read-only, where not even root can write.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::image::sha256;
use crate::dockhand::{Dockhand, Running};
use crate::report::Report;

/// It stops in milliseconds when nobody is connected.
const STOP: Duration = Duration::from_secs(20);
const BLOB: &[u8] = b"read only";
const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Serves what was pushed before, after a kill and after a stop.
pub(super) fn checks(dockhand: &Dockhand, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = dockhand.serve(&data).start()?;
    push(&server)?;
    // Dropping it kills it, which leaves the last writes in the log of the database.
    drop(server);
    let log = data.join("dockhand.db-wal");
    report.check("readonly: after a kill", || {
        ensure!(log.metadata()?.len() > 0, "there is no log to read");
        serve(dockhand, folder.path(), &data)
    });
    report.check("readonly: after a stop", || {
        dockhand.serve(&data).start()?.server.terminate(STOP)?;
        ensure!(!log.exists(), "the log is still there");
        serve(dockhand, folder.path(), &data)
    });
    Ok(())
}

/// A program that mounts the data folder, its third argument, read-only for itself alone, and then becomes
/// `dockhand`.
fn in_mount(dockhand: &Dockhand, folder: &Path) -> Result<PathBuf> {
    let script = folder.join("dockhand");
    let binary = dockhand.binary().display();
    let inner = format!(
        "mount --bind \"$3\" \"$3\" && mount -o remount,bind,ro \"$3\" && \
         if touch \"$3/probe\" 2>/dev/null; then echo the mount can be written >&2; exit 1; fi && \
         exec {binary} \"$@\""
    );
    let spaces = if rustix::process::geteuid().is_root() {
        "--mount"
    } else {
        "--user --map-root-user --mount"
    };
    let text = format!("#!/bin/sh\nexec unshare {spaces} sh -c '{inner}' sh \"$@\"\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    Ok(script)
}

fn serve(dockhand: &Dockhand, folder: &Path, data: &Path) -> Result<String> {
    let program = Dockhand::at(&in_mount(dockhand, folder)?)?;
    let server = program
        .serve(data)
        .env("DOCKHAND_STORAGE_READONLY", "true")
        .start()?;
    let agent = agent();
    let get = |path: &str| -> Result<Vec<u8>> {
        let mut answer = agent.get(format!("{}{path}", server.url)).call()?;
        ensure!(answer.status() == 200, "{path}: {}", answer.status());
        Ok(answer.body_mut().read_to_vec()?)
    };
    ensure!(get(&format!("/v2/app/blobs/{}", sha256(BLOB)))? == BLOB);
    ensure!(get("/v2/app/manifests/v1")? == MANIFEST.as_bytes());
    ensure!(get("/readyz")? == b"ready\n");
    let begin = format!("{}/v2/app/blobs/uploads/", server.url);
    let refused = agent.post(&begin).send_empty()?.status();
    ensure!(refused == 405, "a push was answered with {refused}");
    Ok("pulled by tag and digest; a push was refused".to_owned())
}

fn push(server: &Running) -> Result<()> {
    let agent = agent();
    let blob = format!(
        "{}/v2/app/blobs/uploads/?digest={}",
        server.url,
        sha256(BLOB)
    );
    let pushed = agent.post(&blob).send(BLOB)?.status();
    ensure!(pushed == 201, "the blob was answered with {pushed}");
    let manifest = agent
        .put(format!("{}/v2/app/manifests/v1", server.url))
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .send(MANIFEST)
        .context("pushing the manifest")?;
    ensure!(manifest.status() == 201, "{}", manifest.status());
    Ok(())
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}
