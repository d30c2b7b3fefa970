//! Descriptors: what real content has is read, and what cannot be content is not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::arbitrary;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn every_field_is_read_and_written() {
    let value = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": DIGEST,
        "size": 7682,
        "urls": ["https://example.com/x"],
        "annotations": {"a": "b"},
        "artifactType": "application/x",
        "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
        "data": "e30=",
        "newUnspecifiedField": null,
        "x-more": {"y": [1]},
    });
    let read: Descriptor = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(read.size, 7682);
    assert_eq!(read.artifact_type.as_deref(), Some("application/x"));
    assert_eq!(read.data.as_deref(), Some("e30="));
    assert_eq!(
        read.platform.as_ref().unwrap().to_string(),
        "linux/arm64/v8"
    );
    assert_eq!(read.other["x-more"], json!({"y": [1]}));
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
}

#[test]
fn null_is_nothing() {
    let value = json!({
        "mediaType": "a/b", "digest": DIGEST, "size": 0, "urls": null, "annotations": null,
        "artifactType": null, "platform": null, "data": null,
    });
    let read: Descriptor = serde_json::from_value(value).unwrap();
    assert_eq!(read, Descriptor::new("a/b", DIGEST.parse().unwrap(), 0));
    let value =
        json!({"mediaType": "a/b", "digest": DIGEST, "size": 0, "annotations": {"k": null}});
    let read: Descriptor = serde_json::from_value(value).unwrap();
    assert_eq!(read.annotations["k"], "");
}

#[test]
fn what_is_no_descriptor_says_why() {
    for (field, value, words) in [
        (
            "digest",
            json!("sha256:00"),
            "2 hex digits where sha256 has 64",
        ),
        ("digest", json!("md5:00"), "not supported"),
        ("digest", json!(7), "invalid type"),
        ("size", json!(-1), "not negative"),
        ("size", json!(1.5), "floating point"),
        ("size", json!("1"), "invalid type"),
        ("size", json!(u64::MAX), "invalid value"),
        ("mediaType", json!(null), "invalid type"),
        ("urls", json!("x"), "invalid type"),
        ("annotations", json!({"a": 1}), "invalid type"),
        ("platform", json!([1]), "invalid"),
        ("data", json!({}), "invalid type"),
    ] {
        let mut whole = json!({"mediaType": "a/b", "digest": DIGEST, "size": 1});
        whole[field] = value;
        let error = serde_json::from_value::<Descriptor>(whole)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{field}: {error}");
    }
    for field in ["mediaType", "digest", "size"] {
        let mut whole = json!({"mediaType": "a/b", "digest": DIGEST, "size": 1});
        whole.as_object_mut().unwrap().remove(field);
        let error = serde_json::from_value::<Descriptor>(whole)
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("missing field `{field}`"));
    }
    let twice = format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":1,"size":2}}"#);
    let error = serde_json::from_str::<Descriptor>(&twice)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("duplicate field `size`"), "{error}");
}

#[test]
fn foreign_layers_are_known() {
    let digest = DIGEST.parse().unwrap();
    let of = |media_type: &str| Descriptor::new(media_type, digest, 1).is_nondistributable();
    assert!(of(MediaType::DOCKER_LAYER_FOREIGN));
    assert!(of(MediaType::OCI_LAYER_NONDISTRIBUTABLE));
    assert!(of(MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP));
    assert!(of(MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD));
    assert!(!of(MediaType::OCI_LAYER) && !of(MediaType::DOCKER_LAYER_GZIP));
}

proptest! {
    #[test]
    fn writing_and_reading_are_inverse(descriptor in arbitrary::descriptor()) {
        let json = serde_json::to_string(&descriptor).unwrap();
        prop_assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), descriptor);
    }
}
