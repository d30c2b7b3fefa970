//! A client for every OCI registry: list, inspect, pull, push, copy, delete.
//!
//! A [`Connection`] says how to reach a registry, a [`Client`] speaks to it, a [`Repository`] holds tags,
//! manifests and blobs. A repository is one kind of [`Store`]: layouts, archives and memory are others, and
//! [`copy::copy`] moves images between any two of them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use dockhand_client::copy::{CopyOptions, copy};
//! use dockhand_client::{Client, Connection, RawManifest, Store};
//! use dockhand_oci::{Algorithm, Descriptor, MediaType, Reference, Tag};
//!
//! # async fn registry() -> Result<String, Box<dyn std::error::Error>> {
//! #     use dockhand_server::{Server, Setup, config};
//! #     let listen = Some("127.0.0.1:0".to_owned());
//! #     let loaded = config::load(None, [], &config::Overrides { listen, ..Default::default() })?;
//! #     let server = Server::start(Setup { data: None, ..Setup::of(&loaded.config) }).await?;
//! #     let address = server.address()?.to_string();
//! #     tokio::spawn(server.run(std::future::pending()));
//! #     Ok(address)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let address = registry().await?;
//! // `address` is "localhost:5000", "ghcr.io", "https://registry.example/sub/path" ...
//! let client = Client::new(Connection::to(&address)?)?;
//! let app = client.repository("team/app".parse()?);
//!
//! // A blob is sent once, in one piece, and hashed on both sides.
//! let config = bytes::Bytes::from_static(b"{}");
//! let blob = Descriptor::new(MediaType::OCI_EMPTY, Algorithm::Sha256.digest(&config), 2);
//! app.put_blob(&blob, Arc::new(config), None).await?;
//!
//! // A manifest keeps its bytes, so that its digest stays what it is.
//! let manifest = serde_json::json!({
//!     "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": blob, "layers": [],
//! });
//! let manifest = RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string());
//! let tag: Tag = "1.0".parse()?;
//! app.put_manifest(&manifest, &[tag.clone()]).await?;
//!
//! // Within a registry a copy moves no byte: blobs are mounted.
//! let from: Arc<dyn Store> = Arc::new(app);
//! let to: Arc<dyn Store> = Arc::new(client.repository("mirror/app".parse()?));
//! let what = Reference::Tag(tag.clone());
//! let copied = copy(&from, &what, &to, &[tag], &CopyOptions::default()).await?;
//! assert_eq!(copied.descriptor.digest, manifest.digest);
//! assert_eq!((copied.mounted, copied.bytes_sent), (1, 0));
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here panics, blocks a thread of the runtime or waits without end: every request has its
//! timeouts, is tried again when that may help ([`Retries`]), and ends in an [`Error`] that says what was
//! tried, where, what the registry said and what helps. To drop a future is to stop its work. Credentials
//! go to the registry that they are for and to the token service that it names, and nowhere else.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

pub mod artifact;
mod auth;
mod base_url;
mod capabilities;
mod client;
mod connection;
pub mod connections;
pub mod copy;
pub mod credentials;
pub mod diff;
mod download;
mod error;
pub mod filesystem;
mod http;
pub mod image;
pub mod layers;
mod observer;
mod paging;
mod place;
mod repository;
pub mod rewrite;
pub mod sizes;
mod source;
mod store;
pub mod sync;
mod validate;
mod verify;

pub use base_url::BaseUrl;
pub use capabilities::Capabilities;
pub use client::{Client, Extension, Ping};
pub use connection::{
    Auth, Connection, Credential, CredentialSource, ProxySettings, RATE_MIN, Retries, Timeouts,
    TlsSettings, TokenSigner,
};
pub use connections::{Connections, Driver, Settings};
pub use download::download;
pub use error::{Error, ErrorKind, Result};
pub use observer::{Event, Moved, Observer, Unobserved};
pub use paging::Page;
pub use place::{Place, Registries, Selection};
pub use repository::{Deleted, Filter, Repository, Upload};
pub use source::{BlobSource, ByteStream, FileSource};
pub use store::{
    Archive, ArchiveWriter, Directory, Entry, Layout, MANIFEST_MAX, Memory, Origin, Pruned,
    RawManifest, Store, StoreBlob, read_small, read_verified,
};
pub use validate::{Problem, Validation, validate};
