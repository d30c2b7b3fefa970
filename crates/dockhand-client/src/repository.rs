//! A repository of a registry: its tags, manifests and blobs.

mod blobs;
mod delete;
mod manifests;
mod place;
mod ranges;
mod referrers;
mod schema1;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use dockhand_oci::{Descriptor, Digest, Endpoint, Reference, RepoName, Tag};
use futures_util::stream::{self, BoxStream, StreamExt};
use http::Method;
use tokio::sync::{Mutex, RwLock, Semaphore};

pub use delete::Deleted;
pub use referrers::Filter;
pub(crate) use referrers::fallback_tag;
pub use upload::Upload;

use crate::auth::Scopes;
use crate::http::Request;
use crate::{Client, ErrorKind, Page, Result, Store};

/// A repository. Cloning is cheap.
#[derive(Clone)]
pub struct Repository {
    client: Client,
    name: RepoName,
}

/// A manifest that others refer to, in its repository.
type Subject = (RepoName, Digest);
/// Held by the one who changes something; others wait.
type Turn = Arc<Mutex<()>>;

/// What was learned of a registry while working with it.
pub(crate) struct Habits {
    /// Whether it lists referrers itself; unknown until asked.
    referrers: RwLock<Option<bool>>,
    /// Whether it refuses to be asked for a mount.
    no_mount: AtomicBool,
    /// The greatest body that it takes, once it refused a greater one; 0 for any.
    body_max: AtomicU64,
    /// Whether it sends the whole to whoever asks for a part.
    no_ranges: AtomicBool,
    /// One at a time may change the fallback list of a subject's referrers.
    fallback: Mutex<HashMap<Subject, Turn>>,
    /// Bounds the memory of parts that came before their turn.
    parts: Arc<Semaphore>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            referrers: RwLock::default(),
            no_mount: AtomicBool::new(false),
            body_max: AtomicU64::new(0),
            no_ranges: AtomicBool::new(false),
            fallback: Mutex::default(),
            parts: Arc::new(Semaphore::new(ranges::PARTS_MAX)),
        }
    }
}

impl Repository {
    pub(crate) fn new(client: Client, name: RepoName) -> Self {
        Self { client, name }
    }

    /// Its name in the registry.
    #[must_use]
    pub fn repository_name(&self) -> &RepoName {
        &self.name
    }

    /// The registry.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Another repository of the same registry.
    #[must_use]
    pub fn sibling(&self, name: RepoName) -> Self {
        Self::new(self.client.clone(), name)
    }

    /// The tags, page after page.
    pub fn tags_paged(&self, page: Page) -> BoxStream<'static, Result<Tag>> {
        self.client.tags(&self.name, page)
    }

    /// What each of these tags names, in their order, many asked for at once. No manifest is fetched
    /// from a registry that tells without.
    pub fn digests(&self, tags: Vec<Tag>) -> BoxStream<'static, (Tag, Result<Descriptor>)> {
        let repository = self.clone();
        let lanes = repository.client.connection().lanes.max(1);
        let asked = stream::iter(tags).map(move |tag| {
            let repository = repository.clone();
            async move {
                let found = repository.resolve(&Reference::Tag(tag.clone())).await;
                (tag, found)
            }
        });
        asked.buffered(lanes).boxed()
    }

    /// A request to an endpoint of this repository.
    fn request(&self, method: Method, endpoint: &Endpoint, doing: String) -> Result<Request> {
        let url = self.client.http.connection.base.endpoint(endpoint)?;
        let scopes = match method {
            Method::GET | Method::HEAD => Scopes::pull(&self.name),
            Method::DELETE => Scopes::delete(&self.name),
            _ => Scopes::push(&self.name),
        };
        Ok(Request::new(method, url, doing).scopes(scopes))
    }

    /// Deletes what `request` names. Gone after a try whose answer was lost is deleted.
    async fn send_delete(&self, request: &Request) -> Result<()> {
        match self.client.http.send(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound && error.attempts() > 1 => Ok(()),
            other => other.map(drop),
        }
    }

    /// The text after which a message says what is meant: `team/app:1`, `team/app@sha256:…`.
    fn named(&self, reference: &Reference) -> String {
        match reference {
            Reference::Tag(tag) => format!("{}:{tag}", self.name),
            Reference::Digest(digest) => format!("{}@{digest}", self.name),
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}/{}", self.client.host(), self.name);
        f.debug_tuple("Repository").field(&name).finish()
    }
}
