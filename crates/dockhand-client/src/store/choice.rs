//! What is meant where a place has several images, and what a path has.

use std::collections::BTreeSet;
use std::path::Path;

use dockhand_oci::{ImageRef, Reference, Tag};

use super::shelf::Shelf;
use super::staged::{blocking, plain_size};
use super::{dir, layout};
use crate::{Error, ErrorKind, Result};

/// The image of this whole name.
pub(crate) async fn named(shelf: &dyn Shelf, image: &ImageRef) -> Result<Reference> {
    let catalogue = shelf.catalogue().await?;
    if let Some(found) = catalogue.find_image(image) {
        return Ok(Reference::Digest(found.digest));
    }
    let message = format!(
        "there is no image {} in {}",
        image.familiar(),
        shelf.label()
    );
    let error = Error::new(ErrorKind::NotFound, message);
    Err(match catalogue.names() {
        names if names.is_empty() => error,
        names => error.with_hint(format!("it has {names}")),
    })
}

/// The image of a place that has one, which comes first: the others are those that it lists.
pub(crate) async fn first(shelf: &dyn Shelf) -> Result<Reference> {
    match shelf.catalogue().await?.manifests.first() {
        Some(first) => Ok(Reference::Digest(first.digest)),
        None => sole(shelf).await,
    }
}

/// The only image, or that which is called `latest` among several.
pub(crate) async fn sole(shelf: &dyn Shelf) -> Result<Reference> {
    let catalogue = shelf.catalogue().await?;
    let named = catalogue
        .manifests
        .iter()
        .filter(|entry| catalogue.is_named(entry));
    let named: BTreeSet<_> = named.map(|entry| entry.digest).collect();
    let all: BTreeSet<_> = catalogue
        .manifests
        .iter()
        .map(|entry| entry.digest)
        .collect();
    // What has no name beside what has one is what others refer to, or was left behind.
    let candidates = if named.is_empty() { &all } else { &named };
    if let (1, Some(only)) = (candidates.len(), candidates.first()) {
        return Ok(Reference::Digest(*only));
    }
    let label = shelf.label();
    if candidates.is_empty() {
        let message = format!("there is no image in {label}");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    if let Ok(Some(latest)) = catalogue.find(&Tag::latest(), &label) {
        return Ok(Reference::Digest(latest.digest));
    }
    let message = format!("{label} has {} images", candidates.len());
    let hint = match catalogue.names() {
        names if names.is_empty() => "name one by its digest, `@sha256:…`".to_owned(),
        names => format!("name one of {names}"),
    };
    Err(Error::new(ErrorKind::Conflict, message).with_hint(hint))
}

/// What a path has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A folder that is an OCI layout.
    Layout,
    /// A folder in skopeo's form.
    Directory,
    /// A file.
    Archive,
}

/// Looks at what is at `path`.
pub(crate) async fn form_of(path: &Path) -> Result<Form> {
    let path = path.to_owned();
    blocking(move || {
        let found = std::fs::metadata(&path).map_err(|error| Error::io(&path, error))?;
        if !found.is_dir() {
            return Ok(Form::Archive);
        }
        if layout::is_layout(&path)? {
            return Ok(Form::Layout);
        }
        if plain_size(&path.join(dir::MANIFEST))?.is_some() {
            return Ok(Form::Directory);
        }
        let message = format!(
            "{} has no image: neither index.json nor manifest.json is in it",
            path.display()
        );
        Err(Error::new(ErrorKind::NotFound, message))
    })
    .await
}
