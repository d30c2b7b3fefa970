//! Images whose layers are gzip files of bytes that cannot be made fewer: every client takes them as
//! they are, none packs them again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::content::{Blob, CONFIG, IMAGE, Stock, digest, digest_of};
use super::super::upload;
use super::super::wire::Connection;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The block of a tar file.
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06>
const TAR_BLOCK: usize = 512;

/// An image of linux/amd64 in a registry.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// The digest of its manifest.
    pub(super) digest: String,
    /// The digests of its config and its layers.
    pub(super) blobs: Vec<String>,
}

/// Makes an image of so many layers of so many bytes and pushes it under a tag; no two share a blob.
pub(super) fn push(
    connection: &mut Connection,
    (repo, tag): (&str, &str),
    stock: &Stock,
    (layers, size): (usize, usize),
    scratch: &Path,
) -> Result<Image> {
    let (mut descriptors, mut diff_ids, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..layers {
        let layer = Layer::write(&stock.blob(size), scratch)?;
        upload::file(connection, repo, &layer.digest, &layer.file)?;
        fs::remove_file(&layer.file)?;
        descriptors.push(layer.descriptor());
        diff_ids.push(layer.diff_id);
        blobs.push(layer.digest);
    }
    let config = json!({
        "created": "2026-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string();
    upload::bytes(connection, repo, config.as_bytes())?;
    let id = digest(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": { "mediaType": CONFIG, "digest": id, "size": config.len() },
        "layers": descriptors,
    })
    .to_string();
    upload::manifest(connection, repo, tag, manifest.as_bytes())?;
    blobs.push(id);
    Ok(Image {
        digest: digest(manifest.as_bytes()),
        blobs,
    })
}

/// A layer on disk.
struct Layer {
    file: PathBuf,
    digest: String,
    diff_id: String,
    size: u64,
}

impl Layer {
    /// One file of these bytes, in a tar file, in a gzip file that stores and does not deflate.
    fn write(bytes: &Blob, folder: &Path) -> Result<Self> {
        let file = folder.join("layer");
        let create = File::create(&file).with_context(|| format!("cannot make {file:?}"))?;
        let packed = Hashing::new(BufWriter::with_capacity(1 << 20, create));
        let packed = GzBuilder::new().write(packed, Compression::none());
        let mut tar = Hashing::new(packed);
        let mut header = tar::Header::new_ustar();
        header.set_path("data")?;
        header.set_size(bytes.size as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.write_all(header.as_bytes())?;
        bytes.write_to(&mut tar)?;
        let padding = bytes.size.next_multiple_of(TAR_BLOCK) - bytes.size;
        tar.write_all(&vec![0; padding + 2 * TAR_BLOCK])?;
        let (packed, diff_id) = tar.finish();
        let (mut written, digest) = packed.finish()?.finish();
        written.flush()?;
        let size = fs::metadata(&file)?.len();
        Ok(Self {
            file,
            digest,
            diff_id,
            size,
        })
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": LAYER, "digest": self.digest, "size": self.size })
    }
}

/// Writes on, and hashes what it writes.
struct Hashing<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn new(to: W) -> Self {
        let hash = Sha256::new();
        Self { to, hash }
    }

    /// What was written to, and the digest of what was written.
    fn finish(self) -> (W, String) {
        (self.to, digest_of(self.hash))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_layer_is_what_its_descriptor_says() {
        let folder = tempfile::tempdir().unwrap();
        let blob = Stock::new().blob(100_000);
        let layer = Layer::write(&blob, folder.path()).unwrap();
        let packed = fs::read(&layer.file).unwrap();
        assert_eq!(digest(&packed), layer.digest);
        assert_eq!(packed.len() as u64, layer.size);
        let mut tar = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(packed.as_slice());
        reader.read_to_end(&mut tar).unwrap();
        assert_eq!(digest(&tar), layer.diff_id);
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(digest(&bytes), blob.digest);
    }
}
