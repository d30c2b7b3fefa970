//! The words of OCI registries: names, digests, manifests, endpoints, error codes. No I/O.
//!
//! A value of these types exists only when it follows the specification, so whoever holds one need
//! not look again. The server parses what the client prints, and both by the same code: what prints
//! reads back as the same value.
//!
//! # Glossary
//!
//! | Word | Type | What it is |
//! |---|---|---|
//! | repository | [`RepoName`] | where manifests, blobs and tags belong together: `library/debian` |
//! | blob | | any bytes, known by their digest: a layer, a config |
//! | digest | [`Digest`] | the hash of content, its only name that cannot lie; [`Hasher`] computes it, [`Verified`] proves it |
//! | manifest | [`Manifest`] | the document that says which blobs make an image or artifact; its bytes are never written again |
//! | index | [`ManifestKind::Index`] | a manifest that lists manifests, mostly one for each [`Platform`] |
//! | descriptor | [`Descriptor`] | how one piece of content names another: media type, digest, size |
//! | media type | [`MediaType`] | what kind of content it is: `application/vnd.oci.image.index.v1+json` |
//! | artifact | | an image manifest whose config is no image's: a chart, a signature, an SBOM |
//! | tag | [`Tag`] | a name in a repository that points to one manifest, and may be moved |
//! | reference | [`Reference`] | what a manifest is asked for by: tag or digest |
//! | image reference | [`ImageRef`] | what people write: registry, repository, then tag or digest |
//! | subject | [`Manifest::subject`] | the manifest that this one says something about |
//! | referrer | | a manifest whose subject is this one |
//! | upload | [`UploadId`] | a blob on its way in, maybe in chunks ([`ContentRange`]) |
//! | endpoint | [`Endpoint`] | a path of the API with the words in it |
//! | page | [`Link`], [`parse_n`] | a piece of a long list, and where the next one is |
//! | error code | [`ErrorCode`] | what a failed answer says to a program |
//!
//! # Example
//!
//! ```
//! use dockhand_oci::{Algorithm, Endpoint, Hasher, ImageRef, LinkKind, Manifest, MediaType};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What a person writes becomes what a registry is asked.
//! let image: ImageRef = "debian:12".parse()?;
//! assert_eq!(image.to_string(), "docker.io/library/debian:12");
//! let asked = Endpoint::Manifest(image.repository.clone(), image.reference());
//! assert_eq!(asked.to_string(), "/v2/library/debian/manifests/12");
//! assert_eq!(Endpoint::parse("/v2/library/debian/manifests/12")?, asked);
//!
//! // A manifest says what it needs.
//! let config = Algorithm::Sha256.digest(b"{}");
//! let bytes = format!(
//!     r#"{{"schemaVersion": 2, "mediaType": "{}", "layers": [], "config":
//!         {{"mediaType": "{}", "digest": "{config}", "size": 2}}}}"#,
//!     MediaType::OCI_MANIFEST,
//!     MediaType::OCI_CONFIG,
//! );
//! let manifest = Manifest::parse(None, bytes.as_bytes())?;
//! assert_eq!(manifest.links[0].kind, LinkKind::Config);
//!
//! // Bytes are proved to be what was named, in pieces, even across a restart.
//! let mut hasher = Hasher::new(Algorithm::Sha256);
//! hasher.update(b"{");
//! let mut hasher = Hasher::resume(&hasher.save()).ok_or("not a saved hash")?;
//! hasher.update(b"}");
//! let verified = hasher.verify(&manifest.links[0].descriptor.digest)?;
//! assert_eq!(verified.size(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Specifications: [distribution](https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
//! [image](https://github.com/opencontainers/image-spec/blob/main/spec.md).

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

pub use descriptor::{DataError, Descriptor};
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
