//! The file: what survives, what is refused, what is left behind.

use std::path::Path;

use tempfile::TempDir;

use crate::layout::{DATABASE, RESERVE};
use crate::metadata::contract::{by_tag, push_tag, repo, stored, tags_of};
use crate::metadata::engine::Effort;
use crate::metadata::error::MetadataError;
use crate::metadata::schema::FORMAT;
use crate::metadata::sql::{Sql, first};
use crate::metadata::{Metadata, sql::DbError};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn refusal(path: &Path) -> String {
    match Metadata::open_sqlite(path).unwrap_err() {
        error @ MetadataError::Foreign { .. } => error.to_string(),
        error => panic!("{error:?}"),
    }
}

fn pragma(name: &'static str) -> impl FnOnce(&mut dyn Sql) -> Result<String, DbError> + Send {
    let text: &'static str = format!("PRAGMA {name}").leak();
    move |sql| {
        let value = first(sql, text, &[], |row| match row.int_or_null(0) {
            Ok(number) => Ok(number.map_or_else(String::new, |number| number.to_string())),
            Err(_) => Ok(row.text(0)?.to_owned()),
        })?;
        Ok(value.unwrap_or_default())
    }
}

#[tokio::test]
async fn connections_are_told_to_be_safe() {
    let folder = folder();
    let metadata = Metadata::open_sqlite(&folder.path().join(DATABASE)).unwrap();
    let both = [
        ("journal_mode", "wal"),
        ("foreign_keys", "1"),
        ("trusted_schema", "0"),
        ("cell_size_check", "1"),
        ("mmap_size", "0"),
    ];
    let writer = [
        ("busy_timeout", "5000"),
        ("synchronous", "2"),
        ("journal_size_limit", "67108864"),
        ("wal_autocheckpoint", "0"),
        ("query_only", "0"),
    ];
    let reader = [("busy_timeout", "1000"), ("query_only", "1")];
    for (name, wanted) in both.into_iter().chain(writer) {
        let found = metadata.engine.write("asking", pragma(name)).await.unwrap();
        assert_eq!(found, wanted, "{name} of the writer");
    }
    for (name, wanted) in both.into_iter().chain(reader) {
        let found = metadata
            .engine
            .read("asking", Effort::Point, pragma(name))
            .await
            .unwrap();
        assert_eq!(found, wanted, "{name} of a reader");
    }
    let write = |sql: &mut dyn Sql| sql.execute("UPDATE store SET probed = 0", &[]);
    assert!(
        metadata
            .engine
            .read("writing", Effort::Point, write)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let (folder, killed) = (folder(), folder());
    let path = folder.path().join(DATABASE);
    let metadata = Metadata::open_sqlite(&path).unwrap();
    // Two megabytes, so that part of it has gone from the log to the file.
    for round in 0..200 {
        let content = format!("{round} {}", "x".repeat(10_000));
        stored(&metadata, push_tag("a", &content, &format!("v{round}"))).await;
        if round % 50 == 49 {
            // What a kill leaves is what the files are at some moment between two writes.
            for suffix in ["", "-wal"] {
                let name = format!("{DATABASE}{suffix}");
                std::fs::copy(folder.path().join(&name), killed.path().join(&name)).unwrap();
            }
            let revived = Metadata::open_sqlite(&killed.path().join(DATABASE)).unwrap();
            assert_eq!(tags_of(&revived, "a").await.unwrap().len(), round + 1);
            let row = revived
                .manifest(&repo("a"), &by_tag(&format!("v{round}")))
                .await
                .unwrap();
            assert_eq!(row.unwrap().bytes, content.as_bytes());
            let check = revived
                .engine
                .read("checking", Effort::Point, pragma("integrity_check"));
            assert_eq!(check.await.unwrap(), "ok");
            revived.close().await;
        }
    }
    drop(metadata);
    let reopened = Metadata::open_sqlite(&path).unwrap();
    assert_eq!(tags_of(&reopened, "a").await.unwrap().len(), 200);
}

#[tokio::test]
async fn the_log_is_taken_back_and_closing_leaves_no_log() {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    let metadata = Metadata::open_sqlite(&path).unwrap();
    let content = "x".repeat(1 << 20);
    for round in 0..40 {
        stored(&metadata, push_tag("a", &format!("{round}{content}"), "v")).await;
    }
    let log = std::fs::metadata(folder.path().join(format!("{DATABASE}-wal")))
        .unwrap()
        .len();
    assert!(
        log < 30 << 20,
        "40 MiB were written, and the log has {log} bytes"
    );
    metadata.close().await;
    let mut left: Vec<_> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [DATABASE, "dockhand.reserve"]);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let metadata = Metadata::open_sqlite(&folder.path().join(DATABASE)).unwrap();
    stored(&metadata, push_tag("a", "m", "v")).await;
    for entry in folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    Metadata::open_sqlite(&path).unwrap().close().await;
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer
        .execute("UPDATE store SET format = ?1", [FORMAT + 1])
        .unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    let refused = refusal(&path);
    let format = format!("format {}", FORMAT + 1);
    assert!(refused.contains(&format), "{refused}");
    assert!(
        refused.contains("start the version that wrote it"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    let text = "not a database ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    assert!(
        refusal(&path).contains("this is no database"),
        "{}",
        refusal(&path)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let nowhere = folder.path().join("no/such/folder").join(DATABASE);
    assert!(matches!(
        Metadata::open_sqlite(&nowhere),
        Err(MetadataError::Other { .. })
    ));
}

#[tokio::test]
async fn in_memory_leaves_nothing_behind() {
    let metadata = Metadata::in_memory().unwrap();
    let file = "SELECT file FROM pragma_database_list";
    let file = move |sql: &mut dyn Sql| first(sql, file, &[], |row| Ok(row.text(0)?.to_owned()));
    let file = metadata
        .engine
        .write("asking", file)
        .await
        .unwrap()
        .unwrap();
    assert!(Path::new(&file).exists());
    metadata.close().await;
    drop(metadata);
    assert!(!Path::new(&file).parent().unwrap().exists());
}

/// A disk that has room only when something was given up for it.
#[tokio::test]
async fn what_makes_room_gets_of_the_reserve() {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    let metadata = Metadata::open_sqlite(&path).unwrap();
    let reserve = path.with_extension(RESERVE);
    let whole = reserve.metadata().unwrap().len();
    let needs = |room: u64| {
        let reserve = reserve.clone();
        move |_: &mut dyn Sql| match whole - reserve.metadata().map_or(whole, |found| found.len()) {
            given if given >= room => Ok(()),
            _ => Err(DbError::Full("the disk is full on purpose".into())),
        }
    };
    let engine = &metadata.engine;
    let pushed = engine.write("pushing", needs(1)).await;
    assert!(matches!(pushed, Err(MetadataError::Full)), "{pushed:?}");
    engine.make_room("deleting", needs(0)).await.unwrap();
    assert_eq!(reserve.metadata().unwrap().len(), whole, "given in vain");
    engine
        .make_room("deleting", needs(whole / 2))
        .await
        .unwrap();
    assert_eq!(reserve.metadata().unwrap().len(), whole / 2);
    let deleted = engine.make_room("deleting", needs(whole + 1)).await;
    assert!(matches!(deleted, Err(MetadataError::Full)), "{deleted:?}");
    metadata.close().await;
}
