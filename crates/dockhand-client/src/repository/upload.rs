//! Blobs on their way into a repository: mounted where they are there already, else sent in one piece;
//! in chunks only to a registry that refuses the piece. What broke goes on at the byte that the registry
//! has, as long as it kept the bytes.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

mod sending;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use dockhand_oci::{Descriptor, Digest, Endpoint, RepoName};
use http::header::{CONTENT_RANGE, LOCATION, RANGE};
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

/// An upload session of a repository: a blob that is not there yet.
pub struct Upload {
    repository: Repository,
    /// Where the next request goes; each answer may say another place.
    url: Url,
    offset: u64,
    chunk_min: u64,
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
    /// [`ErrorKind::NotFound`] when the registry no longer has it, [`ErrorKind::Invalid`] when the URL is
    /// not of this registry.
    pub async fn resume_upload(&self, url: &str) -> Result<Upload> {
        let url = resolve(self.client.http.connection.base.url(), url)?;
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

    /// Asks the registry how many bytes it has.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the registry no longer has the upload.
    pub async fn status(&mut self) -> Result<u64> {
        Ok(self.ask().await?.unwrap_or(0))
    }

    /// As [`Upload::status`]; `None` when the registry does not say.
    async fn ask(&mut self) -> Result<Option<u64>> {
        let request = self.request(Method::GET, "ask for the state of an upload");
        let answer = self.client().http.send(&request).await?;
        let told = next_offset(&answer);
        self.offset = told.unwrap_or(0);
        self.move_on(&answer)?;
        Ok(told)
    }

    /// Sends the next bytes. The registry may take fewer; [`offset`](Self::offset) tells.
    ///
    /// # Errors
    /// What keeps the registry from taking them.
    pub async fn append(&mut self, source: Arc<dyn BlobSource>, length: u64) -> Result<()> {
        let range = format!("{}-{}", self.offset, self.offset + length.max(1) - 1);
        let body = Body::Source {
            source,
            offset: self.offset,
            length,
        };
        let request = self.request(Method::PATCH, "send a part of a blob").once();
        let request = request.header(CONTENT_RANGE, &range).body(OCTETS, body);
        let answer = self.client().http.send(&request).await?;
        let told = next_offset(&answer);
        // Some registries say nothing, or say the same range again and again.
        self.offset = told
            .filter(|told| *told > self.offset)
            .unwrap_or(self.offset + length);
        self.move_on(&answer)
    }

    /// Ends it with the last bytes, if there are any left: from then on the blob is there.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] when the bytes are others than `digest` says.
    pub async fn finish(
        &mut self,
        digest: &Digest,
        rest: Option<(Arc<dyn BlobSource>, u64)>,
    ) -> Result<()> {
        let mut request = self.request(Method::PUT, "finish an upload").once();
        // The registry's own query stays as it is, letter for letter.
        let query = match request.url.query() {
            Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
            _ => format!("digest={digest}"),
        };
        request.url.set_query(Some(&query));
        let request = match rest {
            Some((source, length)) if length > 0 => {
                let body = Body::Source {
                    source,
                    offset: self.offset,
                    length,
                };
                let request = request.body(OCTETS, body);
                if self.offset == 0 {
                    request
                } else {
                    let range = format!("{}-{}", self.offset, self.offset + length - 1);
                    request.header(CONTENT_RANGE, &range)
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
                Err(Error::new(ErrorKind::DigestMismatch, message).with_source(error))
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
        self.client().http.send(&request).await.map(drop)
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

/// Where an answer says to go on.
fn location(answer: &Answer) -> Result<Option<Url>> {
    let target = answer.header(LOCATION);
    target
        .map(|target| resolve(answer.url(), target))
        .transpose()
}

/// The byte after the last one that the registry has: `Range: 0-9` is ten bytes.
fn next_offset(answer: &Answer) -> Option<u64> {
    let range = answer.header(RANGE)?.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (_, last) = range.split_once('-')?;
    let last: u64 = last.parse().ok()?;
    // `0-0` is what registries say of an upload without a byte.
    Some(if last == 0 { 0 } else { last + 1 })
}
