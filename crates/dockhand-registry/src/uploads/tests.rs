//! Uploads by the rules: what HTTP cannot show.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_oci::{Algorithm, ContentRange, RepoName, UploadId};
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;

use crate::blob_store::fs::FileSystem;
use crate::metadata::Metadata;
use crate::{Body, BodyError, Chunk, Error, Registry, Settings};

const WHOLE: &str = "0123456789";

fn repo() -> RepoName {
    "app".parse().unwrap()
}

fn registry(folder: &Path) -> Registry {
    let blobs = Arc::new(FileSystem::open(folder).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    Registry::new(blobs, metadata, Settings::default())
}

async fn begin(registry: &Registry) -> UploadId {
    let begun = registry.start_upload(&repo(), Algorithm::Sha256, "").await;
    begun.unwrap().id
}

fn chunk(bytes: &'static str) -> Chunk {
    Chunk {
        range: None,
        offset: None,
        length: None,
        body: stream::iter([Ok(Bytes::from_static(bytes.as_bytes()))]).boxed(),
    }
}

/// A chunk whose connection is cut behind these bytes, as soon as the sender is dropped.
fn cut_later(bytes: &'static str) -> (Chunk, oneshot::Sender<()>) {
    let (cut, until) = oneshot::channel::<()>();
    let end = stream::once(async move {
        until.await.unwrap_err();
        Err(BodyError::Disconnected)
    });
    let body: Body = chunk(bytes).body.chain(end).boxed();
    (Chunk { body, ..chunk("") }, cut)
}

fn cut(bytes: &'static str) -> Chunk {
    cut_later(bytes).0
}

fn from(start: u64, chunk: Chunk) -> Chunk {
    let range = ContentRange { start, end: 9 };
    Chunk {
        range: Some(range),
        ..chunk
    }
}

/// A chunk sent to the URL that the upload had when it stood at `offset`.
fn to(offset: u64, chunk: Chunk) -> Chunk {
    Chunk {
        offset: Some(offset),
        ..chunk
    }
}

async fn put(registry: &Registry, id: UploadId, chunk: Chunk) -> Result<(), Error> {
    let digest = Algorithm::Sha256.digest(WHOLE.as_bytes());
    registry.finish_upload(&repo(), id, digest, chunk).await?;
    let blob = registry.blob(&repo(), &digest).await?;
    let mut read = registry.read_blob(&blob, 0..10).await?;
    assert_eq!(read.next().await.unwrap().unwrap(), WHOLE);
    Ok(())
}

async fn stands_at(registry: &Registry, id: UploadId) -> u64 {
    registry.upload_status(&repo(), id).await.unwrap().offset
}

/// A name for what happened, requests and where the upload stood after each, the one that finishes.
type History = (&'static str, Vec<(Did, u64)>, Chunk);

/// What a request did to an upload.
enum Did {
    Patch(Chunk),
    Put(Chunk),
}

use Did::{Patch, Put};

/// A `PUT` with all bytes was cut.
fn begun_by_a_put() -> Vec<History> {
    vec![
        (
            "whole, then whole",
            vec![(Put(cut("01234")), 5)],
            chunk(WHOLE),
        ),
        (
            "whole, then whole, each time cut",
            vec![
                (Put(cut("01234")), 5),
                (Put(cut("012")), 3),
                (Put(cut("0123456")), 7),
            ],
            chunk(WHOLE),
        ),
        (
            "whole, then its rest",
            vec![(Put(cut("01234")), 5)],
            from(5, chunk("56789")),
        ),
        (
            "whole, then the rest of its rest, then whole",
            vec![(Put(cut("01")), 2), (Put(from(2, cut("23"))), 4)],
            chunk(WHOLE),
        ),
        (
            "whole, then cut before the first byte, then its rest",
            vec![(Put(cut("01234")), 5), (Put(cut("")), 5)],
            from(5, chunk("56789")),
        ),
        (
            "whole, then its rest by another request",
            vec![(Put(cut("01234")), 5), (Patch(chunk("56789")), 10)],
            chunk(""),
        ),
        (
            "whole, some of its rest, then the last",
            vec![(Put(cut("01234")), 5), (Patch(chunk("56")), 7)],
            chunk("789"),
        ),
        (
            "whole, of which all came",
            vec![(Put(cut(WHOLE)), 10)],
            chunk(""),
        ),
    ]
}

/// What is last comes behind a chunk.
fn begun_by_a_patch() -> Vec<History> {
    vec![
        (
            "a chunk, then the last",
            vec![(Patch(chunk("01234")), 5)],
            chunk("56789"),
        ),
        (
            "a chunk, then the last, twice",
            vec![(Patch(chunk("01234")), 5), (Put(cut("56")), 5)],
            chunk("56789"),
        ),
        (
            "a chunk, then the last with its place, then its rest",
            vec![(Patch(chunk("01234")), 5), (Put(from(5, cut("56"))), 7)],
            from(7, chunk("789")),
        ),
        (
            "a chunk that was cut, then the last",
            vec![(Patch(cut("01234")), 5)],
            chunk("56789"),
        ),
    ]
}

/// Every URL says where the upload stood.
fn at_urls_with_offsets() -> Vec<History> {
    vec![
        (
            "a chunk, then the last",
            vec![(Patch(to(0, chunk("01234"))), 5)],
            to(5, chunk("56789")),
        ),
        (
            "a chunk that was cut, then its rest, then nothing",
            vec![
                (Patch(to(0, cut("01234"))), 5),
                (Patch(to(5, chunk("56789"))), 10),
            ],
            to(10, chunk("")),
        ),
        (
            "all in a chunk, then nothing, at the first URL",
            vec![(Patch(to(0, chunk(WHOLE))), 10)],
            to(0, chunk("")),
        ),
        (
            "whole, then whole, each time cut",
            vec![(Put(to(0, cut("01234"))), 5), (Put(to(0, cut("012"))), 3)],
            to(0, chunk(WHOLE)),
        ),
        (
            "whole, then its rest without its place",
            vec![(Put(to(0, cut("01234"))), 5)],
            to(5, chunk("56789")),
        ),
        (
            "whole, then its rest, cut, then its rest again",
            vec![(Put(to(0, cut("01234"))), 5), (Put(to(5, cut("56"))), 5)],
            to(5, chunk("56789")),
        ),
        (
            "whole, then its rest, cut, then whole",
            vec![(Put(to(0, cut("01234"))), 5), (Put(to(5, cut("56"))), 5)],
            to(0, chunk(WHOLE)),
        ),
        (
            "whole, of which all came, then nothing",
            vec![(Put(to(0, cut(WHOLE))), 10)],
            to(0, chunk("")),
        ),
        (
            "a chunk, then the last, twice",
            vec![
                (Patch(to(0, chunk("01234"))), 5),
                (Put(to(5, cut("56"))), 5),
            ],
            to(5, chunk("56789")),
        ),
        (
            "with its place, which counts more than an old URL",
            vec![(Patch(to(0, chunk("01234"))), 5)],
            to(0, from(5, chunk("56789"))),
        ),
    ]
}

#[tokio::test]
async fn a_chunk_for_another_offset_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let id = begin(&registry).await;
    let appended = registry.append(&repo(), id, to(0, chunk("01234"))).await;
    appended.unwrap();
    for offset in [0, 4, 6, u64::MAX] {
        let again = registry
            .append(&repo(), id, to(offset, chunk("01234")))
            .await;
        let last = put(&registry, id, to(offset, chunk("56789"))).await;
        for refused in [again.map(drop), last] {
            match refused {
                Err(Error::ChunkOutOfOrder { at: 5, start, .. }) if start == offset => {}
                other => panic!("{offset}: {other:?}"),
            }
        }
        assert_eq!(stands_at(&registry, id).await, 5, "{offset}");
    }
    let nothing = registry.append(&repo(), id, to(0, chunk(""))).await;
    assert_eq!(nothing.unwrap().offset, 5);
    put(&registry, id, to(5, chunk("56789"))).await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_cut_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let histories = begun_by_a_put()
        .into_iter()
        .chain(begun_by_a_patch())
        .chain(at_urls_with_offsets());
    for (name, history, last) in histories {
        let id = begin(&registry).await;
        for (did, stands) in history {
            let done = match did {
                Patch(chunk) => registry.append(&repo(), id, chunk).await.map(drop),
                Put(chunk) => put(&registry, id, chunk).await,
            };
            assert!(
                matches!(done, Ok(()) | Err(Error::Body(_))),
                "{name}: {done:?}"
            );
            assert_eq!(stands_at(&registry, id).await, stands, "{name}");
        }
        put(&registry, id, last)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn a_blob_that_begins_anew_and_is_wrong_can_begin_anew_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let id = begin(&registry).await;
    put(&registry, id, cut("01234")).await.unwrap_err();
    let wrong = put(&registry, id, chunk("012345678x")).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch(_))), "{wrong:?}");
    assert_eq!(stands_at(&registry, id).await, 0);
    put(&registry, id, chunk(WHOLE)).await.unwrap();
}

/// Lets a request wait behind one that has sent some bytes, whose connection is then cut.
async fn behind<T: Send + 'static>(
    registry: &Registry,
    first: impl Future<Output = T> + Send + 'static,
    second: impl Future<Output = Result<(), Error>> + Send + 'static,
    cut: oneshot::Sender<()>,
    id: UploadId,
) -> Result<(), Error> {
    let first = tokio::spawn(first);
    while registry.sessions.try_enter(id).is_some() {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn(second);
    while registry.sessions.waiting(id) < 2 {
        tokio::task::yield_now().await;
    }
    drop(cut);
    first.await.unwrap();
    second.await.unwrap()
}

#[tokio::test]
async fn who_waited_for_another_request_is_told_where_the_upload_stands() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let append = |id, chunk| {
        let registry = registry.clone();
        async move { registry.append(&repo(), id, chunk).await.map(drop) }
    };
    let finish = |id, chunk| {
        let registry = registry.clone();
        async move { put(&registry, id, chunk).await }
    };

    let id = begin(&registry).await;
    let (first, cut) = cut_later("01234");
    let second = behind(
        &registry,
        append(id, first),
        append(id, chunk(WHOLE)),
        cut,
        id,
    )
    .await;
    match second {
        Err(Error::ChunkOutOfOrder {
            at: 5, start: 0, ..
        }) => {}
        other => panic!("{other:?}"),
    }
    put(&registry, id, chunk("56789")).await.unwrap();

    // The URL says it as well, and then nothing has to be guessed.
    let id = begin(&registry).await;
    let (first, cut) = cut_later("01234");
    behind(
        &registry,
        append(id, to(0, first)),
        append(id, to(5, chunk("56789"))),
        cut,
        id,
    )
    .await
    .unwrap();
    assert_eq!(stands_at(&registry, id).await, 10);

    // One without bytes cannot be out of order; one with all of them begins anew.
    let id = begin(&registry).await;
    let (first, cut) = cut_later(WHOLE);
    behind(&registry, append(id, first), finish(id, chunk("")), cut, id)
        .await
        .unwrap();
    let id = begin(&registry).await;
    let (first, cut) = cut_later("01234");
    behind(
        &registry,
        finish(id, first),
        finish(id, chunk(WHOLE)),
        cut,
        id,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn an_upload_whose_first_bytes_are_on_their_way_does_not_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(FileSystem::open(folder.path()).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    let mut settings = Settings::default();
    settings.uploads.per_repository = 2;
    let registry = Registry::new(blobs, metadata, settings);
    let id = begin(&registry).await;
    let (first, cut) = cut_later("01234");
    let appending = {
        let registry = registry.clone();
        tokio::spawn(async move { registry.append(&repo(), id, first).await })
    };
    while registry.sessions.try_enter(id).is_some() {
        tokio::task::yield_now().await;
    }
    let dropped = registry.drop_upload(id, None).await;
    assert!(matches!(dropped, Err(Error::UploadBusy(_))), "{dropped:?}");
    let second = begin(&registry).await;
    begin(&registry).await;
    let gone = registry.upload_status(&repo(), second).await;
    assert!(matches!(gone, Err(Error::UploadUnknown(_))), "{gone:?}");
    drop(cut);
    appending.await.unwrap().unwrap_err();
    assert_eq!(stands_at(&registry, id).await, 5);

    let moved = registry.drop_upload(id, Some(0)).await;
    match moved {
        Err(Error::UploadMoved { at: 5, .. }) => {}
        other => panic!("{other:?}"),
    }
    registry.drop_upload(id, Some(5)).await.unwrap();
    let again = registry.drop_upload(id, None).await;
    assert!(matches!(again, Err(Error::UploadUnknown(_))), "{again:?}");
}

#[tokio::test]
async fn asking_for_an_upload_that_lost_its_bytes_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(FileSystem::open(folder.path()).unwrap());
    let metadata = Arc::new(Metadata::in_memory().unwrap());
    let registry = Registry::new(blobs.clone(), metadata.clone(), Settings::default());
    let id = begin(&registry).await;
    registry.append(&repo(), id, chunk("0123")).await.unwrap();
    fs::remove_file(folder.path().join("uploads").join(id.to_string())).unwrap();

    let read_only = Settings {
        read_only: true,
        ..Settings::default()
    };
    for registry in [
        &Registry::new(blobs, metadata.clone(), read_only),
        &registry,
    ] {
        let asked = registry.upload_status(&repo(), id).await;
        assert!(matches!(asked, Err(Error::UploadUnknown(_))), "{asked:?}");
        assert!(metadata.upload_known(id).await.unwrap());
    }
    // Whoever writes to it ends it.
    let appended = registry.append(&repo(), id, chunk("45")).await;
    assert!(
        matches!(appended, Err(Error::UploadUnknown(_))),
        "{appended:?}"
    );
    assert!(!metadata.upload_known(id).await.unwrap());
}
