//! Places by their names: `REF` of a registry, `oci:DIR:tag`, `docker-archive:FILE`, `-`.

use std::path::Path;
use std::sync::Arc;

use dockhand_client::{Client, Error, ErrorKind, Place, Repository, Store};
use dockhand_oci::{Digest, ImageRef, Reference, Tag};

use super::misread::misread;
use super::replace::{self, Replace};
use crate::output::some;
use crate::report::{Failure, Kind};
use crate::session::{Session, Side};

/// An image in a place.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// The place.
    pub store: Arc<dyn Store>,
    /// The repository that it is, when it is one of a registry.
    pub repository: Option<Repository>,
    /// What is named in it.
    pub reference: Reference,
    /// The reference in full, of a registry.
    pub image: Option<ImageRef>,
    /// What else a layout or archive has, when it was not said which image is meant.
    pub left_out: Vec<String>,
}

impl Opened {
    /// What it is called in messages and answers.
    pub(crate) fn name(&self) -> String {
        named(&*self.store, &self.reference)
    }
}

/// What something in a place is called in messages and answers: `registry/team/app:1`.
pub(crate) fn named(store: &dyn Store, reference: &Reference) -> String {
    store.named(reference)
}

/// A place to write to.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    /// The place.
    pub store: Arc<dyn Store>,
    /// Under which tags to write; none to write by digest alone.
    pub tags: Vec<Tag>,
    /// What is written must have this digest.
    pub digest: Option<Digest>,
}

/// A place, and what is named in it as it was written: nothing is looked up yet.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The place.
    pub store: Arc<dyn Store>,
    /// The repository that it is, when it is one of a registry.
    pub repository: Option<Repository>,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

/// Whether a text means a place in a registry.
pub(crate) fn is_registry(text: &str) -> bool {
    matches!(text.parse(), Ok(Place::Registry(_)))
}

/// A place, and the client where it is in a registry.
struct Meant {
    place: Place,
    client: Option<Client>,
}

impl Meant {
    /// Who is asked for the client of a registry while a place is opened.
    fn registries(&self) -> impl Fn(&ImageRef) -> Result<Client, Error> + Send + Sync + use<> {
        let client = self.client.clone();
        move |image| {
            let nobody = || {
                Error::new(
                    ErrorKind::Config,
                    format!("nobody knows {}", image.registry),
                )
            };
            client.clone().ok_or_else(nobody)
        }
    }

    fn repository(&self) -> Option<Repository> {
        let image = self.place.image_ref()?;
        Some(self.client.as_ref()?.repository(image.repository.clone()))
    }
}

impl Session {
    /// What a text means on a side of a copy.
    fn meant(&self, side: &Side, text: &str) -> Result<Meant, Failure> {
        let place: Place = { text.parse() }
            .map_err(|error: Error| misread(text).unwrap_or_else(|| error.into()))?;
        if place.image_ref().is_none() {
            return Ok(Meant {
                place,
                client: None,
            });
        }
        let image = self.image_ref(side, text)?;
        let client = self.client_of(side, &image.registry)?;
        Ok(Meant {
            place: Place::Registry(image),
            client: Some(client),
        })
    }

    /// Opens a place to read the image in it.
    pub(crate) async fn open(&self, text: &str) -> Result<Opened, Failure> {
        self.open_on(&Side::of(&self.flags.access), text).await
    }

    /// Opens a place on one side of a copy to read the image in it.
    pub(crate) async fn open_on(&self, side: &Side, text: &str) -> Result<Opened, Failure> {
        let opened = open(&self.meant(side, text)?).await?;
        self.tell_left_out(&opened);
        Ok(opened)
    }

    /// Says what else is in a place of which one image was chosen.
    fn tell_left_out(&self, opened: &Opened) {
        let many = match opened.left_out.len() {
            0 => return,
            1 => "another image, which is".to_owned(),
            many => format!("{many} other images, which are"),
        };
        let place = opened.store.name();
        self.note(&format!(
            "{place} has {many} left out: {}; choose one with {place}:NAME or {place}@DIGEST",
            some(&opened.left_out)
        ));
    }

    /// Opens a folder or file, whatever it looks like, or a place by its name.
    pub(crate) async fn open_path(&self, text: &str) -> Result<Opened, Failure> {
        let there = Path::new(text).exists();
        let place = if there {
            Place::at(text)
        } else {
            text.parse()?
        };
        if place.image_ref().is_some() {
            return Err(Error::io(text, std::io::ErrorKind::NotFound.into()).into());
        }
        let opened = open(&Meant {
            place,
            client: None,
        })
        .await?;
        self.tell_left_out(&opened);
        Ok(opened)
    }

    /// Opens a place to read whatever is in it: of a registry a repository, which has neither tag nor
    /// digest.
    pub(crate) async fn open_all(&self, side: &Side, text: &str) -> Result<Opened, Failure> {
        let meant = self.meant(side, text)?;
        refuse_image(&meant, text)?;
        let store = meant.place.store(&meant.registries()).await?;
        Ok(Opened {
            store,
            repository: meant.repository(),
            reference: Reference::Tag(Tag::latest()),
            image: meant.place.image_ref().cloned(),
            left_out: Vec::new(),
        })
    }

    /// Opens a place to change what is named in it.
    pub(crate) async fn open_named(&self, text: &str) -> Result<Named, Failure> {
        let meant = self.meant(&Side::of(&self.flags.access), text)?;
        let (tag, digest) = match &meant.place {
            Place::Registry(image) => (image.tag.clone(), image.digest),
            Place::Layout { image, .. } => (image.tag(), image.digest().copied()),
            Place::OciArchive { .. }
            | Place::DockerArchive { .. }
            | Place::Directory(_)
            | Place::Path(_) => {
                let message = format!("{text} cannot be changed, only written anew");
                return Err(Failure::plain(Kind::Failed, message));
            }
        };
        let store = meant.place.store(&meant.registries()).await?;
        Ok(Named {
            store,
            repository: meant.repository(),
            tag,
            digest,
        })
    }

    /// Opens a place on one side of a copy to write an image, called as `like` where nothing else is
    /// said.
    pub(crate) async fn create_on(
        &self,
        side: &Side,
        text: &str,
        like: Option<&ImageRef>,
    ) -> Result<Created, Failure> {
        self.create_over(side, text, like, Replace::default()).await
    }

    /// As [`Session::create_on`], with what may become of an archive that is there.
    pub(crate) async fn create_over(
        &self,
        side: &Side,
        text: &str,
        like: Option<&ImageRef>,
        replace: Replace,
    ) -> Result<Created, Failure> {
        let mut meant = self.meant(side, text)?;
        if let Some(like) = like {
            meant.place = meant.place.named_after(like);
        }
        if writes_to_stdout(&meant.place) {
            self.take_stdout();
        }
        let (store, tags) = meant.place.create(&meant.registries()).await?;
        replace::check(&meant.place, &tags, replace).await?;
        Ok(Created {
            store,
            tags,
            digest: meant.place.image_ref().and_then(|image| image.digest),
        })
    }

    /// Opens a place on one side of a copy to write many images to: under `tags`, as far as they are known.
    pub(crate) async fn open_target(
        &self,
        side: &Side,
        text: &str,
        tags: &[Tag],
        replace: Replace,
    ) -> Result<Created, Failure> {
        let meant = self.meant(side, text)?;
        refuse_image(&meant, text)?;
        if matches!(meant.place, Place::Directory(_)) {
            let message = format!("{text} holds one image, and many were to be written");
            return Err(Failure::usage(message).hint("a layout takes many: write oci:DIR"));
        }
        if writes_to_stdout(&meant.place) {
            self.take_stdout();
        }
        replace::check(&meant.place, tags, replace).await?;
        Ok(Created {
            store: meant.place.create(&meant.registries()).await?.0,
            tags: Vec::new(),
            digest: None,
        })
    }
}

async fn open(meant: &Meant) -> Result<Opened, Failure> {
    let (store, reference) = meant.place.open(&meant.registries()).await?;
    let left_out = match meant.place.names_image() {
        true => Vec::new(),
        false => others(&*store, &reference).await?,
    };
    Ok(Opened {
        store,
        repository: meant.repository(),
        reference,
        image: meant.place.image_ref().cloned(),
        left_out,
    })
}

/// The images of a layout or archive beside the one that `chosen` names, but for what refers to others.
async fn others(store: &dyn Store, chosen: &Reference) -> Result<Vec<String>, Failure> {
    let entries = store.entries().await?.unwrap_or_default();
    let others = entries.iter().filter(|entry| match chosen {
        Reference::Digest(digest) => entry.digest != *digest && entry.subject.is_none(),
        Reference::Tag(_) => false,
    });
    Ok(others.map(ToString::to_string).collect())
}

fn refuse_image(meant: &Meant, text: &str) -> Result<(), Failure> {
    let names_image = meant
        .place
        .image_ref()
        .is_some_and(|image| image.tag.is_some() || image.digest.is_some());
    match names_image {
        true => Err(Failure::usage(format!(
            "{text} names an image; a repository has no tag and no digest"
        ))),
        false => Ok(()),
    }
}

fn writes_to_stdout(place: &Place) -> bool {
    match place {
        Place::OciArchive { file, .. } | Place::DockerArchive { file, .. } => {
            file == Path::new("-")
        }
        Place::Registry(_) | Place::Layout { .. } | Place::Directory(_) | Place::Path(_) => false,
    }
}
