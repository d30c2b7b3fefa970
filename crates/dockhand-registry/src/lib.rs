//! What a registry does, on any store, without HTTP.
//!
//! [`Registry`] has one method per thing that a client may ask for. Bytes go to a
//! [`BlobStore`], everything else to the [`Metadata`](metadata::Metadata), whose commit is the only
//! moment at which anything becomes visible.

mod adoptions;
pub mod blob_store;
mod blobs;
mod error;
pub mod folder;
mod ingest;
pub mod layout;
mod lists;
mod manifests;
pub mod metadata;
mod presence;
mod readiness;
mod registry;
mod sessions;
mod settle;
mod sweep;
mod uploads;
mod usage;

pub use blob_store::{BlobKey, BlobStore, BlobStream, StageWriter, Staged, StoreError};
pub use blobs::Blob;
pub use error::{Answer, Error};
pub use ingest::{Body, BodyError};
pub use lists::{Listing, Paging};
pub use manifests::{Push, Pushed, StoredManifest};
pub use metadata::{Precondition, Referrer, Room, TagEvent, UploadEntry, UploadTotals};
pub use presence::{Gone, Presence};
pub use readiness::NotReady;
pub use registry::{Registry, Settings};
pub use uploads::{Chunk, UploadStatus};
pub use usage::{Contents, Space};
