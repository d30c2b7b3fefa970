//! Artifacts: files in a registry, as an image manifest whose artifact type says what they are.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>

mod paths;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dockhand_oci::{
    Algorithm, Descriptor, Hasher, LinkKind, ManifestKind, MediaType, Reference, Tag,
};
use futures_util::StreamExt;
use futures_util::stream::{self, TryStreamExt};
use serde_json::{Value, json};

pub use tree::{Node, discover};

use crate::store::{RawManifest, Store};
use crate::{BlobSource, Error, ErrorKind, Event, FileSource, Observer, Result, download};

/// The annotation that has the name of a file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The annotation that has the time at which it was made.
const CREATED: &str = "org.opencontainers.image.created";
/// The media type of a file for which none was given.
pub const FILE_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// How many files move at once.
const LANES: usize = 8;

/// A file to put into an artifact.
#[derive(Clone, Debug)]
pub struct ArtifactFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub media_type: String,
    /// What it is called in the artifact: a relative path. As it was written when not said.
    pub title: Option<String>,
}

/// An artifact to be made.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// What it is: `application/vnd.example.sbom.v1`. May be left out when there is a config.
    pub artifact_type: Option<String>,
    /// Its files.
    pub files: Vec<ArtifactFile>,
    /// A file as its config; the empty object when there is none.
    pub config: Option<ArtifactFile>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The manifest that it says something about.
    pub subject: Option<Descriptor>,
}

impl Artifact {
    /// Puts the files and the manifest that names them to `store`, where `tags` name it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is neither a type nor a config, or a title is no relative path;
    /// [`ErrorKind::NotFound`] when a file is not there; and what keeps the store from taking it.
    pub async fn push(
        &self,
        store: &Arc<dyn Store>,
        tags: &[Tag],
        observer: &dyn Observer,
    ) -> Result<RawManifest> {
        if self.artifact_type.is_none() && self.config.is_none() {
            let message = "an artifact needs a type, or a config whose media type is its type";
            let hint = "say --artifact-type application/vnd.example.thing.v1";
            return Err(Error::new(ErrorKind::Invalid, message).with_hint(hint));
        }
        let config = match &self.config {
            Some(file) => push_file(store, file, None, observer).await?,
            None => push_empty(store).await?,
        };
        let pushed = stream::iter(&self.files).map(|file| async move {
            let title = match &file.title {
                Some(title) => title.clone(),
                None => paths::title(&file.path)?,
            };
            push_file(store, file, Some(title), observer).await
        });
        let mut layers: Vec<Descriptor> = pushed.buffered(LANES).try_collect().await?;
        if layers.is_empty() {
            layers.push(push_empty(store).await?);
        }
        let manifest = self.manifest(&config, &layers);
        store.put_manifest(&manifest, tags).await?;
        Ok(manifest)
    }

    fn manifest(&self, config: &Descriptor, layers: &[Descriptor]) -> RawManifest {
        let mut annotations = self.annotations.clone();
        let now = || {
            jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
        };
        annotations.entry(CREATED.to_owned()).or_insert_with(now);
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": annotations,
        });
        if let Some(artifact_type) = &self.artifact_type {
            document["artifactType"] = Value::from(artifact_type.as_str());
        }
        if let Some(subject) = &self.subject {
            document["subject"] = json!({
                "mediaType": subject.media_type,
                "digest": subject.digest,
                "size": subject.size,
            });
        }
        RawManifest::new(MediaType::OCI_MANIFEST, document.to_string())
    }
}

/// Puts the empty object.
///
/// <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor>
async fn push_empty(store: &Arc<dyn Store>) -> Result<Descriptor> {
    let bytes = Bytes::from_static(b"{}");
    let digest = Algorithm::Sha256.digest(&bytes);
    let mut empty = Descriptor::new(MediaType::OCI_EMPTY, digest, 2);
    store.put_blob(&empty, Arc::new(bytes), None).await?;
    empty.data = Some("e30=".to_owned());
    Ok(empty)
}

async fn push_file(
    store: &Arc<dyn Store>,
    file: &ArtifactFile,
    title: Option<String>,
    observer: &dyn Observer,
) -> Result<Descriptor> {
    let source = Arc::new(FileSource::new(&file.path));
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut stream = source.open(0).await?;
    while let Some(chunk) = stream.next().await {
        hasher.update(&chunk?);
    }
    let size = hasher.length();
    let mut blob = Descriptor::new(file.media_type.as_str(), hasher.finish(), size);
    observer.event(&Event::Started(blob.clone()));
    let moved = store.put_blob(&blob, source, None).await?;
    observer.event(&Event::Done(blob.clone(), moved));
    blob.annotations
        .extend(title.map(|title| (TITLE.to_owned(), title)));
    Ok(blob)
}

/// How to pull an artifact.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullOptions {
    /// Whether a file that is there already is an error instead of being replaced.
    pub keep_old: bool,
}

/// Writes the files of the artifact that `what` names below `folder`, each under its title. Content
/// without a title is passed over.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when a title leads out of `folder`, before anything is written;
/// [`ErrorKind::Conflict`] when a file is there that is to be kept; and what keeps a file from being
/// read or written.
pub async fn pull(
    store: &Arc<dyn Store>,
    what: &Reference,
    folder: &Path,
    options: PullOptions,
    observer: &dyn Observer,
) -> Result<Vec<PathBuf>> {
    let manifest = store.manifest(what).await?;
    let parsed = manifest.parse()?;
    if parsed.kind == ManifestKind::Index {
        let message = format!(
            "{} is an index and not an artifact with files",
            manifest.digest
        );
        let hint = "name one of its manifests by digest";
        return Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint));
    }
    let mut files: BTreeMap<PathBuf, Descriptor> = BTreeMap::new();
    for link in parsed.links {
        let Some(title) = link.descriptor.annotations.get(TITLE) else {
            continue;
        };
        if link.kind != LinkKind::Layer {
            continue;
        }
        let path = paths::inside(folder, title)?;
        if options.keep_old && path.symlink_metadata().is_ok() {
            let message = format!("{} is there already", path.display());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if files.insert(path, link.descriptor.clone()).is_some() {
            let message = format!("the artifact has two files called {title:?}");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
    }
    let fetched = stream::iter(files).map(|(path, blob)| async move {
        paths::make_parents(folder, &path).await?;
        download(store, &blob, &path, observer).await?;
        Ok(path)
    });
    fetched.buffered(LANES).try_collect().await
}
