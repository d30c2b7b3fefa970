//! Every path of the administration, once.

use std::fmt;

use dockhand_oci::UploadId;

/// What all paths of the administration begin with. Within a version, only what old clients can ignore is
/// added.
pub const PREFIX: &str = "/api/v1";

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/uploads`: the uploads that are open.
    Uploads,
    /// `/uploads/<id>`: one of them.
    Upload(UploadId),
}

impl Resource {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?.strip_prefix('/')?;
        match rest.split_once('/') {
            None if rest == "uploads" => Some(Self::Uploads),
            Some(("uploads", id)) => id.parse().ok().map(Self::Upload),
            _ => None,
        }
    }

    /// Its `Allow`.
    pub(super) const fn allowed(self) -> &'static str {
        match self {
            Self::Uploads => "GET, HEAD",
            Self::Upload(_) => "DELETE",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uploads => write!(f, "{PREFIX}/uploads"),
            Self::Upload(id) => write!(f, "{PREFIX}/uploads/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        for resource in [
            Resource::Uploads,
            Resource::Upload(UploadId::from_random(7)),
        ] {
            assert_eq!(Resource::parse(&resource.to_string()), Some(resource));
        }
        for path in [
            "",
            "/",
            "/api/v1",
            "/api/v1/",
            "/api/v1/uploads/",
            "/api/v1/uploads/x",
            "/api/v2/uploads",
            "/api/v1uploads",
            "/v2/",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }
}
