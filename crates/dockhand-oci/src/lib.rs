//! The words of OCI registries: names, digests, manifests, endpoints, error codes. No I/O.

mod digest;
mod endpoint;
mod error;
mod name;
mod reference;

pub use digest::{Algorithm, Digest, DigestError, Hasher, Mismatch, Verified};
pub use endpoint::{Endpoint, EndpointError, PATH_MAX, UploadId, UploadIdError};
pub use error::{ErrorBody, ErrorCode, ErrorInfo};
pub use name::{NAME_MAX, NameError, RepoName, TAG_MAX, Tag, TagError};
pub use reference::{Reference, ReferenceError};
