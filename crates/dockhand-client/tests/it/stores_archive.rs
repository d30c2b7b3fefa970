//! OCI archives: compressed, cut short, hostile, and half written.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use dockhand_client::{Archive, ArchiveWriter, ErrorKind, Store, read_small};
use dockhand_oci::{Algorithm, Descriptor, MediaType};

use crate::registry::{blob, bytes, image};
use crate::stores::{by_tag, index, tag};

async fn written(path: &Path) -> dockhand_client::RawManifest {
    let writer = ArchiveWriter::oci(path).await.unwrap();
    let root = index(&writer, &["1"]).await;
    writer.finish().await.unwrap();
    root
}

#[tokio::test]
async fn archives_are_read_plain_or_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("x.tar");
    let root = written(&plain).await;
    let content = std::fs::read(&plain).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&content).unwrap();
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    std::fs::write(folder.path().join("gz"), gzip.finish().unwrap()).unwrap();
    std::fs::write(folder.path().join("zst"), zstd).unwrap();
    for name in ["x.tar", "gz", "zst"] {
        let archive = Archive::open(folder.path().join(name)).await.unwrap();
        assert_eq!(archive.tags().await.unwrap(), [tag("1")]);
        assert_eq!(archive.manifest(&by_tag("1")).await.unwrap(), root);
        let child = root.parse().unwrap().links[1].descriptor.digest;
        let child = archive.manifest(&child.into()).await.unwrap();
        for link in child.parse().unwrap().links {
            read_small(&archive, &link.descriptor, 1 << 20)
                .await
                .unwrap();
        }
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[tokio::test]
async fn an_archive_that_is_cut_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("x.tar");
    written(&plain).await;
    let content = std::fs::read(&plain).unwrap();
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    let cases: [(&[u8], &str); 6] = [
        (
            &content[..content.len() / 2],
            "it ends in the middle of blobs/",
        ),
        (&zstd[..zstd.len() / 2], "it cannot be decompressed"),
        (b"", "it is empty"),
        (b"hello, this is no archive of any kind", "no tar archive"),
        (&[7; 4096], "no tar archive"),
        (b"\xfd7zXZ\0", "xz or bzip2"),
    ];
    for (content, message) in cases {
        let path = folder.path().join("bad");
        std::fs::write(&path, content).unwrap();
        let error = Archive::open(&path).await.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let absent = Archive::open(folder.path().join("absent"))
        .await
        .unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(Archive::open(folder.path()).await.is_err());
}

/// A tar file of these entries: name, kind, where a link leads, content.
pub(crate) fn tar_of(entries: &[(&str, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, target, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // By hand: the library refuses to write what readers must refuse.
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn entries_that_lead_out_of_the_archive_are_refused() {
    use tar::EntryType as Type;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let list: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
    let hostile: [(&str, Type, &str); 9] = [
        ("../x", Type::Regular, ""),
        ("blobs/../../x", Type::Regular, ""),
        ("blobs/sha256/../x", Type::Regular, ""),
        ("/etc/passwd", Type::Regular, ""),
        ("x", Type::Symlink, "/etc/passwd"),
        ("blobs/x", Type::Symlink, "../../etc/passwd"),
        ("x", Type::Symlink, "index.json"),
        ("x", Type::Link, "index.json"),
        ("x", Type::Char, ""),
    ];
    for (name, kind, target) in hostile {
        let entries = [
            ("index.json", Type::Regular, "", list),
            (name, kind, target, &[]),
        ];
        std::fs::write(&path, tar_of(&entries)).unwrap();
        let error = Archive::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{name} {target}: {error}");
    }
    let harmless = [
        ("./index.json", Type::Regular, "", list),
        ("./blobs/", Type::Directory, "", &[]),
    ];
    std::fs::write(&path, tar_of(&harmless)).unwrap();
    assert_eq!(
        Archive::open(&path).await.unwrap().tags().await.unwrap(),
        []
    );
}

#[tokio::test]
async fn an_archive_of_endless_headers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    written(&path).await;
    let content = std::fs::read(&path).unwrap();
    let long = vec![b'x'; 3 << 20];
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let bomb = tar_of(&[("././@LongLink", kind, "", &long)]);
        // In front of the end of an archive that is good otherwise.
        let entries = content.len() - 1024;
        let whole = [&bomb[..bomb.len() - 1024], &content[..entries], &[0; 1024]].concat();
        std::fs::write(&path, whole).unwrap();
        let error = Archive::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error}");
    }
}

#[tokio::test]
async fn an_archive_has_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/x.tar");
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(&path, "what was there before").unwrap();
    let part = folder.path().join("deep/x.tar.part");
    let writer = ArchiveWriter::oci(&path).await.unwrap();
    image(&writer, &[bytes(1, 1000)], &["1"]).await;
    assert!(part.exists());
    let second = ArchiveWriter::oci(&path).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    drop(writer);
    assert!(!part.exists());
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "what was there before"
    );
    let root = written(&path).await;
    assert!(!part.exists());
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.manifest(&by_tag("1")).await.unwrap(), root);
}

#[tokio::test]
async fn nothing_is_added_to_a_finished_archive() {
    let folder = tempfile::tempdir().unwrap();
    let writer = ArchiveWriter::oci(folder.path().join("x.tar"))
        .await
        .unwrap();
    writer.finish().await.unwrap();
    let (late, content) = blob(MediaType::OCI_LAYER, "late");
    let refused = writer.put_blob(&late, Arc::new(content), None).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        writer.finish().await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

#[tokio::test]
async fn digests_whose_names_are_long_are_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let writer = ArchiveWriter::oci(&path).await.unwrap();
    let content = bytes(5, 3000);
    let digest = Algorithm::Sha512.digest(&content);
    let long = Descriptor::new(MediaType::OCI_LAYER, digest, 3000);
    writer
        .put_blob(&long, Arc::new(content.clone()), None)
        .await
        .unwrap();
    writer.finish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(read_small(&archive, &long, 3000).await.unwrap(), content);
}

#[tokio::test]
async fn blobs_put_at_the_same_time_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let writer = Arc::new(ArchiveWriter::oci(&path).await.unwrap());
    assert_eq!(writer.lanes(), 1);
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..8_u64 {
        let writer = Arc::clone(&writer);
        tasks.spawn(async move {
            // Every blob is put twice.
            let (wanted, content) = blob(MediaType::OCI_LAYER, bytes(seed / 2, 300_000));
            writer
                .put_blob(&wanted, Arc::new(content), None)
                .await
                .unwrap()
        });
    }
    let moved = tasks.join_all().await;
    let sent = moved
        .iter()
        .filter(|one| **one == dockhand_client::Moved::Sent);
    assert_eq!(sent.count(), 4);
    writer.finish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    for seed in 0..4 {
        let (wanted, content) = blob("", bytes(seed, 300_000));
        assert_eq!(
            read_small(&archive, &wanted, 1 << 20).await.unwrap(),
            content
        );
    }
}
