//! Changes a file of credentials so that no reader and no other writer ever sees a half of it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::value::RawValue;

use super::file::{AuthFile, Dialect, Object, Place, Unreadable};
use crate::{Error, ErrorKind, Result};

/// How long another writer may hold the lock: writing takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lock is tried.
const PAUSE: Duration = Duration::from_millis(10);
/// Symbolic links in a row, as the kernel counts them.
const LINKS_MAX: usize = 40;

/// Lets `change` change what the file has, and writes it when that says `true`. The file is made when
/// there is none.
pub(super) async fn edit(
    place: Place,
    change: impl FnOnce(&mut AuthFile) -> bool + Send + 'static,
) -> Result<()> {
    let edited = tokio::task::spawn_blocking(move || edit_now(&place, change)).await;
    edited.map_err(|error| {
        let message = "the change of the file was cut off";
        Error::new(ErrorKind::Io, message).with_source(error)
    })?
}

fn edit_now(place: &Place, change: impl FnOnce(&mut AuthFile) -> bool) -> Result<()> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Io, format!("{}: {error}", place.path.display())).with_source(error)
    };
    let path = target(&place.path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder).map_err(failed)?;
    let _lock = lock(&path).map_err(failed)?;
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let parsed = AuthFile::parse(&text, place.dialect);
    let mut file = parsed.map_err(|what| Unreadable::Malformed(what).into_error(&place.path))?;
    if !change(&mut file) {
        return Ok(());
    }
    let bytes = bytes(&file, place.dialect).map_err(failed)?;
    replace(&path, folder, &bytes).map_err(failed)
}

/// The file that a path leads to in the end, even when that is not there yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            // A relative link is relative to the folder it lies in; `join` keeps an absolute one.
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Nobody else may look into a folder that is made for secrets.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match folder.as_os_str().is_empty() {
        true => Ok(()),
        false => builder.create(folder),
    }
}

/// The right to write, until it is dropped. The lock is a file of its own, because the one it is for is
/// replaced.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = File::options();
    let file = match options.create(true).truncate(false).write(true).open(&name) {
        // Left by an administrator; it can be locked all the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&name)?,
        opened => opened?,
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program holds its lock"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The text as Docker and Podman write it: indented by tabs.
fn bytes(file: &AuthFile, dialect: Dialect) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"\t"));
    if dialect == Dialect::Legacy {
        file.auths.serialize(&mut serializer)?;
        return Ok(bytes);
    }
    let rest = { file.rest.iter() }.map(|(key, value)| (key.as_str(), Part::Kept(value)));
    let auths = [("auths", Part::Auths(&file.auths))];
    let all: BTreeMap<&str, Part<'_>> = rest.chain(auths).collect();
    all.serialize(&mut serializer)?;
    Ok(bytes)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Auths(&'a Object),
    Kept(&'a RawValue),
}

/// Puts a new file in the place of the old one, in one step, readable for its owner alone.
fn replace(path: &Path, folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    // Made with mode 0600.
    let mut new = tempfile::Builder::new()
        .prefix(".auth")
        .tempfile_in(folder)?;
    new.write_all(bytes)?;
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        // Whoever writes as the administrator does not take the file away from its owner.
        let _ = std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}
