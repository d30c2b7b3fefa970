//! The ways in which a blob comes into a repository.

use std::sync::Arc;

use super::{Told, Worker};
use crate::faults::content::Blob;
use crate::faults::model::Key;
use crate::faults::unfinished::{BYTES, Upload};
use crate::faults::wire::{Body, Reply, path_of, with_query};

impl Worker<'_> {
    /// Pushes a new blob, one that others push too, or one that was deleted before.
    pub(super) fn push_some_blob(&mut self, shelf: usize) {
        let rng = &mut self.rng;
        let gone = &self.shelves[shelf].gone;
        let blob = match (rng.u32(0..10), &self.shared) {
            (0, _) if !gone.is_empty() => gone[rng.usize(0..gone.len())],
            (1, Some(shared)) => shared.pool[rng.usize(0..shared.pool.len())],
            _ => Blob::random(rng),
        };
        let repo = Arc::clone(&self.shelves[shelf].repo);
        if self.push_blob(&repo, blob) {
            self.shelves[shelf].add_blob(blob);
        }
    }

    /// Pushes a blob in one of four ways; says whether that was acknowledged.
    pub(super) fn push_blob(&mut self, repo: &Arc<str>, blob: Blob) -> bool {
        let bytes = blob.bytes();
        self.pushed(bytes.len());
        match self.rng.u32(0..4) {
            0 => self.push_at_once(repo, blob, &bytes),
            1 => {
                let Some(upload) = self.begin(repo, blob) else {
                    return false;
                };
                self.close(upload, Body::Whole(&bytes))
            }
            2 => {
                let Some(mut upload) = self.begin(repo, blob) else {
                    return false;
                };
                let sent = self.append(&mut upload, Body::Streamed(&bytes), bytes.len());
                sent && self.close(upload, Body::Empty)
            }
            _ => self.push_in_chunks(repo, blob, &bytes),
        }
    }

    /// One POST. A server that does not know it begins an upload instead.
    fn push_at_once(&mut self, repo: &Arc<str>, blob: Blob, bytes: &[u8]) -> bool {
        let path = format!("/v2/{repo}/blobs/uploads/?digest={}", blob.digest);
        let begun = self.world.event();
        let key = Key::Blob(Arc::clone(repo), blob.digest);
        match self.ask("POST", &path, &[BYTES], Body::Whole(bytes)) {
            Told::Yes(reply) if reply.status == 201 => {
                self.record(&[(key, Some(blob.digest))], begun, true);
                true
            }
            Told::Yes(reply) => match begun_upload(repo, blob, &reply) {
                Some(upload) => self.close(upload, Body::Whole(bytes)),
                None => false,
            },
            Told::No(reply) => {
                self.surprised(&format!("POST {path}"), &reply);
                false
            }
            Told::Nothing => {
                self.record(&[(key, Some(blob.digest))], begun, false);
                false
            }
        }
    }

    fn push_in_chunks(&mut self, repo: &Arc<str>, blob: Blob, bytes: &[u8]) -> bool {
        let Some(mut upload) = self.begin(repo, blob) else {
            return false;
        };
        let chunks = self.rng.usize(2..5);
        let size = bytes.len().div_ceil(chunks);
        // The last chunk comes with the closing request, or before it.
        let with_close = self.rng.bool();
        for chunk in bytes.chunks(size) {
            let last = upload.acked + chunk.len() == bytes.len();
            if last && with_close {
                return self.close(upload, Body::Whole(chunk));
            }
            if !self.append(&mut upload, Body::Whole(chunk), chunk.len()) {
                return false;
            }
        }
        self.close(upload, Body::Empty)
    }

    /// Begins an upload and leaves it, with a part of its bytes, for after the crash.
    pub(super) fn leave_upload(&mut self, shelf: usize) {
        let repo = Arc::clone(&self.shelves[shelf].repo);
        let blob = Blob::random(&mut self.rng);
        let Some(mut upload) = self.begin(&repo, blob) else {
            return;
        };
        let bytes = blob.bytes();
        let part = &bytes[..self.rng.usize(0..bytes.len())];
        self.pushed(bytes.len());
        if part.is_empty() || self.append(&mut upload, Body::Whole(part), part.len()) {
            self.world.leave(upload);
        }
    }

    fn begin(&mut self, repo: &Arc<str>, blob: Blob) -> Option<Upload> {
        let path = format!("/v2/{repo}/blobs/uploads/");
        match self.ask("POST", &path, &[], Body::Empty) {
            Told::Yes(reply) => {
                let upload = begun_upload(repo, blob, &reply);
                if let Some(upload) = &upload {
                    self.note(&format!("begun {}", upload.path));
                }
                upload
            }
            Told::No(reply) => {
                self.surprised(&format!("POST {path}"), &reply);
                None
            }
            Told::Nothing => None,
        }
    }

    /// Appends a chunk. An upload whose chunk had no answer is left for after the restart.
    fn append(&mut self, upload: &mut Upload, body: Body<'_>, length: usize) -> bool {
        let range = format!(
            "{}-{}",
            upload.acked,
            (upload.acked + length).saturating_sub(1)
        );
        let headers = [BYTES, ("Content-Range", range.as_str())];
        let headers = if matches!(body, Body::Streamed(_)) {
            &headers[..1]
        } else {
            &headers
        };
        upload.sent = upload.acked + length;
        let path = upload.path.clone();
        match self.ask("PATCH", &path, headers, body) {
            Told::Yes(reply) => {
                upload.acked = upload.sent;
                if let Some(location) = reply.header("location") {
                    upload.path = path_of(location);
                }
                self.note(&format!("{} has {} bytes", upload.path, upload.acked));
                true
            }
            Told::No(reply) => {
                self.surprised(&format!("PATCH {path}"), &reply);
                false
            }
            Told::Nothing => {
                self.world.leave(upload.clone());
                false
            }
        }
    }

    /// Closes an upload, with its last bytes or without.
    fn close(&mut self, mut upload: Upload, body: Body<'_>) -> bool {
        let path = with_query(&upload.path, "digest", upload.blob.digest);
        let range = format!("{}-{}", upload.acked, upload.blob.size.saturating_sub(1));
        let headers = [BYTES, ("Content-Range", range.as_str())];
        // A whole blob needs no range; a last chunk has one.
        let chunk = matches!(body, Body::Whole(_)) && upload.acked > 0;
        let headers = if chunk { &headers[..] } else { &headers[..1] };
        (upload.sent, upload.finishing) = (upload.blob.size, true);
        let begun = self.world.event();
        let told = self.ask("PUT", &path, headers, body);
        if let Told::No(reply) = &told {
            self.surprised(&format!("PUT {path}"), reply);
            return false;
        }
        let acked = matches!(told, Told::Yes(_));
        let digest = upload.blob.digest;
        let key = Key::Blob(Arc::clone(&upload.repo), digest);
        self.record(&[(key, Some(digest))], begun, acked);
        if !acked {
            self.world.leave(upload);
        }
        acked
    }

    /// Takes a blob over from the other repository of this worker, or tries to from the shared one.
    pub(super) fn mount(&mut self, shelf: usize) {
        let (to, from) = (&self.shelves[shelf], &self.shelves[1 - shelf]);
        let source = match from.any_blob(&mut self.rng) {
            Some(blob) => Some((blob, Arc::clone(&from.repo))),
            None => self.shared.as_ref().map(|s| (s.layer, Arc::clone(&s.repo))),
        };
        let Some((blob, from)) = source else { return };
        let (repo, digest) = (Arc::clone(&to.repo), blob.digest);
        let path = format!("/v2/{repo}/blobs/uploads/?mount={digest}&from={from}");
        let begun = self.world.event();
        let key = Key::Blob(Arc::clone(&repo), digest);
        match self.ask("POST", &path, &[], Body::Empty) {
            Told::Yes(reply) if reply.status == 201 => {
                self.record(&[(key, Some(digest))], begun, true);
                self.shelves[shelf].add_blob(blob);
            }
            Told::Yes(reply) => {
                if let Some(upload) = begun_upload(&repo, blob, &reply) {
                    self.ask("DELETE", &upload.path, &[], Body::Empty);
                }
            }
            Told::No(reply) => self.surprised(&format!("POST {path}"), &reply),
            Told::Nothing => self.record(&[(key, Some(digest))], begun, false),
        }
    }
}

fn begun_upload(repo: &Arc<str>, blob: Blob, reply: &Reply) -> Option<Upload> {
    let path = path_of(reply.header("location")?);
    Some(Upload {
        repo: Arc::clone(repo),
        path,
        blob,
        acked: 0,
        sent: 0,
        finishing: false,
    })
}
