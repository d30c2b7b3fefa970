//! The list: names given, taken away and moved.

use dockhand_oci::{Algorithm, Descriptor, Digest, MediaType, Tag};
use proptest::prelude::*;

use super::{Catalogue, Naming};

fn manifest(seed: u8) -> Descriptor {
    let digest = Algorithm::Sha256.digest(&[seed]);
    Descriptor::new(MediaType::OCI_MANIFEST, digest, 1)
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn found(catalogue: &Catalogue, name: &str) -> Option<Digest> {
    let entry = catalogue.find(&tag(name), "here").unwrap();
    entry.map(|entry| entry.digest)
}

#[test]
fn whole_names_stand_beside_each_other() {
    let mut catalogue = Catalogue::default();
    let full = |name: &str| Naming::Full(name.to_owned());
    catalogue.put(&manifest(1), &[tag("1")], &full("a"), &[]);
    catalogue.put(&manifest(2), &[tag("1")], &full("ghcr.io/b"), &[]);
    assert!(catalogue.find(&tag("1"), "here").is_err());
    for (name, seed) in [("a:1", 1), ("docker.io/library/a:1", 1), ("ghcr.io/b:1", 2)] {
        let entry = catalogue.find_image(&name.parse().unwrap()).unwrap();
        assert_eq!(entry.digest, manifest(seed).digest);
    }
    catalogue.put(&manifest(3), &[tag("1")], &full("a"), &[]);
    let moved = catalogue.find_image(&"a:1".parse().unwrap()).unwrap();
    assert_eq!(moved.digest, manifest(3).digest);
    catalogue.put(&manifest(4), &[tag("1")], &Naming::Tag, &[]);
    assert_eq!(found(&catalogue, "1"), Some(manifest(4).digest));
    assert_eq!(catalogue.manifests.len(), 3);
    assert_eq!(catalogue.names(), "1, a:1, ghcr.io/b:1");
}

#[test]
fn a_name_of_another_tool_moves_with_its_tag() {
    let mut catalogue = Catalogue::default();
    catalogue.put(
        &manifest(1),
        &[tag("1")],
        &Naming::Docker("a".parse().unwrap()),
        &[],
    );
    catalogue.put(&manifest(2), &[tag("1")], &Naming::Tag, &[]);
    assert_eq!(found(&catalogue, "1"), Some(manifest(2).digest));
    assert!(catalogue.untag(&tag("1"), &Naming::Tag, "here").unwrap());
    assert_eq!(found(&catalogue, "1"), None);
    assert!(catalogue.find_digest(&manifest(2).digest).is_some());
}

#[test]
fn a_tag_that_goes_takes_no_other_name_along() {
    let mut catalogue = Catalogue::default();
    let full = |name: &str| Naming::Full(name.to_owned());
    catalogue.put(&manifest(1), &[tag("1")], &full("a"), &[]);
    catalogue.put(&manifest(2), &[tag("1")], &full("b"), &[]);
    catalogue.put(&manifest(3), &[tag("1")], &Naming::Tag, &[]);
    assert!(catalogue.untag(&tag("1"), &Naming::Tag, "here").unwrap());
    assert_eq!(catalogue.names(), "a:1, b:1");
    assert!(!catalogue.untag(&tag("1"), &full("c"), "here").unwrap());
    assert!(catalogue.untag(&tag("1"), &full("b"), "here").unwrap());
    assert_eq!(catalogue.names(), "a:1");
    assert!(catalogue.find_digest(&manifest(2).digest).is_some());
}

#[test]
fn documents_of_go_programs_are_read() {
    let text = br#"{"schemaVersion":2,"manifests":null,"annotations":{"a":"b"}}"#;
    let catalogue = Catalogue::parse(text, "here").unwrap();
    assert_eq!(catalogue.tags(), []);
    let written: serde_json::Value = serde_json::from_slice(&catalogue.render().unwrap()).unwrap();
    assert_eq!(written["annotations"]["a"], "b");
    assert!(Catalogue::parse(b"{}", "here").is_err());
}

proptest! {
    /// Whatever is done, a tag names what was put under it last, and every entry is there once.
    #[test]
    fn tags_name_what_was_put_last(steps in prop::collection::vec((0..4u8, 0..4usize, any::<bool>()), 0..40)) {
        let tags = ["a", "b", "c"];
        let mut model: [Option<u8>; 3] = [None; 3];
        let mut catalogue = Catalogue::default();
        for (seed, place, put) in steps {
            let Some(name) = tags.get(place) else {
                catalogue.put(&manifest(seed), &[], &Naming::Tag, &[]);
                prop_assert!(catalogue.find_digest(&manifest(seed).digest).is_some());
                continue;
            };
            if put {
                catalogue.put(&manifest(seed), &[tag(name)], &Naming::Tag, &[]);
                model[place] = Some(seed);
            } else {
                let there = catalogue.untag(&tag(name), &Naming::Tag, "here").unwrap();
                prop_assert_eq!(there, model[place].take().is_some());
            }
            for (name, seed) in tags.iter().zip(model) {
                prop_assert_eq!(found(&catalogue, name), seed.map(|seed| manifest(seed).digest));
            }
            let mut entries: Vec<String> =
                catalogue.manifests.iter().map(|entry| format!("{entry:?}")).collect();
            entries.sort();
            entries.dedup();
            prop_assert_eq!(entries.len(), catalogue.manifests.len());
        }
    }
}
