//! The words of OCI registries: names, digests, manifests, endpoints, error codes. No I/O.

#[cfg(test)]
mod arbitrary;
mod descriptor;
mod digest;
mod endpoint;
mod error;
mod image_ref;
mod manifest;
mod media_type;
mod name;
mod page;
mod platform;
mod range;
mod reference;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError, Hasher, Mismatch, Verified};
pub use endpoint::{Endpoint, EndpointError, PATH_MAX, UploadId, UploadIdError};
pub use error::{ErrorBody, ErrorCode, ErrorInfo};
pub use image_ref::{ImageRef, ImageRefError};
pub use manifest::{
    DEPTH_MAX, LINKS_MAX, LinkKind, Manifest, ManifestError, ManifestKind, ManifestLink, VALUES_MAX,
};
pub use media_type::{MediaType, MediaTypeError};
pub use name::{NAME_MAX, NameError, RepoName, TAG_MAX, Tag, TagError};
pub use page::{Link, PageError, parse_n};
pub use platform::{Platform, PlatformError};
pub use range::{ByteRange, ContentRange, ContentRangeError};
pub use reference::{Reference, ReferenceError};
