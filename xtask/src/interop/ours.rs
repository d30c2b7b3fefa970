//! Our own client, against our registry and those of others: what it does is what crane and regctl
//! do, digest for digest.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::client::{Program, Session, has, has_not, same};
use super::image::{Image, digest_of_layout, noise, sha256};
use super::peer::Peer;
use crate::dockhand::Dockhand;
use crate::report::Report;
use crate::tools;

/// What is attached to the image.
const KIND: &str = "application/vnd.example.note";

/// Those who are asked for the same.
pub(super) struct Judges {
    pub(super) crane: Program,
    pub(super) regctl: Program,
}

impl Judges {
    /// Both, installed when they are missing, knowing how the registry is reached.
    pub(super) fn new(peer: &Peer) -> Result<Self> {
        let program = |name| Program::new(name, tools::require(name)?, peer.folder());
        let (crane, mut regctl) = (program("crane")?, program("regctl")?);
        let settings = peer.folder().join("regctl-settings.json");
        let plain = json!({ "hosts": { &peer.authority: { "tls": "disabled" } } });
        fs::write(&settings, plain.to_string())?;
        regctl.env("REGCTL_CONFIG", settings);
        Ok(Self { crane, regctl })
    }

    /// The digest of an image, on which both agree.
    fn digest(&self, image: &str) -> Result<String> {
        let digest = self.crane.run(&format!("digest {image}"))?;
        let other = self.regctl.run(&format!("image digest {image}"))?;
        same("the digest by regctl", &other, &digest)
    }

    /// The tags of a repository in order, on which both agree.
    fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let tags = sorted(&self.crane.run(&format!("ls {repository}"))?);
        let others = sorted(&self.regctl.run(&format!("tag ls {repository}"))?);
        ensure!(tags == others, "crane lists {tags:?}, regctl {others:?}");
        Ok(tags)
    }
}

fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A session of our own client.
pub(super) fn session<'a>(
    name: &'static str,
    dockhand: &Dockhand,
    peer: &'a Peer,
    image: &'a Image,
    report: &'a mut Report,
) -> Result<Session<'a>> {
    let program = Program::new("dockhand", dockhand.binary().to_owned(), peer.folder())?;
    Ok(Session::of(name, program, peer, image, report))
}

/// All checks of our client with one registry.
pub(super) fn checks(client: &mut Session<'_>, judges: &Judges) {
    let (image, copy) = (client.repository("image"), client.repository("copy"));
    push_and_pull(client, judges, &image);
    copies(client, judges, &image, &copy);
    client.check("tag", |client| {
        client.run(&format!("tag {image}:v1 v2 v3"))?;
        judges.digest(&format!("{image}:v2"))?;
        client.is_image(&judges.digest(&format!("{image}:v3"))?)
    });
    client.check("list", |client| {
        let ours = sorted(&client.run(&format!("ls {image}"))?);
        let theirs = judges.tags(&image)?;
        ensure!(ours == theirs, "dockhand lists {ours:?}, crane {theirs:?}");
        let with = client.run(&format!("ls {image} --digests"))?;
        has(&with, &client.image.digest)?;
        let repositories = client.run(&format!("repos {}", client.peer.authority))?;
        has(&repositories, repository_of(&copy))?;
        Ok(ours.join(" "))
    });
    append(client, judges, &image);
    referrers(client, judges, &image, &copy);
    deletes(client, judges, &image, &copy);
}

fn push_and_pull(client: &mut Session<'_>, judges: &Judges, image: &str) {
    client.check("push", |client| {
        let layout = client.image.reference();
        client.run(&format!("push oci:{layout} {image}:v1"))?;
        client.is_image(&judges.digest(&format!("{image}:v1"))?)
    });
    client.check("digest and manifest", |client| {
        let digest = client.run(&format!("digest {image}:v1"))?;
        let ours = client.run(&format!("manifest {image}:v1"))?;
        let theirs = judges.crane.run(&format!("manifest {image}:v1"))?;
        same("the manifest", &ours, &theirs)?;
        client.is_image(&digest)
    });
    client.check("pull", |client| {
        let (ours, theirs) = (client.folder("ours"), client.folder("theirs"));
        client.run(&format!(
            "pull {image}:v1 -o {} --format oci",
            ours.display()
        ))?;
        let crane = format!("pull --format oci {image}:v1 {}", theirs.display());
        judges.crane.run(&crane)?;
        let digest = digest_of_layout(&ours)?;
        same("the digest by crane", &digest_of_layout(&theirs)?, &digest)?;
        same_blobs(&ours, &theirs)?;
        client.is_image(&digest)
    });
}

/// An error unless both layouts hold the same blobs.
fn same_blobs(ours: &Path, theirs: &Path) -> Result<()> {
    let names = |layout: &Path| -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(layout.join("blobs/sha256"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    };
    let (ours, theirs) = (names(ours)?, names(theirs)?);
    ensure!(ours == theirs, "dockhand pulled {ours:?}, crane {theirs:?}");
    Ok(())
}

fn copies(client: &mut Session<'_>, judges: &Judges, image: &str, copy: &str) {
    client.check("copy", |client| {
        client.run(&format!("cp {image}:v1 {copy}:v1"))?;
        judges.crane.run(&format!("copy {image}:v1 {copy}:crane"))?;
        judges
            .regctl
            .run(&format!("image copy {image}:v1 {copy}:regctl"))?;
        let digest = judges.digest(&format!("{copy}:v1"))?;
        same(
            "the digest of crane's copy",
            &judges.digest(&format!("{copy}:crane"))?,
            &digest,
        )?;
        same(
            "the digest of regctl's copy",
            &judges.digest(&format!("{copy}:regctl"))?,
            &digest,
        )?;
        judges.crane.run(&format!("validate --remote {copy}:v1"))?;
        client.is_image(&digest)
    });
    client.check("copy one platform", |client| {
        let one = client.repository("one");
        client.run(&format!("cp --platform linux/amd64 {image}:v1 {one}:v1"))?;
        judges.crane.run(&format!(
            "copy --platform linux/amd64 {image}:v1 {one}:crane"
        ))?;
        let digest = judges.digest(&format!("{one}:v1"))?;
        same(
            "the digest of crane's copy",
            &judges.digest(&format!("{one}:crane"))?,
            &digest,
        )
    });
}

/// A layer is appended by dockhand and by crane: the same layers, in the same order.
fn append(client: &mut Session<'_>, judges: &Judges, image: &str) {
    client.check("append a layer", |client| {
        let layer = client.folder("layer.tar.gz");
        fs::write(&layer, packed_tar()?)?;
        let base = format!("{image}@{}", client.image.amd64);
        let (ours, theirs) = (format!("{image}:ours"), format!("{image}:theirs"));
        let words = format!("append -b {base} -f {} -t {ours}", layer.display());
        client.run(&words)?;
        let words = format!("append -b {base} -f {} -t {theirs}", layer.display());
        judges.crane.run(&words)?;
        judges.crane.run(&format!("validate --remote {ours}"))?;
        let read = |words: String| -> Result<Value> {
            Ok(serde_json::from_str(&judges.crane.run(&words)?)?)
        };
        let layers = |image: &str| -> Result<Value> {
            Ok(read(format!("manifest {image}"))?["layers"].take())
        };
        let diff_ids = |image: &str| -> Result<Value> {
            Ok(read(format!("config {image}"))?["rootfs"].take())
        };
        let (is, wanted) = (layers(&ours)?, layers(&theirs)?);
        ensure!(is == wanted, "the layers are {is}, by crane {wanted}");
        let (is, wanted) = (diff_ids(&ours)?, diff_ids(&theirs)?);
        ensure!(is == wanted, "the root is {is}, by crane {wanted}");
        Ok(format!("{} layers", diff_count(&wanted)))
    });
}

fn diff_count(root: &Value) -> usize {
    root["diff_ids"].as_array().map_or(0, Vec::len)
}

/// A tar file of one file, packed, so that nobody packs it in his own way.
fn packed_tar() -> Result<Vec<u8>> {
    let bytes = noise(11, 100_000);
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let packed = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    tar.append_data(&mut header, "etc/appended", bytes.as_slice())?;
    Ok(tar.into_inner()?.finish()?)
}

/// Something is attached by dockhand and found by regctl, the other way round, and copied along.
fn referrers(client: &mut Session<'_>, judges: &Judges, image: &str, copy: &str) {
    client.check("referrers", |client| {
        let folder = client.folder("notes");
        fs::create_dir_all(&folder)?;
        let note = folder.join("note");
        fs::write(&note, "a note\n")?;
        let attach = format!("attach {image}:v1 --artifact-type {KIND}");
        client.run_in(&folder, &format!("{attach} note:{KIND}"))?;
        let kind = format!("--artifact-type {KIND}.regctl --file-media-type {KIND}");
        let put = format!("artifact put --subject {image}:v1 {kind}");
        judges
            .regctl
            .run(&format!("{put} --file {}", note.display()))?;
        let theirs = referrers_by_regctl(judges, image)?;
        ensure!(
            theirs.len() == 2,
            "regctl finds {theirs:?}, wanted 2 referrers"
        );
        let ours = client.run(&format!("discover {image}:v1 --json"))?;
        theirs.iter().try_for_each(|digest| has(&ours, digest))?;
        Ok("2 referrers".to_owned())
    });
    client.check("copy with referrers", |client| {
        client.run(&format!("cp --referrers {image}:v1 {copy}:with"))?;
        let (from, to) = (
            referrers_by_regctl(judges, image)?,
            referrers_by_regctl(judges, copy)?,
        );
        ensure!(from == to, "of {from:?} the copy has {to:?}");
        client.is_image(&judges.digest(&format!("{copy}:with"))?)
    });
}

/// The digests of what is attached to `v1` of a repository, in order.
fn referrers_by_regctl(judges: &Judges, repository: &str) -> Result<Vec<String>> {
    let list = judges
        .regctl
        .run(&format!("artifact list {repository}:v1 --format body"))?;
    let list: Value = serde_json::from_str(&list).context("what regctl lists is no JSON")?;
    let found = list["manifests"].as_array().map_or(&[][..], Vec::as_slice);
    let digests = found.iter().filter_map(|one| one["digest"].as_str());
    Ok(sorted(&digests.collect::<Vec<_>>().join("\n")))
}

fn deletes(client: &mut Session<'_>, judges: &Judges, image: &str, copy: &str) {
    client.check("delete a tag", |client| {
        client.run(&format!("rm {image}:v2"))?;
        let left = judges.tags(image)?.join(" ");
        has_not(&left, "v2")?;
        // The others of the same image stay, and it stays what it was.
        has(&left, "v3")?;
        client.is_image(&judges.digest(&format!("{image}:v1"))?)
    });
    client.check("delete a manifest", |client| {
        let digest = &client.image.digest;
        client.run(&format!("rm --yes {image}@{digest}"))?;
        client.refused(&format!("manifest {image}@{digest}"))?;
        client.is_image(&judges.digest(&format!("{copy}:v1"))?)
    });
    client.check("what is not there", |client| {
        let said = client.refused(&format!("digest {image}:never"))?;
        has(&said, "never")?;
        let lines: Vec<&str> = said.lines().collect();
        has(&lines.join(" "), &client.peer.authority)?;
        Ok("refused, with the name of the registry".to_owned())
    });
}

/// A repository as the catalog has it, without the registry.
fn repository_of(image: &str) -> &str {
    image.split_once('/').map_or(image, |(_, name)| name)
}

/// The digest of the config of what a repository has under a name.
pub(super) fn config_digest(judges: &Judges, image: &str) -> Result<String> {
    let manifest = judges.crane.run(&format!("manifest {image}"))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let digest = manifest["config"]["digest"].as_str();
    let digest = digest.with_context(|| format!("{image} has no config"))?;
    let config = judges.crane.run(&format!("config {image}"))?;
    same(
        "the digest of the config",
        &sha256(config.as_bytes()),
        digest,
    )
}
