//! Blobs belong to repositories, and generations are used once.

use super::*;
use crate::layout::blob_key;
use crate::metadata::sql::{Sql, Value};
use crate::metadata::{BlobDeleted, NextKey};

async fn has(metadata: &Metadata, name: &str, content: &str) -> bool {
    let row = metadata.blob(&repo(name), &digest(content)).await.unwrap();
    if let Some(row) = &row {
        assert_eq!(row.size, content.len() as u64);
    }
    row.is_some()
}

/// What collection will do one day: the bytes of the live generation are gone.
async fn collect(metadata: &Metadata) {
    let gone = |sql: &mut dyn Sql| {
        sql.execute(
            "UPDATE blob SET state = ?1 WHERE state = 1",
            &[Value::Int(9)],
        )
    };
    assert_eq!(metadata.engine.write("collecting", gone).await.unwrap(), 1);
}

pub(in crate::metadata) async fn are_seen_through_repositories_that_have_them(m: &Metadata) {
    let (a, b, c) = (repo("a"), repo("b/b"), repo("c"));
    let blob = digest("layer");
    assert!(
        !m.mount(&b, Some(&a), &blob, at(0)).await.unwrap(),
        "nothing to mount yet"
    );
    assert!(!m.mount(&b, None, &blob, at(0)).await.unwrap());
    first_blob(m, "a", "layer").await;
    assert!(has(m, "a", "layer").await);
    assert!(!has(m, "b/b", "layer").await);
    assert!(
        !m.mount(&b, Some(&c), &blob, at(0)).await.unwrap(),
        "c does not have it"
    );
    assert!(m.mount(&b, Some(&a), &blob, at(0)).await.unwrap());
    assert!(
        m.mount(&b, Some(&a), &blob, at(0)).await.unwrap(),
        "again is fine"
    );
    assert!(has(m, "b/b", "layer").await);
    assert!(
        m.mount(&c, None, &blob, at(0)).await.unwrap(),
        "from anywhere"
    );
    assert!(has(m, "c", "layer").await);
    assert_eq!(
        tags_of(m, "c").await,
        None,
        "blobs alone make no known repository"
    );
    assert_eq!(catalog(m).await, Vec::<String>::new());
}

pub(in crate::metadata) async fn are_stored_once(m: &Metadata) {
    let blob = digest("layer");
    assert_eq!(
        m.next_key(&blob).await.unwrap(),
        NextKey::Free { generation: 1 }
    );
    let none = m
        .commit_blob(blob_commit("a", "layer", None))
        .await
        .unwrap();
    assert_eq!(none, Committed::Gone, "there is no live blob to use");
    assert_eq!(tags_of(m, "a").await, None);
    first_blob(m, "a", "layer").await;
    let live = NextKey::Live {
        key: blob_key(&blob, 1),
        size: 5,
    };
    assert_eq!(m.next_key(&blob).await.unwrap(), live);
    for (generation, surplus) in [(None, None), (Some(1), None), (Some(2), Some(2))] {
        let committed = m
            .commit_blob(blob_commit("b", "layer", generation))
            .await
            .unwrap();
        let surplus = surplus.map(|generation| blob_key(&blob, generation));
        assert_eq!(committed, Committed::Existed { surplus }, "{generation:?}");
    }
    assert!(has(m, "b", "layer").await);
}

pub(in crate::metadata) async fn never_use_a_generation_twice(m: &Metadata) {
    let blob = digest("layer");
    first_blob(m, "a", "layer").await;
    collect(m).await;
    assert!(
        !has(m, "a", "layer").await,
        "a row without bytes is not served"
    );
    assert!(
        !m.mount(&repo("b"), Some(&repo("a")), &blob, at(0))
            .await
            .unwrap()
    );
    assert!(!m.mount(&repo("b"), None, &blob, at(0)).await.unwrap());
    let missing = m.put_manifest(ManifestPut {
        links: vec![layer("layer")],
        ..push("a", "m")
    });
    assert_eq!(missing.await.unwrap(), Put::Missing(vec![blob]));
    assert_eq!(
        m.next_key(&blob).await.unwrap(),
        NextKey::Free { generation: 2 }
    );
    let late = m
        .commit_blob(blob_commit("a", "layer", Some(1)))
        .await
        .unwrap();
    assert_eq!(
        late,
        Committed::Gone,
        "generation 1 may be deleted at any moment"
    );
    let again = m
        .commit_blob(blob_commit("a", "layer", Some(2)))
        .await
        .unwrap();
    assert_eq!(again, Committed::Stored);
    let row = m.blob(&repo("a"), &blob).await.unwrap().unwrap();
    assert_eq!(row.key, blob_key(&blob, 2));
}

pub(in crate::metadata) async fn are_deleted_from_one_repository(m: &Metadata) {
    let (a, blob) = (repo("a"), digest("layer"));
    assert_eq!(
        m.delete_blob(&a, &blob).await.unwrap(),
        BlobDeleted::Unknown
    );
    first_blob(m, "a", "layer").await;
    assert!(m.mount(&repo("b"), Some(&a), &blob, at(0)).await.unwrap());
    stored(
        m,
        ManifestPut {
            links: vec![layer("layer")],
            ..push("a", "m")
        },
    )
    .await;
    let in_use = BlobDeleted::InUse(digest("m"));
    assert_eq!(m.delete_blob(&a, &blob).await.unwrap(), in_use);
    assert!(has(m, "a", "layer").await);
    assert_eq!(delete_manifest(m, "a", "m", 1).await, Deleted::Done);
    assert_eq!(m.delete_blob(&a, &blob).await.unwrap(), BlobDeleted::Done);
    assert_eq!(
        m.delete_blob(&a, &blob).await.unwrap(),
        BlobDeleted::Unknown
    );
    assert!(!has(m, "a", "layer").await);
    assert!(has(m, "b", "layer").await);
    assert_eq!(
        m.delete_blob(&repo("b"), &blob).await.unwrap(),
        BlobDeleted::Done
    );
    assert!(
        !m.mount(&a, None, &blob, at(2)).await.unwrap(),
        "nobody has it any more"
    );
}
