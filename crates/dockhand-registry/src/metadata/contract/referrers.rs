//! Referrers are listed by their own subject, and by the tags of the referrers tag schema.

use super::*;
use crate::metadata::{Referrer, ReferrersQuery, Rows};

fn attach(content: &str, to: &str, artifact_type: &str) -> ManifestPut {
    ManifestPut {
        subject: Some(digest(to)),
        artifact_type: Some(artifact_type.to_owned()),
        annotations: BTreeMap::from([("says".to_owned(), content.to_owned())]),
        ..push("a", content)
    }
}

fn query(types: &[&str], after: Option<Digest>, limit: usize) -> ReferrersQuery {
    let artifact_types = types.iter().map(|name| (*name).to_owned()).collect();
    ReferrersQuery {
        subject: digest("subject"),
        artifact_types,
        after,
        limit,
    }
}

async fn list(m: &Metadata, query: &ReferrersQuery) -> Rows<Referrer> {
    m.referrers(&repo("a"), query).await.unwrap()
}

async fn digests(m: &Metadata) -> Vec<Digest> {
    list(m, &query(&[], None, 1000))
        .await
        .items
        .iter()
        .map(|row| row.digest)
        .collect()
}

fn sorted(contents: &[&str]) -> Vec<Digest> {
    let mut digests: Vec<_> = contents.iter().map(|content| digest(content)).collect();
    digests.sort_unstable();
    digests
}

fn entry(content: &str) -> Referrer {
    Referrer {
        digest: digest(content),
        media_type: push("a", content).media_type,
        size: content.len() as u64,
        artifact_type: Some("from/tag".to_owned()),
        annotations: BTreeMap::from([("from".to_owned(), "tag".to_owned())]),
    }
}

/// An index with these entries under the fallback tag of `subject`.
fn fallback_index(content: &str, entries: &[&str]) -> ManifestPut {
    let name = digest("subject").to_string().replace(':', "-");
    ManifestPut {
        fallback: entries.iter().map(|entry_of| entry(entry_of)).collect(),
        links: entries.iter().map(|entry| child(entry)).collect(),
        links_must_exist: false,
        ..push_tag("a", content, &name)
    }
}

pub(in crate::metadata) async fn are_listed_by_subject(m: &Metadata) {
    assert_eq!(digests(m).await, []);
    for content in ["one", "two"] {
        stored(m, attach(content, "subject", "sbom")).await;
        stored(m, attach(&format!("{content} elsewhere"), "other", "sbom")).await;
    }
    assert_eq!(
        digests(m).await,
        sorted(&["one", "two"]),
        "the subject need not exist"
    );
    let rows = list(m, &query(&[], None, 10)).await;
    let one = rows
        .items
        .iter()
        .find(|row| row.digest == digest("one"))
        .unwrap();
    assert_eq!(one.media_type, push("a", "").media_type);
    assert_eq!((one.size, one.artifact_type.as_deref()), (3, Some("sbom")));
    assert_eq!(one.annotations.get("says").map(String::as_str), Some("one"));
    assert_eq!(
        m.referrers(&repo("b"), &query(&[], None, 9))
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(delete_manifest(m, "a", "one", 1).await, Deleted::Done);
    assert_eq!(digests(m).await, sorted(&["two"]));
}

pub(in crate::metadata) async fn are_filtered_and_paged(m: &Metadata) {
    let types = ["sbom", "signature", "scan"];
    let mut of_type: BTreeMap<&str, Vec<Digest>> = BTreeMap::new();
    for n in 0..30 {
        let (content, artifact_type) = (format!("referrer {n}"), types[n % 3]);
        of_type
            .entry(artifact_type)
            .or_default()
            .push(digest(&content));
        stored(m, attach(&content, "subject", artifact_type)).await;
    }
    for wanted in [
        &types[..],
        &types[..1],
        &["scan", "sbom", "scan"],
        &["none"],
        &[],
    ] {
        let all = if wanted.is_empty() {
            &types[..]
        } else {
            wanted
        };
        let mut expected: Vec<Digest> = of_type
            .iter()
            .filter(|(name, _)| all.contains(name))
            .flat_map(|(_, digests)| digests.clone())
            .collect();
        expected.sort_unstable();
        for limit in [1, 7, 30] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = list(m, &query(wanted, after, limit)).await;
                seen.extend(page.items.iter().map(|row| row.digest));
                after = seen.last().copied();
                if !page.more {
                    break;
                }
                assert_eq!(page.items.len(), limit, "only the last page is short");
            }
            assert_eq!(seen, expected, "{wanted:?} by {limit}");
        }
    }
}

pub(in crate::metadata) async fn come_from_fallback_tags_too(m: &Metadata) {
    for content in ["plain", "later"] {
        stored(m, push("a", content)).await;
    }
    stored(m, attach("native", "subject", "sbom")).await;
    stored(
        m,
        fallback_index("index 1", &["plain", "native", "absent", "plain"]),
    )
    .await;
    assert_eq!(
        digests(m).await,
        sorted(&["plain", "native"]),
        "merged, and what is there"
    );
    let rows = list(m, &query(&["sbom"], None, 10)).await;
    assert_eq!(rows.items.len(), 1, "a manifest's own word wins: {rows:?}");
    let rows = list(m, &query(&["from/tag"], None, 10)).await;
    assert_eq!(rows.items, [entry("plain")]);
    stored(m, push("a", "absent")).await;
    assert_eq!(digests(m).await, sorted(&["plain", "native", "absent"]));
    stored(m, fallback_index("index 2", &["later", "native"])).await;
    assert_eq!(
        digests(m).await,
        sorted(&["later", "native"]),
        "the tag has moved"
    );
    stored(m, attach("two", "subject", "sbom")).await;
    let name = digest("subject").to_string().replace(':', "-");
    assert_eq!(delete_tag(m, "a", &name, 1).await, Deleted::Done);
    assert_eq!(
        digests(m).await,
        sorted(&["native", "two"]),
        "the tag is gone"
    );
    stored(m, fallback_index("index 1", &["plain"])).await;
    assert_eq!(digests(m).await, sorted(&["native", "two", "plain"]));
    assert_eq!(delete_manifest(m, "a", "index 1", 2).await, Deleted::Done);
    assert_eq!(
        digests(m).await,
        sorted(&["native", "two"]),
        "the tag went with its index"
    );
    let other = ManifestPut {
        tags: vec![tag("latest")],
        ..fallback_index("index 3", &["plain"])
    };
    stored(m, other).await;
    assert_eq!(
        digests(m).await,
        sorted(&["native", "two"]),
        "only tags of the schema count"
    );
}

pub(in crate::metadata) async fn may_speak_for_themselves_later(m: &Metadata) {
    stored(m, fallback_index("index", &["late"])).await;
    assert_eq!(digests(m).await, []);
    stored(m, attach("late", "subject", "sbom")).await;
    let rows = list(m, &query(&[], None, 10)).await;
    assert_eq!(rows.items.len(), 1);
    assert_eq!(rows.items[0].artifact_type.as_deref(), Some("sbom"));
    stored(m, fallback_index("emptied", &[])).await;
    assert_eq!(
        digests(m).await,
        sorted(&["late"]),
        "the tag takes only its own words back"
    );
}
