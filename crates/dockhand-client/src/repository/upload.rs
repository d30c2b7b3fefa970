//! Blobs on their way into a repository: mounted where they are there already, else sent in one piece;
//! in chunks only to a registry that refuses the piece. What broke goes on at the byte that the registry
//! has, as long as it kept the bytes.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

mod sending;
mod state;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::{Descriptor, Digest, Endpoint, RepoName};
use http::header::{CONTENT_RANGE, LOCATION};
use http::{Method, StatusCode};
use url::Url;

use super::Repository;
use crate::auth::Scopes;
use crate::http::{Answer, Body, Request, resolve};
use crate::store::Origin;
use crate::verify::Checked;
use crate::{BlobSource, Client, Error, ErrorKind, Moved, Result};
use sending::Sending;

const OCTETS: &str = "application/octet-stream";
/// How fast a registry moves and hashes a blob at least before it says that it has it, in bytes a second.
const COMMIT_SPEED: u64 = 16 * 1024 * 1024;

/// An upload session of a repository: a blob that is not there yet.
pub struct Upload {
    repository: Repository,
    /// Where the next request goes; each answer may say another place.
    url: Url,
    offset: u64,
    chunk_min: u64,
    /// How often the registry wanted other bytes than it was sent.
    strays: u32,
    /// Whether the registry no longer has it: then there is nothing to cancel.
    ended: bool,
}

/// What a registry answers to the wish for a blob.
enum Begun {
    /// The blob is there.
    Present,
    /// It has to be sent.
    Session(Upload),
}

impl Repository {
    /// Begins an upload.
    ///
    /// # Errors
    /// What keeps the registry from beginning one.
    pub async fn begin_upload(&self) -> Result<Upload> {
        match self.begin(None).await? {
            Begun::Session(upload) => Ok(upload),
            Begun::Present => Err(self.odd("the registry took an upload for done that was none")),
        }
    }

    /// Goes on with an upload that was begun before, by its URL ([`Upload::url`]), at the byte that the
    /// registry has.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the registry no longer has it, [`ErrorKind::Protocol`] when it is no
    /// URL to be followed from this registry. Without its credentials when it is of another host.
    pub async fn resume_upload(&self, url: &str) -> Result<Upload> {
        let url = resolve(&self.client.http.home(), url)?;
        let mut upload = self.upload_at(url);
        // What is not known to be there is not to be cancelled.
        upload.ended = true;
        upload.status().await?;
        upload.ended = false;
        Ok(upload)
    }

    fn upload_at(&self, url: Url) -> Upload {
        let repository = self.clone();
        Upload {
            repository,
            url,
            offset: 0,
            chunk_min: 0,
            strays: 0,
            ended: false,
        }
    }

    /// Takes a blob over from another repository of the registry, or from anywhere in it when `from` is
    /// `None`. `false` when the registry does not have it there, or does not do this.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository>
    pub async fn mount(&self, digest: &Digest, from: Option<&RepoName>) -> Result<bool> {
        match self.begin(Some((digest, from))).await? {
            Begun::Present => Ok(true),
            Begun::Session(upload) => {
                // The registry began an upload instead; it is not needed.
                upload.cancel().await.ok();
                Ok(false)
            }
        }
    }

    /// Sends a small blob with the request that begins its upload: one round trip, with registries
    /// that do this. `false` when this one does not.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] when the bytes are others, and what keeps the registry from answering.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#single-post>
    pub async fn post_blob(&self, digest: &Digest, bytes: Bytes) -> Result<bool> {
        let endpoint = Endpoint::Uploads(self.name.clone());
        let doing = format!("put the blob {}@{digest}", self.name);
        let mut request = self.request(Method::POST, &endpoint, doing)?;
        request
            .url
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let request = request.body(OCTETS, Body::Bytes(bytes));
        let answer = self.client.http.send(&request).await?;
        if answer.status() == StatusCode::CREATED {
            return Ok(true);
        }
        if let Some(url) = location(&answer)? {
            self.upload_at(url).cancel().await.ok();
        }
        Ok(false)
    }

    /// Puts a blob here; see [`Store::put_blob`](crate::Store::put_blob).
    pub(super) async fn write_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        from: Option<&Origin>,
    ) -> Result<Moved> {
        let elsewhere = from
            .filter(|origin| origin.host == self.client.host() && origin.repository != self.name);
        // To mount from itself is to ask whether the blob is there, and to begin its upload if not.
        let source_name = elsewhere.map_or(&self.name, |origin| &origin.repository);
        match self.begin(Some((&blob.digest, Some(source_name)))).await? {
            Begun::Present if elsewhere.is_some() => Ok(Moved::Mounted),
            Begun::Present => Ok(Moved::Existed),
            Begun::Session(upload) => {
                let source = Arc::new(Checked::new(source, blob));
                Sending::new(self, blob, source, upload).run().await?;
                Ok(Moved::Sent)
            }
        }
    }

    async fn begin(&self, mount: Option<(&Digest, Option<&RepoName>)>) -> Result<Begun> {
        let no_mount = &self.client.habits.no_mount;
        let mount = mount.filter(|_| !no_mount.load(Ordering::Relaxed));
        let from = mount.and_then(|(_, from)| from);
        let from_elsewhere = from.is_some_and(|from| *from != self.name);
        let doing = match mount {
            Some((digest, _)) => format!("put the blob {}@{digest}", self.name),
            None => format!("begin an upload to {}", self.name),
        };
        let endpoint = Endpoint::Uploads(self.name.clone());
        let mut request = self.request(Method::POST, &endpoint, doing)?;
        if let Some((digest, from)) = mount {
            let mut query = request.url.query_pairs_mut();
            query.append_pair("mount", &digest.to_string());
            if let Some(from) = from {
                query.append_pair("from", from.as_str());
                request.scopes = request.scopes.clone().and(Scopes::pull(from));
            }
        }
        let answer = match self.client.http.send(&request).await {
            Err(error) if mount.is_some() && error.kind() == ErrorKind::Refused => {
                // It does not know mounts, or not this kind.
                no_mount.store(true, Ordering::Relaxed);
                return Box::pin(self.begin(None)).await;
            }
            // Whoever may not read the source, or there is none, may write here all the same.
            Err(error) if from_elsewhere && is_about_source(&error) => {
                return Box::pin(self.begin(None)).await;
            }
            other => other?,
        };
        if answer.status() == StatusCode::CREATED && mount.is_some() {
            return Ok(Begun::Present);
        }
        let Some(url) = location(&answer)? else {
            return Err(self.odd("the registry does not say where to upload to"));
        };
        let mut upload = self.upload_at(url);
        let min = answer
            .header("oci-chunk-min-length")
            .and_then(|min| min.parse().ok());
        upload.chunk_min = min.unwrap_or(0);
        Ok(Begun::Session(upload))
    }

    fn odd(&self, message: &str) -> Error {
        let doing = format!("upload to {}", self.name);
        Error::new(ErrorKind::Protocol, message)
            .doing(doing)
            .at(self.client.host())
    }
}

impl Upload {
    /// Where it goes on; [`Repository::resume_upload`] takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// How many bytes the registry has, as far as it said.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Sends the next bytes. The registry may take fewer, or want others first;
    /// [`offset`](Self::offset) tells.
    ///
    /// # Errors
    /// What keeps the registry from taking them.
    pub async fn append(&mut self, source: Arc<dyn BlobSource>, length: u64) -> Result<()> {
        let range = self.range(length);
        let body = Body::Source {
            source,
            offset: self.offset,
            length,
            last: false,
        };
        let request = self.request(Method::PATCH, "send a part of a blob").once();
        let request = request.header(CONTENT_RANGE, &range).body(OCTETS, body);
        match self.client().http.send(&request).await {
            Ok(answer) => {
                self.advance(&answer, length);
                self.move_on(&answer)
            }
            Err(error) => self.stray(error).await,
        }
    }

    /// The next `length` bytes, as `Content-Range` says them.
    fn range(&self, length: u64) -> String {
        let last = self.offset.saturating_add(length.saturating_sub(1));
        format!("{}-{last}", self.offset)
    }

    /// Ends it with the last bytes, if there are any left: from then on the blob is there.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] when the bytes are others than `digest` says,
    /// [`ErrorKind::SizeMismatch`] when the source has more or fewer: then nothing is finished.
    pub async fn finish(
        &mut self,
        digest: &Digest,
        rest: Option<(Arc<dyn BlobSource>, u64)>,
    ) -> Result<()> {
        let doing = match &rest {
            Some((_, length)) if *length > 0 => "send a blob",
            _ => "finish an upload",
        };
        let mut request = self.request(Method::PUT, doing).once();
        // The registry's own query stays as it is, letter for letter.
        let query = match request.url.query() {
            Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
            _ => format!("digest={digest}"),
        };
        request.url.set_query(Some(&query));
        let total = rest.as_ref().map_or(self.offset, |(_, length)| {
            self.offset.saturating_add(*length)
        });
        request.grace = Duration::from_secs(total / COMMIT_SPEED);
        let request = match rest {
            Some((source, length)) if length > 0 => {
                let body = Body::Source {
                    source,
                    offset: self.offset,
                    length,
                    last: true,
                };
                let request = request.body(OCTETS, body);
                match self.offset {
                    0 => request,
                    _ => request.header(CONTENT_RANGE, &self.range(length)),
                }
            }
            _ => request.body(OCTETS, Body::Bytes(Bytes::new())),
        };
        match self.client().http.send(&request).await {
            Ok(_) => {
                self.ended = true;
                Ok(())
            }
            Err(error) if error.has_code("DIGEST_INVALID") => {
                self.ended = true;
                let message = "the registry got other content than the digest names";
                let status = error.status().unwrap_or(StatusCode::BAD_REQUEST);
                let id = error.request_id().map(str::to_owned);
                Err(Error::new(ErrorKind::DigestMismatch, message)
                    .answered(status, error.errors().to_vec(), id)
                    .with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives it up; the registry forgets the bytes.
    ///
    /// # Errors
    /// What keeps the registry from forgetting; it does so by itself after some time.
    pub async fn cancel(mut self) -> Result<()> {
        self.ended = true;
        let request = self.request(Method::DELETE, "cancel an upload");
        self.repository.send_delete(&request).await
    }

    /// Lets it stand at the registry, to be gone on with later.
    pub fn keep(mut self) {
        self.ended = true;
    }

    fn client(&self) -> &Client {
        &self.repository.client
    }

    fn request(&self, method: Method, doing: &str) -> Request {
        let doing = format!("{doing} to {}", self.repository.name);
        let scopes = Scopes::push(&self.repository.name);
        Request::new(method, self.url.clone(), doing).scopes(scopes)
    }

    fn move_on(&mut self, answer: &Answer) -> Result<()> {
        if let Some(url) = location(answer)? {
            self.url = url;
        }
        Ok(())
    }
}

impl fmt::Debug for Upload {
    /// Without the query of its URL: whoever has that may write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("repository", &self.repository)
            .field("path", &self.url.path())
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Drop for Upload {
    /// An upload that is given up half way is cancelled at the registry, as far as that is possible.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let request = self.request(Method::DELETE, "cancel an upload").once();
        let http = Arc::clone(&self.client().http);
        runtime.spawn(async move { http.send(&request).await.map(drop) });
    }
}

/// Whether a failure to mount may be one of the repository to mount from.
fn is_about_source(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::NotFound
    )
}

/// Where an answer says to go on.
fn location(answer: &Answer) -> Result<Option<Url>> {
    let Some(target) = answer.header(LOCATION) else {
        return Ok(None);
    };
    let url = resolve(answer.url(), target);
    url.map(Some)
        .map_err(|error| error.reworded(|message| answer.shown(message)))
}
