//! What the upper layers say about the paths of the lower ones.

use std::collections::HashMap;

use super::ImagePath;

/// What the layers above have at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Above {
    /// A directory. `listed` when an entry of its own says how it is, not only paths that go through it;
    /// `opaque` when nothing that lies in it further down shows.
    Directory { listed: bool, opaque: bool },
    /// Anything else, or nothing, because it was deleted: all below is covered.
    Covered,
}

/// What the layers read so far cover.
#[derive(Debug, Default)]
pub(super) struct Cover(HashMap<Vec<u8>, Above>);

/// What is known of a path that has no entry so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing: a lower layer may have it.
    Nothing,
    /// It is a directory, because something is in it.
    Directory,
    /// It does not show, whatever lower layers have.
    Gone,
}

/// A file whose name says that something of the lower layers is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout {
    /// This path.
    Path(ImagePath),
    /// Everything in this directory.
    Directory(ImagePath),
    /// Nothing: what AUFS kept for itself (`.wh..wh.plnk`), and what lies in it.
    Nothing,
}

impl Whiteout {
    /// What the name of `path` says, when it says so.
    pub(super) fn of(path: &ImagePath) -> Option<Self> {
        const PREFIX: &[u8] = b".wh.";
        const OPAQUE: &[u8] = b".wh..wh..opq";
        let name = path.name();
        let directory = &path.as_bytes()[..path.as_bytes().len() - name.len()];
        let mut parts = directory.split(|byte| *byte == b'/');
        if parts.any(|part| part.starts_with(b".wh..wh.")) {
            return Some(Self::Nothing);
        }
        let hidden = name.strip_prefix(PREFIX)?;
        Some(match hidden {
            _ if name == OPAQUE => Self::Directory(path.parent()),
            // `.wh..` and `.wh...` would name the directory itself and the one above.
            b"" | b"." | b".." => Self::Nothing,
            _ if hidden.starts_with(PREFIX) => Self::Nothing,
            _ => Self::Path(path.parent().join(hidden)),
        })
    }
}

/// What one layer has, collected until all of it is known: it covers only what lies below it.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    entries: Vec<(ImagePath, bool)>,
    whiteouts: Vec<Whiteout>,
}

impl Sheet {
    /// The layer has an entry at `path`.
    pub(super) fn has(&mut self, path: ImagePath, directory: bool) {
        self.entries.push((path, directory));
    }

    /// The layer says that something is gone.
    pub(super) fn hides(&mut self, whiteout: Whiteout) {
        self.whiteouts.push(whiteout);
    }
}

impl Cover {
    /// Whether an entry of the next lower layer shows.
    pub(super) fn shows(&self, path: &ImagePath, directory: bool) -> bool {
        self.reaches(path)
            && match self.0.get(path.as_bytes()) {
                None => true,
                Some(Above::Directory { listed, .. }) => directory && !listed,
                Some(Above::Covered) => false,
            }
    }

    /// Whether what the next lower layer has in the directories of `path` shows.
    fn reaches(&self, path: &ImagePath) -> bool {
        path.ancestors().all(|one| {
            !matches!(
                self.0.get(one),
                Some(Above::Covered | Above::Directory { opaque: true, .. })
            )
        })
    }

    /// What the layers so far say about `path`.
    pub(super) fn says(&self, path: &ImagePath) -> Says {
        if !self.reaches(path) {
            return Says::Gone;
        }
        match self.0.get(path.as_bytes()) {
            None => Says::Nothing,
            Some(Above::Covered) => Says::Gone,
            Some(Above::Directory { .. }) => Says::Directory,
        }
    }

    /// Puts a layer below those so far. What does not show of it covers nothing.
    pub(super) fn put(&mut self, sheet: Sheet) {
        for (path, directory) in sheet.entries {
            if !self.reaches(&path) {
                continue;
            }
            self.pass(&path);
            let fresh = match directory {
                true => Above::Directory {
                    listed: true,
                    opaque: false,
                },
                false => Above::Covered,
            };
            let above = self.0.entry(path.as_bytes().to_vec()).or_insert(fresh);
            if let Above::Directory { listed, opaque } = above {
                // A file here ends what is below, although a layer above made a directory of it again.
                *listed = true;
                *opaque |= !directory;
            }
        }
        // After the entries, because those of the same layer are not what a whiteout means.
        for whiteout in sheet.whiteouts {
            let (path, itself) = match &whiteout {
                Whiteout::Path(path) => (path, true),
                Whiteout::Directory(path) => (path, false),
                Whiteout::Nothing => continue,
            };
            if !self.reaches(path) {
                continue;
            }
            self.pass(path);
            let fresh = match itself {
                true => Above::Covered,
                false => Above::Directory {
                    listed: false,
                    opaque: true,
                },
            };
            let above = self.0.entry(path.as_bytes().to_vec()).or_insert(fresh);
            if let Above::Directory { listed, opaque } = above {
                *listed |= itself;
                *opaque = true;
            }
        }
    }

    /// Something lies at `path`, so what it is in are directories.
    fn pass(&mut self, path: &ImagePath) {
        for ancestor in path.ancestors() {
            if !self.0.contains_key(ancestor) {
                let passed = Above::Directory {
                    listed: false,
                    opaque: false,
                };
                self.0.insert(ancestor.to_vec(), passed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
