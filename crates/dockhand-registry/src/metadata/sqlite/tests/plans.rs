//! The plans: no list reads more than its page.

use rusqlite::StatementStatus;

use crate::layout::DATABASE;
use crate::metadata::contract::{push_tag, stored};
use crate::metadata::sql::{Sql, Value, all};
use crate::metadata::sqlite::connection::{Mode, open_reader};
use crate::metadata::{Metadata, blobs, manifests, referrers, repositories, room, tags, uploads};

/// Every list, and the reads that pulls are made of.
const READS: [&str; 12] = [
    tags::PAGE,
    tags::HISTORY,
    repositories::PAGE,
    referrers::PAGE,
    referrers::PAGE_OF_TYPE,
    uploads::EXPIRED,
    uploads::PAGE,
    room::EMPTY_OF_CLIENT,
    room::EMPTY_HERE,
    manifests::BY_TAG,
    manifests::BY_DIGEST,
    blobs::FIND,
];

/// How many parameters a statement has.
fn parameters(statement: &str) -> usize {
    (1..=9)
        .take_while(|n| statement.contains(&format!("?{n}")))
        .count()
}

/// What the planner says it will do.
async fn plan(metadata: &Metadata, statement: &str) -> Vec<String> {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let params = parameters(statement);
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
    for statement in READS {
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
async fn the_catalog_does_not_step_over_emptied_repositories() {
    let plan = plan(&super::open(), repositories::PAGE).await;
    let wanted = "SEARCH repository USING INDEX repository_listed (name>?)";
    assert_eq!(plan, [wanted]);
}

#[tokio::test]
async fn no_statement_is_prepared_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    let metadata = Metadata::open_sqlite(&path).unwrap();
    stored(&metadata, push_tag("a", "m", "v")).await;
    let reader = open_reader(&path, Mode::Beside).unwrap();
    for statement in READS {
        for round in 0..4 {
            let mut prepared = reader.prepare_cached(statement).unwrap();
            for place in 1..=parameters(statement) {
                prepared.raw_bind_parameter(place, round).unwrap();
            }
            let mut rows = prepared.raw_query();
            while rows.next().unwrap().is_some() {}
            drop(rows);
            let again = prepared.get_status(StatementStatus::RePrepare);
            assert_eq!(again, 0, "round {round} of {statement}");
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
