//! A merged file system as one tar stream.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};
use tokio::io::AsyncWrite;

use super::merge::Sink;
use super::{Limits, walk};
use crate::image::Image;
use crate::layers::{Kind, Member, PipeWriter, pipe_into};
use crate::{Error, ErrorKind, Result, Store};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many files, directories and links.
    pub entries: u64,
    /// How many bytes of content the files have.
    pub bytes: u64,
}

/// Writes the file system of an image as one tar stream: whiteouts applied, each path once, with owners,
/// modes, times and extended attributes as the layers have them, in the order of the layers from the
/// top down. The same image gives the same bytes.
///
/// # Errors
/// [`ErrorKind::Protocol`] when a layer is no tar file, [`ErrorKind::Unsafe`] when a path in one leads
/// out or a limit is reached; what was written so far has no end then, by which readers notice.
pub async fn export<W: AsyncWrite + Unpin>(
    store: &dyn Store,
    image: &Image,
    target: &mut W,
    limits: Limits,
) -> Result<Exported> {
    let (writer, carry) = pipe_into(target);
    let produce = async {
        let sink = walk(store, &image.layers, limits, TarSink::new(writer)).await?;
        let finish = tokio::task::spawn_blocking(|| sink.finish()).await;
        finish.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?
    };
    let (exported, ()) = futures_util::future::try_join(produce, carry).await?;
    Ok(exported)
}

/// Writes what it gets as a tar file in the pax format.
pub(crate) struct TarSink<W: Write> {
    tar: Builder<W>,
    written: Exported,
}

impl TarSink<PipeWriter> {
    fn finish(self) -> Result<Exported> {
        let (mut writer, written) = self.end()?;
        writer.flush().map_err(unwritable)?;
        Ok(written)
    }
}

impl<W: Write> TarSink<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            tar: Builder::new(writer),
            written: Exported::default(),
        }
    }

    /// Ends the archive.
    pub(crate) fn end(self) -> Result<(W, Exported)> {
        let writer = self.tar.into_inner().map_err(unwritable)?;
        Ok((writer, self.written))
    }
}

impl<W: Write + Send> Sink for TarSink<W> {
    fn put(&mut self, member: &Member, content: &mut dyn Read) -> Result<()> {
        let (header, extended) = head_of(member);
        let records = { extended.iter() }.map(|(key, value)| (key.as_str(), value.as_slice()));
        let mut content = Exact {
            inner: content,
            left: member.size,
        };
        self.tar
            .append_pax_extensions(records)
            .and_then(|()| self.tar.append(&header, &mut content))
            .map_err(unwritable)?;
        self.written.entries += 1;
        self.written.bytes += member.size;
        Ok(())
    }
}

/// The header of a member and what does not fit into it.
fn head_of(member: &Member) -> (Header, Vec<(String, Vec<u8>)>) {
    let mut extended = member.extended.clone();
    let old = &member.header;
    let mut header = Header::new_ustar();
    header.set_mode(old.mode().unwrap_or(0o644));
    header.set_uid(old.uid().unwrap_or(0));
    header.set_gid(old.gid().unwrap_or(0));
    header.set_mtime(old.mtime().unwrap_or(0));
    header.set_size(member.size);
    let mut path = member.path.as_bytes().to_vec();
    if path.is_empty() {
        path.extend_from_slice(b".");
    }
    let mut link: &[u8] = &[];
    header.set_entry_type(match &member.kind {
        Kind::File => EntryType::Regular,
        Kind::Directory => {
            path.push(b'/');
            EntryType::Directory
        }
        Kind::Symlink(target) => {
            link = target;
            EntryType::Symlink
        }
        Kind::Hardlink(target) => {
            link = target.as_bytes();
            EntryType::Link
        }
        Kind::Special(kind) => *kind,
    });
    if let Some(ustar) = header.as_ustar_mut() {
        let fitted = |field: &mut [u8], value: &[u8]| {
            let length = value.len().min(field.len());
            field[..length].copy_from_slice(&value[..length]);
            length == value.len()
        };
        if !fitted(&mut ustar.name, &path) {
            extended.push(("path".to_owned(), path));
        }
        if !fitted(&mut ustar.linkname, link) {
            extended.push(("linkpath".to_owned(), link.to_vec()));
        }
        fitted(&mut ustar.uname, old.username_bytes().unwrap_or_default());
        fitted(&mut ustar.gname, old.groupname_bytes().unwrap_or_default());
        if let Kind::Special(EntryType::Char | EntryType::Block) = member.kind {
            ustar.set_device_major(old.device_major().ok().flatten().unwrap_or(0));
            ustar.set_device_minor(old.device_minor().ok().flatten().unwrap_or(0));
        }
    }
    header.set_cksum();
    (header, extended)
}

fn unwritable(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("the tar stream cannot be written: {error}"),
    )
    .with_source(error)
}

/// As many bytes as the header says, or a failure: a tar stream would be out of step otherwise.
struct Exact<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..length])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
