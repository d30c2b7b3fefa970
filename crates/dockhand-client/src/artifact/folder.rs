//! Folders in artifacts: one tar file, compressed by gzip, as oras packs and unpacks them.
//!
//! The names in the tar file begin with the title. Neither times nor owners are in it, so that the same
//! files always have the same digest.
//!
//! <https://oras.land/docs/how_to_guides/pushing_and_pulling>

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dockhand_oci::Descriptor;
use tar::Header;

use crate::filesystem::{Absolute, ImagePath, Sink, Unpack, leads_out, unpack_tar};
use crate::layers::{Compression, Kind, Member};
use crate::rewrite::{FlatSink, Spooled};
use crate::{Error, ErrorKind, Result, Store};

/// The annotation that says that a file is to be unpacked.
const UNPACK: &str = "io.deis.oras.content.unpack";
/// The annotation that has the digest of the tar file without its compression.
const PLAIN: &str = "io.deis.oras.content.digest";

/// Whether a file of an artifact is a folder that was packed.
pub(super) fn is_packed(blob: &Descriptor) -> bool {
    blob.annotations
        .get(UNPACK)
        .is_some_and(|said| said == "true")
}

/// Packs the folder `path` as `title`: what names it, and where its bytes are.
pub(super) fn pack(path: &Path, title: &str, media_type: &str) -> Result<(Descriptor, Spooled)> {
    let mut sink = FlatSink::new(Compression::Gzip)?;
    // The next one last.
    let mut open: Vec<(PathBuf, ImagePath, usize)> = vec![(path.to_owned(), title.parse()?, 0)];
    while let Some((path, name, depth)) = open.pop() {
        let failed = |error| Error::io(&path, error);
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        let kind = metadata.file_type();
        let mut content: Box<dyn Read> = Box::new(io::empty());
        let (kind, size) = if kind.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path).map_err(failed)? {
                names.push(entry.map_err(failed)?.file_name());
            }
            names.sort();
            let inner = names.iter().rev();
            open.extend(inner.map(|one| (path.join(one), name.join(one.as_bytes()), depth + 1)));
            (Kind::Directory, 0)
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(failed)?;
            let target = target.as_os_str().as_bytes().to_vec();
            if leads_out(&target, depth.saturating_sub(1)) {
                let message = format!("the link {} leads out of the folder", path.display());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            (Kind::Symlink(target), 0)
        } else if kind.is_file() {
            content = Box::new(File::open(&path).map_err(failed)?);
            (Kind::File, metadata.len())
        } else {
            let message = format!("{} is neither file, folder nor link", path.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let mut header = Header::new_ustar();
        header.set_mode(metadata.permissions().mode() & 0o777);
        let member = Member {
            path: name,
            kind,
            header,
            extended: Vec::new(),
            size,
        };
        let put = sink.put(&member, &mut content);
        put.map_err(|error| error.doing(format!("pack {}", path.display())))?;
    }
    let flat = sink.end()?;
    let mut blob = Descriptor::new(media_type, flat.digest, flat.size);
    blob.annotations.insert(UNPACK.into(), "true".into());
    blob.annotations
        .insert(PLAIN.into(), flat.diff_id.to_string());
    Ok((blob, Spooled(flat.file)))
}

/// Unpacks a folder that was packed under the name `title` to `target`, where nothing is yet.
pub(super) async fn unpack(
    store: &dyn Store,
    blob: &Descriptor,
    title: &str,
    target: &Path,
) -> Result<()> {
    let plain = blob.annotations.get(PLAIN);
    let plain = plain.and_then(|digest| digest.parse().ok());
    let options = Unpack {
        links: Absolute::Refuse,
        ..Unpack::default()
    };
    let name: ImagePath = title.parse()?;
    unpack_tar(store, blob, &name, plain, target, options).await?;
    Ok(())
}
