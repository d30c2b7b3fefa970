//! Uploads that are cut in the middle of a chunk go on where the server says, and end in the right
//! bytes; whether the connection or the server was cut.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use fastrand::Rng;

use super::content::{Blob, Sha};
use super::site::Site;
use super::target::{READY, Server, Target};
use super::unfinished::{Finished, Upload, finish};
use super::wire::{Body, Client, Reply, path_of};

/// How many uploads are cut.
const ROUNDS: usize = 20;
const REPO: &str = "faults/resume";
/// Small enough to be quick, large enough for the cut to come inside of what the server writes.
const SIZES: std::ops::Range<usize> = 64 << 10..6 << 20;
/// A moment for the server to write what has come; the cut is to find it at work.
const AT_WORK: u64 = 30;
/// Until then a server that lives has noticed that a connection is gone and kept what had come. Who
/// asks earlier may be told an offset that grows, and has to ask again after 416.
const NOTICED: Duration = Duration::from_millis(500);

/// Cuts uploads.
///
/// # Errors
/// With the first one that did not go on.
pub(crate) fn run(target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let site = Site::folder(work)?;
    let data = site.data();
    let mut server = target.start(&data, work)?;
    let (mut kept, mut sent_again) = (0, 0);
    for round in 1..=ROUNDS {
        let blob = {
            let size = rng.usize(SIZES);
            Blob::sized(&mut rng, size)
        };
        let upload = cut_in_the_middle(&mut server.client(), blob, &mut rng)?;
        // Two of three times the server dies with the connection.
        if round % 3 == 0 {
            thread::sleep(NOTICED);
        } else {
            server.kill()?;
            server = target.start(&data, work).context("restart after the cut")?;
            ensure!(
                server.ready_after <= READY,
                "restart took {:?}",
                server.ready_after
            );
        }
        let offset = resume(&server, &upload).with_context(|| format!("round {round}"))?;
        kept += offset - upload.acked;
        sent_again += upload.sent - offset;
    }
    Ok(format!(
        "{ROUNDS} uploads cut inside of a chunk and resumed; of the cut chunks {} KiB were kept, \
         {} KiB were sent again",
        kept >> 10,
        sent_again >> 10
    ))
}

/// Sends some chunks, and a part of one more. The connection is closed when this returns.
fn cut_in_the_middle(client: &mut Client, blob: Blob, rng: &mut Rng) -> Result<Upload> {
    let reply = client.call(
        "POST",
        &format!("/v2/{REPO}/blobs/uploads/"),
        &[],
        Body::Empty,
    )?;
    let path = location(&reply)?;
    let mut upload = Upload {
        repo: REPO.into(),
        path,
        blob,
        acked: 0,
        sent: 0,
        finishing: false,
    };
    let bytes = blob.bytes();
    let chunk = bytes.len().div_ceil(4);
    for part in bytes.chunks(chunk).take(rng.usize(0..4)) {
        let range = format!("{}-{}", upload.acked, upload.acked + part.len() - 1);
        let headers = [("Content-Range", range.as_str())];
        let reply = client.call("PATCH", &upload.path, &headers, Body::Whole(part))?;
        upload.path = location(&reply)?;
        upload.acked += part.len();
    }
    let rest = &bytes[upload.acked..];
    let first = &rest[..rng.usize(1..rest.len())];
    upload.sent = upload.acked + first.len();
    let connection = client.call_in_part("PATCH", &upload.path, rest.len(), first)?;
    thread::sleep(Duration::from_millis(rng.u64(0..AT_WORK)));
    drop(connection);
    Ok(upload)
}

fn location(reply: &Reply) -> Result<String> {
    ensure!(
        reply.status == 202,
        "an upload was answered {}",
        reply.brief()
    );
    reply
        .header("location")
        .map(path_of)
        .context("an upload was answered without Location")
}

/// Goes on with an upload, reads the blob back, and says where it went on.
fn resume(server: &Server, upload: &Upload) -> Result<usize> {
    let mut client = server.client();
    let finished = finish(&mut client, upload).map_err(|wrong| anyhow!("{upload}: {wrong}"))?;
    let offset = match finished {
        Finished::At(offset) => offset,
        Finished::Unknown => bail!("{upload} is unknown"),
    };
    let path = format!("/v2/{REPO}/blobs/{}", upload.blob.digest);
    let reply = client.call("GET", &path, &[], Body::Empty)?;
    let right = reply.status == 200 && Sha::of(&reply.body) == upload.blob.digest;
    ensure!(
        right,
        "GET {path} was answered {} with other bytes",
        reply.status
    );
    Ok(offset)
}
