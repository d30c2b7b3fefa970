//! From what a person wrote to a place that can be read or written.

use std::path::Path;
use std::sync::Arc;

use dockhand_oci::{ImageRef, Reference, Tag};

use super::{Place, STREAM, Selection};
use crate::store::{Form, Naming, Shelf, first, form_of, named, sole};
use crate::{Archive, ArchiveWriter, Client, Directory, Error, ErrorKind, Layout, Result, Store};

/// Who has the client of a registry: its connection, with its credentials.
pub trait Registries: Send + Sync {
    /// The client for the registry of `image`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the connection cannot be used.
    fn client(&self, image: &ImageRef) -> Result<Client>;
}

impl<F: Fn(&ImageRef) -> Result<Client> + Send + Sync> Registries for F {
    fn client(&self, image: &ImageRef) -> Result<Client> {
        self(image)
    }
}

impl Place {
    /// Opens the place to read the image that is meant.
    ///
    /// Of a registry nothing is asked yet. Where no image is named, it is the only one, or else the one
    /// that is called `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such place or image, [`ErrorKind::Conflict`] when several
    /// images could be meant, and what keeps the place from being read.
    pub async fn open(&self, registries: &dyn Registries) -> Result<(Arc<dyn Store>, Reference)> {
        let nothing = Selection::default();
        match self {
            Self::Registry(image) => Ok((repository(image, registries)?, image.reference())),
            Self::Layout { dir, image } => choose(Layout::open(dir).await?, image).await,
            Self::OciArchive { file, image } | Self::DockerArchive { file, image } => {
                choose(archive(file).await?, image).await
            }
            Self::Directory(dir) => root(Directory::open(dir).await?).await,
            Self::Path(path) => match form_of(path).await? {
                Form::Layout => choose(Layout::open(path).await?, &nothing).await,
                Form::Directory => root(Directory::open(path).await?).await,
                Form::Archive => choose(Archive::open(path).await?, &nothing).await,
            },
        }
    }

    /// Opens the place to read whatever is in it: its tags, any of its images.
    ///
    /// # Errors
    /// As [`Place::open`], images aside.
    pub async fn store(&self, registries: &dyn Registries) -> Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Registry(image) => repository(image, registries)?,
            Self::Layout { dir, image } => Arc::new(Layout::open_named(dir, naming(image)).await?),
            Self::OciArchive { file, .. } | Self::DockerArchive { file, .. } => {
                Arc::new(archive(file).await?)
            }
            Self::Directory(dir) => Arc::new(Directory::open(dir).await?),
            Self::Path(path) => match form_of(path).await? {
                Form::Layout => Arc::new(Layout::open(path).await?),
                Form::Directory => Arc::new(Directory::open(path).await?),
                Form::Archive => Arc::new(Archive::open(path).await?),
            },
        })
    }

    /// Opens the place to write an image, and says under which tags; none when none is named. What is
    /// not there is made. An archive needs [`Store::finish`] in the end.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when something else is there, [`ErrorKind::Invalid`] when it is not clear what
    /// to write.
    pub async fn create(&self, registries: &dyn Registries) -> Result<(Arc<dyn Store>, Vec<Tag>)> {
        match self {
            Self::Registry(image) => {
                let tags = image.tag_or_latest().into_iter().collect();
                Ok((repository(image, registries)?, tags))
            }
            Self::Layout { dir, image } => {
                let tags = self.tags_of(image)?;
                let layout = Layout::create_named(dir, naming(image)).await?;
                Ok((Arc::new(layout), tags))
            }
            Self::OciArchive { file, image } => {
                let tags = self.tags_of(image)?;
                let writer = ArchiveWriter::create(to_file(file), false, naming(image)).await?;
                Ok((Arc::new(writer), tags))
            }
            Self::DockerArchive { file, image } => {
                let tags = self.tags_of(image)?;
                let naming = image.image_ref().map_or(Naming::Tag, Naming::Docker);
                let writer = ArchiveWriter::create(to_file(file), true, naming).await?;
                Ok((Arc::new(writer), tags))
            }
            Self::Directory(dir) => Ok((Arc::new(Directory::create(dir).await?), Vec::new())),
            Self::Path(path) => {
                if path.is_dir() && matches!(form_of(path).await, Ok(Form::Layout)) {
                    return Ok((Arc::new(Layout::open(path).await?), Vec::new()));
                }
                let message = format!("what shall be written to {self} is not clear");
                let hint = format!(
                    "write oci:{0} for a folder, oci-archive:{0} or docker-archive:{0} for a file",
                    path.display()
                );
                Err(Error::new(ErrorKind::Invalid, message).with_hint(hint))
            }
        }
    }

    /// The tags to write.
    fn tags_of(&self, image: &Selection) -> Result<Vec<Tag>> {
        if image.digest().is_some() {
            let message =
                format!("{self} names a digest, which no one can choose for what is written");
            return Err(Error::new(ErrorKind::Invalid, message).with_hint("name a tag"));
        }
        Ok(image.tag().into_iter().collect())
    }
}

fn repository(image: &ImageRef, registries: &dyn Registries) -> Result<Arc<dyn Store>> {
    let client = registries.client(image)?;
    Ok(Arc::new(client.repository(image.repository.clone())))
}

fn naming(image: &Selection) -> Naming {
    match image.name() {
        Some(name) => Naming::Full(name.to_owned()),
        None => Naming::Tag,
    }
}

fn to_file(file: &Path) -> Option<&Path> {
    Some(file).filter(|file| *file != Path::new(STREAM))
}

async fn archive(file: &Path) -> Result<Archive> {
    match to_file(file) {
        Some(file) => Archive::open(file).await,
        None => Archive::from_stdin().await,
    }
}

/// The image of a folder in skopeo's form.
async fn root(dir: Directory) -> Result<(Arc<dyn Store>, Reference)> {
    let reference = first(&dir).await?;
    Ok((Arc::new(dir), reference))
}

async fn choose<S: Shelf + 'static>(
    shelf: S,
    image: &Selection,
) -> Result<(Arc<dyn Store>, Reference)> {
    let reference = match (image.digest(), image.image_ref(), image.tag()) {
        (Some(digest), _, _) => Reference::Digest(*digest),
        (None, Some(image), _) => named(&shelf, &image).await?,
        (None, None, Some(tag)) => Reference::Tag(tag),
        (None, None, None) => sole(&shelf).await?,
    };
    Ok((Arc::new(shelf), reference))
}
