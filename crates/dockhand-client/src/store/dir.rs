//! A folder in skopeo's `dir:` form: one image, its files beside each other.
//!
//! ```text
//! DIR/version                     Directory Transport Version: 1.1
//! DIR/manifest.json               the image
//! DIR/HEX.manifest.json           a manifest that it lists
//! DIR/HEX                         a blob
//! ```
//!
//! <https://github.com/containers/image/blob/main/directory/directory_dest.go>

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dockhand_oci::{Algorithm, Descriptor, Digest, Manifest, Tag};
use futures_util::stream::{self, StreamExt};

use super::catalogue::Catalogue;
use super::shelf::{Shelf, children_of};
use super::staged::{self, blocking};
use super::{MANIFEST_MAX, RawManifest};
use crate::{BlobSource, ByteStream, Error, ErrorKind, FileSource, Moved, Result};

pub(super) const MANIFEST: &str = "manifest.json";
const CHILD: &str = ".manifest.json";
/// Names of skopeo's own signatures begin so; they are of the image that they were written with.
const SIGNATURE: &str = "signature-";
const VERSION: &str = "version";
const VERSION_TEXT: &[u8] = b"Directory Transport Version: 1.1\n";

/// An image in a folder, as skopeo's `dir:` writes it. It has no tags.
#[derive(Debug)]
pub struct Directory {
    dir: PathBuf,
    /// One task at a time writes manifests.
    written: tokio::sync::Mutex<Written>,
}

/// What this value wrote.
#[derive(Debug, Default)]
struct Written {
    /// Whether an image from before is to be replaced, and is none of this place any more.
    replaces: bool,
    /// The image that was written, by the digest that it was given.
    root: Option<Digest>,
}

impl Written {
    fn hides_the_old(&self) -> bool {
        self.replaces && self.root.is_none()
    }
}

impl Directory {
    /// The image in the folder `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let path = dir.join(MANIFEST);
        let found = blocking(move || staged::plain_size(&path)).await?;
        if found.is_none() {
            let message = format!("{} has no image: no manifest.json", dir.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(Self::at(dir, false))
    }

    /// The folder `dir`, which is made when nothing is there; an image in it is replaced by the first one
    /// that is put there, and what only that one needed goes when the writing [ends](crate::Store::finish).
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the folder has something else in it.
    pub async fn create(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let made = dir.clone();
        blocking(move || make(&made)).await?;
        Ok(Self::at(dir, true))
    }

    fn at(dir: PathBuf, replaces: bool) -> Self {
        let written = Written {
            replaces,
            root: None,
        };
        let written = tokio::sync::Mutex::new(written);
        Self { dir, written }
    }

    /// Where the content of a digest is.
    async fn locate(&self, digest: &Digest) -> Result<Option<(PathBuf, u64)>> {
        let (dir, digest) = (self.dir.clone(), *digest);
        blocking(move || {
            for name in [digest.hex(), format!("{}{CHILD}", digest.hex())] {
                let path = dir.join(name);
                if let Some(size) = staged::plain_size(&path)? {
                    return Ok(Some((path, size)));
                }
            }
            let root = staged::read_plain(&dir.join(MANIFEST), MANIFEST_MAX)?;
            let root = root.filter(|bytes| digest.algorithm().digest(bytes) == digest);
            Ok(root.map(|bytes| (dir.join(MANIFEST), bytes.len() as u64)))
        })
        .await
    }
}

#[async_trait]
impl Shelf for Directory {
    fn label(&self) -> String {
        format!("dir:{}", self.dir.display())
    }

    fn holds_one(&self) -> bool {
        true
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>> {
        if self.written.lock().await.hides_the_old() {
            return Ok(Arc::default());
        }
        let dir = self.dir.clone();
        blocking(move || list(&dir).map(Arc::new)).await
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.locate(digest).await?.map(|(_, size)| size))
    }

    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>> {
        match self.locate(digest).await? {
            None => Ok(None),
            Some((_, size)) if offset >= size => Ok(Some(stream::empty().boxed())),
            Some((path, _)) => Ok(Some(FileSource::new(path).open(offset).await?)),
        }
    }

    async fn write_blob(&self, blob: &Descriptor, source: Arc<dyn BlobSource>) -> Result<Moved> {
        let bytes = source.open(0).await?;
        let to = self.dir.join(blob.digest.hex());
        staged::write_verified(&self.dir, to, blob, bytes).await?;
        Ok(Moved::Sent)
    }

    /// The one that came last is the image, and what was it before is one that it lists. What only says
    /// something about another manifest is never the image unless it comes first or with a name.
    async fn write_manifest(
        &self,
        manifest: &RawManifest,
        parsed: &Manifest,
        tags: &[Tag],
    ) -> Result<()> {
        let mut written = self.written.lock().await;
        let (hidden, known) = (written.hides_the_old(), written.root);
        let beside = parsed.subject.is_some() && tags.is_empty();
        let children: Vec<Digest> = children_of(parsed).map(|child| child.digest).collect();
        let (dir, bytes) = (self.dir.clone(), manifest.bytes.clone());
        let digest = manifest.digest;
        let root = blocking(move || {
            let root = dir.join(MANIFEST);
            let child = |digest: &Digest| dir.join(format!("{}{CHILD}", digest.hex()));
            let before = match hidden {
                true => None,
                false => staged::read_plain(&root, MANIFEST_MAX)?,
            };
            if let Some(before) = before {
                let before_digest = known.unwrap_or_else(|| Algorithm::Sha256.digest(&before));
                if before == bytes {
                    return Ok(before_digest);
                }
                if beside {
                    staged::replace(&child(&digest), &bytes)?;
                    return Ok(before_digest);
                }
                if children.is_empty() || children.contains(&before_digest) {
                    staged::replace(&child(&before_digest), &before)?;
                }
            }
            staged::replace(&root, &bytes)?;
            Ok(digest)
        })
        .await?;
        written.root = Some(root);
        Ok(())
    }

    /// Takes away what an image that was replaced has left.
    async fn seal(&self) -> Result<()> {
        let written = self.written.lock().await;
        if !written.replaces || written.root.is_none() {
            return Ok(());
        }
        let dir = self.dir.clone();
        blocking(move || clear(&dir)).await
    }
}

/// Removes blobs, manifests and signatures that the image does not need, nor what refers to it, and what
/// was never finished. Files of other names are somebody else's.
fn clear(dir: &Path) -> Result<()> {
    let mut manifests: Vec<(String, Manifest)> = Vec::new();
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| Error::io(dir, error))? {
        let name = entry.map_err(|error| Error::io(dir, error))?.file_name();
        names.extend(name.into_string());
    }
    let mut subjects: BTreeSet<String> = BTreeSet::new();
    for name in names.iter().filter(|name| name.ends_with(MANIFEST)) {
        let Some(bytes) = staged::read_plain(&dir.join(name), MANIFEST_MAX)? else {
            continue;
        };
        match Manifest::parse(None, &bytes) {
            Ok(parsed) if name == MANIFEST => {
                subjects.extend(Algorithm::ALL.map(|one| one.digest(&bytes).hex()));
                needed.extend(parsed.links.iter().map(|link| link.descriptor.digest.hex()));
            }
            Ok(parsed) => manifests.push((name.trim_end_matches(CHILD).to_owned(), parsed)),
            // What it needs is not known, so everything stays.
            Err(_) => return Ok(()),
        }
    }
    loop {
        let about = |parsed: &Manifest| {
            let subject = parsed.subject.as_ref().map(|one| one.digest.hex());
            subject.is_some_and(|hex| needed.contains(&hex) || subjects.contains(&hex))
        };
        let place =
            { manifests.iter() }.position(|(hex, parsed)| needed.contains(hex) || about(parsed));
        let Some(place) = place else { break };
        let (hex, parsed) = manifests.swap_remove(place);
        needed.insert(hex);
        needed.extend(parsed.links.iter().map(|link| link.descriptor.digest.hex()));
    }
    let is_ours = |name: &str| {
        let hex = name.strip_suffix(CHILD).unwrap_or(name);
        let digits = |text: &str| {
            text.bytes()
                .all(|digit| b"0123456789abcdef".contains(&digit))
        };
        let number = name.strip_prefix(SIGNATURE).map(str::parse::<u32>);
        ([64, 128].contains(&hex.len()) && digits(hex) && !needed.contains(hex))
            || number.is_some_and(|number| number.is_ok())
            // Left behind by a process that was killed; what this one wrote has its name.
            || name.starts_with(staged::STAGED)
    };
    for name in names.iter().filter(|name| is_ours(name)) {
        let path = dir.join(name);
        if staged::plain_size(&path)?.is_some() {
            std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
        }
    }
    Ok(())
}

/// The image, and after it every manifest that it may list.
fn list(dir: &Path) -> Result<Catalogue> {
    let mut catalogue = Catalogue::default();
    let mut names = Vec::new();
    let entries = std::fs::read_dir(dir).map_err(|error| Error::io(dir, error))?;
    for entry in entries {
        let name = entry.map_err(|error| Error::io(dir, error))?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.ends_with(CHILD)));
    }
    names.sort();
    for name in [MANIFEST.to_owned()].into_iter().chain(names) {
        let Some(bytes) = staged::read_plain(&dir.join(&name), MANIFEST_MAX)? else {
            continue;
        };
        if let Ok(parsed) = Manifest::parse(None, &bytes) {
            let manifest = RawManifest::new(parsed.media_type.as_str(), bytes);
            catalogue.manifests.push(manifest.descriptor());
        }
    }
    Ok(catalogue)
}

/// Makes the folder, unless it has something else in it.
fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, error))?;
    let version = dir.join(VERSION);
    if staged::plain_size(&version)?.is_some() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(dir).map_err(|error| Error::io(dir, error))?;
    if entries.next().is_some() {
        let message = format!("{} is not empty and holds no image", dir.display());
        let error = Error::new(ErrorKind::Conflict, message);
        return Err(error.with_hint("name a new folder"));
    }
    staged::replace(&version, VERSION_TEXT)
}
