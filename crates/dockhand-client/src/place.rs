//! Places as people write them: `debian:12`, `oci:DIR:tag`, `docker-archive:FILE:name:tag`, `./x.tar`, `-`.
//!
//! The words are skopeo's (<https://github.com/containers/image/blob/main/docs/containers-transports.5.md>);
//! regctl's `ocidir://` is read too. What a place prints reads back as the same place.

mod open;
mod selection;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dockhand_oci::ImageRef;

pub use open::Registries;
pub use selection::Selection;

use crate::{Error, ErrorKind};

/// The file name that stands for standard input and output.
const STREAM: &str = "-";

/// Where an image is, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A registry: `[docker://]debian:12`.
    Registry(ImageRef),
    /// An OCI layout in a folder: `oci:DIR[:tag][@digest]`.
    Layout {
        /// The folder.
        dir: PathBuf,
        /// Which of its images.
        image: Selection,
    },
    /// An OCI layout in a tar file: `oci-archive:FILE[:tag][@digest]`, or `-`.
    OciArchive {
        /// The file; `-` is standard input and output.
        file: PathBuf,
        /// Which of its images.
        image: Selection,
    },
    /// What `docker save` writes and `docker load` reads: `docker-archive:FILE[:name:tag]`.
    DockerArchive {
        /// The file; `-` is standard input and output.
        file: PathBuf,
        /// Which of its images.
        image: Selection,
    },
    /// An image in a folder, in skopeo's form: `dir:DIR`.
    Directory(PathBuf),
    /// A file or folder whose form shows when it is opened: `./x.tar`, `/srv/images`.
    Path(PathBuf),
}

impl Place {
    /// What is at `path`, whatever it looks like: `x.tar` is a file here and no image of Docker Hub.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        if path == Path::new(STREAM) {
            return Self::stream();
        }
        Self::Path(path.to_owned())
    }

    /// An OCI archive through standard input or output; what is read may have any form.
    #[must_use]
    pub fn stream() -> Self {
        Self::OciArchive {
            file: STREAM.into(),
            image: Selection::default(),
        }
    }

    /// The image reference, when this is in a registry.
    #[must_use]
    pub fn image_ref(&self) -> Option<&ImageRef> {
        match self {
            Self::Registry(image) => Some(image),
            _ => None,
        }
    }

    /// Whether it says which image of the place is meant, where there can be several.
    #[must_use]
    pub fn names_image(&self) -> bool {
        match self {
            Self::Registry(_) | Self::Directory(_) => true,
            Self::Path(_) => false,
            Self::Layout { image, .. }
            | Self::OciArchive { image, .. }
            | Self::DockerArchive { image, .. } => *image != Selection::default(),
        }
    }

    /// The same place, where what is written gets the name and tag of `image` unless it has its own: in
    /// a layout the tag, in an archive for `docker load` both.
    #[must_use]
    pub fn named_after(mut self, image: &ImageRef) -> Self {
        match &mut self {
            Self::Layout { image: own, .. } | Self::OciArchive { image: own, .. } => {
                own.take_tag_of(image);
            }
            Self::DockerArchive { image: own, .. } => own.take_name_of(image),
            Self::Registry(_) | Self::Directory(_) | Self::Path(_) => {}
        }
        self
    }
}

/// Whether a text can only be a path.
fn is_path(text: &str) -> bool {
    text == "."
        || text == ".."
        || ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start))
}

/// The forms that begin with a word and a colon.
#[derive(Clone, Copy)]
enum Scheme {
    Registry,
    Layout,
    OciArchive,
    DockerArchive,
    Directory,
}

/// Longer words before those that they begin with.
const SCHEMES: [(&str, Scheme); 6] = [
    ("docker://", Scheme::Registry),
    ("ocidir://", Scheme::Layout),
    ("oci-archive:", Scheme::OciArchive),
    ("docker-archive:", Scheme::DockerArchive),
    ("oci:", Scheme::Layout),
    ("dir:", Scheme::Directory),
];

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == STREAM {
            return Ok(Self::stream());
        }
        if is_path(text) {
            return Ok(Self::Path(text.into()));
        }
        let found = SCHEMES.iter().find_map(|(word, scheme)| {
            let rest = text.strip_prefix(word)?;
            Some((*scheme, rest))
        });
        let Some((scheme, rest)) = found else {
            return registry(text, text);
        };
        if rest.is_empty() {
            let error = Error::new(ErrorKind::Invalid, format!("{text:?} names nothing"));
            return Err(error.with_hint("write it as `oci:DIR:tag` or `oci-archive:FILE`"));
        }
        match scheme {
            Scheme::Registry => registry(text, rest),
            Scheme::Directory => Ok(Self::Directory(rest.into())),
            Scheme::Layout => {
                let (dir, image) = Selection::split(text, rest, false)?;
                Ok(Self::Layout { dir, image })
            }
            Scheme::OciArchive => {
                let (file, image) = Selection::split(text, rest, false)?;
                Ok(Self::OciArchive { file, image })
            }
            Scheme::DockerArchive => {
                let (file, image) = Selection::split(text, rest, true)?;
                Ok(Self::DockerArchive { file, image })
            }
        }
    }
}

fn registry(text: &str, rest: &str) -> Result<Place, Error> {
    let image: ImageRef = rest.parse().map_err(|error: dockhand_oci::ImageRefError| {
        let message = format!("{text:?} is no image: {error}");
        Error::new(ErrorKind::Invalid, message).with_source(error)
    })?;
    Ok(Place::Registry(image))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => {
                let text = image.to_string();
                // A host may be called as a scheme is: `dir:5000/app`.
                let taken = SCHEMES.iter().any(|(word, _)| text.starts_with(word));
                write!(f, "{}{text}", if taken { "docker://" } else { "" })
            }
            Self::OciArchive { .. } if *self == Self::stream() => f.write_str(STREAM),
            Self::Layout { dir, image } => write!(f, "oci:{}{image}", dir.display()),
            Self::OciArchive { file, image } => {
                write!(f, "oci-archive:{}{image}", file.display())
            }
            Self::DockerArchive { file, image } => {
                write!(f, "docker-archive:{}{image}", file.display())
            }
            Self::Directory(dir) => write!(f, "dir:{}", dir.display()),
            Self::Path(path) => {
                let text = path.display().to_string();
                write!(f, "{}{text}", if is_path(&text) { "" } else { "./" })
            }
        }
    }
}

#[cfg(test)]
mod tests;
