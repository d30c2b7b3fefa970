//! A real image: a Debian root file system in several layers, as the README pushes and pulls it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::{Session, same};
use super::image::{Image, digest_of_layout};
use super::peer::Peer;
use crate::process::run;
use crate::report::Report;
use crate::tools;

/// Debootstrap downloads and unpacks some hundred packages.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// The release that is installed: the oldest that is still supported, so mirrors keep it.
const RELEASE: &str = "bookworm";
/// What is put into layers of its own; the rest is the first layer.
const OWN_LAYERS: &[&str] = &["usr/lib", "usr/share", "var"];
/// Less than this would not be the image that was meant.
const BYTES_MIN: u64 = 100 << 20;

/// Makes the image, pushes and pulls it.
pub(super) fn checks(peer: &Peer, report: &mut Report) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "debootstrap needs root"
    );
    let layout = peer.folder().join("debian");
    let image = make(peer, &layout)?;
    for name in ["skopeo", "crane"] {
        report.check(&format!("debootstrap: push and pull with {name}"), || {
            let mut scratch = Report::new();
            let client = Session::new(name, peer, &image, &mut scratch)?;
            push_and_pull(&client, name)
        });
    }
    Ok(())
}

fn make(peer: &Peer, layout: &std::path::Path) -> Result<Image> {
    let root = peer.folder().join("root");
    println!("installing Debian {RELEASE} into a folder");
    let mut command = Command::new(tools::require("debootstrap")?);
    command
        .args([
            "--variant=minbase",
            "--include=python3-minimal,perl,git",
            RELEASE,
        ])
        .arg(&root);
    run(&mut command, LIMIT)?.success()?;
    let rest: Vec<String> = OWN_LAYERS
        .iter()
        .map(|part| format!("--exclude=./{part}"))
        .collect();
    let mut tars = Vec::new();
    for part in ["."].iter().chain(OWN_LAYERS) {
        let tar = peer.folder().join(format!("layer-{}.tar", tars.len()));
        let mut command = Command::new("tar");
        command
            .args(["--numeric-owner", "--sort=name", "-C"])
            .arg(&root)
            .arg("-cf")
            .arg(&tar);
        if *part == "." {
            command.args(&rest);
        }
        run(command.arg(format!("./{part}")), LIMIT)?.success()?;
        tars.push(tar);
    }
    let bytes: u64 = tars
        .iter()
        .filter_map(|tar| fs::metadata(tar).ok())
        .map(|tar| tar.len())
        .sum();
    ensure!(
        bytes > BYTES_MIN,
        "the root file system has only {bytes} bytes"
    );
    println!(
        "{} layers, {} MB before compression",
        tars.len(),
        bytes / 1_000_000
    );
    Image::write_of_tars(layout, &tars)
}

fn push_and_pull(client: &Session<'_>, name: &str) -> Result<String> {
    let (there, folder) = (client.repository("debian"), client.folder("debian-back"));
    let (layout, back) = (client.image.layout.display(), folder.display());
    if name == "skopeo" {
        client.run(&format!(
            "copy --all --dest-tls-verify=false oci:{layout}:v1 docker://{there}:v1"
        ))?;
        client.run(&format!(
            "copy --all --src-tls-verify=false docker://{there}:v1 oci:{back}:v1"
        ))?;
    } else {
        client.run(&format!("push {layout} {there}:v1"))?;
        client.run(&format!("pull --format oci {there}:v1 {back}"))?;
        client
            .run(&format!("validate --remote {there}:v1"))
            .context("crane finds a fault")?;
    }
    same(
        "the digest of the pulled image",
        &digest_of_layout(&folder)?,
        &client.image.digest,
    )
}
