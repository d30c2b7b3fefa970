//! Many images at once between two registries of our own.

use std::sync::Arc;

use dockhand_client::copy::CopyOptions;
use dockhand_client::sync::{
    Job, NameFilter, Outcome, SyncOptions, Synced, TagFilter, What, Work, repositories, sync,
};
use dockhand_client::{Archive, ArchiveWriter, ErrorKind, Memory, RawManifest, Repository, Store};
use dockhand_oci::{MediaType, Reference, Tag};

use crate::registry::{Registry, bytes, image};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// A job for the tags of a repository that fit `include`.
fn tags_of(from: &Repository, to: &Repository, include: &str, prune: bool) -> Job {
    let names = NameFilter {
        include: vec![include.parse().unwrap()],
        exclude: Vec::new(),
    };
    Job {
        from: Arc::new(from.clone()),
        to: Arc::new(to.clone()),
        what: What::Tags(Arc::new(TagFilter {
            names,
            ..TagFilter::default()
        })),
        copy: CopyOptions::default(),
        prune,
    }
}

async fn tags(store: &Repository) -> String {
    let mut tags = store.tags().await.unwrap();
    tags.sort();
    let tags: Vec<String> = tags.iter().map(Tag::to_string).collect();
    tags.join(" ")
}

/// What came of each step, in a word.
fn words(synced: &Synced) -> String {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Copied(_) => "copied",
        Outcome::Unchanged(_) => "unchanged",
        Outcome::WouldCopy(_) => "would-copy",
        Outcome::Pruned => "pruned",
        Outcome::WouldPrune => "would-prune",
        Outcome::Skipped => "skipped",
        Outcome::Failed(_) => "failed",
    };
    let words: Vec<&str> = { synced.steps.iter() }
        .map(|step| word(&step.outcome))
        .collect();
    words.join(" ")
}

/// How many blobs were sent and mounted.
fn moved(synced: &Synced) -> (u64, u64) {
    let mut sums = (0, 0);
    for step in &synced.steps {
        if let Outcome::Copied(copied) = &step.outcome {
            sums.0 += copied.blobs_sent;
            sums.1 += copied.mounted;
        }
    }
    sums
}

#[tokio::test]
async fn what_images_share_is_sent_once_and_an_unchanged_one_is_left_alone() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (app, web) = (here.repository("team/app"), here.repository("team/web"));
    let shared = bytes(1, 300_000);
    for (seed, version) in [(10, "1"), (11, "2"), (12, "3")] {
        image(&app, &[shared.clone(), bytes(seed, 1000)], &[version]).await;
        image(&web, &[shared.clone(), bytes(seed, 2000)], &[version]).await;
    }
    image(&app, &[shared], &["dev"]).await;
    let to = (there.repository("mirror/app"), there.repository("web"));
    let jobs = [
        tags_of(&app, &to.0, r"\d+", false),
        tags_of(&web, &to.1, "glob:[0-9]", false),
    ];
    let dry = SyncOptions {
        dry_run: true,
        ..SyncOptions::default()
    };
    let planned = sync(&jobs, &dry).await;
    assert_eq!(words(&planned), ["would-copy"; 6].join(" "));
    let absent = to.0.tags().await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);

    let options = SyncOptions {
        images: 6,
        ..SyncOptions::default()
    };
    let synced = sync(&jobs, &options).await;
    assert_eq!(words(&synced), ["copied"; 6].join(" "), "{synced:?}");
    assert_eq!(
        (tags(&to.0).await, tags(&to.1).await),
        ("1 2 3".into(), "1 2 3".into())
    );
    // The config and the shared layer once, a layer of each image; the second repository mounts two.
    assert_eq!(moved(&synced), (2 + 6, 2));
    assert_eq!(
        (synced.steps[0].from.as_str(), synced.steps[0].to.as_str()),
        (&*app.name(), &*to.0.name())
    );
    let one = Work::Copy(Reference::Tag(tag("1")), vec![tag("1")]);
    assert_eq!(synced.steps[0].work, one);

    image(&app, &[bytes(99, 10)], &["2"]).await;
    let again = sync(&jobs, &options).await;
    let expected = "unchanged copied unchanged unchanged unchanged unchanged";
    assert_eq!(words(&again), expected);
}

#[tokio::test]
async fn only_tags_that_are_meant_and_gone_are_pruned_and_nothing_with_them() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (from, to) = (here.repository("app"), there.repository("app"));
    let kept = image(&from, &[bytes(1, 100)], &["v1"]).await;
    let digest = "b".repeat(64);
    let signature = format!("sha256-{digest}.sig");
    image(&to, &[bytes(1, 100)], &["v0", "v0-rc", "other", &signature]).await;
    let jobs = [tags_of(&from, &to, "v.*", true)];
    let dry = SyncOptions {
        dry_run: true,
        ..SyncOptions::default()
    };
    let planned = sync(&jobs, &dry).await;
    assert_eq!(words(&planned), "would-copy would-prune");
    let gone = Work::Prune(vec![tag("v0"), tag("v0-rc")]);
    assert_eq!(planned.steps[1].work, gone);

    let few = SyncOptions {
        max_delete: 1,
        ..SyncOptions::default()
    };
    let refused = sync(&jobs, &few).await;
    assert_eq!(words(&refused), "skipped failed");
    let failure = refused.failure().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Conflict);
    assert!(failure.to_string().contains("--max-delete 2"), "{failure}");
    assert_eq!(refused.steps[1].work, gone);
    assert_eq!(tags(&to).await, format!("other {signature} v0 v0-rc"));

    let synced = sync(&jobs, &SyncOptions::default()).await;
    assert_eq!(words(&synced), "copied pruned", "{synced:?}");
    assert_eq!(tags(&to).await, format!("other {signature} v1"));
    // The pruned tags named the manifest that is wanted: it stays.
    let left = to.manifest(&Reference::Tag(tag("v1"))).await.unwrap();
    assert_eq!(left, kept);
}

#[tokio::test]
async fn an_empty_source_empties_no_target() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (from, to) = (here.repository("app"), there.repository("app"));
    image(&from, &[], &["dev"]).await;
    image(&to, &[], &["v1"]).await;
    let synced = sync(&[tags_of(&from, &to, "v.*", true)], &SyncOptions::default()).await;
    assert_eq!(words(&synced), "failed");
    assert_eq!(synced.failure().unwrap().kind(), ErrorKind::Conflict);
    assert_eq!(tags(&to).await, "v1");
}

#[tokio::test]
async fn a_failure_stops_the_rest_or_is_told_with_it() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (broken, whole) = (here.repository("broken"), here.repository("whole"));
    image(&broken, &[bytes(1, 10)], &["v1"]).await;
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [],
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    broken.put_manifest(&index, &[tag("v2")]).await.unwrap();
    image(&whole, &[bytes(3, 10)], &["v1"]).await;
    let to = (there.repository("broken"), there.repository("whole"));
    image(&to.0, &[], &["v0"]).await;
    image(&to.1, &[], &["v0"]).await;
    let mut jobs = [
        tags_of(&here.repository("absent"), &to.0, ".*", true),
        tags_of(&broken, &to.0, ".*", true),
        tags_of(&whole, &to.1, ".*", true),
    ];
    // The index has no image for it.
    jobs[1].copy.platforms = vec!["linux/arm64".parse().unwrap()];
    let stopped = sync(&jobs, &SyncOptions::default()).await;
    assert_eq!(
        words(&stopped),
        "failed skipped skipped skipped skipped skipped"
    );
    assert_eq!(
        (stopped.steps[0].work.clone(), stopped.undone()),
        (Work::Plan, 6)
    );
    assert_eq!(stopped.failure().unwrap().kind(), ErrorKind::NotFound);

    let options = SyncOptions {
        keep_going: true,
        ..SyncOptions::default()
    };
    let synced = sync(&jobs, &options).await;
    // What did not arrive as a whole is not pruned either.
    assert_eq!(words(&synced), "failed copied failed skipped copied pruned");
    assert_eq!(tags(&to.0).await, "v0 v1");
    assert_eq!(tags(&to.1).await, "v1");
}

#[tokio::test]
async fn one_image_goes_by_the_names_that_are_said() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (from, to) = (here.repository("app"), there.repository("app"));
    let pushed = image(&from, &[bytes(1, 10)], &["1"]).await;
    let job = Job {
        from: Arc::new(from),
        to: Arc::new(to.clone()),
        what: What::Image(Reference::Digest(pushed.digest), vec![tag("a"), tag("b")]),
        copy: CopyOptions::default(),
        prune: true,
    };
    let jobs = [job];
    let synced = sync(&jobs, &SyncOptions::default()).await;
    assert_eq!(words(&synced), "copied");
    assert_eq!(tags(&to).await, "a b");
    let again = sync(&jobs, &SyncOptions::default()).await;
    assert_eq!(words(&again), "unchanged");
}

#[tokio::test]
async fn repositories_are_meant_by_name() {
    let registry = Registry::start().await;
    for name in ["team/app", "team/web", "other/app"] {
        image(&registry.repository(name), &[], &["1"]).await;
    }
    let filter = NameFilter {
        include: vec!["team/.*".parse().unwrap()],
        exclude: vec!["glob:*/web".parse().unwrap()],
    };
    let found = repositories(&registry.client(), &filter).await.unwrap();
    let found: Vec<&str> = found.iter().map(|name| name.as_str()).collect();
    assert_eq!(found, ["team/app"]);
}

#[tokio::test]
async fn jobs_of_one_target_prune_nothing_that_another_brings() {
    let (here, there) = (Registry::start().await, Registry::start().await);
    let (one, two) = (here.repository("one"), here.repository("two"));
    let to = there.repository("both");
    image(&one, &[bytes(1, 10)], &["1"]).await;
    image(&two, &[bytes(2, 10)], &["2"]).await;
    image(&to, &[bytes(3, 10)], &["old"]).await;
    let all = |from: &Repository| tags_of(from, &to, ".*", true);
    for _ in 0..2 {
        let synced = sync(&[all(&one), all(&two)], &SyncOptions::default()).await;
        assert!(synced.failure().is_none(), "{synced:?}");
        assert_eq!(tags(&to).await, "1 2");
    }
    // What is not known to come, or did not, may be what is there.
    let absent = here.repository("absent");
    image(&two, &[bytes(2, 10)], &["3"]).await;
    two.delete_tag(&tag("2")).await.unwrap();
    let keep_going = SyncOptions {
        keep_going: true,
        ..SyncOptions::default()
    };
    let synced = sync(&[all(&absent), all(&two)], &keep_going).await;
    assert_eq!(synced.undone(), 2, "{synced:?}");
    assert_eq!(tags(&to).await, "1 2 3");
}

#[tokio::test]
async fn an_index_of_one_image_comes_into_an_archive_for_docker() {
    let folder = tempfile::tempdir().unwrap();
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    let child = image(&*from, &[bytes(1, 10)], &[]).await;
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [child.descriptor()],
    });
    let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
    from.put_manifest(&index, &[tag("1")]).await.unwrap();
    let path = folder.path().join("x.tar");
    let name = "app".parse().unwrap();
    let to = ArchiveWriter::docker(&path, Some(&name)).await.unwrap();
    let job = Job {
        from,
        to: Arc::new(to),
        what: What::Image(Reference::Tag(tag("1")), vec![tag("1")]),
        copy: CopyOptions::default(),
        prune: false,
    };
    let synced = sync(&[job], &SyncOptions::default()).await;
    assert!(synced.failure().is_none(), "{synced:?}");
    let archive = Archive::open(&path).await.unwrap();
    let found = archive.resolve(&Reference::Tag(tag("1"))).await.unwrap();
    assert_eq!(found.digest, child.digest);
}
