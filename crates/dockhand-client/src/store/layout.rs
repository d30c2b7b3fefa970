//! A folder in the form that the image specification gives it.
//!
//! ```text
//! DIR/oci-layout                  {"imageLayoutVersion": "1.0.0"}
//! DIR/index.json                  what is at the top, with names; replaced at once, under the lock
//! DIR/index.json.lock             empty; whoever holds its lock may replace index.json
//! DIR/blobs                       writers share its lock; who takes blobs away has it alone
//! DIR/blobs/sha256/HEX            every blob and manifest
//! DIR/.dockhand-XXXXXX            on its way to be a blob, or left behind by a process that was killed
//! ```
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

mod lock;
mod prune;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Digest, ImageRef, Manifest, Tag};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;

use super::catalogue::{Catalogue, Naming};
use super::shelf::{Shelf, children_of, missing, no_tag, walk};
use super::staged::{self, blocking};
use super::{Pruned, RawManifest};
use crate::{BlobSource, ByteStream, Error, ErrorKind, FileSource, Moved, Result};

/// The file that says that a folder is a layout.
pub(super) const MARK: &str = "oci-layout";
/// What stands in it.
pub(super) const MARK_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The list of what is at the top.
pub(super) const INDEX: &str = "index.json";
/// The greatest `index.json` that is read, in bytes: some 200,000 images.
pub(super) const INDEX_MAX: u64 = 64 * 1024 * 1024;

/// An OCI layout in a folder.
///
/// Several processes may write to it at once, and tasks of one process through one or more values: what
/// each adds stays. Readers need no lock. What was replaced or deleted leaves its content behind, which
/// [`Store::prune`](crate::Store::prune) takes away.
#[derive(Debug)]
pub struct Layout {
    dir: PathBuf,
    naming: Naming,
    /// One task of this process at a time waits for the lock.
    turn: tokio::sync::Mutex<()>,
    /// Keeps others from taking blobs away, since this value began to write.
    writing: tokio::sync::Mutex<Option<File>>,
}

impl Layout {
    /// The layout in the folder `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Unsupported`] when it is of a version that
    /// is not known.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_named(dir.as_ref(), Naming::Tag).await
    }

    pub(crate) async fn open_named(dir: &Path, naming: Naming) -> Result<Self> {
        let dir = dir.to_owned();
        let found = dir.clone();
        blocking(move || check(&found)).await?;
        Ok(Self::at(dir, naming))
    }

    /// The layout in the folder `dir`, which is made when nothing is there.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the folder has something else in it.
    pub async fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_named(dir.as_ref(), Naming::Tag).await
    }

    pub(crate) async fn create_named(dir: &Path, naming: Naming) -> Result<Self> {
        let dir = dir.to_owned();
        let made = dir.clone();
        blocking(move || make(&made)).await?;
        let layout = Self::at(dir, naming);
        layout.begin().await?;
        Ok(layout)
    }

    fn at(dir: PathBuf, naming: Naming) -> Self {
        Self {
            dir,
            naming,
            turn: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let folder = self.dir.join("blobs").join(digest.algorithm().as_str());
        folder.join(digest.hex())
    }

    /// Changes the list while nobody else does.
    async fn update<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Catalogue) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.turn.lock().await;
        let dir = self.dir.clone();
        blocking(move || {
            let _lock = lock::take(&dir.join("index.json.lock"))?;
            let path = dir.join(INDEX);
            let mut catalogue = read(&dir)?;
            let before = catalogue.render()?;
            let result = change(&mut catalogue)?;
            let after = catalogue.render()?;
            if after != before || staged::plain_size(&path)?.is_none() {
                staged::replace(&path, &after)?;
            }
            Ok(result)
        })
        .await
    }

    /// The indexes that can be reached and list `digest`.
    async fn parents(&self, digest: &Digest) -> Result<Vec<Digest>> {
        let mut parents = Vec::new();
        walk(self, |manifest, parsed| {
            if children_of(parsed).any(|child| child.digest == *digest) {
                parents.push(manifest.digest);
            }
        })
        .await?;
        Ok(parents)
    }
}

#[async_trait]
impl Shelf for Layout {
    fn label(&self) -> String {
        format!("oci:{}", self.dir.display())
    }

    fn whole_name(&self, tag: &Tag) -> Option<ImageRef> {
        self.naming.whole(tag)
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>> {
        let dir = self.dir.clone();
        blocking(move || read(&dir).map(Arc::new)).await
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        blocking(move || staged::plain_size(&path)).await
    }

    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>> {
        match self.size(digest).await? {
            None => Ok(None),
            Some(size) if offset >= size => Ok(Some(stream::empty().boxed())),
            Some(_) => Ok(Some(FileSource::new(self.path(digest)).open(offset).await?)),
        }
    }

    async fn begin(&self) -> Result<()> {
        let mut writing = self.writing.lock().await;
        if writing.is_none() {
            let blobs = self.dir.join("blobs");
            *writing = blocking(move || {
                make_folder(&blobs)?;
                lock::share(&blobs)
            })
            .await?;
        }
        Ok(())
    }

    async fn write_blob(&self, blob: &Descriptor, source: Arc<dyn BlobSource>) -> Result<Moved> {
        let bytes = source.open(0).await?;
        staged::write_verified(&self.dir, self.path(&blob.digest), blob, bytes).await?;
        Ok(Moved::Sent)
    }

    async fn write_manifest(
        &self,
        manifest: &RawManifest,
        parsed: &Manifest,
        tags: &[Tag],
    ) -> Result<()> {
        let descriptor = manifest.descriptor();
        let known = self.size(&manifest.digest).await? == Some(descriptor.size);
        if !known {
            let bytes = manifest.bytes.open(0).await?;
            let to = self.path(&manifest.digest);
            staged::write_verified(&self.dir, to, &descriptor, bytes).await?;
        }
        // What an index lists already needs no entry of its own.
        if known && tags.is_empty() && !self.parents(&manifest.digest).await?.is_empty() {
            return Ok(());
        }
        let children: Vec<Digest> = children_of(parsed).map(|child| child.digest).collect();
        let (tags, naming) = (tags.to_vec(), self.naming.clone());
        self.update(move |catalogue| {
            catalogue.put(&descriptor, &tags, &naming, &children);
            Ok(())
        })
        .await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        let (wanted, naming, label) = (tag.clone(), self.naming.clone(), self.label());
        let found = self.update(move |catalogue| catalogue.untag(&wanted, &naming, &label));
        match found.await? {
            true => Ok(()),
            false => Err(no_tag(&self.label(), tag)),
        }
    }

    async fn remove_manifest(&self, digest: &Digest) -> Result<()> {
        if self.size(digest).await?.is_none() {
            return Err(missing(&self.label(), "manifest", digest));
        }
        if let Some(parent) = self.parents(digest).await?.first() {
            let message = format!("the index {parent} in {} needs {digest}", self.label());
            let error = Error::new(ErrorKind::Conflict, message);
            return Err(error.with_hint("delete the index first"));
        }
        let (wanted, path) = (*digest, self.path(digest));
        let label = self.label();
        self.update(move |catalogue| {
            if !catalogue.remove(&wanted) {
                let message = format!("{wanted} in {label} is no manifest that its list has");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            Ok(())
        })
        .await?;
        blocking(move || std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))).await
    }

    async fn sweep(&self, gone: &[Digest], dry_run: bool) -> Result<Pruned> {
        let _turn = self.turn.lock().await;
        // What this value wrote is whole.
        self.writing.lock().await.take();
        let (dir, gone) = (self.dir.clone(), gone.to_vec());
        blocking(move || prune::prune(&dir, &gone, dry_run)).await
    }
}

/// Makes a folder that is to survive a power cut, unless it is there.
fn make_folder(path: &Path) -> Result<()> {
    match std::fs::create_dir(path) {
        Ok(()) => staged::sync_folder(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(path, error)),
    }
}

/// The list; empty in a layout that has none yet.
fn read(dir: &Path) -> Result<Catalogue> {
    match staged::read_plain(&dir.join(INDEX), INDEX_MAX)? {
        Some(bytes) => Catalogue::parse(&bytes, &format!("oci:{}", dir.display())),
        None => Ok(Catalogue::default()),
    }
}

/// Whether the folder is a layout: it says so, or has at least a list.
fn check(dir: &Path) -> Result<()> {
    let found = std::fs::metadata(dir).map_err(|error| Error::io(dir, error))?;
    let marked = found.is_dir() && is_layout(dir)?;
    if !marked {
        let message = format!("{} is no OCI layout: it has no index.json", dir.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    match staged::read_plain(&dir.join(MARK), INDEX_MAX)? {
        Some(text) => check_version(&text, &format!("oci:{}", dir.display())),
        None => Ok(()),
    }
}

/// Whether the folder looks like a layout.
pub(super) fn is_layout(dir: &Path) -> Result<bool> {
    Ok(staged::plain_size(&dir.join(MARK))?.is_some()
        || staged::plain_size(&dir.join(INDEX))?.is_some())
}

/// Reads `oci-layout`: version 1 is the only one that there is.
pub(super) fn check_version(text: &[u8], label: &str) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mark {
        image_layout_version: String,
    }
    let mark: Mark = serde_json::from_slice(text).map_err(|error| {
        let message = format!("oci-layout of {label} cannot be read: {error}");
        Error::new(ErrorKind::Protocol, message).with_source(error)
    })?;
    let version = mark.image_layout_version;
    if version == "1" || version.starts_with("1.") {
        return Ok(());
    }
    let message = format!("{label} is a layout of version {version}; only 1.0.0 is known");
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Makes the folder a layout, unless it has something else in it.
fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, error))?;
    if is_layout(dir)? {
        check(dir)?;
    } else {
        let entries = std::fs::read_dir(dir).map_err(|error| Error::io(dir, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Error::io(dir, error))?;
            let name = entry.file_name();
            // Another process may be making the same layout.
            let ours = { name.to_str() }.is_some_and(|name| name.starts_with(staged::STAGED));
            if !ours && name != MARK && name != "blobs" {
                let message = format!("{} is no OCI layout and not empty", dir.display());
                let error = Error::new(ErrorKind::Conflict, message);
                return Err(error.with_hint("name a new folder"));
            }
        }
    }
    make_folder(&dir.join("blobs"))?;
    make_folder(&dir.join("blobs").join("sha256"))?;
    let mark = dir.join(MARK);
    match staged::plain_size(&mark)? {
        Some(_) => Ok(()),
        None => staged::replace(&mark, MARK_TEXT),
    }
}
