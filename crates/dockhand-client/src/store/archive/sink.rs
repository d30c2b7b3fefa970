//! A tar file while it is written: in order, once, and under its name only when it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Slice;
use crate::store::staged::{Sink, create_parent, sync_folder};
use crate::{Error, ErrorKind, Result};

/// Entries begin at multiples of this.
const BLOCK: u64 = 512;
/// What stands at the end of an archive.
const END: [u8; 1024] = [0; 1024];

/// Where an archive is written to.
pub(super) struct TarSink {
    output: Output,
    label: String,
    /// Where the next byte goes.
    at: u64,
    /// The end of the last entry that is whole.
    whole: u64,
}

enum Output {
    /// `FILE.part`, which becomes `FILE`.
    File(Part),
    /// What was written is out of reach.
    Pipe(Box<dyn Write + Send>),
}

/// A file that is removed unless it got its name.
struct Part {
    file: Arc<File>,
    path: PathBuf,
    to: PathBuf,
    done: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: what stays is overwritten by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl TarSink {
    /// A new archive that will be the file `to`. What is no plain file, as `/dev/stdout`, is written to
    /// as it is.
    pub(super) fn file(to: &Path, label: String) -> Result<Self> {
        let failed = |error| Error::io(to, error);
        match fs::metadata(to) {
            Ok(found) if found.is_dir() => {
                let message = format!("{} is a folder, and an archive is a file", to.display());
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Ok(found) if !found.is_file() => {
                let pipe = OpenOptions::new().write(true).open(to).map_err(failed)?;
                return Ok(Self::to(Output::Pipe(Box::new(pipe)), label));
            }
            _ => {}
        }
        create_parent(to)?;
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = locked(&path)?;
        file.set_len(0).map_err(|error| Error::io(&path, error))?;
        let part = Part {
            file: Arc::new(file),
            path,
            to: to.to_owned(),
            done: false,
        };
        Ok(Self::to(Output::File(part), label))
    }

    /// An archive that goes to standard output.
    pub(super) fn stdout(label: String) -> Self {
        Self::to(Output::Pipe(Box::new(io::stdout())), label)
    }

    fn to(output: Output, label: String) -> Self {
        Self {
            output,
            label,
            at: 0,
            whole: 0,
        }
    }

    /// The file, when what was written can be read again.
    pub(super) fn readable(&self) -> Option<Arc<File>> {
        match &self.output {
            Output::File(part) => Some(Arc::clone(&part.file)),
            Output::Pipe(_) => None,
        }
    }

    /// Begins an entry; says where its content will be. What an earlier entry left unfinished goes.
    pub(super) fn begin(&mut self, name: &str, size: u64) -> Result<Slice> {
        if self.at != self.whole {
            let Output::File(part) = &self.output else {
                let message = format!("{} broke off in the middle of an entry", self.label);
                return Err(Error::new(ErrorKind::Io, message));
            };
            let cut = part.file.set_len(self.whole);
            cut.map_err(|error| Error::io(&part.path, error))?;
            self.at = self.whole;
        }
        let header = header(name, size).map_err(|error| Error::io(&self.label, error))?;
        self.write(&header)?;
        Ok(Slice { at: self.at, size })
    }

    /// Ends an entry all of whose content was written.
    pub(super) fn end(&mut self) -> Result<()> {
        let over = usize::try_from(self.at % BLOCK).unwrap_or(0);
        if over > 0 {
            self.write(&END[over..BLOCK as usize])?;
        }
        self.whole = self.at;
        Ok(())
    }

    /// Writes a small file.
    pub(super) fn entry(&mut self, name: &str, bytes: &[u8]) -> Result<Slice> {
        let slice = self.begin(name, bytes.len() as u64)?;
        self.write(bytes)?;
        self.end()?;
        Ok(slice)
    }

    /// Ends the archive, and gives it its name.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.write(&END)?;
        let failed = |error| Error::io(&self.label, error);
        match &mut self.output {
            Output::Pipe(pipe) => pipe.flush().map_err(failed),
            Output::File(part) => {
                part.file.sync_all().map_err(failed)?;
                fs::rename(&part.path, &part.to).map_err(failed)?;
                part.done = true;
                sync_folder(&part.to)
            }
        }
    }
}

impl Sink for TarSink {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.output {
            Output::File(part) => part.file.write_all_at(bytes, self.at),
            Output::Pipe(pipe) => pipe.write_all(bytes),
        };
        // A pipe that took only a part is broken for good: `at` moves away from `whole`.
        self.at += bytes.len() as u64;
        written.map_err(|error| Error::io(&self.label, error))
    }
}

/// Opens the file `path` and locks it. It is opened again when it got another name, or none, in between:
/// another writer ended then, and what it wrote must stay as it is.
fn locked(path: &Path) -> Result<File> {
    let failed = |error| Error::io(path, error);
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process is writing {}", path.display());
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let own = file.metadata().map_err(failed)?;
        match fs::symlink_metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => return Ok(file),
            Ok(named) if named.is_symlink() => {
                let message = format!("{} is a link", path.display());
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
}

/// The header of a file, with what a long name needs.
fn header(name: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, io::empty())?;
    Ok(builder.get_ref().clone())
}
