//! What is in a merged file system, as data.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use dockhand_oci::{Algorithm, Descriptor, Digest, Hasher};

use super::cover::{Cover, Says, Sheet, Whiteout};
use super::{ImagePath, Limits};
use crate::image::Image;
use crate::layers::{Kind, Member, each_member, unreadable, with_layer};
use crate::{Result, Store};

/// What a file of an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and what it points to as it stands there.
    Symlink(Vec<u8>),
    /// Another name of this file.
    Hardlink(ImagePath),
    /// A device or a named pipe.
    Special,
}

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// What it is.
    pub kind: FileKind,
    /// The mode, without the bits that say what it is.
    pub mode: u32,
    /// The user that owns it.
    pub uid: u64,
    /// The group that owns it.
    pub gid: u64,
    /// When it was last changed, in seconds since 1970.
    pub mtime: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The digest of its bytes, when it was asked for.
    pub digest: Option<Digest>,
    /// The device numbers of a device.
    pub device: Option<(u32, u32)>,
    /// The extended attributes, by name.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// Which layer has it: its place in the manifest, from 0 at the bottom.
    pub layer: usize,
    /// Which member of that layer's tar file has the content, counted from 0.
    pub(super) member: usize,
}

/// The members of one layer, in their order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    members: Vec<(ImagePath, FileEntry)>,
    whiteouts: Vec<ImagePath>,
}

impl Listing {
    /// Reads a layer for what is in it; with the digests of the files when `hashed`.
    pub(crate) async fn read(
        store: &dyn Store,
        layer: &Descriptor,
        hashed: bool,
        limits: Limits,
    ) -> Result<Self> {
        with_layer(store, layer, move |plain| {
            let mut listing = Self::default();
            let mut place = 0;
            each_member(plain, &limits, |member, content| {
                if Whiteout::of(&member.path).is_some() {
                    listing.whiteouts.push(member.path);
                } else if member.is_directory() || !member.path.is_root() {
                    let mut entry = FileEntry::of(&member, content, hashed)?;
                    entry.member = place;
                    listing.members.push((member.path, entry));
                }
                place += 1;
                Ok(())
            })?;
            Ok(listing)
        })
        .await
    }
}

impl FileEntry {
    fn of(member: &Member, content: &mut dyn Read, hashed: bool) -> Result<Self> {
        let header = &member.header;
        let record = |key: &str| {
            let found = member.extended.iter().rfind(|(own, _)| own == key);
            found.and_then(|(_, value)| std::str::from_utf8(value).ok())
        };
        let number = |key: &str, plain: std::io::Result<u64>| {
            let exact = record(key).and_then(|text| text.split('.').next()?.parse().ok());
            exact.unwrap_or_else(|| plain.unwrap_or(0))
        };
        let digest = match (&member.kind, hashed) {
            (Kind::File, true) => Some(digest_of(content)?),
            _ => None,
        };
        let major = header.device_major().ok().flatten();
        let attributes = member.extended.iter().filter_map(|(key, value)| {
            let name = key
                .strip_prefix("SCHILY.xattr.")
                .or_else(|| key.strip_prefix("LIBARCHIVE.xattr."))?;
            Some((name.to_owned(), value.clone()))
        });
        Ok(Self {
            kind: match &member.kind {
                Kind::File => FileKind::File,
                Kind::Directory => FileKind::Directory,
                Kind::Symlink(target) => FileKind::Symlink(target.clone()),
                Kind::Hardlink(target) => FileKind::Hardlink(target.clone()),
                Kind::Special(_) => FileKind::Special,
            },
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: number("uid", header.uid()),
            gid: number("gid", header.gid()),
            mtime: number("mtime", header.mtime()),
            size: member.size,
            digest,
            device: match member.kind {
                Kind::Special(_) => major.zip(header.device_minor().ok().flatten()),
                _ => None,
            },
            attributes: attributes.collect(),
            layer: 0,
            member: 0,
        })
    }
}

fn digest_of(content: &mut dyn Read) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = content.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
    }
}

/// What shows of layers, put together from the top down.
#[derive(Debug, Default)]
pub(crate) struct View {
    cover: Cover,
    files: BTreeMap<ImagePath, FileEntry>,
}

impl View {
    /// Puts a layer below those so far. A hard link shows as what it means: a file with its size and
    /// digest, where the layer has that file.
    pub(crate) fn put_below(&mut self, listing: &Listing, layer: usize) {
        let mut sheet = Sheet::default();
        let mut own: HashMap<&ImagePath, &FileEntry> = HashMap::new();
        for (path, entry) in &listing.members {
            let meant = match &entry.kind {
                FileKind::Hardlink(target) => own.get(target).copied().unwrap_or(entry),
                _ => entry,
            };
            own.insert(path, meant);
            let directory = entry.kind == FileKind::Directory;
            if self.cover.shows(path, directory) {
                let mut shown = meant.clone();
                shown.layer = layer;
                self.files.insert(path.clone(), shown);
            }
            sheet.has(path.clone(), directory);
        }
        { listing.whiteouts.iter() }
            .filter_map(Whiteout::of)
            .for_each(|whiteout| sheet.hides(whiteout));
        self.cover.put(sheet);
    }

    /// The entry at `path`, or else what is known of it.
    pub(super) fn look(&self, path: &ImagePath) -> Result<&FileEntry, Says> {
        let entry = self.files.get(path);
        entry.ok_or_else(|| self.cover.says(path))
    }

    /// All that shows.
    pub(crate) fn into_files(self) -> BTreeMap<ImagePath, FileEntry> {
        self.files
    }
}

/// What is in the file system of an image, by path; with the digests of the files when `hashed`.
///
/// # Errors
/// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) when a layer is no tar file,
/// [`ErrorKind::Unsafe`](crate::ErrorKind::Unsafe) when a path in one leads out.
pub async fn files(
    store: &dyn Store,
    image: &Image,
    hashed: bool,
    limits: Limits,
) -> Result<BTreeMap<ImagePath, FileEntry>> {
    let mut view = View::default();
    for (place, layer) in image.layers.iter().enumerate().rev() {
        let listing = Listing::read(store, layer, hashed, limits).await?;
        view.put_below(&listing, place);
    }
    Ok(view.into_files())
}
