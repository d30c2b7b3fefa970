//! Many at once: no update is lost, nothing goes back in time, nobody sees half of anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::*;
use crate::metadata::BlobDeleted;

/// Writers of one tag, as many as fit into one commit.
const WRITERS: usize = 64;

async fn current(m: &Metadata) -> Digest {
    m.manifest(&repo("a"), &by_tag("v"))
        .await
        .unwrap()
        .unwrap()
        .digest
}

/// Each writer swaps the tag once, from what it saw to its own; who loses looks again.
async fn swap(m: Arc<Metadata>, writer: usize) -> (Digest, Digest) {
    loop {
        let seen = current(&m).await;
        let own = format!("manifest of writer {writer}");
        let only_if = Precondition::Matches(vec![seen]);
        let put = ManifestPut {
            only_if,
            ..push_tag("a", &own, "v")
        };
        match m.put_manifest(put).await.unwrap() {
            Put::Stored { .. } => return (seen, digest(&own)),
            Put::PreconditionFailed { current } => assert_ne!(current, Some(seen)),
            refused => panic!("{refused:?}"),
        }
    }
}

pub(in crate::metadata) async fn no_update_is_lost(m: &Arc<Metadata>) {
    stored(m, push_tag("a", "first", "v")).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(swap(Arc::clone(m), writer));
    }
    let mut swaps = BTreeSet::new();
    while let Some(done) = writers.join_next().await {
        swaps.insert(done.unwrap());
    }
    let history = m
        .tag_history(&repo("a"), &tag("v"), None, 1000)
        .await
        .unwrap();
    assert_eq!(history.items.len(), WRITERS + 1);
    let versions: Vec<u64> = history
        .items
        .iter()
        .rev()
        .map(|event| event.version)
        .collect();
    assert_eq!(versions, (1..=WRITERS as u64 + 1).collect::<Vec<_>>());
    // What the writers say they did is what the history says happened, one link after the other.
    for pair in history.items.windows(2) {
        assert_eq!(pair[0].previous, pair[1].digest);
        assert!(swaps.remove(&(pair[0].previous.unwrap(), pair[0].digest.unwrap())));
    }
    assert!(swaps.is_empty());
    assert_eq!(Some(current(m).await), history.items[0].digest);
}

pub(in crate::metadata) async fn one_of_many_is_the_first(m: &Arc<Metadata>) {
    for round in 0..8 {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let content = format!("round {round} writer {writer}");
            let put = push_tag("a", &content, &format!("v{round}"));
            let put = ManifestPut {
                only_if: Precondition::Absent,
                ..put
            };
            let m = Arc::clone(m);
            writers.spawn(async move { (put.digest, m.put_manifest(put).await.unwrap()) });
        }
        let (mut won, mut told) = (None, BTreeSet::new());
        while let Some(done) = writers.join_next().await {
            match done.unwrap() {
                (digest, Put::Stored { .. }) => assert_eq!(won.replace(digest), None),
                (_, Put::PreconditionFailed { current }) => drop(told.insert(current)),
                (_, refused) => panic!("{refused:?}"),
            }
        }
        assert!(won.is_some());
        assert_eq!(told, BTreeSet::from([won]), "all others are told who won");
    }
}

pub(in crate::metadata) async fn a_tag_never_goes_back(m: &Arc<Metadata>) {
    stored(m, push_tag("a", "0", "v")).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (m, done) = (Arc::clone(m), Arc::clone(&done));
        readers.spawn(async move {
            let (mut last, mut reads) = (0_u32, 0);
            while !done.load(Ordering::Acquire) || reads == 0 {
                let row = m.manifest(&repo("a"), &by_tag("v")).await.unwrap().unwrap();
                let seen = std::str::from_utf8(&row.bytes).unwrap().parse().unwrap();
                assert!(seen >= last, "{seen} after {last}");
                (last, reads) = (seen, reads + 1);
                tokio::task::yield_now().await;
            }
        });
    }
    for n in 1..200 {
        stored(m, push_tag("a", &n.to_string(), "v")).await;
        assert_eq!(
            current(m).await,
            digest(&n.to_string()),
            "an answered write is seen at once"
        );
    }
    done.store(true, Ordering::Release);
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
}

pub(in crate::metadata) async fn a_blob_is_not_deleted_from_under_a_manifest(m: &Arc<Metadata>) {
    let a = repo("a");
    for round in 0..40 {
        let (blob, content) = (format!("blob {round}"), format!("manifest {round}"));
        first_blob(m, "a", &blob).await;
        let put = ManifestPut {
            links: vec![layer(&blob)],
            ..push("a", &content)
        };
        let blob = digest(&blob);
        let (put, deleted) = tokio::join!(m.put_manifest(put), m.delete_blob(&a, &blob));
        match (put.unwrap(), deleted.unwrap()) {
            (Put::Stored { .. }, BlobDeleted::InUse(by)) => assert_eq!(by, digest(&content)),
            (Put::Missing(missing), BlobDeleted::Done) => assert_eq!(missing, [blob]),
            other => panic!("{other:?}"),
        }
    }
}

pub(in crate::metadata) async fn one_commit_stores_a_blob(m: &Arc<Metadata>) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let m = Arc::clone(m);
        let commit = blob_commit(&format!("r{writer}"), "layer", Some(1));
        writers.spawn(async move { m.commit_blob(commit).await.unwrap() });
    }
    let mut fresh = 0;
    while let Some(done) = writers.join_next().await {
        match done.unwrap() {
            Committed::Stored => fresh += 1,
            Committed::Existed { surplus } => assert_eq!(surplus, None),
            Committed::Gone => panic!("gone"),
        }
    }
    assert_eq!(fresh, 1);
    for writer in 0..WRITERS {
        let name = repo(&format!("r{writer}"));
        assert!(m.blob(&name, &digest("layer")).await.unwrap().is_some());
    }
}
