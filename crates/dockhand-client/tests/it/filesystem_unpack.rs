//! File systems in folders, from which nothing may lead out.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use dockhand_client::ErrorKind;
use dockhand_client::filesystem::{Absolute, Limits, Special, Unpack, unpack};

use crate::registry::Registry;
use crate::tars::Is::{Directory, File, Hard, Link, Pipe};
use crate::tars::{Is, an_image, gzip, tar};

/// What lies in a folder, hidden files included.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_system_is_unpacked() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let lower = tar(&[
        ("usr/", Directory),
        ("usr/bin/tool", File("old")),
        ("usr/bin/same", Hard("usr/bin/tool")),
        ("bin", Link("usr/bin")),
        ("bin/through", File("the link of the same layer")),
        ("etc/root", Link("/usr/bin/tool")),
        ("etc/up", Link("../../../../etc/root")),
        ("etc/near", Link("../usr")),
        ("locked/", Directory),
        ("locked/in", File("x")),
    ]);
    let upper = gzip(&tar(&[("usr/bin/tool", File("new"))]));
    let image = an_image(&store, &[lower, upper]).await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    let unpacked = unpack(&store, &image, &target, Unpack::default())
        .await
        .unwrap();
    assert_eq!((unpacked.entries, unpacked.skipped), (10, 0));
    assert_eq!(names(folder.path()), ["root"]);
    let read = |path: &str| std::fs::read_to_string(target.join(path)).unwrap();
    assert_eq!(read("usr/bin/tool"), "new");
    assert_eq!(read("usr/bin/same"), "old");
    assert_eq!(read("usr/bin/through"), "the link of the same layer");
    let link = |path: &str| {
        let target = std::fs::read_link(target.join(path)).unwrap();
        target.to_string_lossy().into_owned()
    };
    assert_eq!(link("bin"), "usr/bin");
    assert_eq!(link("etc/root"), "../usr/bin/tool");
    assert_eq!(link("etc/up"), "../etc/root");
    assert_eq!(read("etc/up"), "new");
    assert_eq!(link("etc/near"), "../usr");
    let metadata = std::fs::metadata(target.join("usr/bin/tool")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    assert_eq!(metadata.mtime(), 1_000_000_000);
    let directory = std::fs::metadata(target.join("usr")).unwrap();
    assert_eq!(
        (directory.permissions().mode() & 0o7777, directory.mtime()),
        (0o750, 1_000_000_000)
    );
}

#[tokio::test]
async fn what_is_unsafe_is_refused_and_leaves_nothing() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let small = Limits {
        entries: 2,
        bytes: 10,
    };
    let limited = Unpack {
        limits: small,
        ..Unpack::default()
    };
    let strict = Unpack {
        links: Absolute::Refuse,
        ..Unpack::default()
    };
    type Case = (&'static str, Unpack, &'static [(&'static str, Is)]);
    let cases: &[Case] = &[
        (
            "up",
            Unpack::default(),
            &[("ok", File("")), ("../evil", File("x"))],
        ),
        (
            "up by a link",
            Unpack::default(),
            &[("a", File("")), ("b", Hard("../../etc/passwd"))],
        ),
        ("pipe", Unpack::default(), &[("ok", File("")), ("p", Pipe)]),
        (
            "many",
            limited,
            &[("a", File("")), ("b", File("")), ("c", File(""))],
        ),
        (
            "much",
            limited,
            &[("a", File("12345")), ("b", File("123456"))],
        ),
        ("absolute", strict, &[("a", Link("/etc/passwd"))]),
        ("climbing", strict, &[("a/b", Link("../../x"))]),
    ];
    for (name, options, members) in cases {
        let image = an_image(&store, &[tar(members)]).await;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let error = unpack(&store, &image, &target, *options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{name}: {error}");
        assert!(names(folder.path()).is_empty(), "{name}: something is left");
    }
    let skipping = Unpack {
        special: Special::Skip,
        ..Unpack::default()
    };
    let image = an_image(&store, &[tar(&[("p", Pipe), ("a", File("x"))])]).await;
    let target = outside.path().join("root");
    let unpacked = unpack(&store, &image, &target, skipping).await.unwrap();
    assert_eq!((unpacked.entries, unpacked.skipped), (1, 1));
    assert_eq!(names(&target), ["a"]);
}

/// Tar files that go through links which they made themselves.
#[tokio::test]
async fn links_of_the_archive_lead_nowhere_else() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let cases: &[&[(&str, Is)]] = &[
        &[("a", Link("/tmp")), ("a/evil", File("x"))],
        &[("a", Link("..")), ("a/evil", File("x"))],
        &[
            ("d/x", File("")),
            ("s", Link(".")),
            ("s/l", Link("..")),
            ("s/l/evil", File("x")),
        ],
        &[("s", Link(".")), ("e", Link("s/..")), ("e/evil", File("x"))],
        &[
            ("d/e/x", File("")),
            ("s", Link("d/e")),
            ("s/l", Link("../../..")),
            ("s/l/evil", File("x")),
        ],
        &[("a", Link("../evil")), ("a", File("x"))],
        &[("a", Link("../evil")), ("b", Hard("a")), ("b/c", File("x"))],
    ];
    for (place, members) in cases.iter().enumerate() {
        let image = an_image(&store, &[tar(members)]).await;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let done = unpack(&store, &image, &target, Unpack::default()).await;
        let left = names(folder.path());
        match done {
            Ok(_) => assert_eq!(left, ["root"], "case {place}"),
            Err(error) => assert!(left.is_empty(), "case {place}: {error}"),
        }
        assert!(!Path::new("/tmp/evil").exists(), "case {place}");
    }
}

#[tokio::test]
async fn what_is_there_stays() {
    let registry = Registry::start().await;
    let store = registry.repository("app");
    let image = an_image(&store, &[tar(&[("a", File("x"))])]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::create_dir_all(folder.path().join("full/kept")).unwrap();
    std::fs::write(folder.path().join("file"), "kept").unwrap();
    for name in ["full", "file"] {
        let target = folder.path().join(name);
        let error = unpack(&store, &image, &target, Unpack::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    unpack(
        &store,
        &image,
        &folder.path().join("empty"),
        Unpack::default(),
    )
    .await
    .unwrap();
    assert_eq!(names(folder.path()), ["empty", "file", "full"]);
    assert_eq!(names(&folder.path().join("empty")), ["a"]);
    assert_eq!(names(&folder.path().join("full")), ["kept"]);
}
