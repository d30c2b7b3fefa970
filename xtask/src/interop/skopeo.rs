//! skopeo: containers/image as most build systems use it.

use anyhow::Result;

use super::client::{Session, has, has_not, same};
use super::image::{digest_of_layout, sha256};

/// All checks of skopeo.
pub(super) fn checks(client: &mut Session<'_>) -> Result<()> {
    let (to, from, at) = trust(client)?;
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    client.check("push", |client| {
        let source = client.image.reference();
        client.run(&format!("copy --all {to} oci:{source} docker://{image}:v1"))?;
        let raw = client.run(&format!("inspect {at} --raw docker://{image}:v1"))?;
        client.is_image(&sha256(raw.as_bytes()))
    });
    client.check("pull", |client| {
        let folder = client.folder("pulled");
        client.run(&format!(
            "copy --all {from} docker://{image}:v1 oci:{}:v1",
            folder.display()
        ))?;
        client.is_image(&digest_of_layout(&folder)?)
    });
    client.check("pull one platform by digest", |client| {
        let (folder, digest) = (client.folder("one"), &client.image.amd64);
        client.run(&format!(
            "copy {from} docker://{image}@{digest} oci:{}:v1",
            folder.display()
        ))?;
        same(
            "the digest of the pulled manifest",
            &digest_of_layout(&folder)?,
            digest,
        )
    });
    client.check("copy", |client| {
        client.run(&format!(
            "copy --all {from} {to} docker://{image}:v1 docker://{copy}:v1"
        ))?;
        let raw = client.run(&format!("inspect {at} --raw docker://{copy}:v1"))?;
        client.is_image(&sha256(raw.as_bytes()))
    });
    docker_format(client, &to, &at, &image);
    client.check("list", |client| {
        let tags = client.run(&format!("list-tags {at} docker://{image}"))?;
        has(&tags, "\"v1\"")?;
        has(&tags, "\"docker\"")?;
        Ok("v1, docker".to_owned())
    });
    client.check("delete a manifest", |client| {
        client.run(&format!("delete {at} docker://{image}:v1"))?;
        let refusal = client.refused(&format!("inspect {at} --raw docker://{image}:v1"))?;
        has(&refusal, "manifest unknown")?;
        let tags = client.run(&format!("list-tags {at} docker://{image}"))?;
        has_not(&tags, "\"v1\"")?;
        let raw = client.run(&format!("inspect {at} --raw docker://{copy}:v1"))?;
        client.is_image(&sha256(raw.as_bytes()))
    });
    Ok(())
}

/// The image is converted on its way.
fn docker_format(client: &mut Session<'_>, to: &str, at: &str, image: &str) {
    client.check("push as Docker schema2", |client| {
        let (source, amd64) = (
            client.image.reference(),
            "--override-os linux --override-arch amd64",
        );
        let docker = format!("docker://{image}:docker");
        client.run(&format!(
            "{amd64} copy --format v2s2 {to} oci:{source} {docker}"
        ))?;
        let raw = client.run(&format!("inspect {at} --raw {docker}"))?;
        has(&raw, "application/vnd.docker.distribution.manifest.v2+json")?;
        Ok(sha256(raw.as_bytes()))
    });
}

/// The words that say how the registry is trusted: as destination, as source, as the only one.
///
/// TLS certificates are looked for in a folder, whose files ending in `.crt` are authorities.
fn trust(client: &Session<'_>) -> Result<(String, String, String)> {
    let word = certificates(client)?;
    Ok((
        format!("--dest-{word}"),
        format!("--src-{word}"),
        format!("--{word}"),
    ))
}

/// `tls-verify=false`, or the folder of the authority's certificate: skopeo, podman and buildah
/// share these words.
pub(super) fn certificates(client: &Session<'_>) -> Result<String> {
    if !client.tls() {
        return Ok("tls-verify=false".to_owned());
    }
    let folder = client.folder("certificates");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(&client.peer.authority_certificate, folder.join("ca.crt"))?;
    Ok(format!("cert-dir={}", folder.display()))
}
