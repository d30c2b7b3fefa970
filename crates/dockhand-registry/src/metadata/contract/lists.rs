//! Lists: the exact set in the exact order, whatever the page and wherever it begins.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::*;

/// What a page must be, by a set in memory.
fn expected(all: &BTreeSet<String>, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let behind: Vec<_> = all
        .iter()
        .filter(|name| after.is_none_or(|a| name.as_str() > a))
        .collect();
    let items = behind
        .iter()
        .take(limit)
        .map(|name| (*name).clone())
        .collect();
    (items, behind.len() > limit)
}

async fn tag_page(
    m: &Metadata,
    name: &str,
    after: Option<&str>,
    limit: usize,
) -> (Vec<String>, bool) {
    let page = Keyset {
        after: after.map(str::to_owned),
        limit,
    };
    let rows = m.tags(&repo(name), &page).await.unwrap().unwrap();
    (rows.items.iter().map(Tag::to_string).collect(), rows.more)
}

async fn repo_page(m: &Metadata, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let page = Keyset {
        after: after.map(str::to_owned),
        limit,
    };
    let rows = m.repositories(&page).await.unwrap();
    (
        rows.items.iter().map(RepoName::to_string).collect(),
        rows.more,
    )
}

/// Names that collations other than plain bytes get wrong, and prefixes of each other.
const HARD_TAGS: [&str; 14] = [
    "a", "a-", "a.", "a0", "aa", "A", "a_", "_", "Z", "0.1.2", "0.1.20", "0.1.2-rc", "z", "B.b",
];
const HARD_REPOS: [&str; 11] = [
    "a", "a/b", "a-b", "a.b", "a0", "aa", "a__b", "a/a/a", "a/b/c", "z", "a--b/c",
];
/// Where pages begin that is no name in the list, or no name at all.
const ODD_STARTS: [&str; 8] = ["", "a/", "a\u{10ffff}", "~", "!", "0.1.2\0", "%", "a-a"];

pub(in crate::metadata) async fn of_tags_keep_byte_order(m: &Metadata) {
    for name in HARD_TAGS {
        stored(m, push_tag("a", "m", name)).await;
    }
    stored(m, push_tag("a/b", "m", "of-another-repository")).await;
    let all: BTreeSet<String> = HARD_TAGS.map(str::to_owned).into();
    for limit in 0..=all.len() + 1 {
        let starts = HARD_TAGS
            .iter()
            .chain(&ODD_STARTS)
            .map(|start| Some(*start));
        for after in starts.chain([None]) {
            let page = tag_page(m, "a", after, limit).await;
            assert_eq!(
                page,
                expected(&all, after, limit),
                "{limit} after {after:?}"
            );
        }
    }
}

pub(in crate::metadata) async fn of_repositories_keep_byte_order(m: &Metadata) {
    for name in HARD_REPOS {
        stored(m, push(name, "m")).await;
    }
    stored(m, push("emptied", "m")).await;
    assert_eq!(delete_manifest(m, "emptied", "m", 1).await, Deleted::Done);
    first_blob(m, "only/blobs", "blob").await;
    let all: BTreeSet<String> = HARD_REPOS.map(str::to_owned).into();
    for limit in 0..=all.len() + 1 {
        let starts = HARD_REPOS
            .iter()
            .chain(&ODD_STARTS)
            .map(|start| Some(*start));
        for after in starts.chain([None]) {
            let page = repo_page(m, after, limit).await;
            assert_eq!(
                page,
                expected(&all, after, limit),
                "{limit} after {after:?}"
            );
        }
    }
}

pub(in crate::metadata) async fn of_any_tags_are_exact(m: &Metadata) {
    let tags = proptest::collection::btree_set("[aA0_][aA0._-]{0,3}", 1..20);
    let case = (tags, "[aA0._/-]{0,4}", 0_usize..12);
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    let mut number = 0;
    let number = std::cell::RefCell::new(&mut number);
    let checked = runner.run(&case, |(all, after, limit)| {
        **number.borrow_mut() += 1;
        let name = format!("r{}", number.borrow());
        let put = ManifestPut {
            tags: all.iter().map(|n| tag(n)).collect(),
            ..push(&name, "m")
        };
        let page = block_in_place(|| {
            Handle::current().block_on(async {
                stored(m, put).await;
                tag_page(m, &name, Some(&after), limit).await
            })
        });
        prop_assert_eq!(page, expected(&all, Some(&after), limit));
        Ok(())
    });
    checked.unwrap();
}

pub(in crate::metadata) async fn show_what_stays_exactly_once(m: &std::sync::Arc<Metadata>) {
    let stable: BTreeSet<String> = (0..100).map(|n| format!("stable-{n:03}")).collect();
    let tags = stable.iter().map(|name| tag(name)).collect();
    stored(
        m,
        ManifestPut {
            tags,
            ..push("a", "m")
        },
    )
    .await;
    let churn = tokio::spawn({
        let m = std::sync::Arc::clone(m);
        async move {
            for n in 0..60 {
                let name = format!("stable-{n:03}-not");
                stored(&m, push_tag("a", "other", &name)).await;
                delete_tag(&m, "a", &name, 1).await;
            }
        }
    });
    for limit in [1, 3, 17] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (items, more) = tag_page(m, "a", after.as_deref(), limit).await;
            after = items.last().cloned();
            seen.extend(items.into_iter().filter(|name| stable.contains(name)));
            if !more {
                break;
            }
        }
        assert!(seen.iter().eq(&stable), "{limit}: {seen:?}");
    }
    churn.await.unwrap();
}
