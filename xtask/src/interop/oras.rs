//! oras: artifacts of any kind.

use std::fs;

use anyhow::Result;

use super::client::{Session, file_is, has, has_not, same};
use super::image::{digest_of_layout, noise};

/// All checks of oras.
pub(super) fn checks(client: &mut Session<'_>) -> Result<()> {
    let trust = |prefix: &str| {
        if client.tls() {
            format!(
                "--{prefix}ca-file {}",
                client.peer.authority_certificate.display()
            )
        } else {
            format!("--{prefix}plain-http")
        }
    };
    let (at, to, from) = (trust(""), trust("to-"), trust("from-"));
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    client.check("push", |client| {
        client.run(&format!(
            "cp --from-oci-layout {} {to} {image}:v1",
            client.image.reference()
        ))?;
        let digest = client.run(&format!("resolve {at} {image}:v1"))?;
        client.is_image(&digest)
    });
    client.check("pull", |client| {
        let folder = client.folder("pulled");
        client.run(&format!(
            "cp {from} {image}:v1 --to-oci-layout {}:v1",
            folder.display()
        ))?;
        client.is_image(&digest_of_layout(&folder)?)
    });
    artifacts(client, &at, &image);
    copy_with_referrers(client, (&at, &from, &to), &image, &copy);
    client.check("tag", |client| {
        client.run(&format!("tag {at} {image}:v1 v2 v3"))?;
        let digest = client.run(&format!("resolve {at} {image}:v3"))?;
        client.is_image(&digest)
    });
    client.check("list", |client| {
        let tags = client.run(&format!("repo tags {at} {image}"))?;
        has(
            &client.run(&format!("repo ls {at} {}", client.peer.authority))?,
            "oras/copy",
        )?;
        same("the list of tags", &tags.replace('\n', " "), "v1 v2 v3")
    });
    blobs(client, &at, &image);
    client.check("delete a manifest", |client| {
        let digest = &client.image.digest;
        client.run(&format!("manifest delete {at} --force {image}@{digest}"))?;
        has(
            &client.refused(&format!("manifest fetch {at} {image}:v1"))?,
            "not found",
        )?;
        let copied = client.run(&format!("resolve {at} {copy}:v1"))?;
        same("the digest of the copy", &copied, digest)
    });
    Ok(())
}

/// A file is pushed and pulled; another is attached to the image, and found there.
fn artifacts(client: &mut Session<'_>, at: &str, image: &str) {
    let (note, more) = (noise(8, 300_000), noise(10, 200_000));
    let (from, back) = (client.folder("artifact"), client.folder("artifact-back"));
    let kind = "--artifact-type application/x-note";
    client.check("push and pull an artifact", |client| {
        fs::create_dir_all(&from)?;
        fs::write(from.join("note"), &note)?;
        let artifact = client.repository("artifact");
        client.run_in(
            &from,
            &format!("push {at} {kind} {artifact}:v1 note:application/x-note"),
        )?;
        client.run(&format!("pull {at} {artifact}:v1 -o {}", back.display()))?;
        file_is(&back, "note", &note)
    });
    client.check("attach and discover", |client| {
        fs::write(from.join("more"), &more)?;
        client.run_in(
            &from,
            &format!("attach {at} {kind} {image}:v1 more:application/x-note"),
        )?;
        has(
            &client.run(&format!("discover {at} {image}:v1"))?,
            "application/x-note",
        )?;
        let other = "--artifact-type application/x-other";
        has_not(
            &client.run(&format!("discover {at} {other} {image}:v1"))?,
            "application/x-note",
        )?;
        Ok("application/x-note".to_owned())
    });
}

/// The image goes to another repository with what was attached to it.
fn copy_with_referrers(
    client: &mut Session<'_>,
    (at, from, to): (&str, &str, &str),
    image: &str,
    copy: &str,
) {
    client.check("copy with referrers", |client| {
        client.run(&format!("cp -r {from} {to} {image}:v1 {copy}:v1"))?;
        let digest = client.run(&format!("resolve {at} {copy}:v1"))?;
        has(
            &client.run(&format!("discover {at} {copy}:v1"))?,
            "application/x-note",
        )?;
        client.is_image(&digest)
    });
}

fn blobs(client: &mut Session<'_>, at: &str, image: &str) {
    client.check("push, fetch and delete a blob", |client| {
        let bytes = noise(9, 5 << 20);
        let folder = client.folder("blob");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("sent"), &bytes)?;
        let digest = super::image::sha256(&bytes);
        let (sent, back) = (folder.join("sent"), folder.join("back"));
        client.run(&format!(
            "blob push {at} {image}@{digest} {}",
            sent.display()
        ))?;
        client.run(&format!(
            "blob fetch {at} {image}@{digest} -o {}",
            back.display()
        ))?;
        file_is(&folder, "back", &bytes)?;
        client.run(&format!("blob delete {at} --force {image}@{digest}"))?;
        has(
            &client.refused(&format!("blob fetch {at} --descriptor {image}@{digest}"))?,
            "not found",
        )?;
        Ok(digest)
    });
}
