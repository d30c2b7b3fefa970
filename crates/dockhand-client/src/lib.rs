//! A client for every OCI registry.

mod auth;
mod base_url;
mod client;
mod connection;
pub mod copy;
pub mod credentials;
mod error;
mod http;
mod observer;
mod paging;
mod repository;
mod source;
mod store;
mod verify;

pub use base_url::BaseUrl;
pub use client::{Client, Extension, Ping};
pub use connection::{
    Auth, Connection, Credential, CredentialSource, ProxySettings, Retries, Timeouts, TlsSettings,
    TokenSigner,
};
pub use error::{Error, ErrorKind, Result};
pub use observer::{Event, Moved, Observer, Unobserved};
pub use paging::Page;
pub use repository::{Deleted, Filter, Repository, Upload};
pub use source::{BlobSource, ByteStream, FileSource};
pub use store::{MANIFEST_MAX, Origin, RawManifest, Store, StoreBlob, read_small, read_verified};
