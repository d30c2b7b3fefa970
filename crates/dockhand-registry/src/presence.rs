//! Whether the files that a registry has open are still those that its paths name.
//!
//! A process goes on with a file that has been deleted, or that a mount covers: what it writes is
//! acknowledged and lost. The identity of a file (device and inode) tells.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::layout::{BLOBS, DATABASE, LOCK, LOG, UPLOADS};

/// What is compared: the folder, the database and its log, which SQLite keeps as long as it has the
/// database open, the lock, and the folders of blobs and uploads.
const PARTS: [&str; 6] = ["", DATABASE, LOG, LOCK, BLOBS, UPLOADS];

/// The files of a registry as they were when it opened them.
#[derive(Clone, Debug)]
pub struct Presence {
    root: PathBuf,
    parts: Vec<(PathBuf, Identity)>,
}

/// What a file is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// A file is not the one that is open any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Where it was.
    pub path: PathBuf,
    /// Whether another file lies there now.
    pub replaced: bool,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.replaced {
            "has been replaced"
        } else {
            "is gone"
        };
        write!(f, "{} {what} while it was in use", self.path.display())
    }
}

impl Presence {
    /// Notes what lies in a folder that is open. A folder that is only read need not have all of it.
    ///
    /// # Errors
    /// When a file cannot be looked at.
    pub fn note(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let mut noted = Vec::with_capacity(PARTS.len());
        for part in PARTS {
            let path = match part {
                "" => root.clone(),
                part => root.join(part),
            };
            match identity(&path) {
                Ok(found) => noted.push((path, found)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { root, parts: noted })
    }

    /// The folder, as an absolute path.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Compares. It may wait for the disk; a file that cannot be looked at for another reason than that
    /// it is gone counts as there.
    ///
    /// # Errors
    /// [`Gone`] names the first file that is not the one that is open.
    pub fn check(&self) -> Result<(), Gone> {
        for (path, noted) in &self.parts {
            let replaced = match identity(path) {
                Ok(found) if found == *noted => continue,
                Ok(_) => true,
                Err(error) if is_absent(&error) => false,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot look at a file of the registry");
                    continue;
                }
            };
            return Err(Gone {
                path: path.clone(),
                replaced,
            });
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::metadata(path)?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_store::fs::FileSystem;
    use crate::metadata::Metadata;

    #[tokio::test]
    async fn what_is_removed_or_replaced_is_noticed() {
        for part in PARTS {
            for replaced in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let root = folder.path().join("data");
                let _blobs = FileSystem::open(&root).unwrap();
                let metadata = Metadata::open_sqlite(&root.join(DATABASE)).unwrap();
                let presence = Presence::note(&root).unwrap();
                assert_eq!(presence.parts.len(), PARTS.len());
                assert_eq!(presence.check(), Ok(()), "{part}");
                let path = if part.is_empty() {
                    root.clone()
                } else {
                    root.join(part)
                };
                let aside = folder.path().join("aside");
                fs::rename(&path, &aside).unwrap();
                if replaced && aside.is_dir() {
                    fs::create_dir(&path).unwrap();
                } else if replaced {
                    fs::copy(&aside, &path).unwrap();
                }
                let gone = presence.check().unwrap_err();
                assert!(gone.path.ends_with(part), "{gone:?}");
                assert_eq!(gone.replaced, replaced, "{part}");
                // Put back, it is the same again.
                if replaced {
                    let spare = folder.path().join("spare");
                    fs::rename(&path, spare).unwrap();
                }
                fs::rename(&aside, &path).unwrap();
                assert_eq!(presence.check(), Ok(()), "{part}");
                metadata.close().await;
            }
        }
    }
}
