//! The files of an artifact, written where they belong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, LinkKind, Manifest, ManifestKind, MediaType, Reference};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{LANES, TITLE, folder, paths};
use crate::store::{RawManifest, Store};
use crate::{Error, ErrorKind, Event, Moved, Observer, Result, download};

/// The most subjects that lead from one to the next. Nobody goes beyond three.
const SUBJECTS_MAX: usize = 32;

/// How to pull an artifact.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullOptions {
    /// Whether a file that is there already is an error instead of being replaced.
    pub keep_old: bool,
    /// Whether the files of the artifact's subject come too, and those of its subject in turn.
    pub include_subject: bool,
}

/// The files and folders to write, each once.
#[derive(Default)]
struct Wanted {
    files: BTreeMap<PathBuf, Descriptor>,
    /// With the names that they have in their tar files.
    folders: BTreeMap<PathBuf, (Descriptor, String)>,
    /// How many blobs have no title.
    untitled: usize,
}

/// Writes the files of the artifact that `what` names below `folder`, each under its title, and unpacks
/// what was pushed as a folder. Content without a title is left out, of which `observer` is told.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when a title leads out of `folder`, before anything is written;
/// [`ErrorKind::Conflict`] when a file is there that is to be kept, or a folder that is not empty; and what
/// keeps a file from being read or written.
pub async fn pull(
    store: &Arc<dyn Store>,
    what: &Reference,
    folder: &Path,
    options: PullOptions,
    observer: &dyn Observer,
) -> Result<Vec<PathBuf>> {
    let wanted = wanted(store, store.manifest(what).await?, folder, options).await?;
    if wanted.untitled > 0 {
        let blobs = match wanted.untitled {
            1 => "one blob of the artifact has no file name and is".to_owned(),
            many => format!("{many} blobs of the artifact have no file names and are"),
        };
        observer.event(&Event::Warning {
            host: store.named(what),
            text: format!("{blobs} left out; `blob get` reads them by digest"),
        });
    }
    let all: BTreeSet<PathBuf> = { wanted.files.keys() }
        .chain(wanted.folders.keys())
        .cloned()
        .collect();
    // `x.part` is where `x` grows, so that a file of this name has to wait.
    let grows = |path: &Path| {
        let name = path.as_os_str().as_encoded_bytes();
        let before = name
            .strip_suffix(b".part")
            .and_then(|name| std::str::from_utf8(name).ok());
        before.is_some_and(|before| wanted.files.contains_key(Path::new(before)))
    };
    let files = wanted.files.iter();
    let (late, soon): (Vec<_>, Vec<_>) = files.partition(|(path, _)| grows(path));
    for (files, lanes) in [(soon, LANES), (late, 1)] {
        let fetched = stream::iter(files).map(|(path, blob)| async move {
            paths::make_parents(folder, path).await?;
            download(store, blob, path, observer).await
        });
        fetched.buffered(lanes).try_collect::<Vec<()>>().await?;
    }
    for (path, (blob, name)) in &wanted.folders {
        paths::make_parents(folder, path).await?;
        observer.event(&Event::Started(blob.clone()));
        folder::unpack(&**store, blob, name, path).await?;
        observer.event(&Event::Done(blob.clone(), Moved::Sent));
    }
    Ok(all.into_iter().collect())
}

/// Finds out what there is to write, and that it can be.
async fn wanted(
    store: &Arc<dyn Store>,
    root: RawManifest,
    folder: &Path,
    options: PullOptions,
) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    let mut manifest = root;
    loop {
        let parsed = manifest.parse()?;
        if parsed.kind == ManifestKind::Index && seen.is_empty() {
            let message = format!(
                "{} is an index and not an artifact with files",
                manifest.digest
            );
            let hint = "name one of its manifests by digest";
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint));
        }
        seen.insert(manifest.digest);
        wanted.add(&parsed, folder, options)?;
        let subject = parsed.subject.filter(|subject| {
            options.include_subject && !seen.contains(&subject.digest) && seen.len() < SUBJECTS_MAX
        });
        let Some(subject) = subject else { break };
        let reference = Reference::Digest(subject.digest);
        manifest = store.manifest(&reference).await?;
    }
    for inner in wanted.folders.keys() {
        let mut all = wanted.files.keys().chain(wanted.folders.keys());
        if let Some(path) = all.find(|path| *path != inner && path.starts_with(inner)) {
            let message = format!(
                "the artifact has {}, and {} besides, which lies in it",
                inner.display(),
                path.display()
            );
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
    }
    Ok(wanted)
}

impl Wanted {
    /// Adds the files of a manifest.
    fn add(&mut self, manifest: &Manifest, folder: &Path, options: PullOptions) -> Result<()> {
        for link in &manifest.links {
            let blob = &link.descriptor;
            if link.kind != LinkKind::Layer {
                continue;
            }
            let Some(title) = blob.annotations.get(TITLE) else {
                // What stands for no content is none.
                self.untitled += usize::from(blob.media_type != MediaType::OCI_EMPTY);
                continue;
            };
            let path = paths::inside(folder, title)?;
            let as_folder = folder::is_packed(blob);
            let occupied = match (options.keep_old, as_folder) {
                (true, _) => path.symlink_metadata().is_ok(),
                (false, true) => !paths::is_free(&path)?,
                (false, false) => false,
            };
            if occupied {
                let message = format!("{} is there already", path.display());
                let error = Error::new(ErrorKind::Conflict, message);
                return Err(error.with_hint("take it away, or pull into another folder with --to"));
            }
            let twice = self.files.contains_key(&path) || self.folders.contains_key(&path);
            if twice {
                let message = format!("the artifact has two files called {title:?}");
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            match as_folder {
                true => {
                    self.folders.insert(path, (blob.clone(), title.clone()));
                }
                false => {
                    self.files.insert(path, blob.clone());
                }
            }
        }
        Ok(())
    }
}
