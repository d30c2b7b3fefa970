//! The plans: no list reads more than its page.

use crate::metadata::sql::{Sql, Value, all};
use crate::metadata::{Metadata, blobs, manifests, referrers, repositories, tags, uploads};

/// What the planner says it will do.
async fn plan(metadata: &Metadata, statement: &str) -> Vec<String> {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let params = (1..=9)
        .take_while(|n| statement.contains(&format!("?{n}")))
        .count();
    let read = move |sql: &mut dyn Sql| {
        all(sql, explain, &vec![Value::Null; params], |row| {
            Ok(row.text(3)?.to_owned())
        })
    };
    metadata.engine.write("explaining", read).await.unwrap()
}

#[tokio::test]
async fn no_page_is_sorted_or_scanned_for() {
    let metadata = super::open();
    for statement in [
        tags::PAGE,
        tags::HISTORY,
        repositories::PAGE,
        referrers::PAGE,
        referrers::PAGE_OF_TYPE,
        uploads::EXPIRED,
        manifests::BY_TAG,
        manifests::BY_DIGEST,
        manifests::HEAD_BY_TAG,
        manifests::HEAD_BY_DIGEST,
        blobs::FIND,
    ] {
        let plan = plan(&metadata, statement).await;
        assert!(!plan.is_empty());
        for step in plan {
            let seeks = step.starts_with("SEARCH ") && step.contains(" USING ");
            assert!(
                seeks && !step.contains("TEMP B-TREE"),
                "{step}\nin {statement}"
            );
        }
    }
}

#[tokio::test]
async fn the_check_would_see_a_scan_and_a_sort() {
    let metadata = super::open();
    let scan = plan(&metadata, "SELECT name FROM tag WHERE name > ?1").await;
    assert!(scan[0].starts_with("SCAN"), "{scan:?}");
    let sort = plan(
        &metadata,
        "SELECT name FROM tag WHERE repository = ?1 ORDER BY version",
    )
    .await;
    assert!(
        sort.iter().any(|step| step.contains("TEMP B-TREE")),
        "{sort:?}"
    );
}
