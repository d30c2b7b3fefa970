//! What registries say of themselves, and what is found out by asking.

use std::sync::Arc;

use dockhand_client::artifact::{Signer, signatures};
use dockhand_client::{Driver, ErrorKind, Event, Extension, Filter, Page, RawManifest, Store};
use dockhand_oci::{Algorithm, MediaType, Reference, RepoName};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::peer::{Answer, Peer, Script, Watch, tagged};
use crate::registry::{Registry, blob};

fn app() -> RepoName {
    "app".parse().unwrap()
}

/// A registry that says this at its root, to the catalog, and of its extensions.
fn playing(root: Answer, catalog: Answer, extensions: Answer) -> Script {
    Script::new()
        .on("GET /v2/", move |_| root.clone())
        .on("GET /v2/_catalog", move |_| catalog.clone())
        .on("GET /v2/_oci/ext/discover", move |_| extensions.clone())
        .on("GET /v2/app/referrers/*", |_| {
            Answer::json(
                200,
                &json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [] }),
            )
            .without("content-type")
            .header("content-type", MediaType::OCI_INDEX)
        })
}

#[tokio::test]
async fn a_registry_is_known_by_what_it_does() {
    let empty = json!({});
    let root = || Answer::json(200, &empty);
    let names = || Answer::json(200, &json!({ "repositories": ["app"] }));
    let absent = || Answer::error(404, "NOT_FOUND");
    let zot = json!({ "extensions": [{
        "name": "_zot", "url": "https://zotregistry.dev", "description": "zot",
        "endpoints": ["/v2/_zot/ext/search"],
    }] });
    for (name, script, driver, catalog, extensions) in [
        (
            "zot",
            playing(root(), names(), Answer::json(200, &zot)),
            Driver::Zot,
            true,
            1,
        ),
        (
            "gitlab",
            playing(
                root().header("gitlab-container-registry-version", "4.0"),
                Answer::error(401, "UNAUTHORIZED"),
                Answer::html(404),
            ),
            Driver::Gitlab,
            false,
            0,
        ),
        (
            "one that denies",
            playing(root(), Answer::error(403, "DENIED"), absent()),
            Driver::Oci,
            false,
            0,
        ),
        (
            "one with a console",
            playing(root(), absent(), Answer::html(200)),
            Driver::Oci,
            false,
            0,
        ),
    ] {
        let peer = Peer::start(script).await;
        let found = peer.client().capabilities(Some(&app())).await.unwrap();
        assert_eq!(found.ping.driver, driver, "{name}");
        assert_eq!(found.catalog, catalog, "{name}");
        assert_eq!(found.referrers, Some(true), "{name}");
        assert_eq!(found.extensions.len(), extensions, "{name}");
        assert!(peer.lines().iter().all(|line| line.starts_with("GET ")));
    }
}

#[tokio::test]
async fn what_cannot_be_found_out_is_an_error_or_left_open() {
    let root = Answer::json(200, &json!({}));
    let peer = Peer::start(Script::new().on("GET /v2/", move |_| root.clone())).await;
    let found = peer.client().capabilities(None).await.unwrap();
    assert_eq!((found.catalog, found.referrers), (false, None));
    let found = peer.client().capabilities(Some(&app())).await.unwrap();
    assert_eq!(found.referrers, Some(false));
    let root = Answer::json(200, &json!({}));
    let script = playing(root, Answer::error(500, "UNKNOWN"), Answer::html(404));
    let peer = Peer::start(script).await;
    let mut connection = peer.connection();
    connection.retries.count = 0;
    let client = dockhand_client::Client::new(connection).unwrap();
    let error = client.capabilities(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
}

#[tokio::test]
async fn our_own_registry_lists_what_it_has() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    crate::registry::image(&repository, &[], &["1"]).await;
    let found = registry.client().capabilities(Some(&app())).await.unwrap();
    assert!(found.catalog);
    assert_eq!(found.referrers, Some(true));
    assert_eq!(found.ping.api_version.as_deref(), Some("registry/2.0"));
}

#[tokio::test]
async fn extensions_are_asked_for_where_the_specification_has_them() {
    let body = json!({ "extensions": [
        { "name": "_oci", "endpoints": ["/v2/_oci/ext/discover"] },
        { "name": "_other", "url": "u", "description": "d", "unknown": 1 },
    ] });
    let script = Script::new().once("GET /v2/_oci/ext/discover", move |_| {
        Answer::json(200, &body)
    });
    let peer = Peer::start(script).await;
    let found = peer.client().extensions().await.unwrap();
    let oci = Extension {
        name: "_oci".to_owned(),
        url: String::new(),
        description: String::new(),
        endpoints: vec!["/v2/_oci/ext/discover".to_owned()],
    };
    assert_eq!(found[0], oci);
    assert_eq!(found[1].url, "u");
    // That it was there does not mean that it stays: nothing is remembered.
    assert_eq!(peer.client().extensions().await.unwrap(), []);
    assert_eq!(peer.count("GET /v2/_oci/ext/discover"), 2);
}

#[tokio::test]
async fn warnings_and_limits_are_told() {
    let script = Script::new().on("GET /v2/", |_| {
        Answer::json(200, &json!({}))
            .header("warning", "299 - \"this image is old; and\"")
            .header("warning", "299 - \"so are you\"")
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", "76;w=21600")
    });
    let peer = Peer::start(script).await;
    let watch = Arc::<Watch>::default();
    let client =
        dockhand_client::Client::with_observer(peer.connection(), Arc::clone(&watch) as _).unwrap();
    client.ping().await.unwrap();
    assert_eq!(watch.warnings(), ["this image is old; and", "so are you"]);
    let limits = watch.events().into_iter().find_map(|event| match event {
        Event::RateLimit {
            host,
            limit,
            remaining,
        } => Some((host, limit, remaining)),
        _ => None,
    });
    let expected = (
        peer.address(),
        "100;w=21600".to_owned(),
        "76;w=21600".to_owned(),
    );
    assert_eq!(limits, Some(expected));
}

#[tokio::test]
async fn pages_have_the_size_that_is_wanted() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    crate::registry::image(&repository, &[], &["1", "2", "3", "4", "5"]).await;
    let peer = Peer::start(Script::new().front(&registry.address)).await;
    let page = Page {
        size: Some(2),
        last: Some("1".to_owned()),
    };
    let tags = peer.repository().tags_paged(page);
    let tags: Vec<String> = tags
        .map_ok(|tag| tag.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(tags, ["2", "3", "4", "5"]);
    let asked = peer.matching("GET /v2/app/tags/list");
    assert_eq!(asked[0].parameter("n").as_deref(), Some("2"));
    assert_eq!(asked[0].parameter("last").as_deref(), Some("1"));
    assert!(asked.len() >= 2, "{:?}", peer.lines());
}

#[tokio::test]
async fn a_signed_manifest_of_schema_1_has_the_digest_of_what_was_signed() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as CODE;
    let text = "{\n   \"schemaVersion\": 1,\n   \"name\": \"app\",\n   \"tag\": \"1\"\n}";
    let length = text.rfind('\n').unwrap();
    let protected = json!({ "formatLength": length, "formatTail": CODE.encode("\n}") });
    let document = format!(
        "{},\n   \"signatures\": [{{ \"protected\": \"{}\" }}]\n}}",
        &text[..length],
        CODE.encode(protected.to_string())
    );
    let digest = Algorithm::Sha256.digest(text.as_bytes());
    let answer = Answer::new(200)
        .header("content-type", MediaType::DOCKER_SCHEMA1_SIGNED)
        .header("docker-content-digest", &digest.to_string())
        .body(document.clone());
    let script = Script::new().on("* /v2/app/manifests/*", move |_| answer.clone());
    let peer = Peer::start(script).await;
    let repository = peer.repository();
    for reference in [tagged("1"), Reference::Digest(digest)] {
        let manifest = repository.manifest(&reference).await.unwrap();
        assert_eq!(
            (manifest.digest, &manifest.bytes[..]),
            (digest, document.as_bytes())
        );
    }
    assert_eq!(
        repository.resolve(&tagged("1")).await.unwrap().digest,
        digest
    );
    let other = Reference::Digest(Algorithm::Sha256.digest(document.as_bytes()));
    let error = repository.manifest(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn signatures_are_found_wherever_they_are() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let subject = crate::registry::image(&repository, &[], &["1"]).await;
    let (empty, bytes) = blob(MediaType::OCI_EMPTY, "{}");
    repository
        .put_blob(&empty, Arc::new(bytes), None)
        .await
        .unwrap();
    let signed = |kind: &str, refers: bool, layers: usize| {
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": kind,
            "config": empty, "layers": vec![&empty; layers],
            "annotations": { "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1", "kind": kind },
        });
        if refers {
            manifest["subject"] = json!(subject.descriptor());
        }
        RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string())
    };
    let put = async |manifest: &RawManifest, tags: &[&str]| {
        let tags: Vec<_> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        repository.put_manifest(manifest, &tags).await.unwrap();
    };
    let notation = signed("application/vnd.cncf.notary.signature", true, 1);
    let bundle = signed("application/vnd.dev.sigstore.bundle.v0.3+json", true, 1);
    let sbom = signed("example/sbom", true, 1);
    let cosign = signed("", false, 2);
    let tag = format!("sha256-{}.sig", subject.digest.hex());
    put(&notation, &[]).await;
    put(&bundle, &[]).await;
    put(&sbom, &[]).await;
    put(&cosign, &[&tag]).await;
    let store: Arc<dyn Store> = Arc::new(repository.clone());
    let mut found = signatures(&store, &subject.digest).await.unwrap();
    found.sort_by_key(|one| one.signer.name());
    let told: Vec<_> = { found.iter() }
        .map(|one| (one.signer, one.digest, one.signatures, one.tag.is_some()))
        .collect();
    let expected = [
        (Signer::Cosign, cosign.digest, 2, true),
        (Signer::Notation, notation.digest, 1, false),
        (Signer::Sigstore, bundle.digest, 1, false),
    ];
    assert_eq!(told, expected);
    let predicate = found[2].predicate.as_deref();
    assert_eq!(predicate, Some("https://slsa.dev/provenance/v1"));
    let none = signatures(&store, &sbom.digest).await.unwrap();
    assert!(none.is_empty());
    // Referrers are chosen by what is written on them, too.
    for (value, many) in [(None, 3), (Some("example/sbom"), 1), (Some("other"), 0)] {
        let filter = Filter {
            annotations: vec![("kind".to_owned(), value.map(str::to_owned))],
            ..Filter::default()
        };
        let found = repository.referrers_of(&subject.digest, &filter).await;
        assert_eq!(found.unwrap().len(), many, "{value:?}");
    }
}
