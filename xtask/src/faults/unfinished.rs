//! Uploads that were left in the middle, and how they go on.

use std::fmt;
use std::sync::Arc;

use super::content::Blob;
use super::wire::{Body, Client, Reply, path_of, with_query};

/// The header of every request that carries bytes of a blob.
pub(crate) const BYTES: (&str, &str) = ("Content-Type", "application/octet-stream");

/// An upload that was left in the middle, by a crash or on purpose.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// The repository.
    pub(crate) repo: Arc<str>,
    /// Where it goes on, without host.
    pub(crate) path: String,
    /// What it is to become.
    pub(crate) blob: Blob,
    /// Bytes that the server acknowledged.
    pub(crate) acked: usize,
    /// Bytes that were sent, or begun to be sent.
    pub(crate) sent: usize,
    /// Whether the closing request was sent, so that it may be a blob already.
    pub(crate) finishing: bool,
}

impl fmt::Display for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some servers put a long state of their own behind the path.
        let path = self.path.split('?').next().unwrap_or_default();
        let Self {
            blob, acked, sent, ..
        } = self;
        let size = blob.size;
        write!(
            f,
            "upload {path} ({acked} bytes acknowledged, {sent} sent, {size} in all)"
        )
    }
}

/// How an upload that was left went on after the restart.
pub(crate) enum Finished {
    /// It went on at this byte and is a blob now.
    At(usize),
    /// The server does not know it any more.
    Unknown,
}

/// Goes on with an upload where the server says that it stands.
///
/// # Errors
/// What was wrong, for a person.
pub(crate) fn finish(client: &mut Client, upload: &Upload) -> Result<Finished, String> {
    let call = |client: &mut Client, method: &str, path: &str, range: Option<&str>, body| {
        let range = range.map(|range| [BYTES, ("Content-Range", range)]);
        let headers = range.as_ref().map_or(&[BYTES][..], |headers| &headers[..]);
        let reply = client.call(method, path, headers, body);
        reply.map_err(|error| format!("{method} had no answer: {error}"))
    };
    let path = &upload.path;
    let reply = call(client, "GET", path, None, Body::Empty)?;
    if reply.status == 404 {
        return Ok(Finished::Unknown);
    }
    let offset = offset(&reply, upload)?;
    let path = reply.header("location").map_or(path.clone(), path_of);
    let path = with_query(&path, "digest", upload.blob.digest);
    let (bytes, end) = (upload.blob.bytes(), upload.blob.size);
    let starts = if offset == 1 && upload.acked == 0 {
        vec![1, 0]
    } else {
        vec![offset]
    };
    let mut refused = String::new();
    for start in starts {
        let range = format!("{start}-{}", end.saturating_sub(1));
        let (range, body) = match &bytes[start..] {
            [] => (None, Body::Empty),
            rest => (Some(range.as_str()), Body::Whole(rest)),
        };
        let reply = call(client, "PUT", &path, range, body)?;
        if reply.status == 201 {
            return Ok(Finished::At(start));
        }
        refused = format!("PUT from byte {start} was answered {}", reply.brief());
    }
    Err(refused)
}

/// Reads where an upload stands: never before what was acknowledged, never behind what was sent.
fn offset(reply: &Reply, upload: &Upload) -> Result<usize, String> {
    let Upload { acked, sent, .. } = upload;
    let range = reply.header("range");
    let range = range.ok_or_else(|| format!("GET was answered {} without Range", reply.brief()))?;
    let end = range.trim_start_matches("bytes=").strip_prefix("0-");
    let end: Option<usize> = end.and_then(|end| end.parse().ok());
    let offset = end.ok_or_else(|| format!("GET gave the Range {range}"))? + 1;
    // `Range: 0-0` is said of no byte and of one byte alike.
    let offset = if offset == 1 && *acked == 0 {
        offset.min(*sent)
    } else {
        offset
    };
    if offset < *acked || offset > *sent {
        return Err(format!("GET says that it stands at {range}"));
    }
    Ok(offset)
}
