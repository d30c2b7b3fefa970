//! Blobs whose files are missing or too short: said before an answer begins, and repaired by a push.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use dockhand_oci::Algorithm;
use dockhand_registry::blob_store::fs::FileSystem;
use dockhand_registry::layout::blob_key;
use dockhand_registry::metadata::Metadata;
use dockhand_registry::{Registry, Settings};
use dockhand_server::{App, Options};
use insta::assert_snapshot;

use crate::files::{content, path_of};
use crate::observed::Kept;
use crate::support::TestServer;

/// In one buffer, in one chunk, in several; a blob without bytes can only be missing.
const SIZES: [usize; 4] = [0, 5, 70_000, 600_000];

fn server(folder: &Path) -> TestServer {
    let blobs = Arc::new(FileSystem::open(folder).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    let registry = Registry::new(blobs, metadata, Settings::default());
    TestServer {
        app: App::new(registry.clone(), Options::default(), true),
        registry,
    }
}

/// What can happen to the file of a blob of this size.
fn damages(size: usize) -> Vec<Option<u64>> {
    let size = size as u64;
    let mut lengths = vec![None, Some(0), Some(size / 2), Some(size.saturating_sub(1))];
    lengths.retain(|length| length.is_none_or(|length| length < size));
    lengths.dedup();
    lengths
}

/// Removes the file, or cuts it to a length.
fn damage(path: &Path, length: Option<u64>) {
    match length {
        None => fs::remove_file(path).unwrap(),
        Some(length) => {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(length).unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_blob_does_not_exist_until_it_is_pushed_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    for size in SIZES {
        for length in damages(size) {
            let what = format!("{length:?} of {size}");
            let bytes = content(size);
            let digest = server.push_blob("app", &bytes).await;
            let head = format!("HEAD /v2/app/blobs/{digest}");
            assert_eq!(server.send(&head, &[], "").await.status, 200, "{what}");
            damage(&path_of(folder.path(), &digest), length);
            assert_eq!(server.send(&head, &[], "").await.status, 404, "{what}");
            let known = [("if-none-match", &*format!("\"{digest}\""))];
            assert_eq!(server.send(&head, &known, "").await.status, 404, "{what}");
            for query in ["&from=app", ""] {
                let mount = format!("POST /v2/other/blobs/uploads/?mount={digest}{query}");
                let answer = server.send(&mount, &[], "").await;
                assert_eq!(answer.status, 202, "{what}: {query}");
            }
            let other = format!("/v2/other/blobs/{digest}");
            assert_eq!(server.get(&other).await.status, 404, "{what}");

            server.push_blob("app", &bytes).await;
            assert_eq!(server.send(&head, &[], "").await.status, 200, "{what}");
            let read = server.get(&format!("/v2/app/blobs/{digest}")).await;
            assert!(read.status == 200 && read.body == bytes, "{what}");
            let mount = format!("POST /v2/other/blobs/uploads/?mount={digest}&from=app");
            assert_eq!(server.send(&mount, &[], "").await.status, 201, "{what}");
            let delete = format!("DELETE {other}");
            assert_eq!(server.send(&delete, &[], "").await.status, 202, "{what}");
        }
    }
}

#[tokio::test]
async fn reading_a_damaged_blob_fails_before_the_answer_begins() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    for size in SIZES {
        let bytes = content(size);
        let digest = Algorithm::Sha256.digest(&bytes);
        for length in damages(size) {
            server.push_blob("app", &bytes).await;
            damage(&path_of(folder.path(), &digest), length);
            let get = format!("GET /v2/app/blobs/{digest}");
            for range in [None, Some("bytes=0-0"), Some("bytes=-1")] {
                if size == 0 && range.is_some() {
                    continue;
                }
                let headers: Vec<_> = range.map(|range| ("range", range)).into_iter().collect();
                let answer = server.send(&get, &headers, "").await;
                assert_eq!(answer.status, 500, "{length:?} of {size}, {range:?}");
                assert_eq!(answer.header("etag"), "", "nobody may keep it");
            }
        }
    }
}

#[tokio::test]
async fn client_and_log_are_told_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let digest = server.push_blob("app", b"hello").await;
    damage(&path_of(folder.path(), &digest), Some(3));
    let log = Kept::default();
    let guard = log.begin();
    let answer = server.get(&format!("/v2/app/blobs/{digest}")).await;
    assert_snapshot!(answer.show(), @r#"
    500 Internal Server Error
    content-length: 283
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"UNKNOWN","detail":{"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},"message":"blob sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 is damaged in the store of this registry; push it again to repair it"}]}
    "#);
    let key = blob_key(&digest, 1);
    let expected = format!(
        "blob {digest} is damaged in the store of this registry; push it again to repair it: \
         the bytes of {} end at 3 where 5 were expected",
        key.as_str()
    );
    assert!(log.text().contains(&expected), "{}", log.text());
    let head = format!("HEAD /v2/app/blobs/{digest}");
    assert_eq!(server.send(&head, &[], "").await.status, 404);
    drop(guard);
    let text = log.text();
    let warning = text.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(warning.contains(&digest.to_string()), "{warning}");
    assert!(warning.contains(key.as_str()), "{warning}");
}
