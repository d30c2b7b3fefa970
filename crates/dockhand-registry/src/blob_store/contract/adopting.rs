//! Stages that become blobs, and blobs that are deleted.

use bytes::Bytes;
use dockhand_oci::Algorithm;

use super::{
    Staged, Store, StoreError, begin, content, done, drain, expect, key, proof, put, put_in_two,
    upload, write,
};
use crate::layout::blob_key;

pub(super) async fn a_blob_without_bytes(store: Store) {
    let key = put(&store, upload(1), &Bytes::new()).await;
    expect(&store, &key, &Bytes::new()).await;
    done(store.delete(&key).await);
    assert!(matches!(
        store.read(&key, 0, 0..0).await,
        Err(StoreError::Missing(_))
    ));
}

pub(super) async fn chunks_of_every_shape(store: Store) {
    let bytes = content(2, 1_000_000);
    for (number, size) in [
        (1, 77),
        (2, 1000),
        (3, 65_536),
        (4, 262_145),
        (5, 1_000_000),
    ] {
        let mut writer = begin(&store, upload(number)).await;
        let starts: Vec<_> = (0..bytes.len()).step_by(size).collect();
        for group in starts.chunks(500) {
            let chunks = group
                .iter()
                .map(|at| bytes.slice(*at..bytes.len().min(at + size)));
            done(writer.write(chunks.chain([Bytes::new()]).collect()).await);
        }
        done(writer.adopt(&proof(&bytes), &key(&bytes)).await);
        expect(&store, &key(&bytes), &bytes).await;
        done(store.delete(&key(&bytes)).await);
    }
}

pub(super) async fn a_wrong_size_is_refused_and_harms_nothing(store: Store) {
    for size in [100, 800_000] {
        let bytes = content(3, size);
        let safe = size / 2;
        let mut writer = begin(&store, upload(1)).await;
        write(&mut writer, &bytes.slice(..safe)).await;
        let staged = done(writer.sync().await);

        let mut writer = done(store.stage(upload(1), &staged).await);
        write(&mut writer, &bytes.slice(safe..size - 1)).await;
        let refused = writer.adopt(&proof(&bytes), &key(&bytes)).await;
        assert!(
            matches!(refused, Err(StoreError::StageLost { .. })),
            "{refused:?}"
        );
        let found = store.read(&key(&bytes), 1, 0..1).await.err();
        assert!(
            matches!(found, Some(StoreError::Missing(_))),
            "a blob was made: {found:?}"
        );

        let mut writer = done(store.stage(upload(1), &staged).await);
        write(&mut writer, &bytes.slice(safe..)).await;
        done(writer.adopt(&proof(&bytes), &key(&bytes)).await);
        expect(&store, &key(&bytes), &bytes).await;
        done(store.discard(upload(1), &staged).await);
    }
}

pub(super) async fn the_same_key_again_replaces_equal_bytes(store: Store) {
    let bytes = content(4, 500_000);
    for number in 1..=3 {
        let key = put(&store, upload(number), &bytes).await;
        expect(&store, &key, &bytes).await;
    }
}

/// As many bytes, and longer and shorter ones: what a disk that forgets leaves under a key.
pub(super) async fn other_bytes_under_the_key_are_replaced(store: Store) {
    for size in [1, 5000, 700_000] {
        let bytes = content(7, size);
        for damaged in [size, size + 1, size / 2].map(|size| content(8, size)) {
            for whole in [true, false] {
                let mut writer = begin(&store, upload(1)).await;
                write(&mut writer, &damaged).await;
                done(writer.adopt(&proof(&damaged), &key(&bytes)).await);
                expect(&store, &key(&bytes), &damaged).await;
                let size = damaged.len() as u64;
                let before = done(store.read(&key(&bytes), size, 0..size).await);
                if whole {
                    put(&store, upload(2), &bytes).await;
                } else {
                    put_in_two(&store, upload(2), &bytes).await;
                }
                expect(&store, &key(&bytes), &bytes).await;
                // Who began to read before goes on with what was there then.
                let (found, error) = drain(before).await;
                assert!(error.is_none() && found == damaged, "{size}: {error:?}");
            }
        }
    }
}

pub(super) async fn generations_and_algorithms_do_not_meet(store: Store) {
    let bytes = content(5, 5000);
    let digest = Algorithm::Sha256.digest(&bytes);
    let keys = [
        blob_key(&digest, 1),
        blob_key(&digest, 2),
        blob_key(&digest, 3),
        blob_key(&Algorithm::Sha512.digest(&bytes), 1),
    ];
    for (number, key) in (1..).zip(&keys) {
        let mut writer = begin(&store, upload(number)).await;
        write(&mut writer, &bytes).await;
        done(writer.adopt(&proof(&bytes), key).await);
    }
    for (gone, key) in keys.iter().enumerate() {
        done(store.delete(key).await);
        assert!(matches!(
            store.read(key, 1, 0..1).await,
            Err(StoreError::Missing(_))
        ));
        for key in keys.iter().skip(gone + 1) {
            expect(&store, key, &bytes).await;
        }
    }
}

pub(super) async fn deleting_twice_is_no_error(store: Store) {
    let bytes = content(6, 10);
    done(store.delete(&key(&bytes)).await);
    let key = put(&store, upload(1), &bytes).await;
    done(store.delete(&key).await);
    done(store.delete(&key).await);
    let key = put(&store, upload(2), &bytes).await;
    expect(&store, &key, &bytes).await;
    done(store.discard(upload(2), &Staged::default()).await);
    expect(&store, &key, &bytes).await;
}
