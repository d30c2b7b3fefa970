//! The walk over an index: edits below, new digests on the way back up.

use std::collections::HashSet;
use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, ManifestKind, MediaType, Platform, Reference};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::draft::{point, raw};
use super::{Document, Draft, Edit, Made, RewriteOptions, RewrittenImage, annotate};
use crate::image::{ATTESTED, Image, Listed, names};
use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result, Store};

/// How deep indexes may lie in indexes.
const DEPTH_MAX: usize = 8;

/// A rewriting on its way.
pub(super) struct Job<'a> {
    store: Arc<dyn Store>,
    edits: &'a [Arc<dyn Edit>],
    options: &'a RewriteOptions,
    made: Made,
    images: Vec<RewrittenImage>,
    dropped: Vec<Descriptor>,
    /// The platforms that were met, for the message that none is meant.
    met: Vec<Platform>,
    /// Which of the wanted platforms were met.
    matched: Vec<bool>,
}

/// What became of a child.
struct Changed {
    manifest: RawManifest,
    platform: Option<Platform>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        store: Arc<dyn Store>,
        edits: &'a [Arc<dyn Edit>],
        options: &'a RewriteOptions,
    ) -> Self {
        Self {
            made: Made::new(Some(Arc::clone(&store))),
            store,
            edits,
            options,
            images: Vec::new(),
            dropped: Vec::new(),
            met: Vec::new(),
            matched: vec![false; options.platforms.len()],
        }
    }

    pub(super) fn done(self) -> (Vec<RewrittenImage>, Vec<Descriptor>, Made) {
        (self.images, self.dropped, self.made)
    }

    /// Fails when a platform that is meant was not met, or no image at all.
    pub(super) fn check_matched(&self, what: &Reference) -> Result<()> {
        let missing = { self.options.platforms.iter().zip(&self.matched) }
            .find_map(|(wanted, matched)| (!matched).then_some(wanted));
        let message = match (missing, self.met.is_empty()) {
            (Some(missing), _) => format!("{what} has no image for {missing}"),
            (None, true) => format!("{what} has no container image"),
            (None, false) => return Ok(()),
        };
        let error = Error::new(ErrorKind::NotFound, message);
        Err(match self.met.is_empty() {
            true => error,
            false => error.with_hint(format!("it has {}", names(self.met.iter()))),
        })
    }

    /// Edits what the root stands for.
    pub(super) async fn root(&mut self, root: RawManifest) -> Result<Option<RawManifest>> {
        if root.parse()?.kind == ManifestKind::Index {
            return self.index(root, 0).await;
        }
        if !self.options.index_annotations.is_empty() {
            let message = "it is one image and no index, which could have annotations of its own";
            return Err(
                Error::new(ErrorKind::Invalid, message).with_hint("annotate its manifest instead")
            );
        }
        let listed = Listed {
            manifest: root,
            descriptor: None,
        };
        Ok(self.image(listed).await?.map(|changed| changed.manifest))
    }

    /// Edits the images that an index lists; nothing when none of them changed, nor the index itself.
    fn index(
        &mut self,
        index: RawManifest,
        depth: usize,
    ) -> BoxFuture<'_, Result<Option<RawManifest>>> {
        Box::pin(async move {
            if depth >= DEPTH_MAX {
                let message = format!("indexes lie more than {DEPTH_MAX} deep in each other");
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            let mut document = Document::parse(&index.bytes)?;
            let children: Vec<Box<RawValue>> = document.get("manifests")?.unwrap_or_default();
            let mut after = Vec::with_capacity(children.len());
            for child in &children {
                after.push(self.child(read(child)?, depth).await?);
            }
            if after.iter().any(Option::is_some) {
                check_platforms(&children, &after)?;
                let list = self.relist(children, &after)?;
                document.set("manifests", &list)?;
            }
            if depth == 0 {
                annotate(&mut document, &self.options.index_annotations)?;
            }
            if !document.is_changed() {
                return Ok(None);
            }
            let index = RawManifest::new(index.media_type, document.to_bytes()?);
            self.made.add_manifest(index.clone());
            Ok(Some(index))
        })
    }

    async fn child(&mut self, child: Descriptor, depth: usize) -> Result<Option<Changed>> {
        if child.annotations.contains_key(ATTESTED) {
            return Ok(None);
        }
        let nested = [MediaType::OCI_INDEX, MediaType::DOCKER_LIST]
            .iter()
            .any(|index| index.eq_ignore_ascii_case(&child.media_type));
        let known = child.platform.clone().filter(|own| !own.os.is_empty());
        if let (Some(platform), false) = (&known, nested)
            && !self.means(platform)
        {
            self.met.push(platform.clone());
            return Ok(None);
        }
        let mut manifest = self
            .store
            .manifest(&Reference::Digest(child.digest))
            .await?;
        manifest.media_type.clone_from(&child.media_type);
        if nested {
            let after = self.index(manifest, depth + 1).await?;
            return Ok(after.map(|manifest| Changed {
                manifest,
                platform: None,
            }));
        }
        let listed = Listed {
            manifest,
            descriptor: Some(child),
        };
        match listed.is_image() {
            true => self.image(listed).await,
            false => Ok(None),
        }
    }

    fn means(&self, platform: &Platform) -> bool {
        let wanted = &self.options.platforms;
        wanted.is_empty() || wanted.iter().any(|wanted| platform.matches(wanted))
    }

    /// Edits an image when it is meant.
    async fn image(&mut self, listed: Listed) -> Result<Option<Changed>> {
        let image: Image = listed.image(&*self.store).await?;
        let platform = image.platform.clone();
        self.met.push(platform.clone());
        if !self.means(&platform) {
            return Ok(None);
        }
        for (wanted, matched) in self.options.platforms.iter().zip(&mut self.matched) {
            *matched |= platform.matches(wanted);
        }
        let before = image.manifest.digest;
        let mut draft = Draft::new(Arc::clone(&self.store), image)?;
        for edit in self.edits {
            let done = edit.apply(&mut draft).await;
            done.map_err(|error| error.doing(format!("edit the image for {platform}")))?;
        }
        let now = draft.platform.clone();
        let after = draft.finish(&mut self.made)?;
        self.images.push(RewrittenImage {
            platform: now.clone(),
            before,
            after: after.as_ref().map_or(before, |after| after.digest),
        });
        Ok(after.map(|manifest| Changed {
            manifest,
            platform: (now != platform).then_some(now),
        }))
    }

    /// The list of an index with what became of its children.
    fn relist(
        &mut self,
        children: Vec<Box<RawValue>>,
        after: &[Option<Changed>],
    ) -> Result<Vec<Box<RawValue>>> {
        let before: Vec<Descriptor> = children
            .iter()
            .map(|child| read(child))
            .collect::<Result<_>>()?;
        let digests = |changed: bool| -> HashSet<Digest> {
            let both = before.iter().zip(after);
            both.filter(|(_, after)| after.is_some() == changed)
                .map(|(before, _)| before.digest)
                .collect()
        };
        let (gone, kept) = (digests(true), digests(false));
        let mut list = Vec::with_capacity(children.len());
        for ((child, before), after) in children.into_iter().zip(before).zip(after) {
            let about = before.annotations.get(ATTESTED);
            let about = about.and_then(|digest| digest.parse::<Digest>().ok());
            if about.is_some_and(|about| gone.contains(&about) && !kept.contains(&about)) {
                self.dropped.push(before);
                continue;
            }
            let Some(after) = after else {
                list.push(child);
                continue;
            };
            let mut document: Document = read(&child)?;
            let size = after.manifest.bytes.len();
            point(&mut document, after.manifest.digest, size)?;
            if let Some(platform) = &after.platform {
                document.set("platform", platform)?;
            }
            list.push(raw(&document)?);
        }
        Ok(list)
    }
}

/// Refuses an image that would be for a platform that another image of the index is for: no client could
/// tell them apart.
fn check_platforms(children: &[Box<RawValue>], after: &[Option<Changed>]) -> Result<()> {
    let mut own = Vec::with_capacity(children.len());
    for (child, after) in children.iter().zip(after) {
        let new = after.as_ref().and_then(|after| after.platform.clone());
        let is_new = new.is_some();
        let platform = match new {
            Some(new) => Some(new),
            None => read::<Descriptor>(child)?.platform,
        };
        own.push((platform, is_new));
    }
    for (at, (platform, _)) in own.iter().enumerate().filter(|(_, (_, is_new))| *is_new) {
        let mut others = own.iter().enumerate().filter(|(other, _)| *other != at);
        let Some((_, (_, is_new))) = others.find(|(_, (other, _))| other == platform) else {
            continue;
        };
        let name = { platform.as_ref() }.map_or_else(String::new, ToString::to_string);
        let message = format!("two images of the index would be for {name}");
        return Err(
            Error::new(ErrorKind::Invalid, message).with_hint(match is_new {
                true => "name the one that is meant with --platform",
                false => "take the other one out of the index before",
            }),
        );
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(child: &RawValue) -> Result<T> {
    serde_json::from_str(child.get()).map_err(|error| {
        let message = format!("an entry of the index makes no sense: {error}");
        Error::new(ErrorKind::Protocol, message)
    })
}
