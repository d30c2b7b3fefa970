//! Deletes on a full disk: they go on, with what the server has set aside for them.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use fastrand::Rng;

use super::brim::{lend, take_the_rest};
use super::{DATA, Scarce, Stored, clean, push_image, wait_until_empty};
use crate::faults::content::Sha;
use crate::faults::target::{Kind, Server};
use crate::faults::wire::{ANY, Body};

/// How many tags are deleted while the disk is full, before a restart and after it.
const DELETES: usize = 20;
/// What our server has set aside for deletes.
const RESERVE: &str = "dockhand.reserve";
/// The log of our server's metadata, which a delete has to lengthen.
const LOG: &str = "dockhand.db-wal";
/// So many small pushes lengthen the log, however much of it is free.
const LENGTHENING: usize = 1000;

/// Sees that refused pushes left nothing on the disk, and deletes when that has nothing left.
pub(super) fn delete_while_full(
    scarce: Scarce,
    server: &Server,
    stored: &Stored,
    kind: Kind,
    disk: &Path,
    rng: &mut Rng,
) -> Result<&'static str> {
    let data = disk.join(DATA);
    if scarce == Scarce::Space && kind == Kind::Dockhand {
        lend(disk)?;
        lengthen_the_log(server, stored, &data, rng)?;
    }
    if let Some(uploads) = kind.uploads(&data) {
        wait_until_empty(&uploads)?;
    }
    match scarce {
        Scarce::Inodes => check_deletes(server, stored, kind),
        Scarce::Space => {
            take_the_rest(disk)?;
            check_deletes_by_reserve(server, stored, kind, &data)
        }
    }
}

/// Deletes tags: that succeeds, or is refused cleanly by other servers than ours. Says what it did.
pub(super) fn check_deletes(server: &Server, stored: &Stored, kind: Kind) -> Result<&'static str> {
    let is_tag = |(path, _): &&(String, Sha)| path.contains("/manifests/");
    let tags: Vec<_> = stored.with(|known| {
        let tags = known.paths.iter().filter(is_tag);
        tags.take(DELETES).cloned().collect()
    });
    ensure!(!tags.is_empty(), "nothing was stored");
    let mut client = server.client();
    let mut refused = false;
    for (path, _) in &tags {
        let reply = clean(&mut client, "DELETE", path, &[], Body::Empty)?;
        let after = client.call("GET", path, &[ANY], Body::Empty)?;
        let expected = if reply.is_success() { 404 } else { 200 };
        let (brief, found) = (reply.brief(), after.status);
        ensure!(
            found == expected,
            "DELETE {path} was answered {brief}, GET after it {found}"
        );
        ensure!(
            reply.is_success() || kind != Kind::Dockhand,
            "DELETE {path} was answered {brief}"
        );
        refused |= !reply.is_success();
        if reply.is_success() {
            stored.with(|known| known.paths.retain(|(known, _)| known != path));
        }
    }
    Ok(if refused { "were refused" } else { "went on" })
}

/// Pushes until the log has no room left within: a push that is refused empties it into the database,
/// and deletes would go into the space that it has.
fn lengthen_the_log(server: &Server, stored: &Stored, data: &Path, rng: &mut Rng) -> Result<()> {
    let log = data.join(LOG);
    let before = bytes_of(&log);
    let mut client = server.client();
    for _ in 0..LENGTHENING {
        let pushed = push_image(&mut client, stored, 1000, rng)?;
        ensure!(pushed, "a push was refused though there was space");
        if bytes_of(&log) > before {
            return Ok(());
        }
    }
    bail!("{LENGTHENING} pushes went into a log of {before} bytes")
}

/// Deletes tags when that cannot go on without what was set aside for it.
fn check_deletes_by_reserve(
    server: &Server,
    stored: &Stored,
    kind: Kind,
    data: &Path,
) -> Result<&'static str> {
    let reserve = data.join(RESERVE);
    let before = bytes_of(&reserve);
    let deleted = check_deletes(server, stored, kind)?;
    ensure!(
        kind != Kind::Dockhand || bytes_of(&reserve) < before,
        "the disk was not full for a delete"
    );
    Ok(deleted)
}

fn bytes_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}
