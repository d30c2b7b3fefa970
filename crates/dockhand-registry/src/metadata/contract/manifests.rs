//! Manifests are stored as they came, with everything they need, or not at all.

use super::*;
use crate::metadata::ManifestRow;

pub(in crate::metadata) async fn come_back_as_they_were_pushed(m: &Metadata) {
    let a = repo("a");
    let document = "{ \"odd\" :\t1 }\n";
    assert_eq!(m.manifest(&a, &by_tag("v1")).await.unwrap(), None);
    assert!(stored(m, push_tag("a", document, "v1")).await);
    let again = ManifestPut {
        media_type: "other/type".to_owned(),
        ..push("a", document)
    };
    assert!(!stored(m, again).await, "it was there, and stays as it was");
    let media_type = push("a", document).media_type;
    let row = ManifestRow {
        digest: digest(document),
        media_type,
        bytes: document.into(),
    };
    for reference in [by_tag("v1"), by_digest(document)] {
        assert_eq!(
            m.manifest(&a, &reference).await.unwrap().as_ref(),
            Some(&row)
        );
        assert_eq!(m.manifest(&repo("b"), &reference).await.unwrap(), None);
    }
    let big = "x".repeat(4 << 20);
    stored(m, push("a", &big)).await;
    let row = m.manifest(&a, &by_digest(&big)).await.unwrap().unwrap();
    assert_eq!(row.bytes.len(), 4 << 20);
}

pub(in crate::metadata) async fn need_what_they_link(m: &Metadata) {
    first_blob(m, "a", "here").await;
    first_blob(m, "b", "elsewhere").await;
    let foreign = Edge {
        required: false,
        ..layer("foreign")
    };
    let links = vec![
        layer("z"),
        layer("here"),
        foreign,
        layer("elsewhere"),
        child("here"),
        layer("z"),
    ];
    let put = ManifestPut {
        links,
        ..push_tag("a", "m", "v1")
    };
    let missing = vec![digest("z"), digest("elsewhere"), digest("here")];
    assert_eq!(
        m.put_manifest(put.clone()).await.unwrap(),
        Put::Missing(missing)
    );
    assert_eq!(tags_of(m, "a").await, None, "nothing has changed");
    let nowhere = ManifestPut {
        repo: repo("new"),
        ..put.clone()
    };
    // All but the foreign one, and `here` once as a blob and once as a manifest.
    let all = ["z", "here", "elsewhere", "here"].map(digest).to_vec();
    assert_eq!(m.put_manifest(nowhere).await.unwrap(), Put::Missing(all));
    let sparse = ManifestPut {
        links_must_exist: false,
        ..put
    };
    assert!(stored(m, sparse).await);
    let index = ManifestPut {
        links: vec![child("m")],
        ..push("a", "index")
    };
    assert!(
        stored(m, index.clone()).await,
        "a manifest of the repository"
    );
    let elsewhere = ManifestPut {
        repo: repo("b"),
        ..index
    };
    assert_eq!(
        m.put_manifest(elsewhere).await.unwrap(),
        Put::Missing(vec![digest("m")])
    );
}

pub(in crate::metadata) async fn give_the_sizes_of_what_they_link(m: &Metadata) {
    first_blob(m, "a", "here").await;
    stored(m, push("a", "child")).await;
    let wrong = |link: Edge| ManifestPut {
        links: vec![layer("here"), Edge { size: 77, ..link }],
        ..push_tag("a", "m", "v1")
    };
    for (link, content) in [(layer("here"), "here"), (child("child"), "child")] {
        let refused = Put::SizeMismatch {
            digest: digest(content),
            declared: 77,
            stored: content.len() as u64,
        };
        // Content that may be missing has to have the right size where it is not.
        for required in [true, false] {
            let put = wrong(Edge { required, ..link });
            assert_eq!(m.put_manifest(put).await.unwrap(), refused);
        }
        let sparse = ManifestPut {
            links_must_exist: false,
            ..wrong(link)
        };
        assert_eq!(m.put_manifest(sparse).await.unwrap(), refused);
    }
    let absent = Edge {
        required: false,
        ..layer("absent")
    };
    assert!(stored(m, wrong(absent)).await, "nothing to compare with");
    let unchecked = ManifestPut {
        sizes_must_match: false,
        ..wrong(layer("here"))
    };
    assert!(!stored(m, unchecked).await, "stored before");
}

pub(in crate::metadata) async fn make_repositories_known(m: &Metadata) {
    assert_eq!(tags_of(m, "a").await, None);
    stored(m, push("a", "one")).await;
    stored(m, push_tag("a", "two", "v2")).await;
    stored(m, push_tag("a", "two", "v2")).await;
    assert_eq!(catalog(m).await, ["a"]);
    assert_eq!(delete_manifest(m, "a", "one", 1).await, Deleted::Done);
    assert_eq!(catalog(m).await, ["a"]);
    assert_eq!(delete_manifest(m, "a", "two", 1).await, Deleted::Done);
    assert_eq!(delete_manifest(m, "a", "two", 1).await, Deleted::Unknown);
    assert_eq!(catalog(m).await, Vec::<String>::new());
    assert_eq!(tags_of(m, "a").await, Some(vec![]), "emptied, but known");
    stored(m, push("a", "two")).await;
    assert_eq!(catalog(m).await, ["a"]);
}

pub(in crate::metadata) async fn take_their_tags_along(m: &Metadata) {
    let a = repo("a");
    for name in ["v1", "latest"] {
        stored(m, push_tag("a", "m", name)).await;
    }
    stored(m, push_tag("a", "other", "other")).await;
    let wrong = Precondition::Matches(vec![digest("other")]);
    let refused = m
        .delete_manifest(&a, &digest("m"), &wrong, at(1))
        .await
        .unwrap();
    assert_eq!(
        refused,
        Deleted::PreconditionFailed {
            current: Some(digest("m"))
        }
    );
    let right = Precondition::Matches(vec![digest("other"), digest("m")]);
    let done = m
        .delete_manifest(&a, &digest("m"), &right, at(2))
        .await
        .unwrap();
    assert_eq!(done, Deleted::Done);
    assert_eq!(tags_of(m, "a").await.unwrap(), ["other"]);
    assert_eq!(m.manifest(&a, &by_digest("m")).await.unwrap(), None);
    for name in ["v1", "latest"] {
        let history = m.tag_history(&a, &tag(name), None, 10).await.unwrap();
        let newest = history.items.first().unwrap();
        assert_eq!((newest.version, newest.digest, newest.at), (2, None, at(2)));
        assert_eq!(newest.previous, Some(digest("m")));
    }
}

pub(in crate::metadata) async fn keep_to_preconditions(m: &Metadata) {
    let matches = |content: &str| Precondition::Matches(vec![digest("?"), digest(content)]);
    let conditional = |put: ManifestPut, only_if| ManifestPut { only_if, ..put };
    let failed = |current: Option<&str>| Put::PreconditionFailed {
        current: current.map(digest),
    };
    let try_put = |put| async { m.put_manifest(put).await.unwrap() };
    // By digest it is about the manifest, in a repository that does not even exist.
    for only_if in [matches("one"), Precondition::Exists] {
        assert_eq!(
            try_put(conditional(push("a", "one"), only_if)).await,
            failed(None)
        );
    }
    assert!(stored(m, conditional(push("a", "one"), Precondition::Absent)).await);
    let absent = conditional(push("a", "one"), Precondition::Absent);
    assert_eq!(try_put(absent).await, failed(Some("one")));
    for only_if in [matches("one"), Precondition::Exists] {
        assert!(!stored(m, conditional(push("a", "one"), only_if)).await);
    }
    // By tag it is about each tag.
    for only_if in [matches("one"), Precondition::Exists] {
        assert_eq!(
            try_put(conditional(push_tag("a", "one", "v"), only_if)).await,
            failed(None)
        );
    }
    assert!(
        !stored(
            m,
            conditional(push_tag("a", "one", "v"), Precondition::Absent)
        )
        .await
    );
    let stale = conditional(push_tag("a", "two", "v"), matches("zero"));
    assert_eq!(try_put(stale).await, failed(Some("one")));
    let both = ManifestPut {
        tags: vec![tag("v"), tag("w")],
        ..push("a", "two")
    };
    assert_eq!(
        try_put(conditional(both, matches("one"))).await,
        failed(None),
        "w is not there"
    );
    assert_eq!(tags_of(m, "a").await.unwrap(), ["v"], "all or nothing");
    assert_eq!(
        m.manifest(&repo("a"), &by_digest("two")).await.unwrap(),
        None
    );
    assert!(stored(m, conditional(push_tag("a", "two", "v"), matches("one"))).await);
}
