//! The image that every client pushes: an OCI layout that is written here, so that its digests are
//! known before any client has touched it.
//!
//! Two platforms under one index: a layer of some tens of MB that both share, a layer of many small
//! files, and one of their own. All bytes are made from fixed seeds, so every run pushes the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Large enough that a transfer can be cut in its middle, small enough for a run of seconds.
const LARGE: usize = 40 << 20;
/// How many files the layer of small files has.
const SMALL_FILES: usize = 400;

/// [Image index](https://github.com/opencontainers/image-spec/blob/main/image-index.md).
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// [Image manifest](https://github.com/opencontainers/image-spec/blob/main/manifest.md).
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The image, as an OCI layout on disk.
#[derive(Debug)]
pub(super) struct Image {
    /// The folder of the layout; its one tag is [`Image::TAG`].
    pub(super) layout: PathBuf,
    /// The digest of the index of both platforms.
    pub(super) digest: String,
    /// The digest of the manifest of linux/amd64.
    pub(super) amd64: String,
    /// The digest of the config of linux/amd64, which engines call the id of the image.
    pub(super) amd64_config: String,
    /// The digest and the size of the large layer.
    pub(super) large: (String, u64),
}

impl Image {
    /// The tag of the image in the layout, and in every repository.
    pub(super) const TAG: &'static str = "v1";

    /// Writes the image into an empty folder.
    pub(super) fn write(layout: &Path) -> Result<Self> {
        let blobs = Blobs::new(layout)?;
        let shared = blobs.layer_of(&[("data/large", noise(1, LARGE))])?;
        let small: Vec<(String, Vec<u8>)> = (0..SMALL_FILES)
            .map(|n| {
                (
                    format!("etc/small/{n}"),
                    format!("file number {n}\n").repeat(40).into_bytes(),
                )
            })
            .collect();
        let small: Vec<(&str, Vec<u8>)> = small
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.clone()))
            .collect();
        let small = blobs.layer_of(&small)?;
        let mut platforms = BTreeMap::new();
        for (seed, architecture) in [(2, "amd64"), (3, "arm64")] {
            let own = blobs.layer_of(&[("bin/program", noise(seed, 1 << 20))])?;
            platforms.insert(
                architecture,
                blobs.platform(architecture, &[&shared, &small, &own])?,
            );
        }
        blobs.finish(layout, &platforms, &shared)
    }

    /// Writes an image of one platform, linux/amd64, whose layers are these tar files.
    pub(super) fn write_of_tars(layout: &Path, tars: &[PathBuf]) -> Result<Self> {
        let blobs = Blobs::new(layout)?;
        let layers: Result<Vec<Layer>> = tars
            .iter()
            .map(|tar| blobs.layer(&fs::read(tar)?))
            .collect();
        let layers = layers?;
        let platform = blobs.platform("amd64", &layers.iter().collect::<Vec<_>>())?;
        let largest = layers
            .iter()
            .max_by_key(|layer| layer.descriptor["size"].as_u64());
        let largest = largest.context("an image without layers")?;
        blobs.finish(layout, &BTreeMap::from([("amd64", platform)]), largest)
    }

    /// The layout with its tag, as most clients write it: `/folder:v1`.
    pub(super) fn reference(&self) -> String {
        format!("{}:{}", self.layout.display(), Self::TAG)
    }
}

/// The digest of what `index.json` of a layout names, after every blob of the layout was read and
/// found to be what its name says.
pub(super) fn digest_of_layout(layout: &Path) -> Result<String> {
    let index = fs::read_to_string(layout.join("index.json"))
        .with_context(|| format!("{} is no OCI layout", layout.display()))?;
    let index: Value = serde_json::from_str(&index)?;
    // Some clients list every manifest of the layout there; the image is the one with a tag.
    let all = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
    let tagged =
        |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"].is_string();
    let image = all
        .iter()
        .find(tagged)
        .or(all.first())
        .context("the layout names no manifest")?;
    let digest = digest_in(image)?;
    let folder = layout.join("blobs/sha256");
    let path = folder.join(digest.trim_start_matches("sha256:"));
    let text = fs::read_to_string(path).context("the layout lacks the manifest that it names")?;
    for blob in fs::read_dir(&folder)? {
        let blob = blob?;
        let name = blob.file_name().to_string_lossy().into_owned();
        let is = sha256(&fs::read(blob.path())?);
        ensure!(
            is == format!("sha256:{name}"),
            "the pulled blob {name} is {is}"
        );
    }
    // What an index names must be there too, unless only one platform was asked for.
    let manifest: Value = serde_json::from_str(&text)?;
    for named in ["manifests", "layers"]
        .iter()
        .filter_map(|key| manifest[key].as_array())
        .flatten()
    {
        let named = digest_in(named)?;
        let path = folder.join(named.trim_start_matches("sha256:"));
        ensure!(path.is_file(), "the layout lacks {named}");
    }
    Ok(digest)
}

/// `sha256:<hex>` of some bytes.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Bytes that do not compress, the same for the same seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

fn digest_in(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str();
    digest
        .map(str::to_owned)
        .with_context(|| format!("no digest in {descriptor}"))
}

/// A layer: what the manifest says of it, and the digest of the tar file before compression.
struct Layer {
    descriptor: Value,
    diff_id: String,
}

/// The folder of blobs of a layout.
struct Blobs(PathBuf);

impl Blobs {
    fn new(layout: &Path) -> Result<Self> {
        let folder = layout.join("blobs/sha256");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = sha256(bytes);
        fs::write(self.0.join(digest.trim_start_matches("sha256:")), bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    fn json(&self, media_type: &str, value: &Value) -> Result<Value> {
        self.put(media_type, value.to_string().as_bytes())
    }

    /// A layer of these files.
    fn layer_of(&self, files: &[(&str, Vec<u8>)]) -> Result<Layer> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            tar.append_data(&mut header, path, bytes.as_slice())?;
        }
        self.layer(&tar.into_inner()?)
    }

    /// A layer of the bytes of a tar file.
    fn layer(&self, tar: &[u8]) -> Result<Layer> {
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
        gzip.write_all(tar)?;
        Ok(Layer {
            descriptor: self.put(LAYER, &gzip.finish()?)?,
            diff_id: sha256(tar),
        })
    }

    /// Writes the index of the platforms, and the files that make the folder a layout.
    fn finish(
        &self,
        layout: &Path,
        platforms: &BTreeMap<&str, (String, Value)>,
        large: &Layer,
    ) -> Result<Image> {
        let manifests: Vec<&Value> = platforms.values().map(|(_, manifest)| manifest).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let mut index = self.json(INDEX, &index)?;
        let digest = digest_in(&index)?;
        index["annotations"] = json!({ "org.opencontainers.image.ref.name": Image::TAG });
        let root = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [index] });
        fs::write(layout.join("index.json"), root.to_string())?;
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        let (config, manifest) = platforms.get("amd64").context("no amd64")?;
        Ok(Image {
            layout: layout.to_owned(),
            digest,
            amd64: digest_in(manifest)?,
            amd64_config: config.clone(),
            large: (
                digest_in(&large.descriptor)?,
                large.descriptor["size"].as_u64().unwrap_or(0),
            ),
        })
    }

    /// Config and manifest of one platform: the digest of the first, the descriptor of the second.
    fn platform(&self, architecture: &str, layers: &[&Layer]) -> Result<(String, Value)> {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = self.json(
            CONFIG,
            &json!({
                "created": "2026-01-01T00:00:00Z",
                "os": "linux",
                "architecture": architecture,
                "config": { "Cmd": ["/bin/program"] },
                "rootfs": { "type": "layers", "diff_ids": diff_ids },
            }),
        )?;
        let id = digest_in(&config)?;
        let layers: Vec<&Value> = layers.iter().map(|layer| &layer.descriptor).collect();
        let mut manifest = self.json(
            MANIFEST,
            &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }),
        )?;
        manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
        Ok((id, manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_what_it_says() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image = Image::write(one.path()).unwrap();
        assert_eq!(digest_of_layout(one.path()).unwrap(), image.digest);
        assert_eq!(
            Image::write(two.path()).unwrap().digest,
            image.digest,
            "two runs differ"
        );
        assert!(image.large.1 > LARGE as u64 && image.amd64 != image.digest);
        let blob = image.large.0.trim_start_matches("sha256:");
        fs::write(one.path().join("blobs/sha256").join(blob), "other").unwrap();
        assert!(
            digest_of_layout(one.path()).is_err(),
            "a wrong blob was taken"
        );
    }
}
