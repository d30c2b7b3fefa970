//! An index with only some of its platforms.

use std::collections::BTreeSet;

use dockhand_oci::{Descriptor, Digest, LinkKind, ManifestKind, Platform};
use serde_json::Value;

use crate::store::RawManifest;
use crate::{Error, ErrorKind, Result};

/// The annotation by which an attestation names the image that it is about.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// `index` with the images for `wanted` alone, and the attestations that are about them. What is kept
/// stays as it was, field by field; an image manifest, and an index of which all is wanted, stays byte
/// for byte.
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
    let fits = |child: &Descriptor, wanted: &Platform| {
        child
            .platform
            .as_ref()
            .is_some_and(|own| own.matches(wanted))
    };
    for wanted in wanted {
        if !children.iter().any(|child| fits(child, wanted)) {
            return Err(absent(wanted, &children));
        }
    }
    let kept: BTreeSet<_> = { children.iter() }
        .filter(|child| wanted.iter().any(|wanted| fits(child, wanted)))
        .map(|child| child.digest)
        .collect();
    let stays = |child: &Descriptor| {
        let about = child
            .annotations
            .get(ATTESTED)
            .and_then(|digest| digest.parse().ok());
        kept.contains(&child.digest) || about.is_some_and(|about| kept.contains(&about))
    };
    if children.iter().all(|child| stays(child)) {
        return Ok(index.clone());
    }
    let mut document: Value = serde_json::from_slice(&index.bytes).map_err(unwritable)?;
    if let Some(list) = document.get_mut("manifests").and_then(Value::as_array_mut) {
        list.retain(|child| {
            serde_json::from_value::<Descriptor>(child.clone()).is_ok_and(|child| stays(&child))
        });
    }
    let bytes = serde_json::to_vec(&document).map_err(unwritable)?;
    Ok(RawManifest::new(index.media_type.clone(), bytes))
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

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Protocol, "the index cannot be written anew").with_source(error)
}
