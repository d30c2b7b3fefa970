//! Archives that are written: blobs in the order in which they come, the lists last.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dockhand_oci::{Descriptor, Digest, ImageRef, Manifest, Tag};
use futures_util::stream::StreamExt;
use tokio::sync::OwnedMutexGuard;

use super::sink::TarSink;
use super::{Slice, stream_slice};
use crate::store::RawManifest;
use crate::store::catalogue::{Catalogue, Naming};
use crate::store::docker;
use crate::store::layout::{INDEX, MARK, MARK_TEXT};
use crate::store::shelf::{Shelf, children_of};
use crate::store::staged::{Sink, blocking, drain};
use crate::{BlobSource, ByteStream, Error, ErrorKind, Moved, Result};

/// An archive that is being written; [`finish`](crate::Store::finish) makes it whole.
///
/// The bytes go to `FILE.part`, which becomes `FILE` in the end and is removed when that end does not
/// come. Both forms are OCI layouts; the one for `docker load` also has Docker's `manifest.json`, which
/// names the same blobs, as `docker save` writes it since Docker 25.
pub struct ArchiveWriter {
    label: String,
    naming: Naming,
    docker: bool,
    sink: Arc<tokio::sync::Mutex<TarSink>>,
    written: Mutex<Written>,
}

/// What is in the archive by now.
#[derive(Default)]
struct Written {
    catalogue: Catalogue,
    content: HashMap<Digest, Slice>,
    images: Vec<docker::Image>,
    finished: bool,
}

impl ArchiveWriter {
    /// An OCI archive that will be the file `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when `path` is a folder, or somebody else is writing it.
    pub async fn oci(path: impl AsRef<Path>) -> Result<Self> {
        Self::create(Some(path.as_ref()), false, Naming::Tag).await
    }

    /// An archive for `docker load` that will be the file `path`; its images are tags of `name`.
    ///
    /// # Errors
    /// As [`ArchiveWriter::oci`].
    pub async fn docker(path: impl AsRef<Path>, name: Option<&ImageRef>) -> Result<Self> {
        let naming = name.cloned().map_or(Naming::Tag, Naming::Docker);
        Self::create(Some(path.as_ref()), true, naming).await
    }

    /// Without a path it goes to standard output.
    pub(crate) async fn create(path: Option<&Path>, docker: bool, naming: Naming) -> Result<Self> {
        let form = if docker {
            "docker-archive"
        } else {
            "oci-archive"
        };
        let label = match path {
            Some(path) => format!("{form}:{}", path.display()),
            None => format!("{form} on standard output"),
        };
        let (path, name) = (path.map(Path::to_owned), label.clone());
        let sink = blocking(move || {
            let mut sink = match path {
                Some(path) => TarSink::file(&path, name)?,
                None => TarSink::stdout(name),
            };
            sink.entry(MARK, MARK_TEXT)?;
            Ok(sink)
        })
        .await?;
        Ok(Self {
            label,
            naming,
            docker,
            sink: Arc::new(tokio::sync::Mutex::new(sink)),
            written: Mutex::default(),
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else writes.
    async fn turn(&self) -> Result<Turn> {
        let turn = Arc::clone(&self.sink).lock_owned().await;
        if self.written().finished {
            let message = format!("{} is finished already", self.label);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(Turn(turn))
    }

    fn check_layer(&self, blob: &Descriptor) -> Result<()> {
        match self.docker {
            true => docker::check_layer(blob, &self.label),
            false => Ok(()),
        }
    }
}

/// The sink for as long as one entry is written. When the writer of the entry is dropped halfway, the
/// task that runs keeps it until it is done.
struct Turn(OwnedMutexGuard<TarSink>);

impl Sink for Turn {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes)
    }
}

fn name_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

#[async_trait]
impl Shelf for ArchiveWriter {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn at_once(&self) -> usize {
        1
    }

    fn whole_name(&self, tag: &Tag) -> Option<ImageRef> {
        self.naming.whole(tag)
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>> {
        Ok(Arc::new(self.written().catalogue.clone()))
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.written().content.get(digest).map(|slice| slice.size))
    }

    async fn open(&self, digest: &Digest, offset: u64) -> Result<Option<ByteStream>> {
        let Some(slice) = self.written().content.get(digest).copied() else {
            return Ok(None);
        };
        let Some(file) = self.sink.lock().await.readable() else {
            let message = format!("what went to {} cannot be read again", self.label);
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        Ok(Some(
            stream_slice(file, slice.from(offset), self.label.clone()).boxed(),
        ))
    }

    fn takes(&self, root: &Manifest) -> Result<()> {
        match self.docker {
            true => docker::check_image(root, &self.label),
            false => Ok(()),
        }
    }

    async fn write_blob(&self, blob: &Descriptor, source: Arc<dyn BlobSource>) -> Result<Moved> {
        self.check_layer(blob)?;
        let mut turn = self.turn().await?;
        if self.written().content.contains_key(&blob.digest) {
            return Ok(Moved::Existed);
        }
        let bytes = source.open(0).await?;
        let (name, size) = (name_of(&blob.digest), blob.size);
        let (turn, slice) = blocking(move || {
            let slice = turn.0.begin(&name, size)?;
            Ok((turn, slice))
        })
        .await?;
        let mut turn = drain(turn, blob, bytes).await?;
        let turn = blocking(move || turn.0.end().map(|()| turn)).await?;
        self.written().content.insert(blob.digest, slice);
        drop(turn);
        Ok(Moved::Sent)
    }

    async fn write_manifest(
        &self,
        manifest: &RawManifest,
        parsed: &Manifest,
        tags: &[Tag],
    ) -> Result<()> {
        let image = match self.docker {
            true => Some(docker::Image::of(parsed, &self.label, name_of)?),
            false => None,
        };
        let descriptor = manifest.descriptor();
        let known = self.size(&manifest.digest).await?.is_some();
        if !known {
            self.write_blob(&descriptor, Arc::new(manifest.bytes.clone()))
                .await?;
        }
        let mut written = self.written();
        let children: Vec<Digest> = children_of(parsed).map(|child| child.digest).collect();
        written
            .catalogue
            .put(&descriptor, tags, &self.naming, &children);
        if let Some(image) = image {
            let names: BTreeSet<String> = match &self.naming {
                Naming::Docker(name) => docker::repo_tags(name, tags),
                Naming::Tag | Naming::Full(_) => BTreeSet::new(),
            };
            image.join(&mut written.images, names);
        }
        Ok(())
    }

    async fn seal(&self) -> Result<()> {
        let mut turn = self.turn().await?;
        let (index, images) = {
            let written = self.written();
            let images = match self.docker {
                true => Some(docker::render(&written.images)?),
                false => None,
            };
            (written.catalogue.render()?, images)
        };
        blocking(move || {
            if let Some(images) = images {
                turn.0.entry(docker::MANIFEST, &images)?;
            }
            turn.0.entry(INDEX, &index)?;
            turn.0.finish()
        })
        .await?;
        self.written().finished = true;
        Ok(())
    }
}

impl std::fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ArchiveWriter").field(&self.label).finish()
    }
}
