//! Manifests: read to know what they link to, never written again.
//!
//! Formats: <https://github.com/opencontainers/image-spec/blob/main/manifest.md>,
//! <https://github.com/opencontainers/image-spec/blob/main/image-index.md> and Docker's
//! <https://distribution.github.io/distribution/spec/manifest-v2-2/>.
//!
//! The bytes of a manifest are its identity, so a [`Manifest`] is only a view beside them. It refuses
//! what two readers could read as two different documents
//! (<https://github.com/advisories/GHSA-77vh-xpmg-72qh>, CVE-2021-41190).

mod outline;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Descriptor, MediaType};
use outline::Outline;

/// Most links of one manifest. The largest real images have under 128 layers and the largest real
/// indexes some hundreds of entries, while each link costs a look-up on every push.
pub const LINKS_MAX: usize = 10_000;
/// Deepest nesting. Real manifests have 4 levels; the parser's own end would be 128.
pub const DEPTH_MAX: usize = 64;
/// Most commas, which is about the number of values: an index of [`LINKS_MAX`] entries, each with its
/// platform, has 50,000. More than this only makes a document slow to read.
pub const VALUES_MAX: usize = 65_536;

/// How the types of blobs begin that stand among the manifests of an index: BuildKit writes a cache as
/// an index of its layers and of its own config, and registries and clients take these for blobs.
const BLOBS_IN_INDEXES: [&str; 3] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.buildkit.cacheconfig.",
];

/// What a manifest is: one image (or artifact), or a list of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// Has a config and layers.
    Image,
    /// Has manifests.
    Index,
}

/// What a link of a manifest leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// The config blob of an image.
    Config,
    /// A layer blob of an image; or a blob that stands in an index, as in the caches of BuildKit.
    Layer,
    /// A manifest of an index.
    Manifest,
}

/// A link from a manifest to content that it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestLink {
    /// What it leads to.
    pub kind: LinkKind,
    /// The descriptor as it stands in the manifest.
    pub descriptor: Descriptor,
}

/// What a manifest says, beside its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its media type: one of the four that are served, in the specification's spelling.
    pub media_type: MediaType,
    /// Image or index.
    pub kind: ManifestKind,
    /// The effective artifact type, by which referrers are listed: `artifactType`, or of an image
    /// without one the media type of its config.
    pub artifact_type: Option<String>,
    /// The manifest that this one refers to; it need not exist.
    pub subject: Option<Descriptor>,
    /// What it needs, in the order of the document, the config first.
    pub links: Vec<ManifestLink>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are no manifest that can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON, or a field has the wrong type or value; says where.
    #[error("the manifest cannot be read: {0}")]
    Json(String),
    /// It nests deeper than [`DEPTH_MAX`].
    #[error("the manifest nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// It has more values than [`VALUES_MAX`].
    #[error("the manifest has more than {VALUES_MAX} values")]
    TooManyValues,
    /// It links to more than [`LINKS_MAX`] pieces of content.
    #[error("the manifest has {found} links, at most {LINKS_MAX} are taken")]
    TooManyLinks {
        /// How many it has.
        found: usize,
    },
    /// A field stands in it twice, upper and lower case being the same.
    #[error("the manifest has the field `{0}` twice; readers would disagree which one counts")]
    DuplicateKey(String),
    /// A field differs from the specification's in case alone, which some readers take for it.
    #[error("the manifest has a field `{found}`; spell it `{meant}`")]
    Spelling {
        /// As it stands there.
        found: String,
        /// As the specification has it.
        meant: &'static str,
    },
    /// It is Docker's schema 1, which nothing has written since 2019.
    #[error(
        "this is a Docker manifest of schema 1, which is not supported; push the image again with a current client, which writes schema 2 or OCI"
    )]
    Schema1,
    /// Its type is none that the registry takes.
    #[error(
        "the manifest type `{0}` is not supported; use an OCI image manifest or index, or Docker's schema 2 manifest or list"
    )]
    UnknownType(String),
    /// Neither the request nor the document says what it is.
    #[error(
        "nothing says what type the manifest has; send its type as Content-Type or name it as `mediaType`"
    )]
    NoType,
    /// The request and the document name different types.
    #[error("the Content-Type is `{content_type}` but the manifest says `{media_type}`")]
    TypeMismatch {
        /// What the request says.
        content_type: String,
        /// What the document says.
        media_type: String,
    },
    /// It is an image and an index at once.
    #[error(
        "the manifest has `manifests` together with `config` or `layers`; it must be an index or an image, not both"
    )]
    Hybrid,
    /// Its schema version is not 2; nothing when it names none.
    #[error(
        "the manifest must have `schemaVersion` 2, this one has {}",
        .0.map_or_else(|| "none".to_owned(), |found| found.to_string())
    )]
    SchemaVersion(Option<i64>),
    /// A field is missing that its type must have.
    #[error("a manifest of type `{media_type}` must have the field `{field}`")]
    Missing {
        /// The field.
        field: &'static str,
        /// The type that must have it.
        media_type: &'static str,
    },
}

/// The four types that are taken.
const TYPES: [(&str, ManifestKind); 4] = [
    (MediaType::OCI_MANIFEST, ManifestKind::Image),
    (MediaType::OCI_INDEX, ManifestKind::Index),
    (MediaType::DOCKER_MANIFEST, ManifestKind::Image),
    (MediaType::DOCKER_LIST, ManifestKind::Index),
];

/// A manifest's fields, of whichever type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "crate::descriptor::annotations")]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest that came with this content type, or with none.
    ///
    /// The type is the content type's; without one it is the document's `mediaType`, and without
    /// that an OCI type by the fields that the document has.
    ///
    /// # Errors
    /// [`ManifestError`] says what is wrong, and where.
    pub fn parse(content_type: Option<&MediaType>, bytes: &[u8]) -> Result<Self, ManifestError> {
        let outline = Outline::read(bytes)?;
        let (media_type, kind) = decide_type(content_type, &outline)?;
        let image = outline.has("config") || outline.has("layers");
        if outline.has("manifests") && image {
            return Err(ManifestError::Hybrid);
        }
        if outline.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion(outline.schema_version));
        }
        for field in required(media_type, kind) {
            if !outline.has(field) {
                return Err(ManifestError::Missing { field, media_type });
            }
        }
        let document: Document = from_json(bytes)?;
        document.into_manifest(media_type, kind)
    }
}

impl Document {
    fn into_manifest(
        self,
        media_type: &'static str,
        kind: ManifestKind,
    ) -> Result<Manifest, ManifestError> {
        if kind == ManifestKind::Image && self.config.is_none() {
            let field = "config";
            return Err(ManifestError::Missing { field, media_type });
        }
        let config_type = self.config.as_ref().map(|config| config.media_type.clone());
        let stated = self.artifact_type.filter(|stated| !stated.is_empty());
        let link = |kind| move |descriptor| ManifestLink { kind, descriptor };
        let config = self.config.into_iter().map(link(LinkKind::Config));
        let layers = self.layers.into_iter().flatten();
        let children = self.manifests.into_iter().flatten();
        let links: Vec<_> = config
            .chain(layers.map(link(LinkKind::Layer)))
            .chain(children.map(|child| link(kind_of_child(&child))(child)))
            .collect();
        if links.len() > LINKS_MAX {
            let found = links.len();
            return Err(ManifestError::TooManyLinks { found });
        }
        let linked = links.iter().map(|link| &link.descriptor);
        linked
            .chain(&self.subject)
            .try_for_each(outline::check_descriptor)?;
        Ok(Manifest {
            media_type: MediaType::known(media_type),
            kind,
            artifact_type: stated.or(config_type),
            subject: self.subject,
            links,
            annotations: self.annotations,
        })
    }
}

fn kind_of_child(child: &Descriptor) -> LinkKind {
    let begins = |prefix: &&str| {
        let start = child.media_type.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    match BLOBS_IN_INDEXES.iter().any(begins) {
        true => LinkKind::Layer,
        false => LinkKind::Manifest,
    }
}

/// What the manifest is, by the request first, then by what it says, then by its shape.
fn decide_type(
    content_type: Option<&MediaType>,
    outline: &Outline,
) -> Result<(&'static str, ManifestKind), ManifestError> {
    let stated = outline.media_type.as_deref();
    let name = match (content_type, stated) {
        (Some(content_type), _) => content_type.as_str(),
        (None, Some(stated)) => stated,
        (None, None) if outline.schema_version == Some(1) => MediaType::DOCKER_SCHEMA1,
        (None, None) if outline.has("manifests") => MediaType::OCI_INDEX,
        (None, None) if outline.has("config") || outline.has("layers") => MediaType::OCI_MANIFEST,
        (None, None) => return Err(ManifestError::NoType),
    };
    let known = TYPES
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((media_type, kind)) = known else {
        let old = [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED];
        // Schema 1 was also sent as plain `application/json`.
        let schema1 = outline.schema_version == Some(1)
            || old.iter().any(|old| old.eq_ignore_ascii_case(name));
        return Err(match schema1 {
            true => ManifestError::Schema1,
            false => ManifestError::UnknownType(name.to_owned()),
        });
    };
    match stated {
        Some(stated) if stated != media_type => Err(ManifestError::TypeMismatch {
            content_type: media_type.to_owned(),
            media_type: stated.to_owned(),
        }),
        _ => Ok((media_type, kind)),
    }
}

/// The fields that a document of this type must have. `null` counts as there, because Go programs
/// write it for an empty list; a config that is `null` is refused later.
fn required(media_type: &str, kind: ManifestKind) -> impl Iterator<Item = &'static str> {
    let docker = [MediaType::DOCKER_MANIFEST, MediaType::DOCKER_LIST].contains(&media_type);
    let fields: &[&str] = match kind {
        ManifestKind::Image => &["config", "layers"],
        ManifestKind::Index => &["manifests"],
    };
    docker
        .then_some("mediaType")
        .into_iter()
        .chain(fields.iter().copied())
}

/// Reads JSON and says where it failed: the path of the field, then line and column.
fn from_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ManifestError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| ManifestError::Json(error.to_string()))?;
    json.end()
        .map_err(|error| ManifestError::Json(error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests;
