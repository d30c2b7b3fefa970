//! A disk that fills up under pushes: they are refused cleanly, reads and deletes go on, nothing
//! acknowledged is lost, and pushes succeed again when there is space.

mod brim;
mod deletes;

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use serde_json::{Value as Json, json};

use self::brim::{give_back, lay_ballast};
use self::deletes::{check_deletes, delete_while_full};
use super::content::{Blob, Sha};
use super::oracle::bytes_below;
use super::site::{self, Mount};
use super::target::{Server, Target};
use super::wire::{ANY, Body, Client, Reply, path_of, with_query};

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    /// Bytes.
    Space,
    /// Inodes.
    Inodes,
}

/// How many clients push at once.
const CLIENTS: usize = 4;
/// Each client goes on until so many of its pushes were refused.
const REFUSALS: usize = 6;
/// No push takes longer, whatever the disk does.
const LONGEST: Duration = Duration::from_secs(15);
/// How soon the bytes of refused pushes are gone, and how soon pushes succeed when there is space.
const SOON: Duration = Duration::from_secs(10);
/// With bytes scarce: a third of this is ballast, the rest takes dozens of pushes.
const SPACE: &str = "size=96m";
/// With inodes scarce: the server may lay out 256 folders beforehand and still takes dozens.
const INODES: &str = "size=96m,nr_inodes=800";
const REPO: &str = "faults/full";
/// Where the server has its data on the disk.
const DATA: &str = "data";

/// Fills a disk and empties it again.
///
/// # Errors
/// With the first thing that was not as it should be.
pub(crate) fn run(scarce: Scarce, target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    site::check_can_mount(&["mount"])?;
    let mut disk = Mount::new(work.join("small"))?;
    let options = if scarce == Scarce::Space {
        SPACE
    } else {
        INODES
    };
    disk.mount("tmpfs", options, "tmpfs".as_ref())?;
    lay_ballast(&disk.path, scarce)?;
    let data = disk.path.join(DATA);
    let mut server = target.start(&data, work)?;
    let stored = Stored::default();

    fill(&server, &stored, scarce, &mut rng)?;
    server.check_alive().context("while the disk is full")?;
    stored.check(&server).context("while the disk is full")?;
    let deleted = delete_while_full(scarce, &server, &stored, target.kind, &disk.path, &mut rng)
        .context("while the disk is full")?;
    server.kill()?;
    let mut server = target
        .start(&data, work)
        .context("restart while the disk is full")?;
    stored
        .check(&server)
        .context("after a restart on a full disk")?;
    check_deletes(&server, &stored, target.kind).context("after a restart on a full disk")?;
    let refused = stored.refused();

    give_back(&disk.path)?;
    let waited = push_again(&server, &stored, &mut rng).context("after space returned")?;
    stored.check(&server).context("after space returned")?;
    server.kill()?;
    let mut server = target
        .start(&data, work)
        .context("restart after space returned")?;
    stored.check(&server).context("after the restart")?;
    push_again(&server, &stored, &mut rng).context("after the restart")?;
    ensure!(
        server.panic().is_none(),
        "the server panicked: {:?}",
        server.panic()
    );
    server.kill()?;
    Ok(format!(
        "{} pushes stored, {refused} refused cleanly, 0 lost; deletes {deleted}; pushes again {:.1} s \
         after space returned",
        stored.len(),
        waited.as_secs_f64()
    ))
}

/// What was acknowledged, and how much was refused.
#[derive(Default)]
struct Stored(Mutex<Known>);

#[derive(Default)]
struct Known {
    paths: Vec<(String, Sha)>,
    blobs: Vec<Blob>,
    refused: usize,
}

impl Stored {
    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(
            &mut self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    fn len(&self) -> usize {
        self.with(|known| known.paths.len())
    }

    fn refused(&self) -> usize {
        self.with(|known| known.refused)
    }

    /// Reads everything back.
    fn check(&self, server: &Server) -> Result<()> {
        let mut client = server.client();
        for (path, digest) in self.with(|known| known.paths.clone()) {
            let reply = client.call("GET", &path, &[ANY], Body::Empty);
            let reply = reply.with_context(|| format!("GET {path} had no answer"))?;
            ensure!(
                reply.status == 200,
                "GET {path} was answered {}",
                reply.brief()
            );
            ensure!(
                Sha::of(&reply.body) == digest,
                "GET {path} gave WRONG BYTES"
            );
        }
        Ok(())
    }
}

/// Pushes from several clients until the disk is full for all of them.
fn fill(server: &Server, stored: &Stored, scarce: Scarce, rng: &mut Rng) -> Result<()> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let rng = rng.fork();
                scope.spawn(|| fill_from_one(server.client(), stored, scarce, rng))
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| match client.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("a client panicked"),
            })
    })
}

fn fill_from_one(mut client: Client, stored: &Stored, scarce: Scarce, mut rng: Rng) -> Result<()> {
    let begun = Instant::now();
    let mut refused = 0;
    while refused < REFUSALS {
        ensure!(begun.elapsed() < LONGEST * 8, "the disk does not fill up");
        let size = match scarce {
            Scarce::Space => rng.usize(1..2 << 20),
            Scarce::Inodes => rng.usize(1..2000),
        };
        let pushed = push_image(&mut client, stored, size, &mut rng)?;
        refused += usize::from(!pushed);
    }
    stored.with(|known| known.refused += refused);
    Ok(())
}

/// Pushes a blob and a manifest of it; says whether all of it was acknowledged.
fn push_image(client: &mut Client, stored: &Stored, size: usize, rng: &mut Rng) -> Result<bool> {
    let blob = Blob::sized(rng, size);
    let whole = rng.bool();
    if !push_blob(client, blob, whole)? {
        return Ok(false);
    }
    let path = format!("/v2/{REPO}/blobs/{}", blob.digest);
    stored.with(|known| {
        known.paths.push((path, blob.digest));
        known.blobs.push(blob);
    });
    let descriptor = |media_type| json!({ "mediaType": media_type, "digest": blob.digest.to_string(), "size": size });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar")],
    });
    let manifest = manifest.to_string().into_bytes();
    let digest = Sha::of(&manifest);
    let path = format!("/v2/{REPO}/manifests/t{}", rng.u64(..));
    let headers = [("Content-Type", media_type)];
    let pushed = clean(client, "PUT", &path, &headers, Body::Whole(&manifest))?.is_success();
    if pushed {
        stored.with(|known| known.paths.push((path, digest)));
    }
    Ok(pushed)
}

fn push_blob(client: &mut Client, blob: Blob, whole: bool) -> Result<bool> {
    let bytes = blob.bytes();
    let path = format!("/v2/{REPO}/blobs/uploads/");
    let (method, path) = if whole {
        ("POST", with_query(&path, "digest", blob.digest))
    } else {
        let reply = clean(client, "POST", &path, &[], Body::Empty)?;
        if !reply.is_success() {
            return Ok(false);
        }
        let location = reply
            .header("location")
            .context("POST was answered without Location")?;
        ("PUT", with_query(&path_of(location), "digest", blob.digest))
    };
    let reply = clean(client, method, &path, &[], Body::Whole(&bytes))?;
    if reply.status == 202 {
        // A server that begins an upload instead of taking the blob at once.
        let location = reply
            .header("location")
            .context("POST was answered without Location")?;
        let path = with_query(&path_of(location), "digest", blob.digest);
        return Ok(clean(client, "PUT", &path, &[], Body::Whole(&bytes))?.is_success());
    }
    Ok(reply.is_success())
}

/// A request that is carried out, or refused by a 5xx with an error body, in time.
fn clean(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Body<'_>,
) -> Result<Reply> {
    let begun = Instant::now();
    let reply = client.call(method, path, headers, body);
    let took = begun.elapsed();
    ensure!(took < LONGEST, "{method} {path} took {took:?}");
    let reply = reply.with_context(|| format!("{method} {path} had no answer"))?;
    if reply.is_success() {
        return Ok(reply);
    }
    let brief = reply.brief();
    ensure!(
        reply.status >= 500,
        "{method} {path} was answered {brief}; a full disk is no 4xx"
    );
    let said: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
    let coded = said["errors"][0]["code"].is_string();
    ensure!(
        coded,
        "{method} {path} was answered {brief}, which is no error body"
    );
    Ok(reply)
}

fn wait_until_empty(uploads: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        let left = bytes_below(uploads);
        if left == 0 {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < SOON,
            "{left} bytes of refused pushes are left after {SOON:?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Pushes until it works, and says how long that took.
fn push_again(server: &Server, stored: &Stored, rng: &mut Rng) -> Result<Duration> {
    let begun = Instant::now();
    let mut client = server.client();
    while !push_image(&mut client, stored, 10_000, rng)? {
        ensure!(
            begun.elapsed() < SOON,
            "pushes are still refused after {SOON:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
    Ok(begun.elapsed())
}
