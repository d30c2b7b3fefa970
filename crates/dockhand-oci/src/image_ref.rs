//! Image references as people write them: `debian`, `ghcr.io/team/app:1.2`, `host:5000/a@sha256:…`.
//!
//! The defaults are Docker's: <https://github.com/distribution/reference>

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::{Digest, DigestError, NameError, Reference, RepoName, Tag, TagError};

/// The registry that is meant when none is named.
const DOCKER_HUB: &str = "docker.io";
/// Its other name, from before the second version of the API.
const DOCKER_HUB_OLD: &str = "index.docker.io";
/// The host that answers for it.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// Where Docker Hub keeps repositories of one part.
const OFFICIAL: &str = "library/";

/// Where an image is and which one is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// The registry: a host, maybe with a port. `docker.io` for Docker Hub.
    pub registry: String,
    /// The repository in it.
    pub repository: RepoName,
    /// The tag, when one is named.
    pub tag: Option<Tag>,
    /// The digest, when one is named; it counts more than the tag.
    pub digest: Option<Digest>,
}

impl ImageRef {
    /// The host, and port when one is named, to ask for this image.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.registry == DOCKER_HUB {
            DOCKER_HUB_HOST
        } else {
            &self.registry
        }
    }

    /// The tag, or `latest` when neither tag nor digest is named.
    #[must_use]
    pub fn tag_or_latest(&self) -> Option<Tag> {
        match (&self.tag, &self.digest) {
            (None, None) => Some(Tag::latest()),
            (tag, _) => tag.clone(),
        }
    }

    /// What to ask the registry for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(*digest),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => Reference::Tag(Tag::latest()),
        }
    }

    /// The shortest text that means the same: `debian:12` for `docker.io/library/debian:12`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let name = self.repository.as_str();
        let short = match name.strip_prefix(OFFICIAL) {
            Some(official) if !official.contains('/') => official,
            _ => name,
        };
        // `docker.io/my.team/app` stays long, as `my.team` alone would be a host.
        let head = if self.registry == DOCKER_HUB && split_registry(short).0.is_none() {
            short.to_owned()
        } else {
            format!("{}/{name}", self.registry)
        };
        format!("{head}{}", Suffix(self))
    }
}

/// `:tag` and `@digest`, as far as they are there.
struct Suffix<'a>(&'a ImageRef);

impl fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.0.tag {
            write!(f, ":{tag}")?;
        }
        match &self.0.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ImageRef {
    /// In full, nothing left out but a tag that was not named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, Suffix(self))
    }
}

/// Why a text is no image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// It begins like a web address.
    #[error("an image reference has no `scheme://` in front; begin with the host")]
    Scheme,
    /// The registry is no host with an optional port.
    #[error("the registry of an image reference is a host with an optional port, `host:5000`")]
    Registry,
    /// The repository is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The tag is not one.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The digest is not one.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        if text.contains("://") {
            return Err(ImageRefError::Scheme);
        }
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (path, tag) = match text.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.parse()?)),
            _ => (text, None),
        };
        let (registry, name) = split_registry(path);
        let registry = registry.unwrap_or(DOCKER_HUB);
        if !is_host(registry) {
            return Err(ImageRefError::Registry);
        }
        let hub = registry == DOCKER_HUB || registry == DOCKER_HUB_OLD;
        let repository = if hub && !name.contains('/') {
            // The name alone first, so that an empty one is called empty.
            let name: RepoName = name.parse()?;
            format!("{OFFICIAL}{name}").parse()?
        } else {
            name.parse()?
        };
        let registry = if hub { DOCKER_HUB } else { registry }.to_owned();
        Ok(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }
}

/// Takes the registry off: what stands before the first slash, when it looks like a host and not like
/// a part of a name.
fn split_registry(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((first, name)) if looks_like_host(first) => (Some(first), name),
        _ => (None, path),
    }
}

fn looks_like_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':', '['])
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// A DNS name, an IPv4 address or an IPv6 address in brackets, then maybe a port.
fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        // The last colon of a bare `[::1]` is inside the brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let port_fits = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    port_fits
        && match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.split('.').all(label),
        }
}

#[cfg(test)]
mod tests;
