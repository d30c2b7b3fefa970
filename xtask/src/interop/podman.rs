//! podman: a container engine, here with storage of its own that no other engine sees.

use std::fs;

use anyhow::Result;

use super::client::{Session, has, same};
use super::skopeo::certificates;

/// All checks of podman. It has no command to delete what a registry holds.
pub(super) fn checks(client: &mut Session<'_>) -> Result<()> {
    let trust = format!("--{}", certificates(client)?);
    let engine = engine(client)?;
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    let id = client
        .image
        .amd64_config
        .trim_start_matches("sha256:")
        .to_owned();
    client.check("push", |client| {
        client.run(&format!(
            "{engine} pull --arch amd64 oci:{}",
            client.image.reference()
        ))?;
        client.run(&format!("{engine} tag {id} {image}:v1"))?;
        client.run(&format!("{engine} push {trust} {image}:v1"))?;
        Ok(id.clone())
    });
    client.check("pull", |client| {
        client.run(&format!("{engine} rmi --force {id}"))?;
        let pulled = client.run(&format!("{engine} pull --quiet {trust} {image}:v1"))?;
        same("the id of the pulled image", &pulled, &id)
    });
    build_on_it(client, &engine, &trust, &image);
    client.check("copy", |client| {
        client.run(&format!("{engine} tag {id} {copy}:v1"))?;
        client.run(&format!("{engine} push {trust} {copy}:v1"))?;
        client.run(&format!("{engine} rmi --force {id}"))?;
        let pulled = client.run(&format!("{engine} pull --quiet {trust} {copy}:v1"))?;
        same("the id of the copy", &pulled, &id)
    });
    index(client, &engine, &trust, &image, &id);
    list(client, &engine, &trust, &image);
    Ok(())
}

/// The words that begin every command: storage below the directory of the session.
pub(super) fn engine(client: &Session<'_>) -> Result<String> {
    policy(client)?;
    let (root, run) = (client.folder("root"), client.folder("run"));
    // The only driver that needs nothing of the kernel.
    Ok(format!(
        "--root {} --runroot {} --storage-driver vfs --events-backend file --cgroup-manager cgroupfs",
        root.display(),
        run.display(),
    ))
}

/// The pushed image is the base of another.
fn build_on_it(client: &mut Session<'_>, engine: &str, trust: &str, image: &str) {
    client.check("build on it and push", |client| {
        let folder = client.folder("build");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("hello"), "hello\n")?;
        fs::write(
            folder.join("Containerfile"),
            format!("FROM {image}:v1\nCOPY hello /hello\n"),
        )?;
        let flags = "--isolation chroot --quiet --layers=false";
        let tag = format!("--tag {image}:built");
        client.run(&format!(
            "{engine} build {flags} {trust} {tag} {}",
            folder.display()
        ))?;
        client.run(&format!("{engine} push {trust} {image}:built"))
    });
}

/// An index with the image in it.
fn index(client: &mut Session<'_>, engine: &str, trust: &str, image: &str, id: &str) {
    client.check("push and inspect an index", |client| {
        let list = client.repository("list");
        client.run(&format!("{engine} manifest create {list}:v1"))?;
        client.run(&format!(
            "{engine} manifest add {trust} {list}:v1 docker://{image}:v1"
        ))?;
        client.run(&format!(
            "{engine} manifest push --all {trust} {list}:v1 docker://{list}:v1"
        ))?;
        let pulled = client.run(&format!(
            "{engine} pull --quiet {trust} --arch amd64 {list}:v1"
        ))?;
        same("the id of the image in the index", &pulled, id)
    });
}

/// The tags of the repository.
fn list(client: &mut Session<'_>, engine: &str, trust: &str, image: &str) {
    let search = if client.tls() {
        // `podman search` alone takes no folder of certificates.
        client.env("SSL_CERT_FILE", client.peer.authority_certificate.clone());
        "search --list-tags".to_owned()
    } else {
        format!("search --list-tags {trust}")
    };
    client.check("list", |client| {
        let tags = client.run(&format!("{engine} {search} {image}"))?;
        has(&tags, "v1")?;
        has(&tags, "built")?;
        Ok("v1, built".to_owned())
    });
}

/// Engines refuse to pull without a policy, which a minimal installation may lack.
fn policy(client: &Session<'_>) -> Result<()> {
    let folder = client.peer.folder().join("podman-home/.config/containers");
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("policy.json"),
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )?;
    Ok(())
}
