//! Opens an archive so that any part of it can be read: what is compressed or piped is written out flat
//! first, to a file without a name that the system takes back by itself.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::malformed;
use crate::{Error, ErrorKind, Result};

/// How many times larger than its compressed form an archive may be. Layers of zeros aside, images
/// stay below ten.
const RATIO_MAX: u64 = 200;
/// Below this many bytes the ratio is not looked at.
const RATIO_FROM: u64 = 1024 * 1024 * 1024;

/// How an archive is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The archive in the file `path`, flat.
pub(super) fn open(path: &Path) -> Result<File> {
    let failed = |error| Error::io(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?;
    let label = path.display().to_string();
    if kind.is_dir() {
        let message = format!("{label} is a folder and no archive");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if !kind.is_file() {
        return spool(file, &std::env::temp_dir(), &label);
    }
    let mut start = Vec::new();
    { &mut file }
        .take(6)
        .read_to_end(&mut start)
        .map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    if compression(&start, &label)? == Compression::None {
        return Ok(file);
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    spool(file, folder, &label)
}

/// The archive that comes through standard input, flat.
pub(super) fn stdin() -> Result<File> {
    spool(io::stdin().lock(), &std::env::temp_dir(), "standard input")
}

fn compression(start: &[u8], label: &str) -> Result<Compression> {
    match start {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'B', b'Z', b'h', ..] => {
            let message = format!("{label} is compressed by xz or bzip2, which is not read");
            let hint = "decompress it first";
            Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint))
        }
        [] => Err(malformed(label, "it is empty")),
        _ => Ok(Compression::None),
    }
}

/// Writes what is read out flat, in `folder` or else where temporary files are.
fn spool(mut from: impl Read, folder: &Path, label: &str) -> Result<File> {
    let failed = |error| Error::io(label, error);
    let mut start = Vec::new();
    { &mut from }
        .take(6)
        .read_to_end(&mut start)
        .map_err(failed)?;
    let kind = compression(&start, label)?;
    let mut whole = Counted {
        inner: io::Cursor::new(start).chain(from),
        count: 0,
    };
    let target = tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile());
    let mut target = target.map_err(|error| Error::io(folder, error))?;
    match kind {
        Compression::None => {
            io::copy(&mut whole, &mut target).map_err(failed)?;
        }
        Compression::Gzip => unpack(MultiGzDecoder::new(whole), &mut target, label, |decoder| {
            decoder.get_ref().count
        })?,
        Compression::Zstd => {
            let whole = io::BufReader::new(whole);
            let decoder = zstd::Decoder::with_buffer(whole).map_err(failed)?;
            unpack(decoder, &mut target, label, |decoder| {
                decoder.get_ref().get_ref().count
            })?;
        }
    }
    target.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(target)
}

/// Decompresses, as long as what comes out has some measure to what goes in.
fn unpack<D: Read>(
    mut decoder: D,
    target: &mut File,
    label: &str,
    taken: impl Fn(&D) -> u64,
) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut written: u64 = 0;
    loop {
        let read = decoder.read(&mut buffer).map_err(|error| {
            malformed(label, format!("it cannot be decompressed: {error}")).with_source(error)
        })?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        target.write_all(bytes).map_err(|error| {
            Error::io(label, error).doing("write the archive out flat before it is read")
        })?;
        written += read as u64;
        if written > RATIO_FROM && written / RATIO_MAX > taken(&decoder) {
            let message = format!("{label} unpacks to over {RATIO_MAX} times its size");
            let hint = "if that is right, decompress it first";
            return Err(Error::new(ErrorKind::Unsafe, message).with_hint(hint));
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}
