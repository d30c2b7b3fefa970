//! Reading blobs.

use std::time::Duration;

use futures_util::StreamExt;

use super::{Store, StoreError, content, done, drain, expect, key, put, upload};

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
        expect(&store, &key, &bytes).await;
        let ends = [0, 1, size / 2, size.saturating_sub(1), size];
        for from in ends {
            for to in ends.into_iter().filter(|to| from <= *to) {
                let range = from as u64..to as u64;
                let (found, error) = drain(done(store.read(&key, range).await)).await;
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
        match store.read(&key, range).await {
            Err(StoreError::Missing(missing)) => assert_eq!(missing, key),
            Err(error) => panic!("not the right error: {error}"),
            Ok(_) => panic!("something was read"),
        }
    }
}

pub(super) async fn a_range_beyond_the_end_ends_with_an_error(store: Store) {
    for size in [1, 70_000, 300_000] {
        let bytes = content(3, size);
        let key = put(&store, upload(1), &bytes).await;
        let wanted = size as u64 + 10;
        let (found, error) = drain(done(store.read(&key, 0..wanted).await)).await;
        assert!(
            found.len() <= size && bytes.starts_with(&found),
            "other bytes came"
        );
        match error {
            Some(StoreError::Truncated {
                key: k,
                wanted: w,
                found: f,
            }) => {
                assert_eq!((k, w, f), (key, wanted, size as u64));
            }
            other => panic!("not the right end: {other:?}"),
        }
    }
}

pub(super) async fn a_reader_that_stalls_or_leaves_holds_nobody_up(store: Store) {
    let bytes = content(4, 3_000_000);
    let key = put(&store, upload(1), &bytes).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = done(store.read(&key, 0..bytes.len() as u64).await);
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
