//! Manifests: the kinds that are taken, and every way to be refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Algorithm;
use ManifestError as E;

const EMPTY_JSON: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn content(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": EMPTY_JSON, "size": 2})
}

fn image(media_type: &str) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": media_type, "config": content(MediaType::OCI_CONFIG),
        "layers": [content(MediaType::OCI_LAYER_GZIP), content(MediaType::OCI_LAYER_ZSTD)],
    })
}

fn index(media_type: &str) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": media_type,
        "manifests": [content(MediaType::OCI_MANIFEST), content(MediaType::OCI_INDEX)],
    })
}

/// The document with some fields set; `null` as text `"-"` takes a field away.
fn with(mut document: Value, fields: Value) -> Value {
    for (field, value) in fields.as_object().unwrap() {
        match value.as_str() {
            Some("-") => drop(document.as_object_mut().unwrap().remove(field)),
            _ => document[field] = value.clone(),
        }
    }
    document
}

fn parse(content_type: &str, document: &Value) -> Result<Manifest, ManifestError> {
    read(content_type, &document.to_string())
}

/// No content type when it is empty.
fn read(content_type: &str, text: &str) -> Result<Manifest, ManifestError> {
    let content_type = (!content_type.is_empty()).then(|| content_type.parse().unwrap());
    Manifest::parse(content_type.as_ref(), text.as_bytes())
}

fn kinds(manifest: &Manifest) -> Vec<LinkKind> {
    manifest.links.iter().map(|link| link.kind).collect()
}

#[test]
fn images_link_to_config_and_layers() {
    for media_type in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
        let read = parse(media_type, &image(media_type)).unwrap();
        assert_eq!(
            (read.media_type.as_str(), read.kind),
            (media_type, ManifestKind::Image)
        );
        assert_eq!(
            kinds(&read),
            [LinkKind::Config, LinkKind::Layer, LinkKind::Layer]
        );
        assert_eq!(
            read.links[2].descriptor.media_type,
            MediaType::OCI_LAYER_ZSTD
        );
        assert_eq!(
            read.links[0].descriptor.digest,
            Algorithm::Sha256.digest(b"{}")
        );
        assert_eq!(read.artifact_type.as_deref(), Some(MediaType::OCI_CONFIG));
        assert_eq!((&read.subject, read.annotations.len()), (&None, 0));
    }
}

#[test]
fn indexes_link_to_manifests() {
    for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_LIST] {
        let read = parse(media_type, &index(media_type)).unwrap();
        assert_eq!(
            (read.media_type.as_str(), read.kind),
            (media_type, ManifestKind::Index)
        );
        assert_eq!(kinds(&read), [LinkKind::Manifest, LinkKind::Manifest]);
        assert_eq!(read.artifact_type, None);
    }
}

/// The caches of BuildKit are indexes of blobs.
#[test]
fn indexes_link_to_blobs_too() {
    let oci = MediaType::OCI_INDEX;
    let cache = "application/vnd.buildkit.cacheconfig.v0";
    for (media_type, wanted) in [
        (MediaType::OCI_LAYER_ZSTD, LinkKind::Layer),
        (MediaType::OCI_LAYER_NONDISTRIBUTABLE, LinkKind::Layer),
        (MediaType::DOCKER_LAYER_GZIP, LinkKind::Layer),
        (MediaType::DOCKER_LAYER_FOREIGN, LinkKind::Layer),
        (cache, LinkKind::Layer),
        ("Application/vnd.BuildKit.CacheConfig.v1", LinkKind::Layer),
        (MediaType::DOCKER_SCHEMA1, LinkKind::Manifest),
        ("application/vnd.oci.image", LinkKind::Manifest),
        ("of/no-kind-that-is-known", LinkKind::Manifest),
        ("", LinkKind::Manifest),
    ] {
        let document = with(index(oci), json!({"manifests": [content(media_type)]}));
        let read = parse(oci, &document).unwrap();
        assert_eq!(kinds(&read), [wanted], "{media_type}");
        assert_eq!(read.kind, ManifestKind::Index);
    }
}

#[test]
fn the_effective_artifact_type_is_the_specification_s() {
    let oci = MediaType::OCI_MANIFEST;
    let helm = content("application/vnd.cncf.helm.config.v1+json");
    for (document, wanted) in [
        (
            with(image(oci), json!({"artifactType": "a/b"})),
            Some("a/b"),
        ),
        (
            with(image(oci), json!({"artifactType": ""})),
            Some(MediaType::OCI_CONFIG),
        ),
        (
            with(image(oci), json!({"artifactType": null})),
            Some(MediaType::OCI_CONFIG),
        ),
        (
            with(image(oci), json!({"config": helm})),
            Some("application/vnd.cncf.helm.config.v1+json"),
        ),
        (
            with(index(MediaType::OCI_INDEX), json!({"artifactType": "a/b"})),
            Some("a/b"),
        ),
        (index(MediaType::OCI_INDEX), None),
    ] {
        let read = parse("", &document).unwrap();
        assert_eq!(read.artifact_type.as_deref(), wanted, "{document}");
    }
}

#[test]
fn what_real_content_has_is_taken() {
    let oci = MediaType::OCI_MANIFEST;
    let docker = MediaType::DOCKER_MANIFEST;
    for (content_type, document, links) in [
        (oci, with(image(oci), json!({"layers": []})), 1),
        (docker, with(image(docker), json!({"layers": []})), 1),
        (oci, with(image(oci), json!({"layers": null})), 1),
        (oci, with(image(oci), json!({"mediaType": "-"})), 3),
        (oci, with(image(oci), json!({"mediaType": null})), 3),
        ("", with(image(oci), json!({"mediaType": "-"})), 3),
        ("", image(docker), 3),
        ("", with(index(oci), json!({"mediaType": "-"})), 2),
        (
            "",
            with(index(MediaType::OCI_INDEX), json!({"manifests": []})),
            0,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(MediaType::OCI_INDEX), json!({"manifests": null})),
            0,
        ),
        ("Application/VND.OCI.Image.Manifest.v1+JSON", image(oci), 3),
        (
            oci,
            with(image(oci), json!({"annotations": null, "subject": null})),
            3,
        ),
        (
            oci,
            with(
                image(oci),
                json!({"newUnspecifiedField": {"layers": [{}]}, "x": 1e30}),
            ),
            3,
        ),
    ] {
        let read = parse(content_type, &document).unwrap();
        assert_eq!(read.links.len(), links, "{document}");
    }
    let spaced = format!("\n\t {} \r\n", image(oci));
    assert_eq!(read(oci, &spaced).unwrap().links.len(), 3);
}

#[test]
fn subject_and_annotations_are_read() {
    let subject = content(MediaType::OCI_INDEX);
    for document in [image(MediaType::OCI_MANIFEST), index(MediaType::OCI_INDEX)] {
        let more = json!({"subject": subject, "annotations": {"a": "b", "c": null}});
        let read = parse("", &with(document, more)).unwrap();
        assert_eq!(read.subject.unwrap().media_type, MediaType::OCI_INDEX);
        assert_eq!(
            (
                read.annotations["a"].as_str(),
                read.annotations["c"].as_str()
            ),
            ("b", "")
        );
    }
}

#[test]
fn an_image_is_no_index() {
    let list = json!([content(MediaType::OCI_MANIFEST)]);
    let layers = json!([content(MediaType::OCI_LAYER)]);
    let config = content(MediaType::OCI_CONFIG);
    let types = [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
    ];
    for media_type in types {
        for fields in [
            json!({"manifests": list, "layers": layers, "config": config}),
            json!({"manifests": list, "layers": layers, "config": "-"}),
            json!({"manifests": list, "layers": "-", "config": config}),
            json!({"manifests": [], "layers": [], "config": "-"}),
            // containerd refuses to pull even these.
            json!({"manifests": null, "layers": layers, "config": config}),
            json!({"manifests": list, "layers": null, "config": "-"}),
        ] {
            let document = with(image(media_type), fields);
            assert_eq!(parse(media_type, &document), Err(E::Hybrid), "{document}");
            assert_eq!(parse("", &document), Err(E::Hybrid), "{document}");
        }
    }
}

#[test]
fn types_must_agree_and_be_known() {
    let oci = MediaType::OCI_MANIFEST;
    let docker = MediaType::DOCKER_MANIFEST;
    let mismatch = |content_type: &str, media_type: &str| {
        let (content_type, media_type) = (content_type.to_owned(), media_type.to_owned());
        Err(E::TypeMismatch {
            content_type,
            media_type,
        })
    };
    let artifact = "application/vnd.oci.artifact.manifest.v1+json";
    let bare = json!({"schemaVersion": 2});
    for (content_type, document, error) in [
        (docker, image(oci), mismatch(docker, oci)),
        (oci, image(docker), mismatch(oci, docker)),
        (
            MediaType::OCI_INDEX,
            image(oci),
            mismatch(MediaType::OCI_INDEX, oci),
        ),
        (
            oci,
            image("application/json"),
            mismatch(oci, "application/json"),
        ),
        (oci, image(""), mismatch(oci, "")),
        (
            artifact,
            image(oci),
            Err(E::UnknownType(artifact.to_owned())),
        ),
        (
            "",
            image(artifact),
            Err(E::UnknownType(artifact.to_owned())),
        ),
        (
            "",
            image("no type at all"),
            Err(E::UnknownType("no type at all".to_owned())),
        ),
        (
            "application/json",
            image(oci),
            Err(E::UnknownType("application/json".to_owned())),
        ),
        ("", bare.clone(), Err(E::NoType)),
        ("", json!({}), Err(E::NoType)),
    ] {
        assert_eq!(
            parse(content_type, &document),
            error,
            "{content_type} {document}"
        );
    }
}

#[test]
fn schema_1_is_recognised() {
    let document = json!({
        "schemaVersion": 1, "name": "a", "tag": "b", "architecture": "amd64",
        "fsLayers": [{"blobSum": EMPTY_JSON}], "history": [], "signatures": [{"header": {}}],
    });
    for content_type in [
        "",
        "application/json",
        MediaType::DOCKER_SCHEMA1,
        MediaType::DOCKER_SCHEMA1_SIGNED,
    ] {
        assert_eq!(
            parse(content_type, &document),
            Err(E::Schema1),
            "{content_type:?}"
        );
    }
    let named = with(
        document.clone(),
        json!({"mediaType": MediaType::DOCKER_SCHEMA1}),
    );
    assert_eq!(parse("", &named), Err(E::Schema1));
    let oci = parse(MediaType::OCI_MANIFEST, &document);
    assert_eq!(oci, Err(E::SchemaVersion(Some(1))));
}

#[test]
fn required_fields_are_asked_for() {
    let missing = |media_type, field| Err(E::Missing { field, media_type });
    for media_type in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
        for field in ["config", "layers"] {
            let document = with(image(media_type), json!({field: "-"}));
            assert_eq!(parse(media_type, &document), missing(media_type, field));
        }
        let document = with(image(media_type), json!({"config": null}));
        assert_eq!(parse(media_type, &document), missing(media_type, "config"));
    }
    for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_LIST] {
        let document = with(index(media_type), json!({"manifests": "-"}));
        assert_eq!(
            parse(media_type, &document),
            missing(media_type, "manifests")
        );
    }
    let unnamed = json!({"mediaType": "-"});
    let (list, docker) = (MediaType::DOCKER_LIST, MediaType::DOCKER_MANIFEST);
    let document = with(index(list), unnamed.clone());
    assert_eq!(parse(list, &document), missing(list, "mediaType"));
    let document = with(image(docker), unnamed);
    assert_eq!(parse(docker, &document), missing(docker, "mediaType"));
    for (version, found) in [
        (json!("-"), None),
        (json!(null), None),
        (json!(1), Some(1)),
        (json!(3), Some(3)),
        (json!(-2), Some(-2)),
    ] {
        let document = with(
            image(MediaType::OCI_MANIFEST),
            json!({"schemaVersion": version}),
        );
        let read = parse(MediaType::OCI_MANIFEST, &document);
        assert_eq!(read, Err(E::SchemaVersion(found)));
    }
}

#[test]
fn a_wrong_value_is_named_by_its_path() {
    let bad = |field: &str, value: Value| with(content("a/b"), json!({field: value}));
    for (fields, words) in [
        (
            json!({"layers": [content("a/b"), bad("digest", json!("sha256:0"))]}),
            "layers[1].digest: the digest has 1 hex digits",
        ),
        (
            json!({"layers": [bad("size", json!(-5))]}),
            "layers[0].size: a size is not negative",
        ),
        (
            json!({"layers": [bad("size", json!(0.5))]}),
            "layers[0].size: invalid type: floating point",
        ),
        (
            json!({"layers": [bad("size", json!(1u64 << 63))]}),
            "layers[0].size: invalid value",
        ),
        (json!({"layers": [null]}), "layers[0]: invalid type: null"),
        (json!({"layers": {}}), "layers: invalid type: map"),
        (json!({"config": "x"}), "config: invalid type: string"),
        (json!({"config": {}}), "config: missing field"),
        (
            json!({"subject": bad("mediaType", json!(1))}),
            "subject.mediaType: invalid type: integer",
        ),
        (json!({"artifactType": 1}), "artifactType: invalid type"),
        (
            json!({"annotations": {"a": 1}}),
            "annotations.a: invalid type: integer",
        ),
        (json!({"mediaType": 1}), "mediaType: invalid type"),
        (
            json!({"schemaVersion": "2"}),
            "schemaVersion: invalid type: string",
        ),
        (
            json!({"schemaVersion": 2.0}),
            "schemaVersion: invalid type: floating point",
        ),
    ] {
        let oci = MediaType::OCI_MANIFEST;
        let Err(E::Json(message)) = parse(oci, &with(image(oci), fields)) else {
            panic!("{words}");
        };
        assert!(message.starts_with(words), "{message}");
        assert!(message.contains(" at line 1 column "), "{message}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"a\"",
        "[]",
        "{",
        "{\"a\"",
        "{\"a\":}",
        "{\"a\":1,}",
        "{} {}",
        "{}x",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"\\ud800\":1}",
        "{\"schemaVersion\":1e999}",
        "{\"schemaVersion\":99999999999999999999}",
        "\u{feff}{}",
        "{1:2}",
        "]]]]{{{{",
        "{\"a\":1]",
    ] {
        let Err(E::Json(message)) = read(MediaType::OCI_MANIFEST, text) else {
            panic!("{text:?}");
        };
        assert!(message.contains("line "), "{text:?}: {message}");
    }
    let result = Manifest::parse(None, b"{\"a\":\"\xff\"}");
    assert_eq!(
        result,
        Err(E::Json("it is not UTF-8 from byte 6".to_owned()))
    );
}

#[test]
fn keys_stand_once_and_are_spelled_right() {
    for (text, error) in [
        (
            r#"{"mediaType":"a/b","mediaType":"a/b"}"#,
            E::DuplicateKey("mediaType".to_owned()),
        ),
        (
            r#"{"layers":[],"\u006cayers":[]}"#,
            E::DuplicateKey("layers".to_owned()),
        ),
        (
            r#"{"layers":[],"Layers":[]}"#,
            E::DuplicateKey("Layers".to_owned()),
        ),
        (
            r#"{"manifests":[],"manifeſts":[]}"#,
            E::DuplicateKey("manifeſts".to_owned()),
        ),
        (r#"{"x":1,"y":2,"x":3}"#, E::DuplicateKey("x".to_owned())),
        (
            r#"{"Layers":[]}"#,
            E::Spelling {
                found: "Layers".to_owned(),
                meant: "layers",
            },
        ),
        (
            r#"{"mediatype":"a/b"}"#,
            E::Spelling {
                found: "mediatype".to_owned(),
                meant: "mediaType",
            },
        ),
        (
            r#"{"layerſ":[]}"#,
            E::Spelling {
                found: "layerſ".to_owned(),
                meant: "layers",
            },
        ),
    ] {
        assert_eq!(read(MediaType::OCI_MANIFEST, text), Err(error), "{text}");
    }
}

#[test]
fn descriptors_are_spelled_right() {
    let oci = MediaType::OCI_MANIFEST;
    let bad = |field: &str| with(content("a/b"), json!({field: EMPTY_JSON}));
    let spelling = |found: &str, meant| {
        let found = found.to_owned();
        Err(E::Spelling { found, meant })
    };
    for (fields, error) in [
        (
            json!({"layers": [content("a/b"), bad("Digest")]}),
            spelling("Digest", "digest"),
        ),
        (json!({"config": bad("ſize")}), spelling("ſize", "size")),
        (
            json!({"subject": bad("mediatype")}),
            spelling("mediatype", "mediaType"),
        ),
    ] {
        assert_eq!(parse(oci, &with(image(oci), fields)), error);
    }
    let list = with(
        index(MediaType::OCI_INDEX),
        json!({"manifests": [bad("SIZE")]}),
    );
    assert_eq!(parse("", &list), spelling("SIZE", "size"));
    let other = with(image(oci), json!({"layers": [bad("digests")]}));
    assert_eq!(parse(oci, &other).unwrap().links.len(), 2);
}

#[test]
fn limits_hold_and_what_is_at_them_passes() {
    let oci = MediaType::OCI_MANIFEST;
    let deep = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        image(oci)
            .to_string()
            .replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    assert_eq!(read(oci, &deep(DEPTH_MAX - 1)).unwrap().links.len(), 3);
    assert_eq!(read(oci, &deep(DEPTH_MAX)), Err(E::TooDeep));
    assert_eq!(read(oci, &"[".repeat(1_000_000)), Err(E::TooDeep));
    assert_eq!(read(oci, &"{\"a\":".repeat(1_000_000)), Err(E::TooDeep));
    // Brackets and quotes inside text do not count.
    let text = "\\\"[[{\\\\".repeat(100);
    let quoted = image(oci)
        .to_string()
        .replacen('{', &format!("{{\"x\":\"{text}\","), 1);
    assert_eq!(read(oci, &quoted).unwrap().links.len(), 3);
    // A backslash that is itself escaped does not keep its text open.
    let behind = deep(DEPTH_MAX).replacen('{', r#"{"y":"\\","#, 1);
    assert_eq!(read(oci, &behind), Err(E::TooDeep));

    let layers = |count| with(image(oci), json!({"layers": vec![content("a/b"); count]}));
    assert_eq!(
        parse(oci, &layers(LINKS_MAX - 1)).unwrap().links.len(),
        LINKS_MAX
    );
    let found = LINKS_MAX + 1;
    assert_eq!(
        parse(oci, &layers(LINKS_MAX)),
        Err(E::TooManyLinks { found })
    );

    let keys: Vec<_> = (0..1_000_000).map(|n| format!("\"{n}\":0")).collect();
    assert_eq!(
        read(oci, &format!("{{{}}}", keys.join(","))),
        Err(E::TooManyValues)
    );
    let many = |count: usize| format!("{{{}}}", keys[..count].join(","));
    assert_eq!(read("", &many(1_000)), Err(E::NoType));
    let Err(E::Json(message)) = read("", &many(1_001)) else {
        panic!("1001 fields");
    };
    assert!(message.contains("at most 1000 fields"), "{message}");
    let values = format!("{{\"x\":[0{}]}}", ",0".repeat(VALUES_MAX));
    assert_eq!(read("", &values), Err(E::NoType));
}

#[test]
fn messages_say_what_to_do() {
    for (error, words) in [
        (E::Schema1, "push the image again"),
        (
            E::UnknownType("a/b".to_owned()),
            "use an OCI image manifest",
        ),
        (E::NoType, "send its type as Content-Type"),
        (E::SchemaVersion(None), "this one has none"),
        (E::SchemaVersion(Some(3)), "this one has 3"),
        (
            E::Spelling {
                found: "Layers".to_owned(),
                meant: "layers",
            },
            "spell it `layers`",
        ),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(content("a/b")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// One field of a good manifest becomes anything: read or refused, never both kinds of link.
    #[test]
    fn any_value_in_any_field(
        field in prop::sample::select(vec![
            "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests",
            "subject", "annotations", "x",
        ]),
        value in any_json(),
        list in any::<bool>(),
    ) {
        let (document, kind) = match list {
            true => (index(MediaType::OCI_INDEX), ManifestKind::Index),
            false => (image(MediaType::OCI_MANIFEST), ManifestKind::Image),
        };
        let mut document = document;
        document[field] = value;
        if let Ok(manifest) = parse("", &document) {
            prop_assert_eq!(manifest.kind, kind);
            let listed = kinds(&manifest).contains(&LinkKind::Manifest);
            prop_assert!(!listed || kind == ManifestKind::Index);
            // The document names its type, so saying it again changes nothing.
            let again = parse(manifest.media_type.as_str(), &document);
            prop_assert_eq!(again, Ok(manifest));
        }
    }
}
