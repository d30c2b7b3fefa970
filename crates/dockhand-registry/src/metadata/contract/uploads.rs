//! Uploads go on from where they were acknowledged, by one writer at a time.

use super::*;
use crate::blob_store::Staged;
use crate::metadata::{Checkpoint, Started};

fn id(bits: u128) -> UploadId {
    UploadId::from_random(bits)
}

pub(in crate::metadata) async fn go_on_where_they_stand(m: &Metadata) {
    let (a, hash) = (repo("a"), vec![1, 2, 3]);
    assert_eq!(m.upload(&a, id(1)).await.unwrap(), None);
    assert_eq!(
        m.start_upload(new_upload("a", 1, 5)).await.unwrap(),
        Started::Yes
    );
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
    m.start_upload(new_upload("a", 1, 0)).await.unwrap();
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
        assert_eq!(
            m.start_upload(new_upload("a", bits, 0)).await.unwrap(),
            Started::Yes
        );
    }
    assert_eq!(
        m.start_upload(new_upload("a", 3, 0)).await.unwrap(),
        Started::TooMany
    );
    for bits in 4..6 {
        assert_eq!(
            m.start_upload(new_upload("b", bits, 0)).await.unwrap(),
            Started::Yes
        );
    }
    assert_eq!(
        m.start_upload(new_upload("c", 6, 0)).await.unwrap(),
        Started::TooMany
    );
    m.cancel_upload(&repo("a"), id(0)).await.unwrap().unwrap();
    assert_eq!(
        m.start_upload(new_upload("a", 7, 0)).await.unwrap(),
        Started::Yes
    );
}

pub(in crate::metadata) async fn expire_when_nobody_touches_them(m: &Metadata) {
    for (bits, second) in [(1, 30), (2, 10), (3, 20)] {
        m.start_upload(new_upload("a", bits, second)).await.unwrap();
    }
    m.start_upload(new_upload("b", 4, 5)).await.unwrap();
    let expired = |second, limit| m.expired_uploads(at(second), limit);
    assert_eq!(expired(5, 10).await.unwrap(), []);
    assert_eq!(expired(21, 2).await.unwrap(), [id(4), id(2)]);
    let touch = Checkpoint {
        epoch: 0,
        staged: Staged::default(),
        hash: vec![1],
        cut_put: false,
        now: at(40),
    };
    assert!(m.checkpoint_upload(id(4), touch).await.unwrap());
    assert_eq!(expired(40, 10).await.unwrap(), [id(2), id(3), id(1)]);
    // Whoever was touched between the list and the end stays.
    assert_eq!(m.expire_upload(id(4), at(40)).await.unwrap(), None);
    assert!(m.upload_known(id(4)).await.unwrap());
    let ended = m.expire_upload(id(2), at(40)).await.unwrap();
    assert_eq!(ended, Some(Staged::default()));
    assert_eq!(m.expire_upload(id(2), at(40)).await.unwrap(), None);
    assert_eq!(expired(40, 10).await.unwrap(), [id(3), id(1)]);
}
