//! Who else plays: an observer that remembers, a store of credentials, an image.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dockhand_client::{
    Auth, Credential, CredentialSource, Event, Observer, RawManifest, Repository, Result, Store,
    read_small,
};
use dockhand_oci::{Descriptor, MediaType, Reference, RepoName};

use crate::registry::{blob, bytes};

/// Remembers the events that matter here.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Vec<Event>>);

impl Watch {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// The waits before retries.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        let wait = |event: Event| match event {
            Event::Retried { wait, .. } => Some(wait),
            _ => None,
        };
        self.events().into_iter().filter_map(wait).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |event: Event| match event {
            Event::Warning { text, .. } => Some(text),
            _ => None,
        };
        self.events().into_iter().filter_map(warning).collect()
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A store with one credential, which counts how often it is asked.
#[derive(Debug)]
pub(crate) struct Stored {
    credential: Option<Credential>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Stored {
    pub(crate) fn new(credential: Credential) -> Arc<Self> {
        Arc::new(Self {
            credential: Some(credential),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn basic(user: &str, password: &str) -> Auth {
        Auth::Challenge(Self::new(Credential::Basic(user.into(), password.into())))
    }

    pub(crate) fn identity(token: &str) -> Auth {
        Auth::Challenge(Self::new(Credential::Identity(token.into())))
    }
}

#[async_trait]
impl CredentialSource for Stored {
    async fn credential(&self, host: &str, _: Option<&RepoName>) -> Result<Option<Credential>> {
        self.asked.lock().unwrap().push(host.to_owned());
        Ok(self.credential.clone())
    }
}

/// A manifest of a layer, with both.
pub(crate) fn small_image() -> (RawManifest, Descriptor, Bytes) {
    let (layer, content) = layer(1, 40_000);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": layer, "layers": [layer],
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    (manifest, layer, content)
}

pub(crate) fn layer(seed: u64, length: usize) -> (Descriptor, Bytes) {
    blob(MediaType::OCI_LAYER, bytes(seed, length))
}

pub(crate) fn tagged(tag: &str) -> Reference {
    Reference::Tag(tag.parse().unwrap())
}

/// The whole blob, verified.
pub(crate) async fn fetch(repository: &Repository, blob: &Descriptor) -> Result<Bytes> {
    read_small(repository, blob, u64::MAX).await
}

/// Sends it, not from elsewhere.
pub(crate) async fn send(repository: &Repository, blob: &Descriptor, bytes: &Bytes) -> Result<()> {
    let source = Arc::new(bytes.clone());
    repository.put_blob(blob, source, None).await.map(drop)
}
