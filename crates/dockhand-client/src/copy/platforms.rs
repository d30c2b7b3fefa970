//! An index with only some of its platforms.

use std::collections::BTreeSet;

use dockhand_oci::{Descriptor, Digest, LinkKind, ManifestKind, Platform};
use serde_json::value::RawValue;

use crate::image::ATTESTED;
use crate::rewrite::Document;
use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result};

/// `index` with the images for `wanted` alone, and the attestations that are about them: for each wanted
/// platform the one that serves it best, or several that do so equally, such as versions of Windows. What is kept
/// stays byte for byte; so does an image manifest, and all of an index of which all is wanted.
///
/// # Errors
/// [`ErrorKind::NotFound`] when a wanted platform is not in it, with those that are.
pub fn keep_platforms(index: &RawManifest, wanted: &[Platform]) -> Result<RawManifest> {
    let parsed = index.parse()?;
    if parsed.kind != ManifestKind::Index {
        return Ok(index.clone());
    }
    let children = parsed
        .links
        .iter()
        .filter(|link| link.kind == LinkKind::Manifest);
    let children: Vec<&Descriptor> = children.map(|link| &link.descriptor).collect();
    // Per wanted platform, how well the best of the children serves it.
    let rank = |child: &Descriptor, wanted: &Platform| child.platform.as_ref()?.rank(wanted);
    let mut best = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let ranks = children.iter().filter_map(|child| rank(child, wanted));
        best.push((
            wanted,
            ranks.min().ok_or_else(|| absent(wanted, &children))?,
        ));
    }
    let fits = |child: &Descriptor| {
        let mut best = best.iter();
        best.any(|(wanted, best)| rank(child, wanted) == Some(*best))
    };
    let kept: BTreeSet<_> = { children.iter() }
        .filter(|child| fits(child))
        .map(|child| child.digest)
        .collect();
    // By the entry and not by the digest: one image may be listed for several platforms.
    let stays = |child: &Descriptor| {
        let about = child
            .annotations
            .get(ATTESTED)
            .and_then(|digest| digest.parse().ok());
        fits(child) || about.is_some_and(|about| kept.contains(&about))
    };
    if children.iter().all(|child| stays(child)) {
        return Ok(index.clone());
    }
    let mut document = Document::parse(&index.bytes)?;
    let mut list: Vec<Box<RawValue>> = document.get("manifests")?.unwrap_or_default();
    list.retain(|child| {
        serde_json::from_str::<Descriptor>(child.get()).is_ok_and(|child| stays(&child))
    });
    document.set("manifests", &list)?;
    Ok(RawManifest::new(
        index.media_type.clone(),
        document.to_bytes()?,
    ))
}

/// The only image of an index, attestations aside; `None` when it has several, or is none.
pub(super) fn only_image(index: &RawManifest) -> Result<Option<Digest>> {
    let parsed = index.parse()?;
    let mut images = { parsed.links.iter() }
        .filter(|link| link.kind == LinkKind::Manifest)
        .filter(|link| !link.descriptor.annotations.contains_key(ATTESTED))
        .map(|link| link.descriptor.digest);
    let first = images.next();
    Ok(first.filter(|_| images.next().is_none()))
}

fn absent(wanted: &Platform, children: &[&Descriptor]) -> Error {
    let known: BTreeSet<String> = { children.iter() }
        .filter_map(|child| child.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(ToString::to_string)
        .collect();
    let known: Vec<String> = known.into_iter().collect();
    let message = format!("the index has no image for {wanted}");
    Error::new(ErrorKind::NotFound, message).with_hint(format!("it has {}", known.join(", ")))
}
