//! Space that is set aside for deletes, so that a disk that is full can be emptied.
//!
//! A delete writes before it frees: to the log of the database, which has to grow. The reserve is a
//! file that only takes up space. A delete that meets a full disk gets a piece of it, the others are
//! refused as before, and it is made whole again when there is space.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// As much as the log holds before it is taken back into the file, so that there is always room to
/// take it back; from then on deletes go into the space that the log has already.
const WHOLE: u64 = 16 << 20;

/// What is given at a time: some 25 deletes, of ten pages each. Not all at once, because whoever
/// pushes meanwhile takes what he can get.
const PIECE: u64 = 1 << 20;

/// How many pieces there are.
pub(super) const PIECES: u64 = WHOLE / PIECE;

/// How long after a piece was given, or a vain try to get it back, the next try is made.
const AGAIN: Duration = Duration::from_secs(10);

/// The file that takes up the space. Without one, deletes are refused on a full disk.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Option<File>,
    length: u64,
    /// When space was last given, or asked for.
    moved: Instant,
}

impl Reserve {
    /// No space.
    pub(super) fn none() -> Self {
        Self {
            file: None,
            length: WHOLE,
            moved: Instant::now(),
        }
    }

    /// The reserve in the file at `path`, as large as the disk allows.
    pub(super) fn open(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut reserve = Self::none();
        match options.open(path) {
            Ok(file) => {
                reserve.file = Some(file);
                reserve.length = 0;
                reserve.fill();
            }
            Err(error) => tracing::warn!(
                path = %path.display(), %error,
                "no space can be set aside: deletes will be refused when the disk is full"
            ),
        }
        reserve
    }

    /// Gives a piece to whoever asks first; nothing when nothing is left.
    pub(super) fn give(&mut self) {
        let Some(file) = &self.file else { return };
        let left = self.length.saturating_sub(PIECE);
        match file.set_len(left) {
            Ok(()) => self.length = left,
            Err(error) => tracing::warn!(%error, "the space set aside for deletes is not given"),
        }
        self.moved = Instant::now();
    }

    /// Takes back what was given, if there is space again. To be called often: it looks rarely.
    pub(super) fn refill(&mut self) {
        if self.length < WHOLE && self.moved.elapsed() >= AGAIN {
            self.fill();
        }
    }

    fn fill(&mut self) {
        let Some(file) = &self.file else { return };
        match allocate(file) {
            Ok(()) => self.length = WHOLE,
            Err(error) => {
                tracing::warn!(%error, "less space is set aside for deletes than there should be");
                self.length = file.metadata().map_or(0, |found| found.len());
            }
        }
        self.moved = Instant::now();
    }
}

/// Has the file system take up the space.
#[cfg(target_os = "linux")]
fn allocate(file: &File) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    match fallocate(file, FallocateFlags::empty(), 0, WHOLE) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write(file),
        done => Ok(done?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File) -> io::Result<()> {
    write(file)
}

/// The same where a file takes up only what is written.
fn write(file: &File) -> io::Result<()> {
    use std::io::{Seek, Write};

    let mut file = file;
    let piece = vec![b'.'; 1 << 16];
    let mut length = file.seek(io::SeekFrom::End(0))?;
    while length < WHOLE {
        file.write_all(&piece)?;
        length += piece.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_in_pieces_and_taken_back_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reserve");
        let length = || path.metadata().unwrap().len();
        let mut reserve = Reserve::open(&path);
        assert_eq!(length(), WHOLE);
        for given in 1..=PIECES {
            reserve.give();
            assert_eq!(length(), WHOLE - given * PIECE);
        }
        reserve.give();
        assert_eq!(length(), 0);
        reserve.refill();
        assert_eq!(length(), 0, "not at once");
        reserve.moved = Instant::now().checked_sub(AGAIN).unwrap();
        reserve.refill();
        assert_eq!(length(), WHOLE);
        reserve.give();
        drop(reserve);
        Reserve::open(&path);
        assert_eq!(length(), WHOLE, "whole after a restart");
    }

    #[test]
    fn it_takes_up_space_wherever_it_lies() {
        let file = tempfile::tempfile().unwrap();
        write(&file).unwrap();
        write(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), WHOLE);
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt;
            let file = tempfile::tempfile().unwrap();
            allocate(&file).unwrap();
            assert!(file.metadata().unwrap().blocks() * 512 >= WHOLE);
        }
    }
}
