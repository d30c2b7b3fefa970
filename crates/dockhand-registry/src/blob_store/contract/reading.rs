//! Reading blobs.

use std::time::Duration;

use futures_util::StreamExt;

use super::{BlobKey, Store, StoreError, content, done, drain, expect, key, put, upload};

pub(super) async fn whole_blobs_and_every_kind_of_range(store: Store) {
    const KIB: usize = 1024;
    let sizes = [
        1,
        4096,
        64 * KIB,
        64 * KIB + 1,
        256 * KIB - 1,
        256 * KIB,
        256 * KIB + 1,
    ];
    for size in sizes.into_iter().chain([KIB * KIB + 3, 8 * KIB * KIB + 1]) {
        let bytes = content(size as u64, size);
        let key = put(&store, upload(size as u128), &bytes).await;
        assert_eq!(done(store.length(&key).await), size as u64);
        expect(&store, &key, &bytes).await;
        let ends = [0, 1, size / 2, size.saturating_sub(1), size];
        for from in ends {
            for to in ends.into_iter().filter(|to| from <= *to) {
                let range = from as u64..to as u64;
                let (found, error) = drain(done(store.read(&key, size as u64, range).await)).await;
                assert!(error.is_none(), "{from}..{to} of {size}: {error:?}");
                assert!(
                    found == bytes.slice(from..to),
                    "{from}..{to} of {size} has other bytes"
                );
            }
        }
    }
}

pub(super) async fn what_is_missing_is_said(store: Store) {
    let key = key(b"never stored");
    for range in [0..0, 0..1, 5..500_000] {
        match store.read(&key, range.end, range).await {
            Err(StoreError::Missing(missing)) => assert_eq!(missing, key),
            Err(error) => panic!("not the right error: {error}"),
            Ok(_) => panic!("something was read"),
        }
    }
    match store.length(&key).await {
        Err(StoreError::Missing(missing)) => assert_eq!(missing, key),
        other => panic!("not the right answer: {other:?}"),
    }
    match store.file(&key, 1).await {
        Err(StoreError::Missing(missing)) => assert_eq!(missing, key),
        Ok(None) => {}
        other => panic!("not the right answer: {other:?}"),
    }
}

pub(super) async fn a_blob_that_is_too_short_is_refused_before_it_is_read(store: Store) {
    for found in [0, 1, 70_000, 300_000] {
        let key = put(&store, upload(1), &content(3, found)).await;
        let (wanted, found) = (found as u64 + 10, found as u64);
        let ranges = [0..wanted, 0..0, 0..found / 2, found..wanted];
        for range in ranges {
            let error = store.read(&key, wanted, range.clone()).await.err();
            expect_truncated(error, &key, wanted, found);
        }
        match store.file(&key, wanted).await {
            Ok(None) => {}
            other => expect_truncated(other.err(), &key, wanted, found),
        }
        assert_eq!(done(store.length(&key).await), found);
    }
}

fn expect_truncated(error: Option<StoreError>, blob: &BlobKey, size: u64, length: u64) {
    match error {
        Some(StoreError::Truncated { key, wanted, found }) => {
            assert_eq!((&key, wanted, found), (blob, size, length));
        }
        other => panic!("not the right error for {length} of {size} bytes: {other:?}"),
    }
}

pub(super) async fn a_reader_that_stalls_or_leaves_holds_nobody_up(store: Store) {
    let bytes = content(4, 3_000_000);
    let key = put(&store, upload(1), &bytes).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let size = bytes.len() as u64;
        let mut stream = done(store.read(&key, size, 0..size).await);
        assert!(stream.next().await.is_some_and(|chunk| chunk.is_ok()));
        stalled.push(stream);
    }
    let others = async {
        expect(&store, &key, &bytes).await;
        let other = content(5, 400_000);
        let key = put(&store, upload(2), &other).await;
        expect(&store, &key, &other).await;
        done(store.delete(&key).await);
    };
    let outcome = tokio::time::timeout(Duration::from_secs(60), others).await;
    assert!(outcome.is_ok(), "a stalled reader holds others up");
    drop(stalled.split_off(10));
    for stream in stalled {
        let (rest, error) = drain(stream).await;
        assert!(
            error.is_none() && bytes.ends_with(&rest),
            "a stalled reader lost its place"
        );
    }
}
