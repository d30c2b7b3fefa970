//! Places by their names: `REF` or `docker://REF` of a registry.

use std::sync::Arc;

use dockhand_client::{Repository, Store};
use dockhand_oci::{Reference, Tag};

use crate::report::Failure;
use crate::session::{Session, Side};

/// A place, and what the text names in it.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The place.
    pub store: Arc<dyn Store>,
    /// The repository that it is, when it is one of a registry.
    pub repository: Option<Repository>,
    /// What is named in it, when something is.
    pub reference: Option<Reference>,
}

impl Opened {
    /// What is named, or the tag `latest`.
    pub(crate) fn reference(&self) -> Reference {
        let latest = || Reference::Tag(Tag::latest());
        self.reference.clone().unwrap_or_else(latest)
    }

    /// What it is called in messages and answers: `registry/team/app:1`, `oci:dir@sha256:…`.
    pub(crate) fn name_of(&self, reference: &Reference) -> String {
        match reference {
            Reference::Tag(tag) => format!("{}:{tag}", self.store.name()),
            Reference::Digest(digest) => format!("{}@{digest}", self.store.name()),
        }
    }
}

impl Session {
    /// Opens a place to read from or write to.
    pub(crate) async fn open(&self, text: &str) -> Result<Opened, Failure> {
        self.open_on(&Side::of(&self.flags.access), text).await
    }

    /// Opens a place on one side of a copy.
    pub(crate) async fn open_on(&self, side: &Side, text: &str) -> Result<Opened, Failure> {
        let image = self.image_ref(side, text)?;
        let client = self.client_of(side, &image.registry)?;
        let repository = client.repository(image.repository.clone());
        let named = image.tag.is_some() || image.digest.is_some();
        Ok(Opened {
            store: Arc::new(repository.clone()),
            repository: Some(repository),
            reference: named.then(|| image.reference()),
        })
    }
}
