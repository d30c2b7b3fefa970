//! Layouts and archives of dockhand, read by skopeo and podman, and theirs, read by dockhand.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::client::{Program, Session, same};
use super::image::{digest_of_layout, sha256};
use super::ours::{Judges, config_digest};
use crate::tools;

/// All checks of files, with one registry.
pub(super) fn checks(client: &mut Session<'_>, judges: &Judges) -> Result<()> {
    let program = |name| Program::new(name, tools::require(name)?, client.peer.folder());
    let (skopeo, podman) = (program("skopeo")?, program("podman")?);
    let image = client.repository("image");
    client.check("push", |client| {
        let layout = client.image.reference();
        client.run(&format!("push oci:{layout} {image}:v1"))
    });
    read_by_others(client, &skopeo, &podman, &image);
    written_by_others(client, judges, &skopeo, &image);
    docker_archive(client, judges, (&skopeo, &podman), &image);
    Ok(())
}

/// podman with storage of its own that needs nothing of the kernel.
fn engine(client: &Session<'_>) -> String {
    format!(
        "--root {} --runroot {} --storage-driver vfs --events-backend file --cgroup-manager cgroupfs",
        client.folder("root").display(),
        client.folder("run").display(),
    )
}

fn read_by_others(client: &mut Session<'_>, skopeo: &Program, podman: &Program, image: &str) {
    client.check("a layout, read by skopeo", |client| {
        let layout = client.folder("layout");
        client.run(&format!(
            "pull {image}:v1 -o {} --format oci",
            layout.display()
        ))?;
        let raw = skopeo.run(&format!("inspect --raw oci:{}", layout.display()))?;
        client.is_image(&sha256(raw.as_bytes()))
    });
    client.check("an OCI archive, read by skopeo", |client| {
        let file = client.folder("oci.tar");
        client.run(&format!("cp {image}:v1 oci-archive:{}:v1", file.display()))?;
        let raw = skopeo.run(&format!("inspect --raw oci-archive:{}:v1", file.display()))?;
        client.is_image(&sha256(raw.as_bytes()))
    });
    client.check("an OCI archive, loaded by podman", |client| {
        let (file, amd64) = (client.folder("one.tar"), &client.image.amd64);
        client.run(&format!(
            "cp {image}@{amd64} oci-archive:{}:v1",
            file.display()
        ))?;
        let words = format!(
            "{} pull --quiet oci-archive:{}",
            engine(client),
            file.display()
        );
        same_id(client, &podman.run(&words)?)
    });
    client.check("a Docker archive, loaded by podman", |client| {
        let (file, amd64) = (client.folder("docker.tar"), &client.image.amd64);
        let to = file.display();
        client.run(&format!("pull {image}@{amd64} -o {to} --format docker"))?;
        // Nothing is left of the one before.
        podman.run(&format!("{} rmi --all --force", engine(client)))?;
        let words = format!("{} pull --quiet docker-archive:{to}", engine(client));
        same_id(client, &podman.run(&words)?)
    });
}

/// An error unless this is the id of the image of linux/amd64, with or without its algorithm.
fn same_id(client: &Session<'_>, id: &str) -> Result<String> {
    let wanted = client.image.amd64_config.trim_start_matches("sha256:");
    same("the id", id.trim_start_matches("sha256:"), wanted)
}

/// Has skopeo write the image somewhere.
fn write(client: &Session<'_>, skopeo: &Program, flag: &str, to: &str) -> Result<String> {
    let from = format!("oci:{}", client.image.reference());
    skopeo.run(&format!("copy --insecure-policy {flag} {from} {to}"))
}

fn written_by_others(client: &mut Session<'_>, judges: &Judges, skopeo: &Program, image: &str) {
    client.check("a layout of skopeo's, pushed", |client| {
        let layout = client.folder("theirs");
        let to = format!("oci:{}:v1", layout.display());
        write(client, skopeo, "--all", &to)?;
        digest_of_layout(&layout)?;
        client.run(&format!("push {to} {image}:layout"))?;
        client.is_image(&judges.crane.run(&format!("digest {image}:layout"))?)
    });
    client.check("an OCI archive of skopeo's, pushed", |client| {
        let to = format!(
            "oci-archive:{}:v1",
            client.folder("theirs-oci.tar").display()
        );
        write(client, skopeo, "--all", &to)?;
        client.run(&format!("push {to} {image}:oci"))?;
        client.is_image(&judges.crane.run(&format!("digest {image}:oci"))?)
    });
}

/// A Docker archive holds plain layers, so the manifest becomes another; the config stays, and podman
/// unpacks the layers and compares them with it.
fn docker_archive(
    client: &mut Session<'_>,
    judges: &Judges,
    (skopeo, podman): (&Program, &Program),
    image: &str,
) {
    client.check("a Docker archive of skopeo's, pushed", |client| {
        let file = client.folder("theirs-docker.tar");
        let to = format!("docker-archive:{}:example.org/image:v1", file.display());
        write(client, skopeo, "--override-arch amd64", &to)?;
        let pushed = format!("{image}:docker");
        client.run(&format!("push {} {pushed}", file.display()))?;
        judges
            .crane
            .run(&format!("validate --fast --remote {pushed}"))?;
        let config = same(
            "the config",
            &config_digest(judges, &pushed)?,
            &config_in(&file)?,
        )?;
        let engine = engine(client);
        podman.run(&format!("{engine} rmi --all --force"))?;
        let id = podman.run(&format!(
            "{engine} pull --quiet --tls-verify=false {pushed}"
        ))?;
        same("the id", &format!("sha256:{id}"), &config)
    });
}

/// The digest of the config that a Docker archive names.
fn config_in(file: &Path) -> Result<String> {
    let mut archive = tar::Archive::new(File::open(file)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.as_os_str() != "manifest.json" {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        let list: Value = serde_json::from_str(&text)?;
        let name = list[0]["Config"].as_str().context("no config is named")?;
        return Ok(format!("sha256:{}", name.trim_end_matches(".json")));
    }
    anyhow::bail!("no manifest.json in {}", file.display())
}
