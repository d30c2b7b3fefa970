//! Places where images are: a repository of a registry, a layout directory, an archive, memory.
//!
//! [`Store`] is the seam between what is done with images ([`copy`](crate::copy), rewriting, sizes) and
//! where they are. Content is addressed by digest everywhere; who reads a blob through [`read_verified`]
//! never sees a byte that was passed off as another without an error at the end.

mod archive;
mod catalogue;
mod choice;
mod dir;
mod docker;
mod entry;
mod layout;
mod memory;
mod shelf;
mod staged;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, Reference, RepoName, Tag};
use futures_util::StreamExt;

pub use archive::{Archive, ArchiveWriter};
pub(crate) use catalogue::Naming;
pub(crate) use choice::{Form, first, form_of, named, sole};
pub use dir::Directory;
pub use entry::Entry;
pub use layout::Layout;
pub use memory::Memory;
pub(crate) use shelf::Shelf;

use crate::connection::LANES;
use crate::{BlobSource, ByteStream, Error, ErrorKind, Moved, Result, verify};

/// The greatest manifest that is read into memory, in bytes; registries take 4 MiB or less.
pub const MANIFEST_MAX: u64 = 16 * 1024 * 1024;

/// A manifest exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// What it was called when it was read; empty text when nobody said.
    pub media_type: String,
    /// The digest of [`bytes`](Self::bytes), computed here.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Bytes,
}

impl RawManifest {
    /// These bytes with their SHA-256 digest.
    #[must_use]
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type: media_type.into(),
            digest: Algorithm::Sha256.digest(&bytes),
            bytes,
        }
    }

    /// Reads what it says.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is no manifest.
    pub fn parse(&self) -> Result<Manifest> {
        let media_type = MediaType::from_content_type(&self.media_type).ok();
        Ok(Manifest::parse(media_type.as_ref(), &self.bytes)?)
    }

    /// The descriptor that names it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.bytes.len() as u64)
    }
}

/// Where the blobs of a store are, for a registry that can take them over without moving them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The registry: host and port.
    pub host: String,
    /// The repository in it.
    pub repository: RepoName,
}

/// A place that holds manifests, blobs and tags.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// What it is called in messages: `registry.example/team/app`, `oci:dir`.
    fn name(&self) -> String;

    /// What an image of it is called, as a [`Place`](crate::Place) reads it again.
    fn named(&self, reference: &Reference) -> String {
        match reference {
            Reference::Tag(tag) => format!("{}:{tag}", self.name()),
            Reference::Digest(digest) => format!("{}@{digest}", self.name()),
        }
    }

    /// The repository of a registry that this is, when it is one.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Where this blob is, when it is in a repository of a registry.
    fn origin_of(&self, _blob: &Descriptor) -> Option<Origin> {
        self.origin()
    }

    /// How many blobs are best moved to or from here at once. Archives write one after the other.
    fn lanes(&self) -> usize {
        LANES
    }

    /// Whether a copy of this manifest can end here; asked before anything moves.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when places of this kind cannot take it, with what to do instead.
    fn accepts(&self, _root: &Manifest) -> Result<()> {
        Ok(())
    }

    /// What `reference` names, without its bytes where that is cheaper.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it names nothing.
    async fn resolve(&self, reference: &Reference) -> Result<Descriptor>;

    /// What `reference` names, by a single cheap look; `None` when it names nothing, or when only a
    /// closer look could tell.
    ///
    /// # Errors
    /// What keeps the place from answering.
    async fn find(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        match self.resolve(reference).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The manifest that `reference` names, its digest verified.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it names nothing, [`ErrorKind::DigestMismatch`] when it is another.
    async fn manifest(&self, reference: &Reference) -> Result<RawManifest>;

    /// The tags, in no promised order.
    ///
    /// # Errors
    /// What keeps the list from being read.
    async fn tags(&self) -> Result<Vec<Tag>>;

    /// What a layout or archive lists at its top, with names and without, in its order; `None` for a place
    /// that has tags alone, such as a registry, and for one that holds one image.
    ///
    /// # Errors
    /// What keeps the list from being read.
    async fn entries(&self) -> Result<Option<Vec<Entry>>> {
        Ok(None)
    }

    /// All tags, where a single question tells; `None` where it takes more, or nobody knows. For what is
    /// only to be spared other questions.
    ///
    /// # Errors
    /// What keeps the place from answering.
    async fn tags_in_one(&self) -> Result<Option<Vec<Tag>>> {
        Ok(None)
    }

    /// Whether the blob is here.
    ///
    /// # Errors
    /// What keeps the place from answering.
    async fn has_blob(&self, blob: &Descriptor) -> Result<bool>;

    /// The bytes of a blob from `offset` on, not verified: see [`read_verified`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is not here.
    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream>;

    /// A blob of this place read over several connections at once, where that may be faster. It takes
    /// more memory.
    fn wide_source(&self, _blob: &Descriptor) -> Option<Arc<dyn BlobSource>> {
        None
    }

    /// Puts a blob here, verified before anybody can see it. `from` is where it is already, for a
    /// registry that can mount it; `source` is not opened when nothing has to move.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] when `source` has other bytes; then the blob is not here.
    async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        from: Option<&Origin>,
    ) -> Result<Moved>;

    /// Puts a manifest here and lets each of `tags` name it; by its digest alone when there are none.
    /// What it links must be here before.
    ///
    /// # Errors
    /// What keeps it from being written.
    async fn put_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()>;

    /// The manifests whose subject is `subject`: with annotations and artifact type filled in.
    ///
    /// # Errors
    /// What keeps the list from being read.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>>;

    /// Whether it is known that the referrers of a manifest are listed here under a tag with its digest:
    /// where there is no such tag, it has none.
    fn lists_referrers_by_tag(&self) -> bool {
        false
    }

    /// Takes a tag away, and nothing else with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Unsupported`] when this place cannot.
    async fn delete_tag(&self, tag: &Tag) -> Result<()>;

    /// Takes a tag away whatever that takes: where it cannot go by itself, it moves to a stand-in that
    /// is deleted.
    ///
    /// # Errors
    /// As [`Store::delete_tag`].
    async fn untag(&self, tag: &Tag) -> Result<()> {
        self.delete_tag(tag).await
    }

    /// Takes a manifest away, and the tags that name it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Unsupported`] when this place cannot.
    async fn delete_manifest(&self, digest: &Digest) -> Result<()>;

    /// Ends the writing: an archive gets its table of contents. Nothing for most places.
    ///
    /// # Errors
    /// What keeps it from being written.
    async fn finish(&self) -> Result<()> {
        Ok(())
    }

    /// Takes away the content that nothing in the list of a layout needs; `dry_run` only says which. An
    /// entry without a name counts as needed, but for those of `gone` and of what refers to them.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while another process writes here; [`ErrorKind::Unsupported`] when this is no
    /// layout, or has a manifest of which it cannot be told what it needs.
    async fn prune(&self, _gone: &[Digest], _dry_run: bool) -> Result<Pruned> {
        Err(nothing_to_prune(&self.name()))
    }
}

/// What nothing needed and was taken away, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The blobs and manifests.
    pub content: Vec<Digest>,
    /// How many bytes these had.
    pub bytes: u64,
}

fn nothing_to_prune(place: &str) -> Error {
    let message = format!("{place} is no layout, and only layouts keep what nothing needs");
    let error = Error::new(ErrorKind::Unsupported, message);
    error.with_hint("a registry collects its garbage itself")
}

/// The bytes of a blob; the stream ends with an error when they are not what `blob` says.
///
/// # Errors
/// As [`Store::blob`].
pub async fn read_verified(store: &dyn Store, blob: &Descriptor) -> Result<ByteStream> {
    Ok(verify::stream(store.blob(blob, 0).await?, blob))
}

/// The bytes of a small blob in memory, verified.
///
/// # Errors
/// [`ErrorKind::SizeMismatch`] when it is said to be longer than `max` bytes, and as [`Store::blob`].
pub async fn read_small(store: &dyn Store, blob: &Descriptor, max: u64) -> Result<Bytes> {
    if blob.size > max {
        let message = format!(
            "blob {} has {} bytes, more than the {max} that are read into memory",
            blob.digest, blob.size
        );
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    let mut stream = read_verified(store, blob).await?;
    let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or(0));
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.into())
}

/// A blob of a store as something to upload from.
#[derive(Clone, Debug)]
pub struct StoreBlob {
    /// Where it is.
    pub store: Arc<dyn Store>,
    /// Which one.
    pub blob: Descriptor,
}

#[async_trait]
impl BlobSource for StoreBlob {
    async fn open(&self, offset: u64) -> Result<ByteStream> {
        self.store.blob(&self.blob, offset).await
    }
}
