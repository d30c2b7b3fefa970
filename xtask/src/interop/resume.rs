//! Transfers that are cut and go on at the exact byte: uploads by hand, downloads also by clients.
//!
//! See [Pushing a blob in chunks](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks).

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::client::{Session, same};
use super::cutter::Cutter;
use super::image::{Image, digest_of_layout, noise, sha256};
use super::peer::Peer;
use super::raw::{Answer, send, send_cut, stream_cut};
use super::regctl;
use crate::report::Report;

/// The blob that is uploaded, and how much of it is sent before the cut.
const WHOLE: usize = 12 << 20;
const HALF: usize = 5_000_001;
/// How long the registry may take to notice that a connection is gone.
const SETTLE: Duration = Duration::from_secs(15);

/// All checks of transfers that are cut.
pub(super) fn checks(peer: &mut Peer, image: &Image, report: &mut Report) -> Result<()> {
    let blob = noise(11, WHOLE);
    let scheme = peer.scheme.name();
    let name = |what: &str| format!("resume {scheme}: {what}");
    report.check(&name("an upload with a length, cut"), || {
        let upload = begin(peer, "cut")?;
        send_cut(
            peer,
            "PATCH",
            &upload,
            &[("content-range", &range(0, WHOLE))],
            WHOLE,
            &blob[..HALF],
        )?;
        finish(peer, "cut", &upload, &blob)
    });
    report.check(&name("a streamed upload, cut"), || {
        let upload = begin(peer, "streamed")?;
        stream_cut(peer, "PATCH", &upload, &blob[..HALF])?;
        finish(peer, "streamed", &upload, &blob)
    });
    report.check(&name("an upload cut three times"), || {
        let upload = begin(peer, "thrice")?;
        for _ in 0..3 {
            let (from, upload) = settled(peer, &upload)?;
            let part = &blob[from..from + HALF / 2];
            let chunk = range(from, WHOLE);
            send_cut(
                peer,
                "PATCH",
                &upload,
                &[("content-range", &chunk)],
                WHOLE - from,
                part,
            )?;
        }
        finish(peer, "thrice", &upload, &blob)
    });
    report.check(&name("an upload after the server was killed"), || {
        killed(peer, &blob)
    });
    report.check(&name("a chunk that does not follow is refused"), || {
        out_of_order(peer, &blob)
    });
    report.check(&name("a download in ranges"), || in_ranges(peer, &blob));
    report.check(&name("a download of regctl, cut"), || download(peer, image));
    Ok(())
}

/// What was answered with 202 is kept, to the last byte.
fn killed(peer: &mut Peer, blob: &[u8]) -> Result<String> {
    let upload = begin(peer, "killed")?;
    let chunk = range(0, HALF);
    let sent = send(
        peer,
        "PATCH",
        &upload,
        &[("content-range", &chunk)],
        &blob[..HALF],
    )?;
    let upload = sent.expect(202)?.location()?;
    peer.crash()?;
    let (from, upload) = settled(peer, &upload)?;
    ensure!(
        from == HALF,
        "{HALF} bytes were acknowledged, {from} are there after the restart"
    );
    finish(peer, "killed", &upload, blob)
}

/// A refused chunk changes nothing.
fn out_of_order(peer: &Peer, blob: &[u8]) -> Result<String> {
    let upload = begin(peer, "order")?;
    let bytes = &blob[..100];
    let upload = send(peer, "PATCH", &upload, &[("content-range", "0-99")], bytes)?;
    let upload = upload.expect(202)?.location()?;
    send(
        peer,
        "PATCH",
        &upload,
        &[("content-range", "200-299")],
        bytes,
    )?
    .expect(416)?;
    let (from, upload) = settled(peer, &upload)?;
    ensure!(
        from == 100,
        "100 bytes were acknowledged, {from} are there after the refusal"
    );
    finish(peer, "order", &upload, blob)
}

/// The two halves of a blob are the blob.
fn in_ranges(peer: &Peer, blob: &[u8]) -> Result<String> {
    let path = put(peer, "ranges", blob)?;
    let first = send(
        peer,
        "GET",
        &path,
        &[("range", &format!("bytes=0-{}", HALF - 1))],
        &[],
    )?;
    let rest = send(
        peer,
        "GET",
        &path,
        &[("range", &format!("bytes={HALF}-"))],
        &[],
    )?;
    let (first, rest) = (first.expect(206)?, rest.expect(206)?);
    let wanted = format!("bytes {HALF}-{}/{WHOLE}", WHOLE - 1);
    same("Content-Range", rest.header("content-range")?, &wanted)?;
    let together = [first.body, rest.body].concat();
    same(
        "the digest of both parts",
        &sha256(&together),
        &sha256(blob),
    )
}

fn range(from: usize, to: usize) -> String {
    format!("{from}-{}", to - 1)
}

/// Begins an upload in a repository: its path.
fn begin(peer: &Peer, name: &str) -> Result<String> {
    send(
        peer,
        "POST",
        &format!("/v2/resume/{name}/blobs/uploads/"),
        &[],
        &[],
    )?
    .expect(202)?
    .location()
}

/// Pushes a blob in one request after the first: its path.
fn put(peer: &Peer, name: &str, blob: &[u8]) -> Result<String> {
    let upload = begin(peer, name)?;
    send(peer, "PUT", &with_digest(&upload, blob), &[], blob)?
        .expect(201)?
        .location()
}

fn with_digest(upload: &str, blob: &[u8]) -> String {
    let mark = if upload.contains('?') { '&' } else { '?' };
    format!("{upload}{mark}digest={}", sha256(blob))
}

/// Asks an upload how far it came, until it no longer moves: the next byte, and where to send it.
fn settled(peer: &Peer, upload: &str) -> Result<(usize, String)> {
    let until = Instant::now() + SETTLE;
    let mut before = None;
    while Instant::now() < until {
        let status = send(peer, "GET", upload, &[], &[])?;
        // Until the registry has seen that the cut request is gone, it may hold the upload.
        if status.status == 204 {
            let next = next_byte(&status)?;
            if before == Some(next) {
                return Ok((next, status.location()?));
            }
            before = Some(next);
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("the status of the upload did not come to rest within {SETTLE:?}")
}

/// The byte after `Range: 0-N`. An upload without a byte says `0-0` too, so one byte is none here.
fn next_byte(status: &Answer) -> Result<usize> {
    let range = status.header("range")?;
    let last: Option<usize> = range.strip_prefix("0-").and_then(|last| last.parse().ok());
    match last {
        Some(0) => Ok(0),
        Some(last) => Ok(last + 1),
        None => bail!("the status has Range: {range}, wanted 0-N"),
    }
}

/// Sends the rest of a blob from the byte where the upload stands, and reads the blob back.
fn finish(peer: &Peer, name: &str, upload: &str, blob: &[u8]) -> Result<String> {
    let (from, upload) = settled(peer, upload)?;
    ensure!(from > 0, "nothing was kept of what came before the cut");
    let chunk = range(from, blob.len());
    let sent = send(
        peer,
        "PATCH",
        &upload,
        &[("content-range", &chunk)],
        &blob[from..],
    )?
    .expect(202)?;
    send(peer, "PUT", &with_digest(&sent.location()?, blob), &[], &[])?.expect(201)?;
    let path = format!("/v2/resume/{name}/blobs/{}", sha256(blob));
    let back = send(peer, "GET", &path, &[], &[])?.expect(200)?;
    same("the digest of the blob", &sha256(&back.body), &sha256(blob))?;
    Ok(format!("went on at byte {from}"))
}

/// regctl pulls through a proxy that cuts the large layer in its middle, once. Of the clients here it
/// alone asks for the rest of a layer in every version; the others begin again.
fn download(peer: &Peer, image: &Image) -> Result<String> {
    let mut scratch = Report::new();
    let mut client = Session::new("regctl", peer, image, &mut scratch)?;
    let cutter = Cutter::start(&peer.authority, usize::try_from(image.large.1 / 2)?)?;
    let (there, through) = (&peer.authority, cutter.authority());
    regctl::trust(&mut client, &[there, through])?;
    let folder = client.folder("resumed");
    let (source, back) = (image.reference(), folder.display());
    client.run(&format!(
        "image copy ocidir://{source} {there}/resume/image:v1"
    ))?;
    client.run(&format!(
        "image copy {through}/resume/image:v1 ocidir://{back}:v1"
    ))?;
    same(
        "the digest of the pulled index",
        &digest_of_layout(&folder)?,
        &image.digest,
    )?;
    ensure!(
        cutter.cuts() == 1,
        "the proxy cut {} downloads, not one",
        cutter.cuts()
    );
    let more = u64::try_from(cutter.sent_after())?;
    ensure!(
        more < image.large.1,
        "{more} bytes came after the cut: the download began again"
    );
    Ok(format!("{more} bytes more were sent after the cut"))
}
