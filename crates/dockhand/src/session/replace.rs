//! Files that are there already, and would be written anew.

use std::path::Path;

use dockhand_client::{Error, ErrorKind, Place};
use dockhand_oci::{ImageRef, Tag};

use crate::report::{Failure, Kind};

/// What may become of an archive that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Replace {
    /// It may be written anew when no other image is lost with it.
    #[default]
    Same,
    /// It may be written anew, whatever is in it.
    Anything,
    /// It stays.
    Nothing,
}

/// Refuses to write an archive over a file whose content would be lost. Folders are added to.
pub(super) async fn check(place: &Place, tags: &[Tag], replace: Replace) -> Result<(), Failure> {
    let (Place::OciArchive { file, .. } | Place::DockerArchive { file, .. }) = place else {
        return Ok(());
    };
    // Standard output, pipes and devices hold nothing.
    if file == Path::new("-") || !file.is_file() || replace == Replace::Anything {
        return Ok(());
    }
    let name = file.display();
    let refuse = |message: String, hint: &str| {
        Err(Failure::plain(Kind::Failed, message).hint(hint.to_owned()))
    };
    if replace == Replace::Nothing {
        let message = format!("{name} is there already, and an archive is written anew as a whole");
        return refuse(message, "choose another name, or leave --no-clobber away");
    }
    let nobody = |_: &ImageRef| {
        Err(Error::new(
            ErrorKind::Config,
            "an archive is in no registry",
        ))
    };
    let held = match Place::at(file).store(&nobody).await {
        Ok(store) => store.tags().await,
        Err(error) => Err(error),
    };
    let Ok(held) = held else {
        let message = format!("{name} is there already, and is no archive of images");
        return refuse(message, "choose another name, or remove it first");
    };
    let lost: Vec<&str> = { held.iter() }
        .filter(|tag| !tags.contains(tag))
        .map(Tag::as_str)
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{name} is there already, and {} in it would be lost",
        lost.join(", ")
    );
    refuse(
        message,
        "choose another name, or say --overwrite; a layout (oci:DIR) takes many images",
    )
}
