//! How much images take: by themselves, together, and what of it they share.
//!
//! All sizes are bytes as they are kept and moved, layers compressed, manifests included. A blob or
//! manifest counts once however often it is named. Content that registries need not hold (Windows base
//! layers elsewhere) does not count.

use std::collections::{BTreeMap, BTreeSet};

use dockhand_oci::{Descriptor, Digest, LinkKind, ManifestKind, Platform, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::image::{Listed, is_image_config};
use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result, Store};

/// How many manifests are asked for at once.
const LANES: usize = 16;
/// How many indexes are walked at once, each of which asks for so many.
const ROOT_LANES: usize = 4;
/// The most manifests of one reference.
const MANIFESTS_MAX: usize = 20_000;

/// How much one image, or artifact, takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Its manifest.
    pub digest: Digest,
    /// What it runs on, as the index says.
    pub platform: Option<Platform>,
    /// Whether it is a container image, and no artifact or attestation.
    pub is_image: bool,
    /// The bytes of the manifest.
    pub manifest: u64,
    /// The bytes of the config.
    pub config: u64,
    /// The bytes of each layer, the lowest first.
    pub layers: Vec<u64>,
    /// All of it, each blob once.
    pub total: u64,
}

/// How much takes what a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// The manifest that it names.
    pub digest: Digest,
    /// What it lists: one for an image, all for an index.
    pub images: Vec<ImageSize>,
    /// All of it, indexes included, each blob and manifest once.
    pub total: u64,
    /// What cannot be read of it, and is not counted: a manifest that is not there, or makes no sense.
    pub broken: Vec<String>,
}

/// How much a tag takes in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSize {
    /// The tag.
    pub tag: Tag,
    /// The manifest that it names.
    pub digest: Digest,
    /// All that it needs.
    pub total: u64,
    /// What of it no other tag needs: what would become free with it. Nothing where another tag names the
    /// same manifest.
    pub unique: u64,
    /// What of it other tags need too.
    pub shared: u64,
}

/// A tag of which not all can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTag {
    /// The tag.
    pub tag: Tag,
    /// What is wrong.
    pub problem: String,
}

/// How much the tags of a repository take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySize {
    /// Each tag whose manifest is there.
    pub tags: Vec<TagSize>,
    /// The tags of which something cannot be read, which does not count.
    pub broken: Vec<BrokenTag>,
    /// All that is named, each blob and manifest once.
    pub total: u64,
    /// What the tags would take without sharing.
    pub sum: u64,
    /// How many blobs and manifests are named.
    pub items: u64,
}

/// What a reference needs: the size of each blob and manifest by its digest.
#[derive(Debug, Default)]
struct Needs {
    sizes: BTreeMap<Digest, u64>,
    images: Vec<ImageSize>,
    broken: Vec<String>,
}

impl Needs {
    fn total(&self) -> u64 {
        sum(self.sizes.values())
    }
}

fn sum<'a>(sizes: impl IntoIterator<Item = &'a u64>) -> u64 {
    sizes
        .into_iter()
        .fold(0, |sum, size| sum.saturating_add(*size))
}

/// Whether a failure says something of the content and not of the way to it.
fn is_of_content(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::Protocol
            | ErrorKind::Invalid
            | ErrorKind::Unsupported
            | ErrorKind::DigestMismatch
            | ErrorKind::SizeMismatch
    )
}

/// How much what `what` names takes. Only manifests are read.
///
/// # Errors
/// What keeps the manifest, or the place, from being read.
pub async fn size_of(store: &dyn Store, what: &Reference) -> Result<Size> {
    let root = store.manifest(what).await?;
    let digest = root.digest;
    let needs = needs_of(store, root).await?;
    Ok(Size {
        digest,
        total: needs.total(),
        images: needs.images,
        broken: needs.broken,
    })
}

/// How much the tags of a repository take, each and together; all of them when none are named.
///
/// # Errors
/// What keeps the place, or a tag that is named, from being read. What is broken of the others is told
/// among the result.
pub async fn repository_size(store: &dyn Store, tags: &[Tag]) -> Result<RepositorySize> {
    let all = tags.is_empty();
    let mut tags = match all {
        true => store.tags().await?,
        false => tags.to_vec(),
    };
    tags.sort();
    tags.dedup();
    let read: Vec<(Tag, Result<RawManifest>)> = stream::iter(tags)
        .map(|tag| async move {
            let root = store.manifest(&Reference::Tag(tag.clone())).await;
            (tag, root)
        })
        .buffered(LANES)
        .collect()
        .await;
    let (mut roots, mut broken) = (Vec::new(), Vec::new());
    for (tag, root) in read {
        match root {
            Ok(root) => roots.push((tag, root)),
            Err(error) if all && is_of_content(&error) => broken.push(BrokenTag {
                tag,
                problem: error.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    let different: BTreeMap<Digest, RawManifest> = { roots.iter() }
        .map(|(_, root)| (root.digest, root.clone()))
        .collect();
    let needs: BTreeMap<Digest, Needs> = stream::iter(different)
        .map(|(digest, root)| async move { Ok::<_, Error>((digest, needs_of(store, root).await?)) })
        .buffered(ROOT_LANES)
        .try_collect()
        .await?;
    let mut size = shares(&roots, &needs);
    for (tag, root) in roots {
        let problems = needs.get(&root.digest).into_iter();
        broken.extend(problems.flat_map(|needs| &needs.broken).map(|problem| {
            let (tag, problem) = (tag.clone(), problem.clone());
            BrokenTag { tag, problem }
        }));
    }
    size.broken = broken;
    Ok(size)
}

/// What each tag takes, and what of it no other tag needs.
fn shares(roots: &[(Tag, RawManifest)], needs: &BTreeMap<Digest, Needs>) -> RepositorySize {
    // How many tags need each digest: what two tags need stays when one of them goes.
    let mut needed: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
    let sizes_of = |root: &RawManifest| { needs.get(&root.digest) }.map(|needs| &needs.sizes);
    for (digest, size) in roots
        .iter()
        .filter_map(|(_, root)| sizes_of(root))
        .flatten()
    {
        needed.entry(*digest).or_insert((*size, 0)).1 += 1;
    }
    let tags = roots.iter().map(|(tag, root)| {
        let (mut unique, mut shared) = (0_u64, 0_u64);
        for (digest, size) in sizes_of(root).into_iter().flatten() {
            match needed.get(digest) {
                Some((_, 1)) => unique = unique.saturating_add(*size),
                _ => shared = shared.saturating_add(*size),
            }
        }
        TagSize {
            tag: tag.clone(),
            digest: root.digest,
            total: unique.saturating_add(shared),
            unique,
            shared,
        }
    });
    let tags: Vec<TagSize> = tags.collect();
    RepositorySize {
        sum: sum(tags.iter().map(|tag| &tag.total)),
        total: sum(needed.values().map(|(size, _)| size)),
        items: needed.len() as u64,
        tags,
        broken: Vec::new(),
    }
}

/// Walks the manifests below `root`. What is broken of them is told and left out.
async fn needs_of(store: &dyn Store, root: RawManifest) -> Result<Needs> {
    let mut needs = Needs::default();
    let mut level = vec![Listed {
        manifest: root,
        descriptor: None,
    }];
    let mut seen = BTreeSet::new();
    while !level.is_empty() {
        let mut children: Vec<Descriptor> = Vec::new();
        for one in level {
            let size = one.manifest.bytes.len() as u64;
            needs.sizes.insert(one.manifest.digest, size);
            let parsed = match one.manifest.parse() {
                Ok(parsed) => parsed,
                Err(error) => {
                    let digest = one.manifest.digest;
                    needs.broken.push(format!("{digest}: {error}"));
                    continue;
                }
            };
            let links = parsed.links.into_iter();
            let links = links.map(|link| (link.kind, link.descriptor));
            let (manifests, blobs): (Vec<_>, Vec<_>) =
                links.partition(|(kind, _)| *kind == LinkKind::Manifest);
            if parsed.kind == ManifestKind::Image || !blobs.is_empty() {
                needs.image(&one, blobs.into_iter());
            }
            let manifests = manifests.into_iter().map(|(_, manifest)| manifest);
            children.extend(manifests.filter(|child| {
                seen.insert((
                    child.digest,
                    child.platform.as_ref().map(ToString::to_string),
                ))
            }));
        }
        if seen.len() > MANIFESTS_MAX {
            let message = format!("it has more than {MANIFESTS_MAX} manifests");
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
        level = children_of(store, children, &mut needs.broken).await?;
    }
    Ok(needs)
}

/// Reads what an index lists; what of it is broken is told in `broken`.
async fn children_of(
    store: &dyn Store,
    children: Vec<Descriptor>,
    broken: &mut Vec<String>,
) -> Result<Vec<Listed>> {
    let read: Vec<(Descriptor, Result<RawManifest>)> = stream::iter(children)
        .map(|child| async move {
            let manifest = store.manifest(&Reference::Digest(child.digest)).await;
            (child, manifest)
        })
        .buffered(LANES)
        .collect()
        .await;
    let mut found = Vec::with_capacity(read.len());
    for (child, manifest) in read {
        match manifest {
            Ok(mut manifest) => {
                manifest.media_type.clone_from(&child.media_type);
                let descriptor = Some(child);
                found.push(Listed {
                    manifest,
                    descriptor,
                });
            }
            Err(error) if is_of_content(&error) => broken.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl Needs {
    fn image(&mut self, listed: &Listed, links: impl Iterator<Item = (LinkKind, Descriptor)>) {
        let manifest = listed.manifest.bytes.len() as u64;
        let mut own = BTreeMap::from([(listed.manifest.digest, manifest)]);
        let mut image = ImageSize {
            digest: listed.manifest.digest,
            platform: { listed.descriptor.as_ref() }.and_then(|own| own.platform.clone()),
            is_image: false,
            manifest,
            config: 0,
            layers: Vec::new(),
            total: 0,
        };
        for (kind, blob) in links {
            if blob.is_nondistributable() {
                continue;
            }
            match kind {
                LinkKind::Config => {
                    image.config = blob.size;
                    image.is_image = is_image_config(&blob.media_type) && listed.is_image();
                }
                _ => image.layers.push(blob.size),
            }
            own.insert(blob.digest, blob.size);
        }
        image.total = sum(own.values());
        self.sizes.extend(own);
        self.images.push(image);
    }
}
