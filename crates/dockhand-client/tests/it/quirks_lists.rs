//! Lists as registries give them: pages without end, without links, with links that lead elsewhere.

use dockhand_client::{ErrorKind, Page, Store};
use dockhand_oci::Tag;
use futures_util::TryStreamExt;
use serde_json::json;

use crate::peer::{Answer, Peer, Script, Seen};

const TAGS: &str = "GET /v2/app/tags/list";

fn page(tags: &[&str]) -> Answer {
    Answer::json(200, &json!({ "name": "app", "tags": tags }))
}

async fn all_tags(peer: &Peer) -> Vec<String> {
    let tags = peer.repository().tags().await.unwrap();
    tags.iter().map(Tag::to_string).collect()
}

#[tokio::test]
async fn links_are_followed_however_they_are_written() {
    for (name, link, second) in [
        (
            "relative",
            "</v2/app/tags/list?n=2&last=b>; rel=\"next\"",
            "n=2&last=b",
        ),
        (
            "absolute",
            "<BASE/v2/app/tags/list?last=b&n=2>; rel=next",
            "last=b&n=2",
        ),
        (
            "Quay",
            "</v2/app/tags/list?next_page=gAAA%3D%3D&n=2>; rel=\"next\"",
            "next_page=gAAA%3D%3D&n=2",
        ),
        // The length of the page is the registry's affair.
        (
            "GHCR",
            "</v2/app/tags/list?last=b&n=0>; rel=\"next\"",
            "last=b",
        ),
        // Without the path under which a proxy shows the registry.
        (
            "Artifactory",
            "</app/tags/list?last=b&n=2>; rel=\"next\"",
            "last=b&n=2",
        ),
        ("a query alone", "<?last=b>; rel=\"next\"", "last=b"),
    ] {
        let script = Script::new().on(TAGS, move |seen| match seen.parameter("n").as_deref() {
            Some("1000") => {
                let base = format!("http://{}", seen.header("host").unwrap());
                page(&["a", "b"]).header("link", &link.replace("BASE", &base))
            }
            _ => page(&["c"]),
        });
        let peer = Peer::start(script).await;
        assert_eq!(all_tags(&peer).await, ["a", "b", "c"], "{name}");
        let first = "GET /v2/app/tags/list?n=1000".to_owned();
        let second = format!("GET /v2/app/tags/list?{second}");
        assert_eq!(peer.lines(), [first, second], "{name}");
    }
}

#[tokio::test]
async fn a_link_to_another_host_leads_nowhere_else() {
    let other = Peer::start(Script::new().on("GET *", |_| page(&["evil"]))).await;
    let link = format!("<{}/v2/app/tags/list?last=b>; rel=\"next\"", other.url());
    let script = Script::new()
        .once(TAGS, move |_| page(&["a", "b"]).header("link", &link))
        .on(TAGS, |_| page(&["c"]));
    let peer = Peer::start(script).await;
    assert_eq!(all_tags(&peer).await, ["a", "b", "c"]);
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn full_pages_without_a_link_go_on_after_their_last() {
    let all = ["a", "b", "c", "d", "e"];
    let script = Script::new().on(TAGS, move |seen| {
        let last = seen.parameter("last").unwrap_or_default();
        let size: usize = seen.parameter("n").unwrap().parse().unwrap();
        let after: Vec<_> = all
            .into_iter()
            .filter(|tag| **tag > *last)
            .take(size)
            .collect();
        page(&after)
    });
    let peer = Peer::start(script).await;
    let size = Page {
        size: Some(2),
        last: None,
    };
    let tags: Vec<Tag> = peer
        .repository()
        .tags_paged(size)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), all);
    let lasts: Vec<_> = peer
        .seen()
        .iter()
        .map(|seen| seen.parameter("last"))
        .collect();
    assert_eq!(lasts, [None, Some("b".to_owned()), Some("d".to_owned())]);
}

#[tokio::test]
async fn a_page_that_comes_again_is_the_last() {
    // A registry that knows no pages, and one whose links go in a circle.
    let always = Script::new().on(TAGS, |_| page(&["a", "b"]));
    let circle = Script::new().on(TAGS, |_| {
        page(&["a", "b"]).header("link", "</v2/app/tags/list?last=b>; rel=\"next\"")
    });
    for script in [always, circle] {
        let peer = Peer::start(script).await;
        let size = Page {
            size: Some(2),
            last: None,
        };
        let tags: Vec<Tag> = peer
            .repository()
            .tags_paged(size)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(peer.lines().len(), 2);
    }
}

#[tokio::test]
async fn lists_of_nothing_are_empty() {
    for body in [
        json!({ "name": "app", "tags": null }),
        json!({ "name": "app" }),
        json!({ "name": "app", "tags": [] }),
        // GCR adds what nobody else has.
        json!({ "tags": [], "child": [], "manifest": { "sha256:x": { "tag": [] } } }),
    ] {
        let served = Answer::json(200, &body);
        let peer = Peer::start(Script::new().on(TAGS, move |_| served.clone())).await;
        assert_eq!(all_tags(&peer).await, [""; 0], "{body}");
    }
}

#[tokio::test]
async fn what_is_no_tag_is_left_out() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let body = json!({ "tags": ["1", digest, "", "a/b", "2"] });
    let peer = Peer::start(Script::new().on(TAGS, move |_| Answer::json(200, &body))).await;
    assert_eq!(all_tags(&peer).await, ["1", "2"]);
}

#[tokio::test]
async fn registries_that_dislike_the_question_are_asked_more_simply() {
    // ECR limits `n`, Artifactory looks at `Accept`.
    let ecr = |seen: &Seen| match seen.parameter("n") {
        Some(_) => Answer::error(400, "PAGINATION_NUMBER_INVALID"),
        None => page(&["a"]),
    };
    let artifactory = |seen: &Seen| match seen.header("accept") {
        Some("application/json" | "*/*") | None => page(&["a"]),
        Some(_) => Answer::new(406),
    };
    let ecr = Peer::start(Script::new().on(TAGS, ecr)).await;
    assert_eq!(all_tags(&ecr).await, ["a"]);
    let artifactory = Peer::start(Script::new().on(TAGS, artifactory)).await;
    assert_eq!(all_tags(&artifactory).await, ["a"]);
    assert_eq!(artifactory.lines().len(), 1);
}

#[tokio::test]
async fn what_is_no_list_is_an_error_and_breaks_off_once() {
    for answer in [
        Answer::html(200),
        Answer::new(200),
        Answer::json(200, &json!([1])),
    ] {
        let peer = Peer::start(Script::new().on(TAGS, move |_| answer.clone())).await;
        let error = peer.repository().tags().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(
            error.to_string().contains("cannot list the tags of app at"),
            "{error}"
        );
    }
    let script = Script::new()
        .once(TAGS, |_| page(&["a", "b"]).cut_after(10))
        .on(TAGS, |_| page(&["a", "b"]));
    let peer = Peer::start(script).await;
    assert_eq!(all_tags(&peer).await, ["a", "b"]);
    assert_eq!(peer.lines().len(), 2);
}

#[tokio::test]
async fn the_catalog_goes_on_in_the_same_way() {
    let script = Script::new()
        .once("GET /v2/_catalog", |_| {
            let link = "</v2/_catalog?last=b%2Fc&n=1000>; rel=\"next\"";
            Answer::json(200, &json!({ "repositories": ["a", "b/c", "Not A Name"] }))
                .header("link", link)
        })
        .on("GET /v2/_catalog", |_| {
            Answer::json(200, &json!({ "repositories": null }))
        });
    let peer = Peer::start(script).await;
    let names: Vec<_> = peer
        .client()
        .catalog(Page::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names, ["a".parse().unwrap(), "b/c".parse().unwrap()]);
    assert_eq!(peer.lines()[1], "GET /v2/_catalog?last=b%2Fc&n=1000");
}

#[tokio::test]
async fn a_list_that_is_too_long_is_no_list_that_ends() {
    let names: Vec<String> = (0..1_000_001).map(|number| format!("{number:x}")).collect();
    let body = json!({ "name": "app", "tags": names }).to_string();
    let script = Script::new().on("GET *", move |_| Answer::new(200).body(body.clone()));
    let peer = Peer::start(script).await;
    let error = peer.repository().tags().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
}

#[tokio::test]
async fn what_stands_there_instead_of_a_list_is_not_repeated() {
    let body = json!({ "tags": "x".repeat(1 << 20) }).to_string();
    let script = Script::new().on("GET *", move |_| Answer::new(200).body(body.clone()));
    let peer = Peer::start(script).await;
    let error = peer.repository().tags().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().len() < 1000);
}
