//! Artifacts: files in a registry, as an image manifest whose artifact type says what they are.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>

mod folder;
mod paths;
mod pull;
mod signatures;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dockhand_oci::{Algorithm, Descriptor, Hasher, MediaType, Tag};
use futures_util::StreamExt;
use futures_util::stream::{self, TryStreamExt};
use serde_json::{Value, json};
use tokio::task;

pub use pull::{PullOptions, pull};
pub use signatures::{Signature, Signer, signatures};
pub use tree::{Node, discover};

use crate::store::{RawManifest, Store};
use crate::{BlobSource, Error, ErrorKind, Event, FileSource, Observer, Result};

/// The annotation that has the name of a file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The annotation that has the time at which it was made.
const CREATED: &str = "org.opencontainers.image.created";
/// The media type of a file for which none was given.
pub const FILE_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// How many files move at once.
const LANES: usize = 8;

/// A file to put into an artifact, or a folder, which is packed.
#[derive(Clone, Debug)]
pub struct ArtifactFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is. A folder for which nothing but [`FILE_TYPE`] is said is a layer compressed by gzip.
    pub media_type: String,
    /// What it is called in the artifact: a relative path. When not said its path as it was written, or its
    /// name alone where that path makes no sense elsewhere.
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
    /// [`ErrorKind::Invalid`] when there is neither a type nor a config, or two files have one title;
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
        let titles = self.titles()?;
        let config = match &self.config {
            Some(file) => push_file(store, file, None, observer).await?,
            None => push_empty(store).await?,
        };
        let files = self.files.iter().zip(titles);
        let pushed = stream::iter(files).map(|(file, title)| async move {
            match file.path.is_dir() {
                true => push_folder(store, file, title, observer).await,
                false => push_file(store, file, Some(title), observer).await,
            }
        });
        let mut layers: Vec<Descriptor> = pushed.buffered(LANES).try_collect().await?;
        if layers.is_empty() {
            layers.push(push_empty(store).await?);
        }
        let manifest = self.manifest(&config, &layers);
        store.put_manifest(&manifest, tags).await?;
        Ok(manifest)
    }

    /// What the files are called, each in its own place: else nobody could pull them.
    fn titles(&self) -> Result<Vec<String>> {
        let mut titles = Vec::new();
        let mut places: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for file in &self.files {
            let title = match &file.title {
                Some(title) => title.clone(),
                None => paths::title(&file.path)?,
            };
            let place = paths::inside(Path::new(""), &title)?;
            let folder = file.path.is_dir();
            let taken = { places.iter() }.any(|(other, is_folder)| {
                *other == place
                    || (*is_folder && place.starts_with(other))
                    || (folder && other.starts_with(&place))
            });
            if taken {
                let message = format!("two files would be called {title:?}, or lie in it");
                let hint = "name each file once, and none of a folder that is named too";
                return Err(Error::new(ErrorKind::Invalid, message).with_hint(hint));
            }
            places.insert(place, folder);
            titles.push(title);
        }
        Ok(titles)
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

/// Puts a folder as one file, which is unpacked where it is pulled.
async fn push_folder(
    store: &Arc<dyn Store>,
    file: &ArtifactFile,
    title: String,
    observer: &dyn Observer,
) -> Result<Descriptor> {
    let media_type = match file.media_type.as_str() {
        FILE_TYPE => MediaType::OCI_LAYER_GZIP.to_owned(),
        said => said.to_owned(),
    };
    let (path, name) = (file.path.clone(), title.clone());
    let packed = task::spawn_blocking(move || folder::pack(&path, &name, &media_type)).await;
    let packed = packed.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
    let (mut blob, source) = packed?;
    observer.event(&Event::Started(blob.clone()));
    let moved = store.put_blob(&blob, Arc::new(source), None).await?;
    observer.event(&Event::Done(blob.clone(), moved));
    blob.annotations.insert(TITLE.to_owned(), title);
    Ok(blob)
}
