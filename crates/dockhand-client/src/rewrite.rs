//! Changes images: of an index all that are meant, each by the same edits.
//!
//! An [`Edit`] works on a [`Draft`]: one image manifest with its config. Digests are computed anew from
//! the bottom up. What is not touched stays byte for byte: other images of an index, fields that nobody
//! knows, layers, annotations. The media types stay of the family (Docker's or OCI's) that they were of.
//!
//! An attestation in an index says something about one image, by its digest. When that image is another
//! after the edit, the attestation is no longer true of anything, and is dropped from the index;
//! [`Rewritten::dropped`] names it.
//!
//! The result is a [`Store`]: what is new, and behind it what it was made from. [`copy`](crate::copy::copy)
//! brings it to where it belongs, and moves only what is not there.

mod append;
mod base;
mod changes;
mod document;
mod draft;
mod flatten;
mod index;
mod made;
mod merge;
mod node;
mod rebase;

use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, Platform, Reference};

pub use append::{Append, scratch};
pub use base::{Base, BaseCheck, BaseState, base_check, bases};
pub use changes::Changes;
pub use document::Document;
pub use draft::{Draft, Edit};
pub use flatten::Flatten;
pub(crate) use flatten::{FlatSink, Spooled};
pub use index::{Entry, IndexDraft, entries, entry_of};
pub use rebase::{BaseImages, Rebase};

use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result, Store};
use made::Made;
use node::Job;

/// An annotation to set, or to take away when there is no value.
pub type Setting = (String, Option<String>);

/// What to change beside the images.
#[derive(Clone, Debug, Default)]
pub struct RewriteOptions {
    /// Which images of an index are meant; all when empty.
    pub platforms: Vec<Platform>,
    /// Annotations of the index itself.
    pub index_annotations: Vec<Setting>,
}

/// An image that was edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrittenImage {
    /// What it runs on now.
    pub platform: Platform,
    /// The digest of its manifest before.
    pub before: Digest,
    /// The digest of its manifest now; the same when the edits changed nothing.
    pub after: Digest,
}

/// What the edits made.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// Where it is: what is new, and behind it the place that it was made from.
    pub store: Arc<dyn Store>,
    /// The manifest that stands for all of it.
    pub root: RawManifest,
    /// The digest of what it was made from; the same when the edits changed nothing.
    pub before: Digest,
    /// The images that were meant.
    pub images: Vec<RewrittenImage>,
    /// The attestations that are no longer true.
    pub dropped: Vec<Descriptor>,
}

impl Rewritten {
    /// What to ask [`store`](Self::store) for.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference::Digest(self.root.digest)
    }
}

/// Applies `edits`, in their order, to each image that is meant of what `what` names. Nothing is written
/// anywhere; [`copy`](crate::copy::copy) does that with the result.
///
/// # Errors
/// [`ErrorKind::NotFound`] when no image is for a platform that is meant, with those that there are;
/// what an edit fails with.
pub async fn rewrite(
    from: &Arc<dyn Store>,
    what: &Reference,
    edits: &[Arc<dyn Edit>],
    options: &RewriteOptions,
) -> Result<Rewritten> {
    let root = from.manifest(what).await?;
    let before = root.digest;
    let mut job = Job::new(Arc::clone(from), edits, options);
    let doing = || format!("edit {what} of {}", from.name());
    let changed = { job.root(root.clone()).await }.map_err(|error| error.doing(doing()))?;
    job.check_matched(what)
        .map_err(|error| error.doing(doing()))?;
    let (images, dropped, made) = job.done();
    Ok(Rewritten {
        store: Arc::new(made),
        root: changed.unwrap_or(root),
        before,
        images,
        dropped,
    })
}

/// Sets and takes away annotations.
fn annotate(document: &mut Document, settings: &[Setting]) -> Result<()> {
    if settings.is_empty() {
        return Ok(());
    }
    document.within("annotations", |annotations| {
        for (key, value) in settings {
            if key.is_empty() {
                let message = "an annotation has no name";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            match value {
                Some(value) => annotations.set(key, value)?,
                None => annotations.remove(key),
            }
        }
        Ok(())
    })
}
