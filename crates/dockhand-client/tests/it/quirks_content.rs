//! What registries answer when they are asked for manifests and blobs.

use dockhand_client::{Auth, ErrorKind, MANIFEST_MAX, RawManifest, Store, download};
use dockhand_oci::{Algorithm, MediaType, Reference};
use std::sync::Arc;

use crate::peer::{Answer, Peer, Script, Seen, fetch, layer, send, small_image, tagged};

#[tokio::test]
async fn a_blob_in_another_storage_is_fetched_there_without_credentials() {
    let (blob, content) = layer(1, 100_000);
    for status in [301, 302, 303, 307, 308] {
        let served = content.clone();
        let storage = Script::new()
            .once("GET /bucket", {
                let served = served.clone();
                move |_| Answer::new(200).body(served.clone()).cut_after(40_000)
            })
            .on("GET /bucket", move |seen| match seen.header("range") {
                Some("bytes=40000-99999") => Answer::new(206)
                    .header("content-range", "bytes 40000-99999/100000")
                    .body(served.slice(40_000..)),
                _ => Answer::new(400),
            });
        let storage = Peer::start(storage).await;
        // The same address by another name is another host as well.
        let target = format!("{}/bucket?X-Amz-Signature=a%2Fb", storage.other_url());
        let script = Script::new().on("GET *", move |_| Answer::to(status, &target));
        let registry = Peer::start(script).await;
        let repository = registry.repository_as(Auth::Basic("me".into(), "s3cret".into()));
        assert!(fetch(&repository, &blob).await.unwrap() == content);
        for get in storage.seen() {
            assert_eq!(get.header("authorization"), None);
            assert_eq!(get.target, "/bucket?X-Amz-Signature=a%2Fb");
        }
        // Signed places expire, so the rest is asked for at the registry again.
        let gets = registry.seen();
        assert_eq!((gets.len(), storage.seen().len()), (2, 2));
        assert!(
            gets.iter()
                .all(|get| get.basic().as_deref() == Some("me:s3cret"))
        );
        assert_eq!(gets[1].header("range"), Some("bytes=40000-99999"));
    }
}

#[tokio::test]
async fn redirects_end() {
    let script = Script::new()
        .on("GET /v2/*", |_| Answer::to(307, "/round"))
        .on("GET /round", |_| Answer::to(302, "/round"));
    let peer = Peer::start(script).await;
    let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("circle"), "{error}");
    assert!(peer.lines().len() <= 11, "{}", peer.lines().len());
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://",
    ] {
        let script = Script::new().on("GET *", move |_| Answer::to(307, target));
        let peer = Peer::start(script).await;
        let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{target}");
        assert_eq!(peer.lines().len(), 1, "{target}");
    }
}

/// How a registry answers to HEAD that cannot do it well.
type Head = fn(&RawManifest) -> Answer;

#[tokio::test]
async fn a_head_that_says_too_little_is_followed_by_a_get() {
    let heads: [(&str, Head); 7] = [
        ("no digest", |one| {
            Answer::manifest(one).without("docker-content-digest")
        }),
        ("no length", |one| Answer::manifest(one).without_length()),
        ("no type", |one| {
            Answer::manifest(one).without("content-type")
        }),
        ("405", |_| Answer::new(405)),
        ("404 of Nexus", |_| Answer::new(404)),
        ("400", |_| Answer::new(400)),
        ("no digest that is one", |one| {
            Answer::manifest(one)
                .without("docker-content-digest")
                .header("docker-content-digest", "none")
        }),
    ];
    let (manifest, ..) = small_image();
    for (name, head) in heads {
        let (one, other) = (manifest.clone(), manifest.clone());
        let script = Script::new()
            .on("HEAD *", move |_| head(&one))
            .on("GET *", move |_| Answer::manifest(&other));
        let peer = Peer::start(script).await;
        let found = peer.repository().resolve(&tagged("1")).await.unwrap();
        assert_eq!(found, manifest.descriptor(), "{name}");
        let path = "/v2/app/manifests/1";
        assert_eq!(
            peer.lines(),
            [format!("HEAD {path}"), format!("GET {path}")],
            "{name}"
        );
    }
    let served = manifest.clone();
    let peer = Peer::start(Script::new().on("HEAD *", move |_| Answer::manifest(&served))).await;
    let found = peer.repository().resolve(&tagged("1")).await.unwrap();
    assert_eq!(found, manifest.descriptor());
    assert_eq!(
        peer.lines().len(),
        1,
        "nothing is fetched where HEAD says it all"
    );
}

#[tokio::test]
async fn the_size_of_a_blob_is_found_in_every_way() {
    let (blob, content) = layer(2, 1000);
    let first = content.slice(..1);
    let (one, two) = (content.clone(), content.clone());
    for (name, script) in [
        (
            "HEAD",
            Script::new().on("HEAD *", move |_| Answer::new(200).body(one.clone())),
        ),
        (
            "a part",
            Script::new()
                .on("HEAD *", |_| Answer::new(405))
                .on("GET *", move |_| {
                    Answer::new(206)
                        .header("content-range", "bytes 0-0/1000")
                        .body(first.clone())
                }),
        ),
        (
            "the whole",
            Script::new()
                .on("HEAD *", |_| Answer::new(200).without_length())
                .on("GET *", move |_| Answer::new(200).body(two.clone())),
        ),
    ] {
        let peer = Peer::start(script).await;
        assert_eq!(
            peer.repository().blob_size(&blob.digest).await.unwrap(),
            Some(1000),
            "{name}"
        );
        let gets = peer.matching("GET *");
        assert!(
            gets.iter()
                .all(|get| get.header("range") == Some("bytes=0-0")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_computed_digest_counts_and_not_the_said_one() {
    let (manifest, layer, content) = small_image();
    let lie = Algorithm::Sha256.digest(b"a lie");
    let served = manifest.clone();
    let script = Script::new()
        .on("GET /v2/app/manifests/*", move |_| {
            Answer::manifest(&served)
                .without("docker-content-digest")
                .header("docker-content-digest", &lie.to_string())
        })
        .on("GET /v2/app/blobs/*", move |_| {
            let mut wrong = content.to_vec();
            wrong[20_000] ^= 1;
            Answer::new(200)
                .header("docker-content-digest", &layer.digest.to_string())
                .body(wrong)
        });
    let (_, layer, _) = small_image();
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    assert_eq!(
        repository.manifest(&tagged("1")).await.unwrap().digest,
        manifest.digest
    );
    let error = repository
        .manifest(&Reference::Digest(lie))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    let error = fetch(&repository, &layer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(repository);
    let path = folder.path().join("blob");
    let error = download(&store, &layer, &path, &dockhand_client::Unobserved)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_manifest_that_was_stored_as_another_is_an_error() {
    let (manifest, ..) = small_image();
    let other = Algorithm::Sha256.digest(b"other").to_string();
    let answer = move |_: &Seen| Answer::new(201).header("docker-content-digest", &other);
    let peer = Peer::start(Script::new().on("PUT *", answer)).await;
    let tags = ["1".parse().unwrap()];
    let error = peer
        .repository()
        .put_manifest(&manifest, &tags)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    // ECR says no Location, others no digest: both are well.
    let peer = Peer::start(Script::new().on("PUT *", |_| Answer::new(201))).await;
    peer.repository()
        .put_manifest(&manifest, &tags)
        .await
        .unwrap();
    assert_eq!(peer.lines(), ["PUT /v2/app/manifests/1"]);
}

#[tokio::test]
async fn ranges_are_understood_as_they_are_answered() {
    let (blob, content) = layer(3, 100_000);
    let whole = content.clone();
    let early = content.clone();
    let late = content.clone();
    for (name, script, fine) in [
        (
            "ignored",
            Script::new().on("GET *", move |_| Answer::new(200).body(whole.clone())),
            true,
        ),
        (
            "from earlier on",
            Script::new().on("GET *", move |_| {
                let part = early.slice(10_000..);
                Answer::new(206)
                    .header("content-range", "bytes 10000-99999/100000")
                    .body(part)
            }),
            true,
        ),
        (
            "from later on",
            Script::new().on("GET *", move |_| {
                let part = late.slice(70_000..);
                Answer::new(206)
                    .header("content-range", "bytes 70000-99999/100000")
                    .body(part)
            }),
            false,
        ),
    ] {
        let first = content.clone();
        let cut = move |_: &Seen| Answer::new(200).body(first.clone()).cut_after(60_000);
        let peer = Peer::start(Script::new().once("GET *", cut).then(script)).await;
        let got = fetch(&peer.repository(), &blob).await;
        match fine {
            true => assert!(got.unwrap() == content, "{name}"),
            false => assert_eq!(got.unwrap_err().kind(), ErrorKind::Protocol, "{name}"),
        }
    }
}

#[tokio::test]
async fn blobs_of_other_lengths_are_refused() {
    let (blob, content) = layer(4, 1000);
    let longer = [content.clone(), content.clone()].concat();
    let short = content.slice(..900);
    for (name, answer, kind) in [
        (
            "longer",
            Answer::new(200).body(longer),
            ErrorKind::SizeMismatch,
        ),
        (
            "endless",
            Answer::new(200).body(content.clone()).endless(),
            ErrorKind::SizeMismatch,
        ),
        (
            "shorter",
            Answer::new(200).body(short.clone()),
            ErrorKind::SizeMismatch,
        ),
        (
            "shorter than it says",
            Answer::new(200)
                .header("content-length", "1000")
                .body(short)
                .cut_after(900),
            ErrorKind::Connect,
        ),
    ] {
        let peer = Peer::start(Script::new().on("GET *", move |_| answer.clone())).await;
        let error = fetch(&peer.repository(), &blob).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(peer.lines().len() <= 6, "{name}");
    }
}

#[tokio::test]
async fn manifests_and_errors_are_bounded() {
    let json = || Answer::new(200).header("content-type", MediaType::OCI_MANIFEST);
    let huge = (MANIFEST_MAX + 1).to_string();
    for (name, answer, kind) in [
        (
            "endless",
            json().body(vec![b' '; 65_536]).endless(),
            ErrorKind::SizeMismatch,
        ),
        (
            "said to be huge",
            json().header("content-length", &huge).body("{"),
            ErrorKind::SizeMismatch,
        ),
        (
            "an endless error",
            Answer::new(404).body(vec![b'x'; 65_536]).endless(),
            ErrorKind::NotFound,
        ),
    ] {
        let peer = Peer::start(Script::new().on("GET *", move |_| answer.clone())).await;
        let error = peer.repository().manifest(&tagged("1")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert_eq!(peer.lines().len(), 1, "{name}");
        assert!(error.to_string().len() < 1000, "{name}");
    }
}

#[tokio::test]
async fn deep_json_is_no_way_to_the_end_of_the_stack() {
    let deep = |length: usize| "[".repeat(length);
    let body = format!("{{\"schemaVersion\":2,\"config\":{}", deep(200_000));
    let served = body.clone();
    let script = Script::new()
        .on("GET /v2/app/manifests/*", move |_| {
            let answer = Answer::new(200).header("content-type", MediaType::OCI_MANIFEST);
            answer.body(served.clone())
        })
        .on("GET /v2/app/tags/list", move |_| {
            Answer::new(200).body(deep(200_000))
        })
        .on("GET /v2/app/blobs/*", move |_| {
            let answer = Answer::new(404).header("content-type", "application/json");
            answer.body(format!(
                "{{\"errors\":[{{\"code\":\"X\",\"detail\":{}",
                deep(20_000)
            ))
        });
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    // The bytes are what they are; only reading them fails.
    let manifest = repository.manifest(&tagged("1")).await.unwrap();
    assert_eq!(manifest.parse().unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(
        repository.tags().await.unwrap_err().kind(),
        ErrorKind::Protocol
    );
    let (blob, _) = layer(5, 10);
    let error = fetch(&repository, &blob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn one_accept_header_names_every_kind() {
    let (manifest, ..) = small_image();
    let served = manifest.clone();
    let peer = Peer::start(Script::new().on("* /v2/*", move |_| Answer::manifest(&served))).await;
    let repository = peer.repository();
    repository.manifest(&tagged("1")).await.unwrap();
    repository.resolve(&tagged("1")).await.unwrap();
    for seen in peer.seen() {
        assert_eq!(seen.headers.get_all("accept").iter().count(), 1);
        let accept = seen.header("accept").unwrap();
        for kind in [
            MediaType::OCI_INDEX,
            MediaType::OCI_MANIFEST,
            MediaType::DOCKER_MANIFEST,
        ] {
            assert!(accept.contains(kind), "{accept}");
        }
    }
    let (blob, content) = layer(6, 10);
    assert!(
        send(&repository, &blob, &content).await.is_err(),
        "200 is no upload"
    );
}
