//! What layouts, archives, folders and memory have in common: a list of what is at their top, and
//! content by its digest. Whatever is a [`Shelf`] is a [`Store`].

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dockhand_oci::{Descriptor, Digest, ImageRef, LinkKind, Manifest, Reference, Tag};
use futures_util::StreamExt;

use super::catalogue::{Catalogue, anonymous};
use super::{Entry, MANIFEST_MAX, Origin, Pruned, RawManifest, Store, entry, nothing_to_prune};
use crate::connection::LANES;
use crate::{BlobSource, ByteStream, Error, ErrorKind, Moved, Result, verify};

/// A place that is read by a list and by digests. It is read only unless it says how to write.
#[async_trait]
pub(crate) trait Shelf: Debug + Send + Sync {
    /// What it is called in messages.
    fn label(&self) -> String;

    /// How many blobs are best moved at once.
    fn at_once(&self) -> usize {
        LANES
    }

    /// Whether there is but one image, which needs no name.
    fn holds_one(&self) -> bool {
        false
    }

    /// The whole name that a tag is a part of here, where tags are written so.
    fn whole_name(&self, _tag: &Tag) -> Option<ImageRef> {
        None
    }

    /// What is at the top, with names and without.
    async fn catalogue(&self) -> Result<Arc<Catalogue>>;

    /// How many bytes the content has, when it is here.
    async fn size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// The content from `offset` on, when it is here; not verified.
    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>>;

    /// Whether a manifest can be at the top here, asked before anything moves.
    fn takes(&self, _root: &Manifest) -> Result<()> {
        Ok(())
    }

    /// Asked before anything is put here.
    async fn begin(&self) -> Result<()> {
        Ok(())
    }

    /// Puts a blob here that is not.
    async fn write_blob(&self, _blob: &Descriptor, _source: Arc<dyn BlobSource>) -> Result<Moved> {
        Err(read_only(&self.label()))
    }

    /// Puts a manifest here whose digest was verified.
    async fn write_manifest(
        &self,
        _manifest: &RawManifest,
        _parsed: &Manifest,
        _tags: &[Tag],
    ) -> Result<()> {
        Err(read_only(&self.label()))
    }

    /// Takes a tag away.
    async fn remove_tag(&self, _tag: &Tag) -> Result<()> {
        Err(read_only(&self.label()))
    }

    /// Takes a manifest away.
    async fn remove_manifest(&self, _digest: &Digest) -> Result<()> {
        Err(read_only(&self.label()))
    }

    /// Ends the writing.
    async fn seal(&self) -> Result<()> {
        Ok(())
    }

    /// Takes away what nothing needs.
    async fn sweep(&self, _gone: &[Digest], _dry_run: bool) -> Result<Pruned> {
        Err(nothing_to_prune(&self.label()))
    }
}

fn read_only(label: &str) -> Error {
    let message = format!("{label} can only be read");
    Error::new(ErrorKind::Unsupported, message)
}

#[async_trait]
impl<S: Shelf> Store for S {
    fn name(&self) -> String {
        self.label()
    }

    fn named(&self, reference: &Reference) -> String {
        let label = self.label();
        match reference {
            _ if self.holds_one() => label,
            Reference::Tag(tag) => match self.whole_name(tag) {
                Some(image) => format!("{label}:{image}"),
                None => format!("{label}:{tag}"),
            },
            Reference::Digest(digest) => format!("{label}@{digest}"),
        }
    }

    fn lanes(&self) -> usize {
        self.at_once()
    }

    fn accepts(&self, root: &Manifest) -> Result<()> {
        self.takes(root)
    }

    async fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        match find_entry(self, reference).await? {
            Some(found) => Ok(found),
            None => Ok(self.manifest(reference).await?.descriptor()),
        }
    }

    /// Only what the list has: content beside it may be what an interrupted copy left.
    async fn find(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        match find_entry(self, reference).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            found => found,
        }
    }

    async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        let found = find_entry(self, reference).await?;
        match (found, reference) {
            (Some(found), _) => read_manifest(self, &found).await,
            (None, Reference::Tag(tag)) => Err(no_tag(&self.label(), tag)),
            (None, Reference::Digest(digest)) => {
                let Some(size) = self.size(digest).await? else {
                    return Err(missing(&self.label(), "manifest", digest));
                };
                read_manifest(self, &Descriptor::new("", *digest, size)).await
            }
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        Ok(self.catalogue().await?.tags())
    }

    async fn entries(&self) -> Result<Option<Vec<Entry>>> {
        match self.holds_one() {
            true => Ok(None),
            false => entry::of(self).await.map(Some),
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        Ok(self.size(&blob.digest).await? == Some(blob.size))
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        let found = self.open(&blob.digest, offset).await?;
        found.ok_or_else(|| missing(&self.label(), kind_of(&blob.media_type), &blob.digest))
    }

    async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        _from: Option<&Origin>,
    ) -> Result<Moved> {
        self.begin().await?;
        if self.has_blob(blob).await? {
            return Ok(Moved::Existed);
        }
        self.write_blob(blob, source).await
    }

    async fn put_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        let computed = manifest.digest.algorithm().digest(&manifest.bytes);
        if computed != manifest.digest {
            let message = format!(
                "the manifest {} has other content, {computed}",
                manifest.digest
            );
            return Err(Error::new(ErrorKind::DigestMismatch, message));
        }
        let parsed = manifest.parse()?;
        let mut manifest = manifest.clone();
        if manifest.media_type.is_empty() {
            manifest.media_type = parsed.media_type.to_string();
        }
        self.begin().await?;
        self.write_manifest(&manifest, &parsed, tags).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        walk(self, |manifest, parsed| {
            if { parsed.subject.as_ref() }.is_some_and(|one| one.digest == *subject) {
                let mut descriptor = manifest.descriptor();
                descriptor.annotations = parsed.annotations.clone();
                descriptor.artifact_type = parsed.artifact_type.clone();
                found.push(descriptor);
            }
        })
        .await?;
        Ok(found)
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.remove_tag(tag).await
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        self.remove_manifest(digest).await
    }

    async fn finish(&self) -> Result<()> {
        self.seal().await
    }

    async fn prune(&self, gone: &[Digest], dry_run: bool) -> Result<Pruned> {
        self.sweep(gone, dry_run).await
    }
}

/// What the list has for `reference`; a digest that it does not have may still be here.
async fn find_entry<S: Shelf + ?Sized>(
    shelf: &S,
    reference: &Reference,
) -> Result<Option<Descriptor>> {
    let catalogue = shelf.catalogue().await?;
    let tag = match reference {
        Reference::Digest(digest) => return Ok(catalogue.find_digest(digest).map(anonymous)),
        Reference::Tag(tag) => tag,
    };
    let found = match shelf.whole_name(tag) {
        Some(image) => catalogue.find_image(&image),
        None => catalogue.find(tag, &shelf.label())?,
    };
    match found {
        Some(found) => Ok(Some(anonymous(found))),
        None => {
            let error = no_tag(&shelf.label(), tag);
            Err(match catalogue.names() {
                names if names.is_empty() => error,
                names => error.with_hint(format!("it has {names}")),
            })
        }
    }
}

/// Reads a manifest; its type is what its list says, or else what it says of itself.
pub(super) async fn read_manifest<S: Shelf + ?Sized>(
    shelf: &S,
    descriptor: &Descriptor,
) -> Result<RawManifest> {
    let digest = descriptor.digest;
    if descriptor.size > MANIFEST_MAX {
        let message = format!(
            "{digest} in {} has {} bytes, too many for a manifest",
            shelf.label(),
            descriptor.size
        );
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    let Some(stream) = shelf.open(&digest, 0).await? else {
        return Err(missing(&shelf.label(), "manifest", &digest));
    };
    let bytes = collect(verify::stream(stream, descriptor)).await?;
    let mut manifest = RawManifest {
        media_type: descriptor.media_type.clone(),
        digest,
        bytes,
    };
    if manifest.media_type.is_empty() {
        let parsed = Manifest::parse(None, &manifest.bytes)?;
        manifest.media_type = parsed.media_type.to_string();
    }
    Ok(manifest)
}

/// Looks at every manifest that can be reached from the list, each once. Those that are not here, and
/// those of unknown types, are passed over: a list may name more than a place keeps.
pub(super) async fn walk<S: Shelf + ?Sized>(
    shelf: &S,
    mut look: impl FnMut(&RawManifest, &Manifest) + Send,
) -> Result<()> {
    let catalogue = shelf.catalogue().await?;
    let mut queue: VecDeque<Descriptor> = catalogue.manifests.iter().cloned().collect();
    let mut seen: HashSet<Digest> = HashSet::new();
    while let Some(next) = queue.pop_front() {
        // What is too long for a manifest is content of another kind.
        if !seen.insert(next.digest)
            || next.size > MANIFEST_MAX
            || shelf.size(&next.digest).await? != Some(next.size)
        {
            continue;
        }
        let manifest = read_manifest(shelf, &next).await?;
        let Ok(parsed) = manifest.parse() else {
            continue;
        };
        look(&manifest, &parsed);
        queue.extend(children_of(&parsed).cloned());
    }
    Ok(())
}

/// The manifests that an index lists.
pub(super) fn children_of(parsed: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let children = { parsed.links.iter() }.filter(|link| link.kind == LinkKind::Manifest);
    children.map(|link| &link.descriptor)
}

/// All bytes of a stream, in memory.
pub(super) async fn collect(mut stream: ByteStream) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.freeze())
}

/// Content that a place should have and does not.
pub(super) fn missing(label: &str, kind: &str, digest: &Digest) -> Error {
    let message = format!("{kind} {digest} is missing from {label}");
    let error = Error::new(ErrorKind::NotFound, message);
    match kind {
        "manifest" => error.with_hint("if it holds only some platforms, name one with --platform"),
        _ => error,
    }
}

pub(super) fn no_tag(label: &str, tag: &Tag) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no tag {tag} in {label}"),
    )
}

/// What a person calls content of this type.
fn kind_of(media_type: &str) -> &'static str {
    let has = |part: &str| media_type.contains(part);
    match () {
        () if has(".layer.") || has(".rootfs.") => "layer",
        () if has(".config.") || has("container.image.v1") => "config",
        () if has("manifest") || has(".index.") => "manifest",
        () => "blob",
    }
}
