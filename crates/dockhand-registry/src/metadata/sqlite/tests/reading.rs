//! Opening what is there and nothing else, and reading without writing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::layout::DATABASE;
use crate::metadata::contract::{push_tag, stored, tags_of};
use crate::metadata::{Metadata, MetadataError, Opening};

/// The files of a folder with their bytes and times.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let entries = folder.read_dir().unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let changed = path.metadata().unwrap().modified().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, (fs::read(&path).unwrap(), changed))
    });
    entries.collect()
}

async fn reads_and_changes_nothing(folder: &Path, tags: usize) {
    let before = files(folder);
    let metadata = Metadata::open_sqlite_as(&folder.join(DATABASE), Opening::ReadOnly).unwrap();
    assert_eq!(tags_of(&metadata, "a").await.unwrap().len(), tags);
    metadata.ready().await.unwrap();
    let write = metadata
        .engine
        .write("writing", |sql| sql.execute("DELETE FROM tag", &[]));
    assert!(matches!(write.await, Err(MetadataError::ReadOnly)));
    assert_eq!(files(folder), before, "while it is open");
    metadata.close().await;
    drop(metadata);
    assert_eq!(files(folder), before);
}

#[tokio::test]
async fn a_database_that_was_closed_is_read_and_left_as_it_is() {
    // What means something in a URI is only a name.
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("50% of #1?mode=rw");
    fs::create_dir(&folder).unwrap();
    let metadata = Metadata::open_sqlite(&folder.join(DATABASE)).unwrap();
    stored(&metadata, push_tag("a", "m", "v")).await;
    metadata.close().await;
    reads_and_changes_nothing(&folder, 1).await;
}

#[tokio::test]
async fn what_a_kill_left_in_the_log_is_read_too() {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let metadata = Metadata::open_sqlite(&folder.path().join(DATABASE)).unwrap();
    for round in 0..20 {
        let tag = format!("v{round}");
        stored(&metadata, push_tag("a", &tag, &tag)).await;
    }
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{DATABASE}{suffix}");
        fs::copy(folder.path().join(&name), killed.path().join(&name)).unwrap();
    }
    reads_and_changes_nothing(killed.path(), 20).await;
    fs::remove_file(killed.path().join("dockhand.db-shm")).unwrap();
    let path = killed.path().join(DATABASE);
    let refused = Metadata::open_sqlite_as(&path, Opening::ReadOnly).unwrap_err();
    assert!(refused.to_string().contains("start once"), "{refused}");
    let recovered = Metadata::open_sqlite(&path).unwrap();
    recovered.close().await;
    drop(recovered);
    reads_and_changes_nothing(killed.path(), 20).await;
}

#[tokio::test]
async fn an_older_format_is_not_brought_up_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    Metadata::open_sqlite(&path).unwrap().close().await;
    let older = rusqlite::Connection::open(&path).unwrap();
    older.execute("UPDATE store SET format = 1", []).unwrap();
    drop(older);
    let before = files(folder.path());
    let refused = Metadata::open_sqlite_as(&path, Opening::ReadOnly).unwrap_err();
    assert!(refused.to_string().contains("has format 1"), "{refused}");
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn only_what_was_decided_on_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    let open = |opening| Metadata::open_sqlite_as(&path, opening);
    assert!(open(Opening::Existing).is_err());
    assert!(open(Opening::ReadOnly).is_err());
    assert!(!path.exists(), "none was made");
    fs::write(&path, "").unwrap();
    for opening in [Opening::Existing, Opening::ReadOnly] {
        let refused = open(opening).unwrap_err();
        assert!(matches!(refused, MetadataError::Empty { .. }), "{refused}");
    }
    open(Opening::New).unwrap().close().await;
    let refused = open(Opening::New).unwrap_err();
    assert!(matches!(refused, MetadataError::Exists { .. }), "{refused}");
    open(Opening::Existing).unwrap().close().await;
    open(Opening::Any).unwrap().close().await;
}

#[tokio::test]
async fn a_database_that_is_given_up_takes_no_more_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    let metadata = Metadata::open_sqlite(&path).unwrap();
    stored(&metadata, push_tag("a", "m", "v")).await;
    metadata.fail();
    metadata.failed().await;
    let write = metadata
        .engine
        .write("writing", |sql| sql.execute("DELETE FROM tag", &[]));
    assert!(matches!(write.await, Err(MetadataError::Unavailable)));
    assert!(metadata.ready().await.is_err());
    assert_eq!(
        tags_of(&metadata, "a").await.unwrap().len(),
        1,
        "reads go on"
    );
    metadata.close().await;
}
