//! Uploads go on from where they were acknowledged, by one writer at a time.

use super::*;
use crate::blob_store::Staged;
use crate::metadata::{Checkpoint, Expiry, Room, UploadDropped, UploadEntry, UploadTotals};

/// Begins an upload: where there was no room, and what gave way.
async fn start(m: &Metadata, new: NewUpload) -> (Option<Room>, Vec<UploadId>) {
    start_with(m, new, &[]).await
}

/// The same while some uploads are in use.
async fn start_with(
    m: &Metadata,
    new: NewUpload,
    in_use: &[UploadId],
) -> (Option<Room>, Vec<UploadId>) {
    let in_use = in_use.to_vec();
    let hold = move |id| (!in_use.contains(&id)).then_some(());
    let started = m.start_upload(new, hold).await.unwrap();
    let gave_way = started.gave_way.iter().map(|gone| gone.id);
    (started.refused, gave_way.collect())
}

/// Gives an upload its first bytes.
async fn fill(m: &Metadata, bits: u128, length: u64, second: u64) {
    let to = Checkpoint {
        epoch: 0,
        staged: Staged {
            length,
            notes: Vec::new(),
        },
        hash: vec![1],
        cut_put: false,
        now: at(second),
    };
    assert!(m.checkpoint_upload(id(bits), to).await.unwrap());
}

fn of(client: &str, new: NewUpload) -> NewUpload {
    NewUpload {
        client: client.to_owned(),
        ..new
    }
}

fn id(bits: u128) -> UploadId {
    UploadId::from_random(bits)
}

pub(in crate::metadata) async fn go_on_where_they_stand(m: &Metadata) {
    let (a, hash) = (repo("a"), vec![1, 2, 3]);
    assert_eq!(m.upload(&a, id(1)).await.unwrap(), None);
    assert_eq!(start(m, new_upload("a", 1, 5)).await, (None, vec![]));
    let row = m.upload(&a, id(1)).await.unwrap().unwrap();
    assert_eq!(
        (row.epoch, row.staged, row.started),
        (0, Staged::default(), at(5))
    );
    assert_eq!((row.hash, row.cut_put), (vec![7; 41], false));
    assert_eq!(
        m.upload(&repo("b"), id(1)).await.unwrap(),
        None,
        "not through another one"
    );
    let staged = Staged {
        length: 1 << 40,
        notes: b"parts".to_vec(),
    };
    let step = |epoch| {
        let to = Checkpoint {
            epoch,
            staged: staged.clone(),
            hash: hash.clone(),
            cut_put: true,
            now: at(6),
        };
        m.checkpoint_upload(id(1), to)
    };
    assert!(step(0).await.unwrap());
    assert!(!step(0).await.unwrap(), "the epoch has moved on");
    let row = m.upload(&a, id(1)).await.unwrap().unwrap();
    assert_eq!((row.epoch, &row.staged, &row.hash), (1, &staged, &hash));
    assert!(row.cut_put);
    assert!(m.upload_known(id(1)).await.unwrap());
    assert_eq!(m.cancel_upload(&repo("b"), id(1)).await.unwrap(), None);
    assert_eq!(
        m.cancel_upload(&a, id(1)).await.unwrap(),
        Some(staged.clone())
    );
    assert_eq!(m.cancel_upload(&a, id(1)).await.unwrap(), None);
    assert!(!step(1).await.unwrap(), "it is over");
    assert!(!m.upload_known(id(1)).await.unwrap());
}

pub(in crate::metadata) async fn end_with_their_blob(m: &Metadata) {
    start(m, new_upload("a", 1, 0)).await;
    let gone = BlobCommit {
        upload: Some(id(1)),
        ..blob_commit("a", "layer", None)
    };
    assert_eq!(m.commit_blob(gone).await.unwrap(), Committed::Gone);
    assert!(m.upload_known(id(1)).await.unwrap(), "nothing has changed");
    let commit = BlobCommit {
        upload: Some(id(1)),
        ..blob_commit("a", "layer", Some(1))
    };
    assert_eq!(m.commit_blob(commit).await.unwrap(), Committed::Stored);
    assert!(!m.upload_known(id(1)).await.unwrap());
}

pub(in crate::metadata) async fn are_bounded(m: &Metadata) {
    for bits in 0..3 {
        assert_eq!(start(m, new_upload("a", bits, 0)).await, (None, vec![]));
        fill(m, bits, 1, 0).await;
    }
    let here = (Some(Room::Repository), vec![]);
    assert_eq!(start(m, new_upload("a", 3, 0)).await, here);
    for bits in 4..6 {
        assert_eq!(start(m, new_upload("b", bits, 0)).await, (None, vec![]));
        fill(m, bits, 1, 0).await;
    }
    let all = (Some(Room::All), vec![]);
    assert_eq!(start(m, new_upload("c", 6, 0)).await, all);
    m.cancel_upload(&repo("a"), id(0)).await.unwrap().unwrap();
    assert_eq!(start(m, new_upload("a", 7, 0)).await, (None, vec![]));
    m.cancel_upload(&repo("a"), id(7)).await.unwrap().unwrap();
    let limits = UploadLimits {
        per_client: 4,
        ..new_upload("c", 8, 0).limits
    };
    let new = NewUpload {
        limits,
        ..new_upload("c", 8, 0)
    };
    let client = (Some(Room::Client), vec![]);
    assert_eq!(start(m, new.clone()).await, client);
    assert_eq!(start(m, of("bob", new)).await, (None, vec![]));
}

pub(in crate::metadata) async fn without_a_byte_give_way(m: &Metadata) {
    // The oldest first: not the first to be begun here, and none with a byte.
    for (bits, second) in [(0, 30), (1, 10), (2, 20)] {
        assert_eq!(start(m, new_upload("a", bits, second)).await.1, []);
    }
    fill(m, 1, 1, 40).await;
    let gave_way = |bits| (None, vec![id(bits)]);
    assert_eq!(start(m, new_upload("a", 3, 50)).await, gave_way(2));
    // One in use stays, however old.
    let next = start_with(m, new_upload("a", 4, 60), &[id(0)]).await;
    assert_eq!(next, gave_way(3));
    let none = start_with(m, new_upload("a", 5, 60), &[id(0), id(4)]).await;
    assert_eq!(none, (Some(Room::Repository), vec![]));
    assert!(m.upload_known(id(0)).await.unwrap());
    assert!(!m.upload_known(id(5)).await.unwrap());
    // In all: another repository has the one that goes.
    start(m, new_upload("b", 6, 70)).await;
    start(m, new_upload("b", 7, 80)).await;
    assert_eq!(start(m, new_upload("c", 8, 90)).await, gave_way(0));
}

pub(in crate::metadata) async fn of_the_client_with_the_most_give_way(m: &Metadata) {
    let of_bob = |repo, bits| of("bob", new_upload(repo, bits, 0));
    start(m, of_bob("a", 0)).await;
    for (bits, repo) in [(1, "b"), (2, "b"), (3, "c"), (4, "c")] {
        start(m, of("mallory", new_upload(repo, bits, 10))).await;
    }
    // What bob has is older, but mallory has more.
    for bits in 5..8 {
        let (refused, gone) = start(m, of("mallory", new_upload("d", bits, 20))).await;
        assert_eq!((refused, gone.len()), (None, 1));
        assert!(m.upload_known(id(0)).await.unwrap());
    }
    assert_eq!(start(m, of_bob("a", 8)).await.1.len(), 1);
    assert!(m.upload_known(id(0)).await.unwrap());
    // A share of the room is taken by none but the client itself.
    let mut new = of_bob("e", 9);
    new.limits.per_client = 2;
    assert_eq!(start(m, new).await, (None, vec![id(0)]));
}

pub(in crate::metadata) async fn of_many_in_use_one_gives_way(m: &Metadata) {
    let many = |bits| {
        let mut new = new_upload("a", bits, u64::try_from(bits).unwrap());
        new.limits.per_repository = 200;
        new.limits.in_all = 200;
        new.limits.per_client = 200;
        new
    };
    for bits in 0..200 {
        start(m, many(bits)).await;
    }
    let in_use: Vec<UploadId> = (0..200).filter(|bits| *bits != 150).map(id).collect();
    let started = start_with(m, many(200), &in_use).await;
    assert_eq!(started, (None, vec![id(150)]));
}

pub(in crate::metadata) async fn are_listed_counted_and_dropped(m: &Metadata) {
    assert_eq!(m.upload_totals().await.unwrap(), UploadTotals::default());
    start(m, of("bob", new_upload("b", 2, 5))).await;
    start(m, new_upload("a", 3, 6)).await;
    start(m, new_upload("a", 1, 7)).await;
    fill(m, 3, 1 << 40, 9).await;
    let totals = UploadTotals {
        open: 3,
        empty: 2,
        bytes: 1 << 40,
    };
    assert_eq!(m.upload_totals().await.unwrap(), totals);
    let page = |after: Option<UploadId>| Keyset {
        after: after.map(|id| id.to_string()),
        limit: 2,
    };
    let first = m.uploads(&page(None)).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|entry| entry.id).collect();
    assert_eq!((ids, first.more), (vec![id(1), id(2)], true));
    assert_eq!(first.items[1].client, "bob");
    let second = m.uploads(&page(Some(id(2)))).await.unwrap();
    let entry = UploadEntry {
        id: id(3),
        repo: repo("a"),
        client: "alice".to_owned(),
        started: at(6),
        touched: at(9),
        bytes: 1 << 40,
    };
    assert_eq!((second.items, second.more), (vec![entry], false));

    let drop = |bits, bytes| m.drop_upload(id(bits), bytes);
    assert_eq!(
        drop(3, Some(0)).await.unwrap(),
        UploadDropped::Moved(1 << 40)
    );
    let staged = Staged {
        length: 1 << 40,
        notes: Vec::new(),
    };
    let done = UploadDropped::Done(staged);
    assert_eq!(drop(3, Some(1 << 40)).await.unwrap(), done);
    assert_eq!(drop(3, None).await.unwrap(), UploadDropped::Unknown);
    assert!(matches!(
        drop(2, None).await.unwrap(),
        UploadDropped::Done(_)
    ));
    assert_eq!(m.upload_totals().await.unwrap().open, 1);
}

pub(in crate::metadata) async fn expire_when_nobody_touches_them(m: &Metadata) {
    for (bits, second) in [(1, 30), (2, 10), (3, 20)] {
        start(m, new_upload("a", bits, second)).await;
    }
    start(m, new_upload("b", 4, 5)).await;
    let both = |second| Expiry {
        any: at(second),
        empty: at(second),
    };
    let expired = |second, limit| m.expired_uploads(both(second), limit);
    assert_eq!(expired(5, 10).await.unwrap(), []);
    assert_eq!(expired(21, 2).await.unwrap(), [id(4), id(2)]);
    fill(m, 4, 1, 40).await;
    assert_eq!(expired(40, 10).await.unwrap(), [id(2), id(3), id(1)]);
    // One that was touched between the list and the end stays.
    assert_eq!(m.expire_upload(id(4), both(40)).await.unwrap(), None);
    assert!(m.upload_known(id(4)).await.unwrap());
    let ended = m.expire_upload(id(2), both(40)).await.unwrap();
    assert_eq!(ended, Some(Staged::default()));
    assert_eq!(m.expire_upload(id(2), both(40)).await.unwrap(), None);
    assert_eq!(expired(40, 10).await.unwrap(), [id(3), id(1)]);
}

pub(in crate::metadata) async fn expire_sooner_without_a_byte(m: &Metadata) {
    for (bits, second) in [(1, 10), (2, 10), (3, 90)] {
        start(m, new_upload("a", bits, second)).await;
    }
    fill(m, 1, 1, 11).await;
    let expiry = |any, empty| Expiry {
        any: at(any),
        empty: at(empty),
    };
    let sooner = expiry(5, 50);
    assert_eq!(m.expired_uploads(sooner, 10).await.unwrap(), [id(2)]);
    assert_eq!(m.expire_upload(id(1), sooner).await.unwrap(), None);
    let empty = m.expire_upload(id(2), sooner).await.unwrap();
    assert_eq!(empty, Some(Staged::default()));
    let later = expiry(50, 80);
    assert_eq!(m.expired_uploads(later, 10).await.unwrap(), [id(1)]);
    assert!(m.expire_upload(id(1), later).await.unwrap().is_some());
}
