//! Fills registries with many tags and many repositories.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::bench::content::{EMPTY_BLOB, artifact, digest};
use crate::bench::crowd::{self, Client};
use crate::bench::upload;
use crate::bench::wire::Connection;

/// The repository that has all the tags.
pub(super) const TAGGED: &str = "bench/tagged";
/// Where the one blob is mounted from.
const SOURCE: &str = "a/source";
/// Pushes at once; they share the syncs of the disk.
const PUSHERS: usize = 16;
/// As many tags as one PUT may set.
const TAGS: usize = 50;

/// The tags in their order.
pub(super) fn tag(at: usize) -> String {
    format!("v{at:06}")
}

/// The repositories in their order.
pub(super) fn repository(at: usize) -> String {
    format!("bench/r{at:06}")
}

/// Sets so many tags of one repository through the API, many in one PUT.
pub(super) fn tags(address: SocketAddr, count: usize) -> Result<()> {
    let manifest = artifact();
    upload::bytes(&mut Connection::open(address)?, TAGGED, EMPTY_BLOB)?;
    shared(address, count, |connection, part| {
        let names: Vec<String> = part.map(tag).collect();
        names.chunks(TAGS).try_for_each(|names| {
            let reference = format!("{}?tag={}", digest(&manifest), names.join("&tag="));
            upload::manifest(connection, TAGGED, &reference, &manifest)
        })
    })
}

/// Makes so many repositories through the API, each with one manifest.
pub(super) fn repositories(address: SocketAddr, count: usize) -> Result<()> {
    let (manifest, empty) = (artifact(), digest(EMPTY_BLOB));
    upload::bytes(&mut Connection::open(address)?, SOURCE, EMPTY_BLOB)?;
    shared(address, count, |connection, mut part| {
        part.try_for_each(|at| {
            let repo = repository(at);
            upload::mount(connection, &repo, SOURCE, &empty)?;
            upload::manifest(connection, &repo, "latest", &manifest)
        })
    })
}

/// Shares the work among pushers.
fn shared(
    address: SocketAddr,
    count: usize,
    work: impl Fn(&mut Connection, Range<usize>) -> Result<()> + Sync,
) -> Result<()> {
    let work = &work;
    let client = |pusher| -> Client<'_, ()> {
        let part = pusher * count / PUSHERS..(pusher + 1) * count / PUSHERS;
        Box::new(move || work(&mut Connection::open(address)?, part))
    };
    crowd::run((0..PUSHERS).map(client).collect()).map(drop)
}

/// Makes the folders that CNCF Distribution lists as tags; pushing them would take an hour, and what
/// lies in them its lists do not look at.
///
/// `data` is its root directory.
pub(super) fn tag_folders(data: &Path, count: usize) -> Result<()> {
    let tags = repository_folder(data, TAGGED).join("_manifests/tags");
    fs::create_dir_all(&tags)?;
    (0..count).try_for_each(|at| Ok(fs::create_dir(tags.join(tag(at)))?))
}

/// Makes the folders by which CNCF Distribution knows repositories, in the same way.
pub(super) fn repository_folders(data: &Path, count: usize) -> Result<()> {
    let folder = |at| repository_folder(data, &repository(at)).join("_manifests");
    (0..count).try_for_each(|at| Ok(fs::create_dir_all(folder(at))?))
}

fn repository_folder(data: &Path, name: &str) -> PathBuf {
    data.join("docker/registry/v2/repositories").join(name)
}
