//! regctl: regclient, the most complete client of the distribution specification.

use std::fs;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::client::{Session, file_is, has, has_not, same};
use super::image::{digest_of_layout, noise, sha256};

/// All checks of regctl.
pub(super) fn checks(client: &mut Session<'_>) -> Result<()> {
    trust(client, &[&client.peer.authority])?;
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    push_and_pull(client, &image);
    artifacts(client, &image);
    client.check("copy with referrers", |client| {
        client.run(&format!("image copy --referrers {image}:v1 {copy}:v1"))?;
        let digest = client.run(&format!("image digest {copy}:v1"))?;
        has(
            &client.run(&format!("artifact list {copy}:v1"))?,
            "application/x-note",
        )?;
        client.is_image(&digest)
    });
    client.check("list", |client| {
        client.run(&format!("image copy {image}:v1 {image}:v2"))?;
        let tags = client.run(&format!("tag ls {image}"))?;
        has(
            &client.run(&format!("repo ls {}", client.peer.authority))?,
            "regctl/copy",
        )?;
        same("the list of tags", &tags.replace('\n', " "), "v1 v2")
    });
    client.check("delete a tag", |client| {
        client.run(&format!("tag delete {image}:v2"))?;
        has_not(&client.run(&format!("tag ls {image}"))?, "v2")?;
        let digest = client.run(&format!("image digest {image}:v1"))?;
        client.is_image(&digest)
    });
    client.check("delete a manifest", |client| {
        client.run(&format!("manifest delete {image}@{}", client.image.digest))?;
        has(
            &client.refused(&format!("manifest get {image}:v1"))?,
            "not found",
        )?;
        let digest = client.run(&format!("image digest {copy}:v1"))?;
        client.is_image(&digest)
    });
    Ok(())
}

/// Tells regctl how hosts are reached, in a file of settings: a certificate is too long for a word of
/// a command line.
pub(super) fn trust(client: &mut Session<'_>, hosts: &[&str]) -> Result<()> {
    let settings = if client.tls() {
        let pem = fs::read_to_string(&client.peer.authority_certificate)?;
        json!({ "tls": "enabled", "regcert": pem })
    } else {
        json!({ "tls": "disabled" })
    };
    let hosts: Map<String, Value> = hosts
        .iter()
        .map(|host| ((*host).to_owned(), settings.clone()))
        .collect();
    let file = client.folder("settings.json");
    fs::write(&file, json!({ "hosts": hosts }).to_string())?;
    client.env("REGCTL_CONFIG", file);
    Ok(())
}

fn push_and_pull(client: &mut Session<'_>, image: &str) {
    client.check("push", |client| {
        client.run(&format!(
            "image copy ocidir://{} {image}:v1",
            client.image.reference()
        ))?;
        let digest = client.run(&format!("image digest {image}:v1"))?;
        client.is_image(&digest)
    });
    client.check("pull", |client| {
        let folder = client.folder("pulled");
        client.run(&format!(
            "image copy {image}:v1 ocidir://{}:v1",
            folder.display()
        ))?;
        client.is_image(&digest_of_layout(&folder)?)
    });
    client.check("blob head, get and delete", |client| {
        let config = &client.image.amd64_config;
        has(&client.run(&format!("blob head {image} {config}"))?, config)?;
        let text = client.run(&format!("blob get {image} {config}"))?;
        same("the digest of the config", &sha256(text.as_bytes()), config)?;
        let scratch = client.repository("scratch");
        client.run(&format!("blob copy {image} {scratch} {config}"))?;
        client.run(&format!("blob delete {scratch} {config}"))?;
        has(
            &client.refused(&format!("blob head {scratch} {config}"))?,
            "not found",
        )?;
        client.run(&format!("blob head {image} {config}"))?;
        Ok(config.clone())
    });
}

/// Something is attached to the image, found again, and read back.
fn artifacts(client: &mut Session<'_>, image: &str) {
    client.check("attach, discover and read an artifact", |client| {
        let folder = client.folder("artifact");
        fs::create_dir_all(&folder)?;
        let note = noise(7, 200_000);
        fs::write(folder.join("note"), &note)?;
        let file = folder.join("note");
        let kind = "--artifact-type application/x-note --file-media-type application/x-note";
        let note_at = format!("--subject {image}:v1 {kind} --file {}", file.display());
        client.run(&format!("artifact put --file-title --strip-dirs {note_at}"))?;
        let found = client.run(&format!("artifact list {image}:v1 --format body"))?;
        has(&found, "application/x-note")?;
        let filter = "--filter-artifact-type application/x-other --format body";
        has_not(
            &client.run(&format!("artifact list {image}:v1 {filter}"))?,
            "application/x-note",
        )?;
        let back = client.folder("artifact-back");
        fs::create_dir_all(&back)?;
        client.run(&format!(
            "artifact get --subject {image}:v1 --output {}",
            back.display()
        ))?;
        file_is(&back, "note", &note)
    });
}
