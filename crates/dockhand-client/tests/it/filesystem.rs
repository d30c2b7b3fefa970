//! Merged file systems: exported, listed, looked into.

use bytes::Bytes;
use dockhand_client::filesystem::{
    FileKind, ImagePath, Limits, Unpack, cat, export, files, find, unpack,
};
use dockhand_client::image::Image;
use dockhand_client::{ErrorKind, Layout, Result, Store};

use crate::registry::Registry;
use crate::tars::Is::{Directory, File, Hard, Link, Pipe};
use crate::tars::{Is, an_image, contents, gzip, tar, zstd};

pub(crate) async fn exported(store: &dyn Store, image: &Image, limits: Limits) -> Result<Vec<u8>> {
    let mut written = Vec::new();
    export(store, image, &mut written, limits).await?;
    Ok(written)
}

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

#[tokio::test]
async fn layers_are_merged() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    type Members = &'static [(&'static str, Is)];
    type Case = (
        &'static str,
        &'static [Members],
        &'static [(&'static str, &'static str)],
    );
    let cases: &[Case] = &[
        ("nothing", &[], &[]),
        (
            "the newer file",
            &[
                &[
                    ("./etc/", Directory),
                    ("etc/a", File("old")),
                    ("etc/b", File("b")),
                ],
                &[("/etc/a", File("new"))],
            ],
            &[("etc", "directory"), ("etc/a", "new"), ("etc/b", "b")],
        ),
        (
            "deleted files and directories",
            &[
                &[
                    ("a", File("a")),
                    ("d/x", File("x")),
                    ("d/e/y", File("y")),
                    ("k", File("k")),
                ],
                &[(".wh.a", File("")), ("d/.wh.e", File(""))],
                &[("d/e/new", File("new"))],
            ],
            &[("d/x", "x"), ("k", "k"), ("d/e/new", "new")],
        ),
        (
            "an opaque directory",
            &[
                &[("d", Directory), ("d/x", File("x"))],
                &[
                    ("d/.wh..wh..opq", File("")),
                    ("d/y", File("y")),
                    (".wh..wh.plnk/1", File("aufs")),
                ],
            ],
            &[("d", "directory"), ("d/y", "y")],
        ),
        (
            "a file in place of a directory, and the other way",
            &[
                &[("a/x", File("x")), ("b", File("b")), ("c", Link("a"))],
                &[("a", File("a")), ("b/y", File("y")), ("c/z", File("z"))],
            ],
            &[("a", "a"), ("b/y", "y"), ("c/z", "z")],
        ),
        (
            "hard links",
            &[&[("a", File("content")), ("b", Hard("./a")), ("c", Hard("b"))]],
            &[("a", "content"), ("b", "= a"), ("c", "= a")],
        ),
        (
            "hard links to what was replaced, deleted, or linked again",
            &[
                &[
                    ("a", File("old")),
                    ("b", Hard("a")),
                    ("c", Hard("b")),
                    ("x", File("gone")),
                    ("y", Hard("/x")),
                    ("p", Pipe),
                ],
                &[("a", File("new")), (".wh.x", File(""))],
            ],
            &[
                ("a", "new"),
                ("b", "old"),
                ("c", "= b"),
                ("y", "gone"),
                ("p", "pipe"),
            ],
        ),
    ];
    for (name, layers, expected) in cases {
        let layers: Vec<Bytes> = layers.iter().map(|members| tar(members)).collect();
        let image = an_image(&store, &layers).await;
        let written = exported(&store, &image, Limits::default()).await.unwrap();
        let expected = expected
            .iter()
            .map(|(path, said)| ((*path).to_owned(), (*said).to_owned()));
        assert_eq!(contents(&written), expected.collect(), "{name}");
        let again = exported(&store, &image, Limits::default()).await.unwrap();
        assert!(written == again, "{name}: not the same every time");
        let listed = files(&store, &image, false, Limits::default())
            .await
            .unwrap();
        let listed = listed.keys().map(|path| path.to_string()[1..].to_owned());
        let shown: Vec<String> = contents(&written).into_keys().collect();
        assert_eq!(listed.collect::<Vec<_>>(), shown, "{name}");
    }
}

#[tokio::test]
async fn the_bytes_say_how_a_layer_is_compressed() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let plain = tar(&[("a", File("content")), ("b", Hard("a"))]);
    let (half, rest) = plain.split_at(600);
    let two_members = [gzip(half), gzip(rest)].concat();
    let expected = contents(&plain);
    for layer in [
        plain.clone(),
        gzip(&plain),
        zstd(&plain),
        two_members.into(),
    ] {
        let image = an_image(&store, &[layer]).await;
        let written = exported(&store, &image, Limits::default()).await.unwrap();
        assert_eq!(contents(&written), expected);
    }
    let refused = |bytes: &'static [u8]| {
        let (store, layer) = (store.clone(), Bytes::from_static(bytes));
        async move {
            let image = an_image(&store, &[layer]).await;
            exported(&store, &image, Limits::default())
                .await
                .unwrap_err()
        }
    };
    let xz = refused(b"\xfd7zXZ\0....").await;
    assert_eq!(xz.kind(), ErrorKind::Unsupported);
    assert!(xz.to_string().contains("xz"), "{xz}");
    assert_eq!(refused(&[7; 2000]).await.kind(), ErrorKind::Protocol);
    assert_eq!(refused(b"\x1f\x8bbroken").await.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn owners_modes_times_and_attributes_come_along() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let long = format!("{}/file", "directory-with-a-long-name".repeat(6));
    let mut builder = tar::Builder::new(Vec::new());
    let records = [
        ("SCHILY.xattr.security.capability", &b"\x01\0\0\x02"[..]),
        ("mtime", b"1234567890.5"),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o4755);
    header.set_uid(3_000_000);
    header.set_gid(5);
    header.set_mtime(1_234_567_890);
    header.set_username("somebody").unwrap();
    header.set_size(4);
    builder
        .append_data(&mut header, &long, &b"ping"[..])
        .unwrap();
    let layer = gzip(&builder.into_inner().unwrap());
    let image = an_image(&store, &[layer]).await;
    let written = exported(&store, &image, Limits::default()).await.unwrap();
    let mut archive = tar::Archive::new(&written[..]);
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path_bytes(), long.as_bytes());
    let header = entry.header().clone();
    assert_eq!(header.mode().unwrap(), 0o4755);
    assert_eq!(header.uid().unwrap(), 3_000_000);
    assert_eq!(header.username().unwrap(), Some("somebody"));
    let kept: Vec<(String, Vec<u8>)> = { entry.pax_extensions().unwrap().unwrap() }
        .map(|record| record.unwrap())
        .map(|record| {
            (
                record.key().unwrap().to_owned(),
                record.value_bytes().to_vec(),
            )
        })
        .collect();
    for (key, value) in records {
        assert!(kept.contains(&(key.to_owned(), value.to_vec())), "{key}");
    }
    let listed = files(&store, &image, true, Limits::default())
        .await
        .unwrap();
    let entry = &listed[&path(&long)];
    assert_eq!((entry.mode, entry.uid, entry.size), (0o4755, 3_000_000, 4));
    assert!(entry.digest.is_some() && entry.attributes.contains_key("security.capability"));
}

/// What follows the header of such a file is not its content.
#[tokio::test]
async fn sparse_files_in_the_posix_form_are_refused() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let mut builder = tar::Builder::new(Vec::new());
    let records = [
        ("GNU.sparse.major", &b"1"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"disk.img"),
        ("GNU.sparse.realsize", b"1000000"),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    builder
        .append_data(&mut header, "GNUSparseFile.0/disk.img", &b"1\n0\n"[..])
        .unwrap();
    let image = an_image(&store, &[gzip(&builder.into_inner().unwrap())]).await;
    let error = exported(&store, &image, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("sparse file"), "{error}");
}

#[tokio::test]
async fn bombs_and_paths_that_lead_out_are_refused() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let limits = Limits {
        entries: 3,
        bytes: 100,
    };
    let mut endless = tar::Builder::new(Vec::new());
    endless
        .append_pax_extensions([("comment", &vec![b'x'; 3 << 20][..])])
        .unwrap();
    for (name, layer) in [
        ("up", tar(&[("a/../../b", File("x"))])),
        ("link up", tar(&[("a", Hard("../b"))])),
        (
            "many",
            tar(&[
                ("a", File("")),
                ("b", File("")),
                ("c", File("")),
                ("d", File("")),
            ]),
        ),
        ("much", zstd(&tar(&[("a", File("")), ("b", File(BIG))]))),
        ("header", gzip(&endless.into_inner().unwrap())),
    ] {
        let image = an_image(&store, &[layer]).await;
        let error = exported(&store, &image, limits).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{name}: {error}");
    }
    let dangling = an_image(&store, &[tar(&[("a", Hard("nowhere"))])]).await;
    let error = exported(&store, &dangling, limits).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

/// What an upper layer covers has to be decompressed all the same.
#[tokio::test]
async fn bombs_that_do_not_show_are_refused() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let limits = Limits {
        entries: 9,
        bytes: 100,
    };
    let mut endless = tar::Header::new_gnu();
    endless.set_entry_type(tar::EntryType::new(b'V'));
    endless.set_path("label").unwrap();
    endless.set_size(1 << 40);
    endless.set_cksum();
    for (name, layer) in [
        ("covered", tar(&[("a", File(BIG))])),
        ("unknown", Bytes::copy_from_slice(endless.as_bytes())),
    ] {
        let image = an_image(&store, &[layer, tar(&[("a", File("small"))])]).await;
        let error = exported(&store, &image, limits).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{name}: {error}");
        let error = files(&store, &image, false, limits).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{name}: {error}");
    }
}

const BIG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789\
                   0123456789012345678901234567890123456789";

#[tokio::test]
async fn a_file_is_found_as_a_process_finds_it() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let lower = tar(&[
        ("usr/bin/sh", File("#!")),
        ("bin", Link("usr/bin")),
        ("etc/alternatives/editor", Link("/opt/vi")),
        ("opt/vi", File("old vi")),
        ("up", Link("../../usr/./bin/../bin/sh")),
        ("round", Link("about")),
        ("about", Link("round")),
        ("pipe", Pipe),
    ]);
    let upper = tar(&[
        ("opt/.wh.vi", File("")),
        ("opt/emacs", File("emacs")),
        ("usr/bin/vi", Hard("opt/emacs")),
        ("twice", File("first")),
        ("twice", File("second")),
    ]);
    let image = an_image(&store, &[lower, gzip(&upper)]).await;
    let read = |text: &'static str| {
        let (store, image) = (store.clone(), image.clone());
        async move {
            let mut written = Vec::new();
            let found = cat(&store, &image, &path(text), &mut written, Limits::default()).await?;
            Ok::<_, dockhand_client::Error>((found.path.to_string(), written))
        }
    };
    for (asked, real, content) in [
        ("/usr/bin/sh", "/usr/bin/sh", "#!"),
        ("bin/sh", "/usr/bin/sh", "#!"),
        ("up", "/usr/bin/sh", "#!"),
        ("bin/vi", "/usr/bin/vi", "emacs"),
        ("twice", "/twice", "second"),
    ] {
        let (found, written) = read(asked).await.unwrap();
        assert_eq!(
            (found.as_str(), written.as_slice()),
            (real, content.as_bytes()),
            "{asked}"
        );
    }
    for (asked, kind) in [
        ("etc/alternatives/editor", ErrorKind::NotFound),
        ("nothing/here", ErrorKind::NotFound),
        ("opt/vi", ErrorKind::NotFound),
        ("opt/emacs/x", ErrorKind::Invalid),
        ("round", ErrorKind::Invalid),
        ("pipe", ErrorKind::Invalid),
    ] {
        let error = read(asked).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{asked}: {error}");
    }
    let found = find(&store, &image, &path("bin"), Limits::default()).await;
    assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound);
    let found = find(&store, &image, &path("twice"), Limits::default())
        .await
        .unwrap();
    assert_eq!((found.entry.kind, found.entry.layer), (FileKind::File, 1));
}

/// A layer that is not what its digest says, in every place of it that a reader may not look at.
#[tokio::test]
async fn what_was_tampered_with_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Layout::create(folder.path().join("layout")).await.unwrap();
    let mut layer = tar(&[("first", File("first")), ("last", File("last"))]).to_vec();
    // Behind the end of a tar file may be anything.
    layer.extend_from_slice(&[0; 4096]);
    let image = an_image(&store, &[layer.clone().into()]).await;
    let blobs = folder.path().join("layout/blobs/sha256");
    let file = blobs.join(&image.layers[0].digest.to_string()["sha256:".len()..]);
    for place in [512, layer.len() - 1] {
        let mut other = layer.clone();
        other[place] ^= 1;
        std::fs::write(&file, &other).unwrap();
        let limits = Limits::default();
        let error = exported(&store, &image, limits).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{place}: {error}");
        let mut read = Vec::new();
        let error = cat(&store, &image, &path("first"), &mut read, limits)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{place}: {error}");
        let target = folder.path().join("root");
        let error = unpack(&store, &image, &target, Unpack::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{place}: {error}");
        assert!(!target.exists());
    }
    std::fs::write(&file, &layer[..1500]).unwrap();
    let error = exported(&store, &image, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "something is left of what was unpacked");
}

/// Who reads an export may stop at any time.
#[tokio::test]
async fn who_reads_may_stop() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let layer: Vec<(String, Is)> = (0..2000)
        .map(|n| (format!("file-{n}"), File(BIG)))
        .collect();
    let layer: Vec<(&str, Is)> = layer
        .iter()
        .map(|(name, is)| (name.as_str(), *is))
        .collect();
    let image = an_image(&store, &[gzip(&tar(&layer))]).await;
    let (mut target, source) = tokio::io::duplex(1024);
    drop(source);
    let error = export(&store, &image, &mut target, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}
