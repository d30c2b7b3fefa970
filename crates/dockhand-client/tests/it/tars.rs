//! Layers for tests: tar files of any content, also of such that no tool writes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use dockhand_client::image::Image;
use dockhand_client::{RawManifest, Store};
use dockhand_oci::{Algorithm, Descriptor, MediaType, Tag};
use serde_json::{Value, json};

use crate::registry::blob;

/// What a member of a tar file is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Is {
    File(&'static str),
    Directory,
    Link(&'static str),
    Hard(&'static str),
    Pipe,
}

/// A tar file with these members, their names as they are.
pub(crate) fn tar(members: &[(&str, Is)]) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, is) in members {
        let mut header = tar::Header::new_gnu();
        let (kind, mode, content, link) = match is {
            Is::File(content) => (tar::EntryType::Regular, 0o640, *content, ""),
            Is::Directory => (tar::EntryType::Directory, 0o750, "", ""),
            Is::Link(target) => (tar::EntryType::Symlink, 0o777, "", *target),
            Is::Hard(target) => (tar::EntryType::Link, 0o640, "", *target),
            Is::Pipe => (tar::EntryType::Fifo, 0o600, "", ""),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(7);
        header.set_gid(8);
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        assert!(name.len() < 100 && link.len() < 100);
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().into()
}

pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

pub(crate) fn zstd(bytes: &[u8]) -> Bytes {
    zstd::encode_all(bytes, 1).unwrap().into()
}

/// What a tar file has: of each path what it is and its content, or where it leads.
pub(crate) fn contents(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(bytes);
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let link = |entry: &tar::Entry<'_, &[u8]>| {
            let target = entry.link_name().unwrap();
            target.unwrap_or_default().to_string_lossy().into_owned()
        };
        let said = match entry.header().entry_type() {
            tar::EntryType::Directory => "directory".to_owned(),
            tar::EntryType::Symlink => format!("-> {}", link(&entry)),
            tar::EntryType::Link => format!("= {}", link(&entry)),
            tar::EntryType::Fifo => "pipe".to_owned(),
            _ => {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                content
            }
        };
        let path = path.trim_end_matches('/').to_owned();
        let twice = found.insert(path.clone(), said);
        assert_eq!(twice, None, "{path} stands there twice");
    }
    found
}

/// Puts an image with these layers, given as they are kept, and `config` besides what it must have.
pub(crate) async fn put_image(
    store: &dyn Store,
    layers: &[Bytes],
    config: &Value,
    docker: bool,
) -> RawManifest {
    let diff_ids: Vec<String> = { layers.iter() }
        .map(|layer| {
            let plain: Vec<u8> = match layer.first() {
                Some(0x1f) => {
                    let mut plain = Vec::new();
                    // Some are broken on purpose.
                    let _ = flate2::read::MultiGzDecoder::new(&layer[..]).read_to_end(&mut plain);
                    plain
                }
                Some(0x28) => zstd::decode_all(&layer[..]).unwrap(),
                _ => layer.to_vec(),
            };
            Algorithm::Sha256.digest(&plain).to_string()
        })
        .collect();
    let mut whole = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "unknown": { "kept": 1.0 },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": vec![json!({ "created_by": "test" }); layers.len()],
    });
    for (key, value) in config.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let (manifest_type, config_type, layer_type) = match docker {
        true => (
            MediaType::DOCKER_MANIFEST,
            MediaType::DOCKER_CONFIG,
            MediaType::DOCKER_LAYER_GZIP,
        ),
        // The wrong type on purpose for some: the bytes count.
        false => (
            MediaType::OCI_MANIFEST,
            MediaType::OCI_CONFIG,
            MediaType::OCI_LAYER_GZIP,
        ),
    };
    let (config, bytes) = blob(config_type, whole.to_string());
    store
        .put_blob(&config, Arc::new(bytes), None)
        .await
        .unwrap();
    let mut described: Vec<Descriptor> = Vec::new();
    for layer in layers {
        let (layer, bytes) = blob(layer_type, layer.clone());
        store.put_blob(&layer, Arc::new(bytes), None).await.unwrap();
        described.push(layer);
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": described,
        "annotations": { "kept": "yes" }, "unknown": [1.50],
    });
    let manifest = RawManifest::new(manifest_type, manifest.to_string());
    store.put_manifest(&manifest, &[]).await.unwrap();
    manifest
}

/// Puts an image with these layers and reads it.
pub(crate) async fn an_image(store: &dyn Store, layers: &[Bytes]) -> Image {
    let manifest = put_image(store, layers, &json!({}), false).await;
    Image::read(store, manifest).await.unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}
