//! crane: go-containerregistry, the library under ko, kaniko, cosign and many more.

use std::fs;

use anyhow::Result;

use super::client::{Session, has, has_not, same};
use super::image::{digest_of_layout, sha256};

/// All checks of crane. It finds out by itself whether 127.0.0.1 speaks TLS.
pub(super) fn checks(client: &mut Session<'_>) -> Result<()> {
    if client.tls() {
        client.env("SSL_CERT_FILE", client.peer.authority_certificate.clone());
    }
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    push_and_pull(client, &image);
    client.check("copy", |client| {
        client.run(&format!("copy {image}:v1 {copy}:v1"))?;
        let digest = client.run(&format!("digest {copy}:v1"))?;
        client.is_image(&digest)
    });
    client.check("tag", |client| {
        client.run(&format!("tag {image}:v1 v2"))?;
        let digest = client.run(&format!("digest {image}:v2"))?;
        client.is_image(&digest)
    });
    client.check("append a layer", |client| {
        let layer = client.folder("layer.tar");
        let mut tar = tar::Builder::new(fs::File::create(&layer)?);
        tar.append_path_with_name(client.peer.folder().join("crane-home/config.json"), "one")?;
        tar.finish()?;
        let base = format!("{image}@{}", client.image.amd64);
        let layer = layer.display();
        client.run(&format!(
            "append --base {base} --new_layer {layer} --new_tag {image}:more"
        ))?;
        client.run(&format!("validate --remote {image}:more"))
    });
    client.check("list", |client| {
        let tags = client.run(&format!("ls {image}"))?;
        same("the list of tags", &tags.replace('\n', " "), "more v1 v2")
    });
    client.check("catalog", |client| {
        let repositories = client.run(&format!("catalog {}", client.peer.authority))?;
        has(&repositories, "crane/copy")?;
        has(&repositories, "crane/image")?;
        Ok("crane/copy, crane/image".to_owned())
    });
    client.check("delete a tag", |client| {
        client.run(&format!("delete {image}:v2"))?;
        has_not(&client.run(&format!("ls {image}"))?, "v2")?;
        let digest = client.run(&format!("digest {image}:v1"))?;
        client.is_image(&digest)
    });
    client.check("delete a manifest", |client| {
        client.run(&format!("delete {image}@{}", client.image.digest))?;
        has(
            &client.refused(&format!("manifest {image}:v1"))?,
            "MANIFEST_UNKNOWN",
        )?;
        let digest = client.run(&format!("digest {copy}:v1"))?;
        client.is_image(&digest)
    });
    Ok(())
}

fn push_and_pull(client: &mut Session<'_>, image: &str) {
    client.check("push", |client| {
        client.run(&format!(
            "push {} {image}:v1",
            client.image.layout.display()
        ))?;
        let digest = client.run(&format!("digest {image}:v1"))?;
        client.is_image(&digest)
    });
    client.check("validate", |client| {
        client.run(&format!("validate --remote {image}:v1"))
    });
    client.check("pull", |client| {
        let folder = client.folder("pulled");
        client.run(&format!(
            "pull --format oci {image}:v1 {}",
            folder.display()
        ))?;
        client.is_image(&digest_of_layout(&folder)?)
    });
    client.check("pull one platform as a tarball", |client| {
        let file = client.folder("pulled.tar");
        client.run(&format!(
            "pull {image}@{} {}",
            client.image.amd64,
            file.display()
        ))?;
        client.run(&format!("validate --tarball {}", file.display()))
    });
    client.check("blob", |client| {
        let config = &client.image.amd64_config;
        let text = client.run(&format!("blob {image}@{config}"))?;
        same("the digest of the config", &sha256(text.as_bytes()), config)
    });
}
