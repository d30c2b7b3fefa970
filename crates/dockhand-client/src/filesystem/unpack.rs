//! A merged file system in a folder, from which nothing leads out.
//!
//! The folder is opened once, and everything is done relative to it: a link on the way is followed only
//! within it (crate `cap-std`). It grows under another name and gets its own only when it is whole; what
//! was written before a failure is removed.

mod folder;
mod links;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dockhand_oci::{Algorithm, Descriptor, Digest, Hasher};
use tokio::task;

use super::{ImagePath, Limits, Sink, walk};
use crate::image::Image;
use crate::layers::{Kind, each_member, unreadable, with_layer};
use crate::{Error, ErrorKind, Result, Store};
use folder::FolderSink;
pub(crate) use links::leads_out;

/// How to unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpack {
    /// How much may come.
    pub limits: Limits,
    /// What to do with symbolic links that would lead out of the folder.
    pub links: Absolute,
    /// What to do with devices and named pipes.
    pub special: Special,
}

impl Default for Unpack {
    /// At most a million files and 64 GiB; links stay within; devices are refused.
    fn default() -> Self {
        Self {
            limits: Limits {
                entries: 1_000_000,
                bytes: 64 << 30,
            },
            links: Absolute::Within,
            special: Special::Refuse,
        }
    }
}

/// What to do with symbolic links that begin with `/` or climb out of the image with `..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absolute {
    /// To make them lead to where they lead when the folder is the root: of `etc/a`, a link to
    /// `/usr/b` becomes `../usr/b`.
    Within,
    /// To fail.
    Refuse,
}

/// What to do with devices and named pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// To fail.
    Refuse,
    /// To leave them out.
    Skip,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files, directories and links.
    pub entries: u64,
    /// How many bytes of content the files have.
    pub bytes: u64,
    /// How many devices and pipes were left out.
    pub skipped: u64,
}

/// Writes the file system of an image into the folder `target`, which must not be there, or be empty.
/// Files belong to who runs this, and have their modes without set-user and set-group bits.
///
/// # Errors
/// [`ErrorKind::Conflict`] when there is something at `target`; [`ErrorKind::Unsafe`] when a path or
/// link leads out, there is a device, or a limit is reached. Nothing is left then.
pub async fn unpack(
    store: &dyn Store,
    image: &Image,
    target: &Path,
    options: Unpack,
) -> Result<Unpacked> {
    let doing = || format!("unpack the image into {}", target.display());
    let begun = blocking({
        let target = target.to_owned();
        move || begin(&target, options)
    });
    let sink = begun.await.map_err(|error| error.doing(doing()))?;
    let sink = walk(store, &image.layers, options.limits, sink).await;
    let sink = sink.map_err(|error| error.doing(doing()))?;
    let target = target.to_owned();
    let done = blocking(move || sink.finish(&target)).await;
    done.map_err(|error| error.doing(doing()))
}

/// Writes what one tar file has below `prefix` into the folder `target`, which must not be there, or be
/// empty. Its names mean nothing else, as those of whiteouts do in layers. Without its compression it must
/// have the digest `plain`, when there is one.
pub(crate) async fn unpack_tar(
    store: &dyn Store,
    blob: &Descriptor,
    prefix: &ImagePath,
    plain: Option<Digest>,
    target: &Path,
    options: Unpack,
) -> Result<Unpacked> {
    let doing = || format!("unpack {}", target.display());
    let (place, prefix) = (target.to_owned(), prefix.clone());
    let sink = blocking(move || begin(&place, options)).await;
    let mut sink = sink.map_err(|error| error.doing(doing()))?;
    let unpacked = with_layer(store, blob, move |bytes| {
        let mut bytes = Hashed {
            hasher: Hasher::new(plain.map_or(Algorithm::Sha256, |digest| digest.algorithm())),
            inner: bytes,
        };
        each_member(&mut bytes, &options.limits, |mut member, content| {
            member.path = inside(&member.path, &prefix)?;
            if member.path.is_root() && !member.is_directory() {
                let message = format!("{prefix} is no folder");
                return Err(Error::new(ErrorKind::Protocol, message));
            }
            if let Kind::Hardlink(target) = &mut member.kind {
                *target = inside(target, &prefix)?;
            }
            sink.put(&member, content)
        })?;
        let mut rest = (&mut bytes).take(PADDING_MAX);
        io::copy(&mut rest, &mut io::sink()).map_err(unreadable)?;
        if let Some(plain) = plain {
            bytes.hasher.verify(&plain)?;
        }
        Ok(sink)
    });
    let sink = unpacked.await.map_err(|error| error.doing(doing()))?;
    let target = target.to_owned();
    let done = blocking(move || sink.finish(&target)).await;
    done.map_err(|error| error.doing(doing()))
}

/// How many bytes may stand behind the end of a tar file: writers fill up blocks of some ten thousand.
const PADDING_MAX: u64 = 16 * 1024 * 1024;

fn inside(path: &ImagePath, prefix: &ImagePath) -> Result<ImagePath> {
    path.below(prefix).ok_or_else(|| {
        let message = format!("{path} does not lie in {prefix}");
        Error::new(ErrorKind::Unsafe, message)
    })
}

/// Hashes what is read.
struct Hashed<'a> {
    inner: &'a mut dyn Read,
    hasher: Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?
}

/// Makes the folder that becomes `target`, beside it.
fn begin(target: &Path, options: Unpack) -> Result<FolderSink> {
    match std::fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(false) => {
            let message = format!("{} is not empty", target.display());
            return Err(Error::new(ErrorKind::Conflict, message).with_hint("name a new folder"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let message = format!("{} is no folder", target.display());
            return Err(Error::new(ErrorKind::Conflict, message).with_hint("name a new folder"));
        }
        Err(error) => return Err(Error::io(target, error)),
    }
    let beside = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let folder = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".part")
        .tempdir_in(&beside)
        .map_err(|error| Error::io(&beside, error))?;
    FolderSink::new(folder, options)
}
