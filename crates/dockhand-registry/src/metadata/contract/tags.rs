//! Tags move with a version and leave a history.

use super::*;
use crate::metadata::TagEvent;

async fn history(
    m: &Metadata,
    of: &str,
    before: Option<u64>,
    limit: usize,
) -> (Vec<TagEvent>, bool) {
    let rows = m
        .tag_history(&repo("a"), &tag(of), before, limit)
        .await
        .unwrap();
    (rows.items, rows.more)
}

fn event(version: u64, previous: Option<&str>, now: Option<&str>, second: u64) -> TagEvent {
    TagEvent {
        version,
        digest: now.map(digest),
        previous: previous.map(digest),
        at: at(second),
    }
}

async fn set(m: &Metadata, content: &str, second: u64) {
    stored(
        m,
        ManifestPut {
            now: at(second),
            ..push_tag("a", content, "v")
        },
    )
    .await;
}

pub(in crate::metadata) async fn remember_where_they_pointed(m: &Metadata) {
    assert_eq!(history(m, "v", None, 10).await, (vec![], false));
    set(m, "one", 1).await;
    set(m, "one", 2).await;
    set(m, "two", 3).await;
    assert_eq!(delete_tag(m, "a", "v", 4).await, Deleted::Done);
    assert_eq!(delete_tag(m, "a", "v", 5).await, Deleted::Unknown);
    set(m, "two", 6).await;
    let all = [
        event(4, None, Some("two"), 6),
        event(3, Some("two"), None, 4),
        event(2, Some("one"), Some("two"), 3),
        event(1, None, Some("one"), 1),
    ];
    assert_eq!(history(m, "v", None, 10).await, (all.to_vec(), false));
    assert_eq!(history(m, "v", None, 2).await, (all[..2].to_vec(), true));
    assert_eq!(
        history(m, "v", Some(3), 2).await,
        (all[2..].to_vec(), false)
    );
    assert_eq!(history(m, "v", Some(1), 2).await, (vec![], false));
    assert_eq!(history(m, "v", None, 0).await, (vec![], true));
    assert_eq!(history(m, "V", None, 10).await, (vec![], false));
}

pub(in crate::metadata) async fn are_deleted_alone(m: &Metadata) {
    let a = repo("a");
    set(m, "one", 1).await;
    stored(m, push_tag("a", "one", "w")).await;
    for (only_if, done) in [
        (Precondition::Matches(vec![digest("two")]), false),
        (Precondition::Absent, false),
        (Precondition::Exists, true),
    ] {
        let deleted = m.delete_tag(&a, &tag("v"), &only_if, at(2)).await.unwrap();
        let refused = Deleted::PreconditionFailed {
            current: Some(digest("one")),
        };
        assert_eq!(deleted, if done { Deleted::Done } else { refused });
    }
    assert_eq!(m.manifest(&a, &by_tag("v")).await.unwrap(), None);
    assert!(m.manifest(&a, &by_tag("w")).await.unwrap().is_some());
    assert!(m.manifest(&a, &by_digest("one")).await.unwrap().is_some());
    assert_eq!(delete_tag(m, "unknown", "v", 3).await, Deleted::Unknown);
}

pub(in crate::metadata) async fn are_set_together(m: &Metadata) {
    let tags = vec![tag("b"), tag("a"), tag("b")];
    assert!(
        stored(
            m,
            ManifestPut {
                tags,
                ..push("a", "one")
            }
        )
        .await
    );
    assert_eq!(tags_of(m, "a").await.unwrap(), ["a", "b"]);
    let (events, _) = history(m, "b", None, 10).await;
    assert_eq!(
        events,
        [event(1, None, Some("one"), 0)],
        "naming it twice sets it once"
    );
}
