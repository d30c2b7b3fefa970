//! Much at once.

use tokio::task::JoinSet;

use super::{Store, content, done, drain, expect, key, put, put_in_two, upload};

pub(super) async fn many_uploads_at_once(store: Store) {
    let mut running = JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        running.spawn(async move {
            let bytes = content(number, 40_000 * number as usize + 1);
            let key = put(&store, upload(number.into()), &bytes).await;
            expect(&store, &key, &bytes).await;
            (key, bytes)
        });
    }
    for (key, bytes) in running.join_all().await {
        expect(&store, &key, &bytes).await;
    }
}

pub(super) async fn many_writers_of_one_blob(store: Store) {
    for size in [4096, 900_000] {
        let bytes = content(9, size);
        put(&store, upload(0), &bytes).await;
        let mut running = JoinSet::new();
        for number in 1..=16 {
            let (store, bytes) = (store.clone(), bytes.clone());
            running.spawn(async move {
                if number % 2 == 0 {
                    put(&store, upload(number), &bytes).await;
                } else {
                    put_in_two(&store, upload(number), &bytes).await;
                }
                expect(&store, &key(&bytes), &bytes).await;
            });
        }
        // Whoever reads meanwhile finds the bytes, whole, whichever writer they are of.
        while !running.is_empty() {
            let size = size as u64;
            let stream = done(store.read(&key(&bytes), size, 0..size).await);
            let (found, error) = drain(stream).await;
            assert!(error.is_none() && found == bytes, "{error:?}");
            while let Some(outcome) = running.try_join_next() {
                assert!(outcome.is_ok(), "a writer failed");
            }
            tokio::task::yield_now().await;
        }
    }
}
