//! Files as they are written into the folder.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use tempfile::TempDir;

use super::links::{Target, leads_out, within};
use super::{Absolute, Special, Unpack, Unpacked};
use crate::filesystem::ImagePath;
use crate::filesystem::merge::Sink;
use crate::layers::{Kind, Member};
use crate::{Error, ErrorKind, Result};

/// A folder that is being filled.
pub(super) struct FolderSink {
    folder: TempDir,
    root: Dir,
    options: Unpack,
    /// The directories that exist, by their paths in the image, and where they really are: the tar file
    /// may have gone through a link that it made itself.
    places: HashMap<ImagePath, PathBuf>,
    /// How directories shall be when all is in them.
    modes: BTreeMap<PathBuf, (u32, SystemTime)>,
    unpacked: Unpacked,
}

/// Where a file is to be written.
struct Spot {
    path: PathBuf,
    /// How many directories it lies deep.
    depth: usize,
}

impl FolderSink {
    pub(super) fn new(folder: TempDir, options: Unpack) -> Result<Self> {
        let root = Dir::open_ambient_dir(folder.path(), ambient_authority())
            .map_err(|error| Error::io(folder.path(), error))?;
        Ok(Self {
            folder,
            root,
            options,
            places: HashMap::new(),
            modes: BTreeMap::new(),
            unpacked: Unpacked::default(),
        })
    }

    /// Gives directories their modes, and the folder its name.
    pub(super) fn finish(self, target: &Path) -> Result<Unpacked> {
        let failed = |error| Error::io(target, error);
        let (root_mode, root_time) =
            { self.modes.get(Path::new("")).copied() }.unwrap_or((0o755, SystemTime::now()));
        // What is inside first: a directory may not let anybody in afterwards.
        for (path, (mode, time)) in self.modes.iter().rev() {
            if path.as_os_str().is_empty() {
                continue;
            }
            // As a file: what `open_dir` gives cannot be changed.
            let directory = self.root.open(path).map_err(failed)?.into_std();
            directory.set_modified(*time).map_err(failed)?;
            directory
                .set_permissions(Permissions::from_mode(*mode))
                .map_err(failed)?;
        }
        if target.exists() {
            std::fs::remove_dir(target).map_err(failed)?;
        }
        let root = std::fs::File::open(self.folder.path()).map_err(failed)?;
        root.set_modified(root_time).map_err(failed)?;
        std::fs::rename(self.folder.path(), target).map_err(failed)?;
        let _ = self.folder.keep();
        root.set_permissions(Permissions::from_mode(root_mode | 0o700))
            .map_err(failed)?;
        Ok(self.unpacked)
    }

    /// Where the directory `path` really is; it is made when it is not there.
    fn place(&mut self, path: &ImagePath) -> Result<PathBuf> {
        if path.is_root() {
            return Ok(PathBuf::new());
        }
        if let Some(place) = self.places.get(path) {
            return Ok(place.clone());
        }
        let own = Path::new(OsStr::from_bytes(path.as_bytes()));
        let real = match self.root.canonicalize(own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = self.root.create_dir_all(own);
                made.and_then(|()| self.root.canonicalize(own))
            }
            other => other,
        };
        let place = real.map_err(|error| not_written(path, &error))?;
        self.places.insert(path.clone(), place.clone());
        Ok(place)
    }

    fn spot(&mut self, path: &ImagePath) -> Result<Spot> {
        let place = self.place(&path.parent())?;
        Ok(Spot {
            depth: place.components().count(),
            path: place.join(OsStr::from_bytes(path.name())),
        })
    }

    /// Makes room where a tar file has two entries for one path: the later one counts.
    fn clear(&self, spot: &Spot) -> io::Result<()> {
        match self.root.symlink_metadata(&spot.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(_) => self.root.remove_file(&spot.path),
        }
    }

    fn directory(&mut self, member: &Member) -> Result<()> {
        let mode = member.header.mode().unwrap_or(0o755) & 0o1777;
        let time = time_of(member);
        if member.path.is_root() {
            self.modes.insert(PathBuf::new(), (mode, time));
            return Ok(());
        }
        let spot = self.spot(&member.path)?;
        let there = self.root.symlink_metadata(&spot.path);
        if !there.is_ok_and(|metadata| metadata.is_dir()) {
            let made = self.clear(&spot);
            made.and_then(|()| self.root.create_dir(&spot.path))
                .map_err(|error| not_written(&member.path, &error))?;
        }
        self.modes.insert(spot.path, (mode, time));
        Ok(())
    }

    fn file(&mut self, member: &Member, content: &mut dyn Read) -> Result<()> {
        let spot = self.spot(&member.path)?;
        let failed = |error| not_written(&member.path, &error);
        self.clear(&spot).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let opened = self.root.open_with(&spot.path, &options).map_err(failed)?;
        let mut file = opened.into_std();
        let written = io::copy(content, &mut file).map_err(failed)?;
        if written != member.size {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mode = member.header.mode().unwrap_or(0o644) & 0o777;
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.set_modified(time_of(member)))
            .map_err(failed)
    }

    fn symlink(&mut self, member: &Member, target: &[u8]) -> Result<()> {
        let spot = self.spot(&member.path)?;
        if self.options.links == Absolute::Refuse && leads_out(target, spot.depth) {
            let message = format!(
                "the link {} leads out of the folder, to {}",
                member.path,
                String::from_utf8_lossy(target).escape_debug()
            );
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        let target = match within(target, spot.depth) {
            Target::Same => target.to_vec(),
            Target::Other(target) => target,
        };
        self.clear(&spot)
            .and_then(|()| { &self.root }.symlink_contents(OsStr::from_bytes(&target), &spot.path))
            .map_err(|error| not_written(&member.path, &error))
    }

    fn hardlink(&mut self, member: &Member, target: &ImagePath) -> Result<()> {
        let spot = self.spot(&member.path)?;
        let meant = self.spot(target)?;
        let made = self.clear(&spot);
        let made = made.and_then(|()| self.root.hard_link(&meant.path, &self.root, &spot.path));
        made.map_err(|error| not_written(&member.path, &error))
    }
}

impl Sink for FolderSink {
    fn put(&mut self, member: &Member, content: &mut dyn Read) -> Result<()> {
        match &member.kind {
            Kind::Directory => self.directory(member)?,
            Kind::File => self.file(member, content)?,
            Kind::Symlink(target) => self.symlink(member, target)?,
            Kind::Hardlink(target) => self.hardlink(member, target)?,
            Kind::Special(_) if self.options.special == Special::Skip => {
                self.unpacked.skipped += 1;
                return Ok(());
            }
            Kind::Special(_) => {
                let message = format!("{} is a device or a named pipe", member.path);
                return Err(Error::new(ErrorKind::Unsafe, message)
                    .with_hint("leave such files out, or export the image as a tar file"));
            }
        }
        self.unpacked.entries += 1;
        self.unpacked.bytes += member.size;
        Ok(())
    }
}

fn time_of(member: &Member) -> SystemTime {
    let seconds = member.header.mtime().unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What keeps a file from being written. What leads out `cap-std` itself refuses as not permitted, not
/// the system.
fn not_written(path: &ImagePath, error: &io::Error) -> Error {
    let (kind, why) = match error.kind() {
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            (ErrorKind::Unsafe, "it would be outside of the folder")
        }
        io::ErrorKind::IsADirectory => (ErrorKind::Protocol, "it is a directory too"),
        io::ErrorKind::QuotaExceeded => (ErrorKind::Unsafe, "it is too much"),
        io::ErrorKind::UnexpectedEof => (ErrorKind::Protocol, "the layer ends in the middle of it"),
        _ => (ErrorKind::Io, ""),
    };
    let message = match why {
        "" => format!("{path} cannot be written: {error}"),
        why => format!("{path} cannot be written: {why}"),
    };
    Error::new(kind, message)
}
