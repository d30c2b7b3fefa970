//! One file out of an image.

use std::collections::VecDeque;
use std::io::{self, Write};

use dockhand_oci::Descriptor;
use tokio::io::AsyncWrite;

use super::cover::Says;
use super::listing::{FileEntry, FileKind, Listing, View};
use super::{ImagePath, Limits};
use crate::image::Image;
use crate::layers::{PipeWriter, each_member, pipe_into, with_layer};
use crate::{Error, ErrorKind, Result, Store};

/// The most links that one path may lead through, as Linux has it.
const LINKS_MAX: usize = 40;

/// A file of an image.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is when all links were followed.
    pub path: ImagePath,
    /// What it is.
    pub entry: FileEntry,
}

/// Finds `path` in an image, following links as a process in it would. Layers are read from the top
/// down, and no further than needed.
///
/// # Errors
/// [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::Invalid`] when it leads through a file
/// or round in circles.
pub async fn find(
    store: &dyn Store,
    image: &Image,
    path: &ImagePath,
    limits: Limits,
) -> Result<Found> {
    let mut view = View::default();
    let mut unread = image.layers.iter().enumerate().rev();
    loop {
        let unknown = match resolve(&view, path)? {
            Step::Found(found) => return Ok(*found),
            Step::Unknown(unknown) => unknown,
        };
        let Some((place, layer)) = unread.next() else {
            return Err(unknown);
        };
        let listing = Listing::read(store, layer, false, limits).await?;
        view.put_below(&listing, place);
    }
}

/// Writes the content of the file at `path` of an image to `target`, following links as a process in
/// the image would.
///
/// # Errors
/// As [`find`]; [`ErrorKind::Invalid`] when it is no file.
pub async fn cat<W: AsyncWrite + Unpin>(
    store: &dyn Store,
    image: &Image,
    path: &ImagePath,
    target: &mut W,
    limits: Limits,
) -> Result<Found> {
    let mut found = find(store, image, path, limits).await?;
    // A link to a file of a lower layer, which no tool writes.
    if let FileKind::Hardlink(meant) = &found.entry.kind {
        found = find(store, image, meant, limits).await?;
    }
    let what = match found.entry.kind {
        FileKind::File => None,
        FileKind::Directory => Some("a directory"),
        FileKind::Symlink(_) | FileKind::Hardlink(_) => Some("a link that leads nowhere"),
        FileKind::Special => Some("a device or a pipe"),
    };
    if let Some(what) = what {
        let message = format!("{} is {what}", found.path);
        return Err(Error::new(ErrorKind::Invalid, message).with_hint("name a file"));
    }
    let layer = { image.layers.get(found.entry.layer) }.ok_or_else(|| absent(path))?;
    let (writer, carry) = pipe_into(target);
    let read = read_member(store, layer, found.entry.member, writer, limits);
    futures_util::future::try_join(read, carry).await?;
    Ok(found)
}

/// Writes the content of one member of a layer.
async fn read_member(
    store: &dyn Store,
    layer: &Descriptor,
    wanted: usize,
    mut writer: PipeWriter,
    limits: Limits,
) -> Result<()> {
    with_layer(store, layer, move |plain| {
        let mut place = 0;
        each_member(plain, &limits, |_, content| {
            if place == wanted {
                let copied = io::copy(content, &mut writer).and_then(|_| writer.flush());
                copied.map_err(|error| {
                    let message = format!("the file cannot be passed on: {error}");
                    Error::new(ErrorKind::Io, message).with_source(error)
                })?;
            }
            place += 1;
            Ok(())
        })
    })
    .await
}

/// How far a path could be followed.
enum Step {
    /// To its end.
    Found(Box<Found>),
    /// As far as is known: a layer further down must say, or else it fails with this.
    Unknown(Error),
}

/// What `path` leads to in what is known so far.
fn resolve(view: &View, path: &ImagePath) -> Result<Step> {
    let mut rest: VecDeque<Vec<u8>> = path.parts().map(<[u8]>::to_vec).collect();
    let mut at = ImagePath::default();
    let mut links = 0;
    let mut link = None;
    while let Some(part) = rest.pop_front() {
        if part == b".." {
            at = at.parent();
            continue;
        }
        let next = at.join(&part);
        let entry = match view.look(&next) {
            Ok(entry) => entry,
            Err(Says::Directory) => {
                at = next;
                continue;
            }
            Err(Says::Gone) => return Err(lost(path, &next, link)),
            Err(Says::Nothing) => return Ok(Step::Unknown(lost(path, &next, link))),
        };
        match &entry.kind {
            FileKind::Directory => at = next,
            FileKind::Symlink(target) => {
                links += 1;
                if links > LINKS_MAX {
                    let message = format!("{path} leads through more than {LINKS_MAX} links");
                    return Err(Error::new(ErrorKind::Invalid, message));
                }
                if target.starts_with(b"/") {
                    at = ImagePath::default();
                }
                link = Some((next, target.as_slice()));
                let parts = target.split(|byte| *byte == b'/');
                let parts: Vec<_> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
                for part in parts.into_iter().rev() {
                    rest.push_front(part.to_vec());
                }
            }
            _ if !rest.is_empty() => {
                let message = format!("{next} is no directory");
                return Err(Error::new(ErrorKind::Invalid, message).doing(format!("find {path}")));
            }
            _ => {
                let entry = entry.clone();
                return Ok(Step::Found(Box::new(Found { path: next, entry })));
            }
        }
    }
    Ok(match view.look(&at).ok().cloned() {
        Some(entry) => Step::Found(Box::new(Found { path: at, entry })),
        None => Step::Unknown(lost(path, &at, link)),
    })
}

/// `path` is not there, because `missing` is not; when a link led there, which one it was.
fn lost(path: &ImagePath, missing: &ImagePath, link: Option<(ImagePath, &[u8])>) -> Error {
    let Some((link, target)) = link else {
        return absent(path);
    };
    let target = String::from_utf8_lossy(target);
    let message = format!(
        "{link} is a link to {}, and the image has no {missing}",
        target.escape_debug()
    );
    Error::new(ErrorKind::NotFound, message)
}

fn absent(path: &ImagePath) -> Error {
    Error::new(ErrorKind::NotFound, format!("the image has no file {path}"))
}
