//! A disk filled to the brim: what is laid on it, lent from and taken back, so that not a byte is left.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Scarce;

/// The folder of what is laid on the disk.
const NAME: &str = "ballast";
/// What is set aside, to be given back later.
const BALLAST: u64 = 32 << 20;
/// The same, counted in inodes.
const BALLAST_FILES: usize = 100;
/// What is given back for a while, for pushes that have to succeed.
const LOAN: u64 = 8 << 20;

/// Takes space that is given back later.
pub(super) fn lay_ballast(disk: &Path, scarce: Scarce) -> Result<()> {
    let ballast = disk.join(NAME);
    let lay = || -> io::Result<()> {
        fs::create_dir(&ballast)?;
        match scarce {
            Scarce::Space => io::copy(
                &mut io::Read::take(io::repeat(1), BALLAST),
                &mut File::create(ballast.join("0"))?,
            )
            .map(drop),
            Scarce::Inodes => (0..BALLAST_FILES)
                .try_for_each(|n| File::create(ballast.join(n.to_string())).map(drop)),
        }
    };
    lay().with_context(|| ballast.display().to_string())
}

/// Gives some of the bytes back, for a while.
pub(super) fn lend(disk: &Path) -> Result<()> {
    let path = disk.join(NAME).join("0");
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(BALLAST - LOAN))
        .with_context(|| path.display().to_string())
}

/// Takes what is left, to the last byte.
pub(super) fn take_the_rest(disk: &Path) -> Result<()> {
    let rest = disk.join(NAME).join("rest");
    let mut file = File::create(&rest).with_context(|| rest.display().to_string())?;
    loop {
        match file.write_all(&[1; 4096]) {
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            written => written.with_context(|| rest.display().to_string())?,
        }
    }
}

/// Gives everything back.
pub(super) fn give_back(disk: &Path) -> Result<()> {
    let ballast = disk.join(NAME);
    fs::remove_dir_all(&ballast).with_context(|| ballast.display().to_string())
}
