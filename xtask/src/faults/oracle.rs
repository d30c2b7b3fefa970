//! What is asked after each restart, and what the answers must be.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value as Json;

use super::campaign::Expect;
use super::content::Sha;
use super::model::{Key, Span, Value};
use super::target::Server;
use super::unfinished::{Finished, Upload, finish};
use super::wire::{ANY, Body, Client};
use super::world::World;

/// How many connections ask at once.
const READERS: usize = 4;
/// How many keys that were not written to in this round are looked at all the same.
const SAMPLE: usize = 60;
/// How soon after the last upload is over no bytes of uploads may be left.
const SWEPT: Duration = Duration::from_secs(10);
/// More tags than any repository of a campaign has.
const ALL_TAGS: u32 = 1000;

/// How much is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What was written to since the last look, and a sample of the rest.
    Round,
    /// Everything.
    All,
}

/// Asks the server for what the model says, and records what is not so.
pub(crate) fn check(world: &World, server: &Server, scope: Scope, rng: &mut Rng) {
    let touched = world.model().take_touched();
    let mut keys = world.model().keys();
    if scope == Scope::Round {
        rng.shuffle(&mut keys);
        keys.truncate(SAMPLE);
        let known: HashSet<_> = touched.iter().cloned().collect();
        keys.retain(|key| !known.contains(key));
        keys.extend(touched);
    }
    world.count("checked", keys.len() as u64);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut client = server.client();
                while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check_key(world, &mut client, key);
                }
            });
        }
    });
    check_tag_lists(world, &mut server.client());
}

fn check_key(world: &World, client: &mut Client, key: &Key) {
    let value = match look(client, key) {
        Ok(value) => value,
        Err(wrong) => return world.fault(format!("{key}: {wrong}")),
    };
    let at = world.event();
    let observed = world.model().observe(key, value, at);
    if let Err(expected) = observed {
        let found = value.map_or("nothing".to_owned(), |sha| sha.to_string());
        return world.fault(format!("{key} is {found}; it has to be {expected}"));
    }
    if let Key::Manifest(repo, digest) = key
        && world.kind.knows_referrers()
        && let Some(subject) = world.model().subject(*digest)
        && let Err(wrong) = check_referrer(client, repo, subject, *digest, value.is_some())
    {
        world.fault(format!("{key}: {wrong}"));
    }
}

/// Reads what is there, and hashes it.
fn look(client: &mut Client, key: &Key) -> Result<Value, String> {
    let path = match key {
        Key::Blob(repo, sha) => format!("/v2/{repo}/blobs/{sha}"),
        Key::Manifest(repo, sha) => format!("/v2/{repo}/manifests/{sha}"),
        Key::Tag(repo, tag) => format!("/v2/{repo}/manifests/{tag}"),
    };
    let reply = client.call("GET", &path, &[ANY], Body::Empty);
    let reply = reply.map_err(|error| format!("GET {path} had no answer: {error}"))?;
    match reply.status {
        404 => return Ok(None),
        200 => {}
        _ => return Err(format!("GET {path} was answered {}", reply.brief())),
    }
    let promised = match key {
        Key::Blob(_, sha) | Key::Manifest(_, sha) => *sha,
        Key::Tag(..) => {
            let header = reply.header("docker-content-digest").and_then(Sha::parse);
            header.ok_or_else(|| format!("GET {path} named no digest"))?
        }
    };
    let found = Sha::of(&reply.body);
    if found == promised {
        return Ok(Some(found));
    }
    let size = reply.body.len();
    Err(format!(
        "GET {path} gave {size} WRONG BYTES: {found} instead of {promised}"
    ))
}

fn check_referrer(
    client: &mut Client,
    repo: &str,
    subject: Sha,
    manifest: Sha,
    there: bool,
) -> Result<(), String> {
    let path = format!("/v2/{repo}/referrers/{subject}");
    let reply = client.call("GET", &path, &[], Body::Empty);
    let reply = reply.map_err(|error| format!("GET {path} had no answer: {error}"))?;
    let list: Json = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("GET {path} was answered {}: {error}", reply.brief()))?;
    let name = manifest.to_string();
    let entries = list["manifests"]
        .as_array()
        .ok_or(format!("GET {path} gave no list"))?;
    let listed = entries.iter().any(|entry| entry["digest"] == name.as_str());
    if listed == there {
        return Ok(());
    }
    Err(format!(
        "listed as a referrer of {subject}: {listed}; there: {there}"
    ))
}

/// Lists the tags of every repository: exactly those that are there.
fn check_tag_lists(world: &World, client: &mut Client) {
    let expected = world.model().tags();
    for (repo, tags) in expected {
        let path = format!("/v2/{repo}/tags/list?n={ALL_TAGS}");
        let reply = match client.call("GET", &path, &[], Body::Empty) {
            Ok(reply) => reply,
            Err(error) => return world.fault(format!("GET {path} had no answer: {error}")),
        };
        let list: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
        let listed = list["tags"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let listed: HashSet<&str> = listed.iter().filter_map(Json::as_str).collect();
        let expected: HashSet<&str> = tags.iter().map(AsRef::as_ref).collect();
        let unknown_repository = reply.status == 404 && expected.is_empty();
        if listed != expected || !(reply.status == 200 || unknown_repository) {
            let missing: Vec<_> = expected.difference(&listed).collect();
            let surplus: Vec<_> = listed.difference(&expected).collect();
            let status = reply.status;
            world.fault(format!(
                "GET {path} ({status}) lacks {missing:?}, has also {surplus:?}"
            ));
        }
    }
}

/// Goes on with every upload that was left, where the server says that it stands.
pub(crate) fn finish_uploads(world: &World, server: &Server) {
    let uploads = Mutex::new(world.take_uploads());
    let next = || uploads.lock().ok()?.pop();
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut client = server.client();
                while let Some(upload) = next() {
                    finish_upload(world, &mut client, &upload);
                }
            });
        }
    });
}

fn finish_upload(world: &World, client: &mut Client, upload: &Upload) {
    let key = Key::Blob(upload.repo.clone(), upload.blob.digest);
    let begun = world.event();
    match finish(client, upload) {
        Ok(Finished::At(_)) => {
            let span = Span {
                begun,
                ended: Some(world.event()),
            };
            world.model().write(key, Some(upload.blob.digest), span);
            world.count("resumed", 1);
        }
        // It is over for the server, which is right only when it has become the blob.
        Ok(Finished::Unknown) if upload.finishing => match look(client, &key) {
            Ok(Some(_)) => {}
            // A sync of it failed, so that the request which was to close it did: nobody was told that
            // it is a blob, and nobody knows which of its bytes are left.
            Ok(None) if world.expect == Expect::FailingSyncs => {}
            Ok(None) => {
                world.fault(format!(
                    "{upload} is unknown, was being closed, and is no blob"
                ));
            }
            Err(wrong) => world.fault(format!("{key}: {wrong}")),
        },
        // Nobody knows which bytes a failed sync threw away, so that the upload may be given up.
        Ok(Finished::Unknown) if world.expect == Expect::FailingSyncs => {}
        Ok(Finished::Unknown) => world.fault(format!("{upload} is unknown")),
        Err(wrong) => world.fault(format!("{upload}: {wrong}")),
    }
}

/// Checks that no bytes of uploads are left, once there are no uploads any more.
pub(crate) fn check_swept(world: &World, data: &Path) {
    let Some(folder) = world.kind.uploads(data) else {
        return;
    };
    let begun = Instant::now();
    let mut left = bytes_below(&folder);
    while left > 0 && begun.elapsed() < SWEPT {
        thread::sleep(Duration::from_millis(50));
        left = bytes_below(&folder);
    }
    if left > 0 {
        let folder = folder.display();
        world.fault(format!(
            "{left} bytes of uploads that nobody knows are left in {folder} after {SWEPT:?}"
        ));
    }
}

/// The bytes of all files in a folder and below it.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
