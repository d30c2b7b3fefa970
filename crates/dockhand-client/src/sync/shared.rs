//! What images of one run share: a blob moves once to a registry, however many images on their way there
//! need it, and a list of tags is asked for once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Digest, Manifest, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use crate::store::{Origin, Pruned, RawManifest, Store};
use crate::{BlobSource, ByteStream, Moved, Result};

/// Where a blob came to in this run; held by the one who brings it.
type Turn = Arc<tokio::sync::Mutex<Vec<Arrived>>>;

#[derive(Clone, Debug)]
struct Arrived {
    /// The name of the place.
    place: String,
    /// The repository that it is.
    origin: Option<Origin>,
}

/// The blobs that move in a run, by the registry (or other place) that they go to.
#[derive(Debug, Default)]
pub(super) struct Moving {
    turns: Mutex<BTreeMap<(String, Digest), Turn>>,
}

impl Moving {
    fn turn(&self, to: &str, blob: &Digest) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry((to.to_owned(), *blob)).or_default())
    }
}

/// A place of a run that several images come from or go to. What is not shared is the place's own.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Arc<dyn Store>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// It is asked nothing twice.
    Source {
        tags: OnceCell<Vec<Tag>>,
        read: Mutex<BTreeSet<Digest>>,
    },
    /// It knows what others bring.
    Target(Arc<Moving>),
}

impl Shared {
    pub(super) fn source(inner: Arc<dyn Store>) -> Self {
        let (tags, read) = (OnceCell::new(), Mutex::default());
        let role = Role::Source { tags, read };
        Self { inner, role }
    }

    pub(super) fn target(inner: Arc<dyn Store>, moving: Arc<Moving>) -> Self {
        let role = Role::Target(moving);
        Self { inner, role }
    }
}

/// All of a store is passed on, also what has a default: a default would hide what the place does.
#[async_trait]
impl Store for Shared {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn named(&self, reference: &Reference) -> String {
        self.inner.named(reference)
    }

    fn origin(&self) -> Option<Origin> {
        self.inner.origin()
    }

    fn origin_of(&self, blob: &Descriptor) -> Option<Origin> {
        self.inner.origin_of(blob)
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn accepts(&self, root: &Manifest) -> Result<()> {
        self.inner.accepts(root)
    }

    async fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        self.inner.resolve(reference).await
    }

    async fn find(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        self.inner.find(reference).await
    }

    async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        self.inner.manifest(reference).await
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        match &self.role {
            Role::Source { tags, .. } => {
                Ok(tags.get_or_try_init(|| self.inner.tags()).await?.clone())
            }
            Role::Target(_) => self.inner.tags().await,
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        self.inner.has_blob(blob).await
    }

    /// A blob that was asked for before has most likely moved with another image. Then nothing is asked
    /// until somebody really reads.
    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        let fresh = match &self.role {
            Role::Source { read, .. } => { read.lock() }
                .unwrap_or_else(PoisonError::into_inner)
                .insert(blob.digest),
            Role::Target(_) => true,
        };
        if fresh {
            return self.inner.blob(blob, offset).await;
        }
        let (inner, blob) = (Arc::clone(&self.inner), blob.clone());
        let opened = stream::once(async move { inner.blob(&blob, offset).await });
        Ok(opened.try_flatten().boxed())
    }

    fn wide_source(&self, blob: &Descriptor) -> Option<Arc<dyn BlobSource>> {
        self.inner.wide_source(blob)
    }

    /// To a target one brings the blob, the others wait: then it is here, or can be taken over from a
    /// repository beside this one.
    async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        from: Option<&Origin>,
    ) -> Result<Moved> {
        let Role::Target(moving) = &self.role else {
            return self.inner.put_blob(blob, source, from).await;
        };
        let origin = self.inner.origin();
        let place = self.inner.name();
        let host = origin.as_ref().map_or(&place, |origin| &origin.host);
        let turn = moving.turn(host, &blob.digest);
        let mut arrived = turn.lock().await;
        if arrived.iter().any(|arrived| arrived.place == place) {
            return Ok(Moved::Existed);
        }
        let beside = arrived.first().and_then(|first| first.origin.as_ref());
        let near = from.filter(|from| from.host == *host);
        let from = near.or(beside).or(from);
        let moved = self.inner.put_blob(blob, source, from).await?;
        arrived.push(Arrived { place, origin });
        Ok(moved)
    }

    async fn put_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        self.inner.put_manifest(manifest, tags).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.inner.referrers(subject).await
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.inner.delete_tag(tag).await
    }

    async fn untag(&self, tag: &Tag) -> Result<()> {
        self.inner.untag(tag).await
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        self.inner.delete_manifest(digest).await
    }

    async fn finish(&self) -> Result<()> {
        self.inner.finish().await
    }

    async fn prune(&self, gone: &[Digest], dry_run: bool) -> Result<Pruned> {
        self.inner.prune(gone, dry_run).await
    }
}
