//! Stages: going on, giving up, telling what is there.

use bytes::Bytes;

use super::{
    Staged, Store, StoreError, begin, content, done, drain, expect, key, proof, upload, write,
};

/// The largest is more than the smallest part that an object store takes (5 MiB), the others less:
/// a tail that is too small for a part has to be kept otherwise.
const STOPS: [usize; 7] = [1, 4, 70_000, 5_242_880, 5_242_881, 10_900_000, 10_900_001];

pub(super) async fn an_upload_goes_on_at_the_exact_byte(store: Store) {
    let bytes = content(1, 11_000_000);
    let mut staged = Staged::default();
    for stop in STOPS {
        let mut writer = done(store.stage(upload(1), &staged).await);
        write(&mut writer, &bytes.slice(staged.length as usize..stop)).await;
        staged = done(writer.sync().await);
        assert_eq!(staged.length, stop as u64);
    }
    let mut writer = done(store.stage(upload(1), &staged).await);
    write(&mut writer, &bytes.slice(staged.length as usize..)).await;
    done(writer.adopt(&proof(&bytes), &key(&bytes)).await);
    expect(&store, &key(&bytes), &bytes).await;
    done(store.discard(upload(1), &staged).await);
    expect(&store, &key(&bytes), &bytes).await;
}

/// The metadata may not come to know of an adoption. Then the upload goes on where it stood, and the
/// bytes that were adopted, which may be a blob's by now, do not change with it.
pub(super) async fn an_upload_survives_an_adoption_that_nobody_heard_of(store: Store) {
    let bytes = content(9, 900_000);
    let mut writer = begin(&store, upload(1)).await;
    write(&mut writer, &bytes.slice(..500_000)).await;
    let staged = done(writer.sync().await);
    for _ in 0..3 {
        let mut writer = done(store.stage(upload(1), &staged).await);
        write(&mut writer, &bytes.slice(500_000..)).await;
        done(writer.adopt(&proof(&bytes), &key(&bytes)).await);
    }
    let mut writer = done(store.stage(upload(1), &staged).await);
    write(&mut writer, &content(10, 300_000)).await;
    let other = done(writer.sync().await);
    assert_eq!(other.length, 800_000);
    expect(&store, &key(&bytes), &bytes).await;
    done(store.discard(upload(1), &other).await);
    expect(&store, &key(&bytes), &bytes).await;
}

pub(super) async fn what_a_dropped_writer_left_is_dropped(store: Store) {
    // One long write each, so that it is still under way when its writer is dropped.
    let (right, wrong) = (content(1, 6_000_000), content(2, 5_000_000));
    for (number, safe) in [(1, 0), (2, 10), (3, 600_000)] {
        let id = upload(number);
        let mut staged = Staged::default();
        if safe > 0 {
            let mut writer = begin(&store, id).await;
            write(&mut writer, &right.slice(..safe)).await;
            staged = done(writer.sync().await);
        }
        for _ in 0..5 {
            let mut writer = done(store.stage(id, &staged).await);
            done(writer.write(vec![wrong.clone()]).await);
            drop(writer);
        }
        let mut writer = done(store.stage(id, &staged).await);
        write(&mut writer, &right.slice(safe..)).await;
        done(writer.adopt(&proof(&right), &key(&right)).await);
        expect(&store, &key(&right), &right).await;
        done(store.delete(&key(&right)).await);
        done(store.discard(id, &staged).await);
    }
}

pub(super) async fn what_is_durable_can_be_read_back(store: Store) {
    let bytes = content(6, 700_000);
    let mut writer = begin(&store, upload(1)).await;
    write(&mut writer, &bytes).await;
    let staged = done(writer.sync().await);
    for _ in 0..2 {
        let (found, error) = drain(done(store.read_staged(upload(1), &staged).await)).await;
        assert!(error.is_none() && found == bytes, "{error:?}");
    }
    let writer = done(store.stage(upload(1), &staged).await);
    done(writer.adopt(&proof(&bytes), &key(&bytes)).await);
    expect(&store, &key(&bytes), &bytes).await;
    done(store.discard(upload(1), &staged).await);
}

pub(super) async fn a_stage_without_bytes_is_none(store: Store) {
    let mut writer = begin(&store, upload(1)).await;
    done(writer.write(vec![]).await);
    done(writer.write(vec![Bytes::new()]).await);
    assert_eq!(done(writer.sync().await).length, 0);
    let bytes = content(7, 9);
    let mut writer = begin(&store, upload(1)).await;
    write(&mut writer, &bytes).await;
    let staged = done(writer.sync().await);
    let writer = done(store.stage(upload(1), &staged).await);
    let again = done(writer.sync().await);
    assert_eq!(again.length, 9, "going on without bytes changed the length");
    done(store.discard(upload(1), &again).await);
}

pub(super) async fn a_stage_that_is_lost_is_said(store: Store) {
    let staged = Staged {
        length: 5,
        notes: Vec::new(),
    };
    match store.stage(upload(404), &staged).await {
        Err(StoreError::StageLost {
            id,
            wanted: 5,
            found: 0,
        }) => assert_eq!(id, upload(404)),
        Err(error) => panic!("not the right error: {error}"),
        Ok(_) => panic!("a stage that is not there was opened"),
    }
    let error = match store.read_staged(upload(404), &staged).await {
        Ok(stream) => drain(stream).await.1,
        Err(error) => Some(error),
    };
    assert!(
        matches!(error, Some(StoreError::StageLost { .. })),
        "{error:?}"
    );
}

pub(super) async fn stages_are_listed_until_they_are_discarded(store: Store) {
    let mut known = Vec::new();
    for number in 1..=5 {
        let mut writer = begin(&store, upload(number)).await;
        write(
            &mut writer,
            &content(number as u64, 300_000 * number as usize),
        )
        .await;
        known.push((upload(number), done(writer.sync().await)));
    }
    while let Some((id, staged)) = known.pop() {
        let mut listed = done(store.staged().await);
        listed.sort_unstable();
        let mut expected: Vec<_> = known.iter().map(|(id, _)| *id).chain([id]).collect();
        expected.sort_unstable();
        assert_eq!(listed, expected);
        done(store.discard(id, &staged).await);
        done(store.discard(id, &staged).await);
        assert!(
            matches!(
                store.stage(id, &staged).await,
                Err(StoreError::StageLost { .. })
            ),
            "a discarded stage was opened"
        );
    }
}

pub(super) async fn a_writer_dropped_in_the_middle_leaves_nothing_after_a_discard(store: Store) {
    let bytes = content(8, 2_000_000);
    for number in 1..=20 {
        let mut writer = begin(&store, upload(number)).await;
        write(&mut writer, &bytes).await;
        drop(writer);
        done(store.discard(upload(number), &Staged::default()).await);
    }
    assert_eq!(done(store.staged().await), []);
}
