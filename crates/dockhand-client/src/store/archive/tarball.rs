//! What is where in a tar file.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tar::EntryType;

use super::malformed;
use crate::{Error, ErrorKind, Result};

/// The most entries of an archive: old archives have four for each layer, so this is enough for 50,000
/// images, while each takes some 200 bytes of memory.
const ENTRIES_MAX: usize = 1_000_000;
/// The most links that lead from one to the next.
const HOPS_MAX: usize = 8;
/// How many bytes may stand between the contents of two entries. The tar crate reads them into memory,
/// whatever their length; a name and its extended headers have some thousand.
const HEADERS_MAX: u64 = 1024 * 1024;
/// How many bytes all names may have together.
const NAMES_MAX: usize = 128 * 1024 * 1024;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Slice {
    /// Where it begins, in bytes.
    pub(in crate::store) at: u64,
    /// How many bytes it has.
    pub(in crate::store) size: u64,
}

impl Slice {
    /// What is left of it after `offset` bytes.
    pub(in crate::store) fn from(self, offset: u64) -> Self {
        let offset = offset.min(self.size);
        Self {
            at: self.at + offset,
            size: self.size - offset,
        }
    }

    /// Its bytes. It waits for the disk.
    pub(in crate::store) fn read(self, file: &File, label: &str) -> Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, self.at)
            .map_err(|error| Error::io(label, error))?;
        Ok(bytes.into())
    }
}

/// A tar file whose entries are known.
#[derive(Debug)]
pub(in crate::store) struct Tarball {
    /// What it is called in messages.
    pub(in crate::store) label: String,
    /// Its bytes, not compressed.
    pub(in crate::store) file: Arc<File>,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File(Slice),
    /// To another entry.
    Link(String),
}

impl Tarball {
    /// Reads the headers of all entries, and passes over what is between.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] when an entry is named or linked to outside of the archive, or is neither
    /// file, folder nor link.
    pub(in crate::store) fn scan(file: File, label: String) -> Result<Self> {
        let length = file.metadata().map_err(|error| Error::io(&label, error))?;
        let length = length.len();
        let mut entries = HashMap::new();
        let left = Rc::new(Cell::new(HEADERS_MAX));
        let mut archive = tar::Archive::new(Headers {
            file: &file,
            left: Rc::clone(&left),
        });
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::QuotaExceeded => refused(&label, "", "has endless headers"),
            _ => malformed(&label, "this is no tar archive, or it is damaged").with_source(error),
        };
        let mut names = 0;
        for entry in archive.entries_with_seek().map_err(broken)? {
            left.set(HEADERS_MAX);
            let entry = entry.map_err(broken)?;
            let name = inside(&label, "", &entry.path_bytes())?;
            names += name.len();
            let slice = Slice {
                at: entry.raw_file_position(),
                size: entry.size(),
            };
            if slice.at.saturating_add(slice.size) > length {
                return Err(malformed(
                    &label,
                    format!("it ends in the middle of {name}"),
                ));
            }
            let found = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => Entry::File(slice),
                EntryType::Directory | EntryType::XGlobalHeader => continue,
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let folder = if kind == EntryType::Link { "" } else { folder };
                    Entry::Link(inside(&label, folder, &target)?)
                }
                _ => return Err(refused(&label, &name, "is neither file nor folder")),
            };
            entries.insert(name, found);
            if entries.len() > ENTRIES_MAX || names > NAMES_MAX {
                let message = format!(
                    "{label} has more than {ENTRIES_MAX} entries, or {NAMES_MAX} bytes of names"
                );
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
        }
        let file = Arc::new(file);
        Ok(Self {
            label,
            file,
            entries,
        })
    }

    /// Whether there is a file of this name, or a link to one.
    pub(in crate::store) fn has(&self, name: &str) -> bool {
        self.slice(name).is_some()
    }

    /// Whether there is any entry that begins so.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the file of this name is, by way of links within the archive.
    pub(in crate::store) fn slice(&self, name: &str) -> Option<Slice> {
        let mut name = name.strip_prefix("./").unwrap_or(name);
        for _ in 0..HOPS_MAX {
            match self.entries.get(name)? {
                Entry::File(slice) => return Some(*slice),
                Entry::Link(target) => name = target,
            }
        }
        None
    }

    /// The bytes of a file of at most `max` bytes.
    pub(in crate::store) fn bytes(&self, name: &str, max: u64) -> Result<Bytes> {
        let Some(slice) = self.slice(name) else {
            let message = format!("{name} is missing from {}", self.label);
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        if slice.size > max {
            let message = format!(
                "{name} in {} has {} bytes, more than the {max} that are read into memory",
                self.label, slice.size
            );
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        slice.read(&self.file, &self.label)
    }

    /// The files, without links.
    pub(in crate::store) fn files(&self) -> impl Iterator<Item = (&str, Slice)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::File(slice) => Some((name.as_str(), *slice)),
            Entry::Link(_) => None,
        })
    }

    /// Refuses an archive in which there are links.
    pub(in crate::store) fn refuse_links(&self) -> Result<()> {
        let link = |entry: &Entry| matches!(entry, Entry::Link(_));
        match self.entries.iter().find(|(_, entry)| link(entry)) {
            Some((name, _)) => Err(refused(&self.label, name, "is a link")),
            None => Ok(()),
        }
    }
}

/// A tar file of which the headers are read, and nothing endless: what is between is sought past.
struct Headers<'a> {
    file: &'a File,
    left: Rc<Cell<u64>>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..length])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The name of an entry, seen from the root of the archive.
fn inside(label: &str, folder: &str, path: &[u8]) -> Result<String> {
    let path = String::from_utf8_lossy(path);
    if path.starts_with('/') {
        return Err(refused(label, &path, "has an absolute path"));
    }
    // A name is never above where it begins; only what a link leads to may go up, and then in again.
    let may_rise = !folder.is_empty();
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if may_rise && parts.pop().is_some() => {}
            ".." => return Err(refused(label, &path, "leads out of the archive")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn refused(label: &str, name: &str, why: &str) -> Error {
    let message = format!("{label} was refused: its entry {name:?} {why}");
    Error::new(ErrorKind::Unsafe, message)
}
