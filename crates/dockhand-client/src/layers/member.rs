//! The members of a layer's tar file, each whole: long names and extended headers taken in.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tar::{Archive, Entry, EntryType, Header};

use super::unreadable;
use crate::filesystem::{ImagePath, Limits};
use crate::{Error, ErrorKind, Result};

/// How many bytes may stand between the contents of two members: headers, long names, extended
/// attributes. The tar crate reads them into memory, whatever their length. Linux takes 64 KiB of
/// attributes for a file, and a name has at most 4 KiB.
const HEADERS_MAX: u64 = 1024 * 1024;
/// How many bytes the names and attributes of one layer may have together: they are kept in memory, and
/// those of the largest real layers have some ten million.
const HEADERS_SUM_MAX: usize = 256 * 1024 * 1024;

/// How the records of a sparse file begin when it is no type of its own: what follows is then not the
/// content, but a list of its parts and these.
/// <https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html>
const SPARSE: &str = "GNU.sparse.";

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    /// With what it points to, as it stands there.
    Symlink(Vec<u8>),
    /// Another name of a file of the same image.
    Hardlink(ImagePath),
    /// A device or a named pipe.
    Special(EntryType),
}

/// A file, directory or the like in a layer, without its content.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) path: ImagePath,
    pub(crate) kind: Kind,
    /// The header as it stands there: owner, mode, time, device.
    pub(crate) header: Header,
    /// The extended headers but for names and size: attributes, exact times.
    pub(crate) extended: Vec<(String, Vec<u8>)>,
    /// How many bytes of content follow.
    pub(crate) size: u64,
}

impl Member {
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// How many bytes its names and attributes have.
    fn names(&self) -> usize {
        let link = match &self.kind {
            Kind::Symlink(target) => target.len(),
            Kind::Hardlink(target) => target.as_bytes().len(),
            Kind::File | Kind::Directory | Kind::Special(_) => 0,
        };
        let extended = self.extended.iter();
        let extended = extended.map(|(key, value)| key.len() + value.len());
        self.path.as_bytes().len() + link + extended.sum::<usize>()
    }

    /// Reads the head of an entry; nothing when it is none of the file system.
    fn read<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Self>> {
        let path = ImagePath::parse(&entry.path_bytes())?;
        let target = || entry.link_name_bytes().unwrap_or_default();
        let kind = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Before POSIX, directories were files with a slash at the end.
                match entry.path_bytes().ends_with(b"/") {
                    true => Kind::Directory,
                    false => Kind::File,
                }
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(target().into_owned()),
            EntryType::Link => Kind::Hardlink(ImagePath::parse(&target())?),
            kind @ (EntryType::Char | EntryType::Block | EntryType::Fifo) => Kind::Special(kind),
            _ => return Ok(None),
        };
        let size = match kind {
            Kind::File => entry.size(),
            _ => 0,
        };
        let mut extended = Vec::new();
        if let Some(records) = entry.pax_extensions().map_err(unreadable)? {
            for record in records {
                let record = record.map_err(unreadable)?;
                let Ok(key) = record.key() else { continue };
                if key.starts_with(SPARSE) {
                    return Err(sparse(&path));
                }
                if !["path", "linkpath", "size"].contains(&key) {
                    extended.push((key.to_owned(), record.value_bytes().to_vec()));
                }
            }
        }
        Ok(Some(Self {
            path,
            kind,
            header: entry.header().clone(),
            extended,
            size,
        }))
    }
}

/// Calls `visit` with every member of a tar file and its content, in their order. What is not read of a
/// content is skipped, and counts all the same: it has to be decompressed.
pub(crate) fn each_member(
    plain: &mut dyn Read,
    limits: &Limits,
    mut visit: impl FnMut(Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let allowance = Arc::new(AtomicU64::new(0));
    let mut archive = Archive::new(Metered {
        inner: plain,
        left: Arc::clone(&allowance),
    });
    let mut entries = archive.entries().map_err(unreadable)?;
    let (mut count, mut bytes, mut names) = (0, 0_u64, 0);
    loop {
        allowance.store(HEADERS_MAX, Relaxed);
        let Some(entry) = entries.next() else {
            return Ok(());
        };
        let mut entry = entry.map_err(unreadable)?;
        count += 1;
        if count > limits.entries {
            return Err(too_much(format!(
                "a layer has more than {} files",
                limits.entries
            )));
        }
        bytes = bytes.saturating_add(entry.size());
        if bytes > limits.bytes {
            let message = format!("a layer has more than {} bytes", limits.bytes);
            return Err(too_much(message));
        }
        if let Some(member) = Member::read(&mut entry)? {
            names += member.names();
            if names > HEADERS_SUM_MAX {
                let message =
                    format!("the names in a layer have more than {HEADERS_SUM_MAX} bytes");
                return Err(too_much(message));
            }
            allowance.store(u64::MAX, Relaxed);
            visit(member, &mut entry)?;
        }
        allowance.store(u64::MAX, Relaxed);
        io::copy(&mut entry, &mut io::sink()).map_err(unreadable)?;
    }
}

/// Better refused than taken for something else.
fn sparse(path: &ImagePath) -> Error {
    let message = format!("`{path}` is a sparse file in the POSIX form, which cannot be read");
    Error::new(ErrorKind::Unsupported, message)
        .with_hint("write the layer anew without sparse files: `tar` without --sparse")
}

/// A limit was reached that keeps a small archive from becoming endless content.
pub(crate) fn too_much(message: String) -> Error {
    Error::new(ErrorKind::Unsafe, message)
        .with_hint("if this is what it should be, ask for higher limits")
}

/// Reads no more than it is allowed.
struct Metered<'a> {
    inner: &'a mut dyn Read,
    left: Arc<AtomicU64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Relaxed);
        if left == 0 && !buffer.is_empty() {
            let message = "the headers of a file are longer than any can be";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
        }
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..length])?;
        if left != u64::MAX {
            self.left.store(left - read as u64, Relaxed);
        }
        Ok(read)
    }
}
