//! What is pushed and pulled: bytes that look random, and manifests.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The media type of an image manifest.
pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the config of an image.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Small enough to stay in the cache of a core while it is sent again and again.
const BLOCK: usize = 1024 * 1024;

/// A maker of blobs of which no two are equal, within one run.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    block: Arc<[u8]>,
    made: Rc<Cell<u64>>,
}

impl Stock {
    pub(crate) fn new() -> Self {
        // Xorshift: https://www.jstatsoft.org/article/view/v008i14. What matters is that nothing on
        // the way can make the bytes fewer.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let block = (0..BLOCK / 8)
            .flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect();
        Self {
            block,
            made: Rc::default(),
        }
    }

    /// The next blob, of so many bytes (at least 8).
    pub(crate) fn blob(&self, size: usize) -> Blob {
        self.made.set(self.made.get() + 1);
        let mut blob = Blob {
            block: Arc::clone(&self.block),
            number: self.made.get().to_le_bytes(),
            size,
            digest: String::new(),
        };
        let mut hash = Sha256::new();
        blob.pieces().for_each(|piece| hash.update(piece));
        blob.digest = digest_of(hash);
        blob
    }
}

/// A blob: a number, then one block over and over.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    block: Arc<[u8]>,
    number: [u8; 8],
    pub(crate) size: usize,
    pub(crate) digest: String,
}

impl Blob {
    /// Its bytes, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let number = self.number.len().min(self.size);
        let mut left = self.size - number;
        let blocks = std::iter::from_fn(move || {
            let take = left.min(BLOCK);
            left -= take;
            (take > 0).then(|| &self.block[..take])
        });
        std::iter::once(&self.number[..number]).chain(blocks)
    }

    /// Writes its bytes.
    pub(crate) fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        self.pieces().try_for_each(|piece| to.write_all(piece))
    }

    fn descriptor(&self, media_type: &str) -> serde_json::Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.size })
    }
}

/// The manifest of an image of one layer.
pub(crate) fn image(config: &Blob, layer: &Blob) -> Vec<u8> {
    filled(config, layer, "")
}

/// The manifest of an image of one layer that is exactly so long, by an annotation.
pub(crate) fn image_of(size: usize, config: &Blob, layer: &Blob) -> Vec<u8> {
    let missing = size.saturating_sub(image(config, layer).len());
    filled(config, layer, &"x".repeat(missing))
}

fn filled(config: &Blob, layer: &Blob, note: &str) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": config.descriptor(CONFIG),
        "layers": [layer.descriptor(LAYER)],
        "annotations": { "note": note },
    });
    manifest.to_string().into()
}

/// The bytes of the empty descriptor.
/// <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor>
pub(crate) const EMPTY_BLOB: &[u8] = b"{}";

/// The smallest manifest of an artifact; it needs the empty blob alone.
pub(crate) fn artifact() -> Vec<u8> {
    let empty =
        json!({ "mediaType": EMPTY, "digest": digest(EMPTY_BLOB), "size": EMPTY_BLOB.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": "application/vnd.example.bench",
        "config": empty,
        "layers": [empty],
    });
    manifest.to_string().into()
}

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    digest_of(Sha256::new().chain_update(bytes))
}

/// What a finished hash says.
pub(crate) fn digest_of(hash: Sha256) -> String {
    format!("sha256:{}", hex(&hash.finalize()))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_blobs_are_equal() {
        let stock = Stock::new();
        let (one, two) = (stock.blob(4096), stock.clone().blob(4096));
        assert_ne!(one.digest, two.digest);
        let mut bytes = Vec::new();
        stock.blob(BLOCK + 9).write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len(), BLOCK + 9);
    }

    #[test]
    fn a_blob_has_the_digest_of_its_bytes() {
        let blob = Stock::new().blob(2 * BLOCK);
        let mut bytes = Vec::new();
        blob.write_to(&mut bytes).unwrap();
        assert_eq!(digest(&bytes), blob.digest);
        assert!(digest(b"").starts_with("sha256:e3b0c44298fc1c14"));
    }

    #[test]
    fn a_manifest_has_the_length_that_was_asked_for() {
        let stock = Stock::new();
        assert_eq!(image_of(4096, &stock.blob(64), &stock.blob(64)).len(), 4096);
    }
}
