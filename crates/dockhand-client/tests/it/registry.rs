//! A registry of our own in this process, on a free port, gone with the test.

use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::{Client, Connection, RawManifest, Repository, Store};
use dockhand_oci::{Algorithm, Descriptor, MediaType, Tag};
use dockhand_server::config::{self, Overrides};
use dockhand_server::{Server, Setup};
use tokio::sync::oneshot;

/// A server that runs until it is dropped.
pub(crate) struct Registry {
    pub(crate) address: String,
    _stop: oneshot::Sender<()>,
}

impl Registry {
    /// Starts one that keeps everything in memory.
    pub(crate) async fn start() -> Self {
        let overrides = Overrides {
            listen: Some("127.0.0.1:0".to_owned()),
            access_log: Some(false),
            ..Overrides::default()
        };
        let loaded = config::load(None, [], &overrides).unwrap();
        let mut setup = Setup::of(&loaded.config);
        setup.data = None;
        setup.settings.delete = true;
        let server = Server::start(setup).await.unwrap();
        let address = server.address().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async move { drop(stopped.await) }));
        Self {
            address,
            _stop: stop,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Connection::to(&self.address).unwrap()).unwrap()
    }

    pub(crate) fn repository(&self, name: &str) -> Repository {
        self.client().repository(name.parse().unwrap())
    }
}

/// A blob and its descriptor.
pub(crate) fn blob(media_type: &str, bytes: impl Into<Bytes>) -> (Descriptor, Bytes) {
    let bytes = bytes.into();
    let digest = Algorithm::Sha256.digest(&bytes);
    (
        Descriptor::new(media_type, digest, bytes.len() as u64),
        bytes,
    )
}

/// Bytes that no other `seed` has, cheap to make.
pub(crate) fn bytes(seed: u64, length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes.into()
}

/// Pushes an image with these layers for a platform, and returns its manifest.
pub(crate) async fn image(store: &dyn Store, layers: &[Bytes], tags: &[&str]) -> RawManifest {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let (config, config_bytes) = blob(MediaType::OCI_CONFIG, config.to_string());
    store
        .put_blob(&config, Arc::new(config_bytes), None)
        .await
        .unwrap();
    let mut described = Vec::new();
    for layer in layers {
        let (layer, bytes) = blob(MediaType::OCI_LAYER, layer.clone());
        store.put_blob(&layer, Arc::new(bytes), None).await.unwrap();
        described.push(layer);
    }
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": config, "layers": described,
    });
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    store.put_manifest(&manifest, &tags).await.unwrap();
    manifest
}
