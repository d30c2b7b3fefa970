//! A first look at a manifest before its fields are read: is it JSON of a sane shape, one object
//! with every key once, and what type does it claim?

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{DEPTH_MAX, ManifestError, VALUES_MAX};
use crate::Descriptor;

/// Most fields of the document itself: the specifications have eight, and each is remembered to see it
/// come twice.
const FIELDS_MAX: usize = 1_000;

/// The fields of manifests, as the specification spells them.
const FIELDS: [&str; 8] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
];

/// The fields of descriptors.
const DESCRIPTOR_FIELDS: [&str; 8] = [
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "artifactType",
    "platform",
    "data",
];

/// What the first look found.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Each key as it is compared, with the key as it stands there.
    keys: HashMap<String, String>,
    repeated: Option<String>,
    pub(super) schema_version: Option<i64>,
    pub(super) media_type: Option<String>,
}

impl Outline {
    /// Looks at the whole document once, values unread but for the two that say what it is.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_shape(bytes)?;
        // The parser would pass over other bytes in text that nobody reads.
        std::str::from_utf8(bytes).map_err(|error| {
            ManifestError::Json(format!("it is not UTF-8 from byte {}", error.valid_up_to()))
        })?;
        let outline: Self = super::from_json(bytes)?;
        if let Some(key) = outline.repeated {
            return Err(ManifestError::DuplicateKey(key));
        }
        check_spelling(outline.keys.values(), &FIELDS)?;
        Ok(outline)
    }

    /// Whether the document has this field, be it `null`.
    pub(super) fn has(&self, field: &str) -> bool {
        self.keys.contains_key(&fold(field))
    }
}

/// What a key is compared by. Go's JSON reader, and so nearly every client, takes `Layers` and even
/// `layerſ` for `layers`; two such keys would be one document to us and another to them.
fn fold(key: &str) -> String {
    if key.is_ascii() {
        key.to_ascii_lowercase()
    } else {
        key.to_uppercase().to_lowercase()
    }
}

/// Refuses keys that some readers take for one of these fields, and we do not.
fn check_spelling<'a>(
    mut keys: impl Iterator<Item = &'a String>,
    fields: &[&'static str],
) -> Result<(), ManifestError> {
    let misspelled = keys.find_map(|found| {
        let folded = fold(found);
        let taken_for =
            |field: &&&'static str| **field != found && folded.eq_ignore_ascii_case(field);
        let meant = *fields.iter().find(taken_for)?;
        Some((found.clone(), meant))
    });
    match misspelled {
        Some((found, meant)) => Err(ManifestError::Spelling { found, meant }),
        None => Ok(()),
    }
}

/// The same for a descriptor: a `Digest` beside its `digest` would be another link to some readers.
pub(super) fn check_descriptor(descriptor: &Descriptor) -> Result<(), ManifestError> {
    check_spelling(descriptor.other.keys(), &DESCRIPTOR_FIELDS)
}

/// Counts nesting and values without building anything, so that a hostile document costs one walk
/// over its bytes. What is no JSON at all is left for the parser to say.
fn check_shape(bytes: &[u8]) -> Result<(), ManifestError> {
    let (mut depth, mut values) = (0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(ManifestError::TooDeep);
        }
        if values > VALUES_MAX {
            return Err(ManifestError::TooManyValues);
        }
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OutlineVisitor)
    }
}

struct OutlineVisitor;

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
        let mut outline = Outline::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schemaVersion" => outline.schema_version = map.next_value()?,
                "mediaType" => outline.media_type = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if outline.keys.insert(fold(&key), key.clone()).is_some() {
                outline.repeated.get_or_insert(key);
            }
            if outline.keys.len() > FIELDS_MAX {
                return Err(A::Error::custom(format_args!(
                    "a manifest has at most {FIELDS_MAX} fields"
                )));
            }
        }
        Ok(outline)
    }
}
