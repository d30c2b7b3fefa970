//! The calls that answer only when no disk is needed, and those that standard Rust does not have.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

/// What a call that may not wait says.
pub(super) enum Now<T> {
    /// It is done.
    Done(T),
    /// It would have to wait for the disk.
    Later,
    /// This system cannot say; asking again is of no use.
    Never,
}

/// Opens a file below `root` for reading if all of its path is in the cache of the kernel.
#[cfg(target_os = "linux")]
pub(super) fn open_now(root: &OwnedFd, path: &str) -> Now<File> {
    match open_beneath(root, path, OFlags::RDONLY, ResolveFlags::CACHED) {
        Ok(file) => Now::Done(file),
        // Before Linux 5.6; before 5.12; in a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => Now::Never,
        // Other errors are left to the call that may wait, which says them in words.
        Err(_) => Now::Later,
    }
}

/// The length of a file below `root` if all of its path is in the cache of the kernel, which then has
/// its length too.
#[cfg(target_os = "linux")]
pub(super) fn length_now(root: &OwnedFd, path: &str) -> Now<u64> {
    match open_beneath(root, path, OFlags::PATH, ResolveFlags::CACHED) {
        Ok(file) => length_of(&file).map_or(Now::Later, Now::Done),
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => Now::Never,
        Err(_) => Now::Later,
    }
}

/// The length of a file below `root`; no link leads out of it.
#[cfg(target_os = "linux")]
pub(super) fn length(root: &OwnedFd, path: &str) -> io::Result<u64> {
    match open_beneath(root, path, OFlags::PATH, ResolveFlags::empty()) {
        Ok(file) => length_of(&file),
        Err(Errno::NOSYS | Errno::PERM) => length_of(&open_plain(root, path)?),
        Err(e) => Err(e.into()),
    }
}

/// The length of a file that is open. What is no regular file holds none of our bytes.
pub(super) fn length_of(file: &File) -> io::Result<u64> {
    let found = rustix::fs::fstat(file)?;
    let is_file = rustix::fs::FileType::from_raw_mode(found.st_mode).is_file();
    Ok(if is_file {
        u64::try_from(found.st_size).unwrap_or(0)
    } else {
        0
    })
}

/// Opens a file below `root` for reading; no link leads out of it.
#[cfg(target_os = "linux")]
pub(super) fn open(root: &OwnedFd, path: &str) -> io::Result<File> {
    match open_beneath(root, path, OFlags::RDONLY, ResolveFlags::empty()) {
        Ok(file) => Ok(file),
        Err(Errno::NOSYS | Errno::PERM) => open_plain(root, path),
        Err(e) => Err(e.into()),
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(
    root: &OwnedFd,
    path: &str,
    access: OFlags,
    how: ResolveFlags,
) -> rustix::io::Result<File> {
    use rustix::fs::{Mode, openat2};

    let flags = access | OFlags::CLOEXEC;
    let how = how | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), how).map(File::from)
}

/// Opens a file below `root` for reading if that needs no disk: other systems cannot say.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_now(_root: &OwnedFd, _path: &str) -> Now<File> {
    Now::Never
}

/// The length of a file below `root` if that needs no disk: other systems cannot say.
#[cfg(not(target_os = "linux"))]
pub(super) fn length_now(_root: &OwnedFd, _path: &str) -> Now<u64> {
    Now::Never
}

/// The length of a file below `root`.
#[cfg(not(target_os = "linux"))]
pub(super) fn length(root: &OwnedFd, path: &str) -> io::Result<u64> {
    length_of(&open_plain(root, path)?)
}

/// Opens a file below `root` for reading.
#[cfg(not(target_os = "linux"))]
pub(super) fn open(root: &OwnedFd, path: &str) -> io::Result<File> {
    open_plain(root, path)
}

/// Opens a file that is itself no link, which is what can be asked for everywhere.
fn open_plain(root: &OwnedFd, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};

    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat(root, path, flags, Mode::empty()).map(File::from)?)
}

/// Reads at `offset` what is in the page cache; it may be less than asked for.
#[cfg(target_os = "linux")]
pub(super) fn read_now(file: &File, to: &mut [u8], offset: u64) -> Now<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};

    match preadv2(
        file,
        &mut [IoSliceMut::new(to)],
        offset,
        ReadWriteFlags::NOWAIT,
    ) {
        Ok(read) => Now::Done(read),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Now::Never,
        Err(_) => Now::Later,
    }
}

/// Reads at `offset` what is in the page cache: other systems cannot say.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_now(_file: &File, _to: &mut [u8], _offset: u64) -> Now<usize> {
    Now::Never
}

/// Has the kernel begin to read `length` bytes from `offset`. Only a hint.
#[cfg(target_os = "linux")]
pub(super) fn read_ahead(file: &File, offset: u64, length: u64) {
    use rustix::fs::{Advice, fadvise};

    if let Some(length) = std::num::NonZeroU64::new(length) {
        // A hint that is not taken costs only time.
        let _ = fadvise(file, offset, Some(length), Advice::WillNeed);
    }
}

/// Has the kernel begin to read: not on other systems, and it is only a hint.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_ahead(_file: &File, _offset: u64, _length: u64) {}

/// Makes a file in `folder` that has no name and is gone with its last handle, if it gets none.
#[cfg(target_os = "linux")]
pub(super) fn create_unnamed(folder: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, openat};

    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::from_raw_mode(0o666)).map(File::from)?)
}

/// Gives a file that [`create_unnamed`] made a name that nothing has yet.
#[cfg(target_os = "linux")]
pub(super) fn name_it(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};

    // The way that needs no privilege, see open(2).
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, from, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Files without a name are not to be had on every system.
#[cfg(not(target_os = "linux"))]
pub(super) fn create_unnamed(_folder: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Files without a name are not to be had on every system.
#[cfg(not(target_os = "linux"))]
pub(super) fn name_it(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes all of `slices` at `offset`.
pub(super) fn write_all_at(
    file: &File,
    mut slices: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    /// Far below the 1024 that every system takes, and as many as a batch has.
    const AT_ONCE: usize = 256;
    while !slices.is_empty() {
        let some = slices.get(..AT_ONCE).unwrap_or(slices);
        match rustix::io::pwritev(file, some, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
