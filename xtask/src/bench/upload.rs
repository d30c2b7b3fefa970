//! Pushing as clients do: an upload session and one PUT per blob, then the manifest.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use super::content::{Blob, IMAGE, digest};
use super::wire::Connection;

/// A body up to this travels with its head in one write, as from any client.
const SMALL: usize = 64 * 1024;
/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// Pushes a blob: `POST` for a session, `PUT` with all of the bytes.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put>
pub(crate) fn blob(connection: &mut Connection, repo: &str, blob: &Blob) -> Result<()> {
    let mut request = put(connection, repo, &blob.digest, blob.size)?;
    if blob.size <= SMALL {
        blob.write_to(&mut request)?;
        connection.send(&request)?;
    } else {
        connection.send(&request)?;
        blob.pieces().try_for_each(|piece| connection.send(piece))?;
    }
    connection
        .answer(true)?
        .expect(201)
        .context("PUT of a blob")?;
    Ok(())
}

/// Pushes few bytes as a blob.
pub(crate) fn bytes(connection: &mut Connection, repo: &str, bytes: &[u8]) -> Result<()> {
    let mut request = put(connection, repo, &digest(bytes), bytes.len())?;
    request.extend_from_slice(bytes);
    connection
        .ask(&request)?
        .expect(201)
        .context("PUT of a blob")?;
    Ok(())
}

/// Pushes a file as a blob.
pub(crate) fn file(
    connection: &mut Connection,
    repo: &str,
    digest: &str,
    file: &Path,
) -> Result<()> {
    let length = usize::try_from(fs::metadata(file)?.len())?;
    let mut file = File::open(file)?;
    let request = put(connection, repo, digest, length)?;
    connection.send(&request)?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        connection.send(piece.get(..count).unwrap_or_default())?;
    }
    connection
        .answer(true)?
        .expect(201)
        .context("PUT of a file")?;
    Ok(())
}

/// Opens an upload session. Returns the head of the request that fills it.
fn put(connection: &mut Connection, repo: &str, digest: &str, length: usize) -> Result<Vec<u8>> {
    let location = session(connection, repo).context("POST of an upload")?;
    let joint = if location.contains('?') { '&' } else { '?' };
    let head = format!(
        "PUT {location}{joint}digest={digest} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    Ok(head.into_bytes())
}

/// Opens an upload session. Returns its path.
fn session(connection: &mut Connection, repo: &str) -> Result<String> {
    let request = format!(
        "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = connection.ask(request.as_bytes())?.expect(202)?;
    let location = answer.head.location.ok_or_else(|| anyhow!("no Location"))?;
    // It may be a whole URL; the connection is the one to that host already.
    match location.split_once("://") {
        Some((_, rest)) => match rest.find('/') {
            Some(slash) => Ok(rest[slash..].to_owned()),
            None => Err(anyhow!("no path in Location {location}")),
        },
        None => Ok(location),
    }
}

/// Mounts a blob of one repository in another.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository>
pub(crate) fn mount(
    connection: &mut Connection,
    repo: &str,
    from: &str,
    digest: &str,
) -> Result<()> {
    let request = format!(
        "POST /v2/{repo}/blobs/uploads/?mount={digest}&from={from} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    );
    connection
        .ask(request.as_bytes())?
        .expect(201)
        .context("mount of a blob")?;
    Ok(())
}

/// Pushes an image manifest. `reference` is a tag or a digest, and may have a query.
pub(crate) fn manifest(
    connection: &mut Connection,
    repo: &str,
    reference: &str,
    manifest: &[u8],
) -> Result<()> {
    // One write: head and body travel together, as they do from any client for something so small.
    let mut request = format!(
        "PUT /v2/{repo}/manifests/{reference} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Content-Type: {IMAGE}\r\nContent-Length: {}\r\n\r\n",
        manifest.len()
    )
    .into_bytes();
    request.extend_from_slice(manifest);
    connection
        .ask(&request)?
        .expect(201)
        .context("PUT of a manifest")?;
    Ok(())
}
