//! The signatures of an image, wherever the tools that sign keep them: found, not verified.

use std::sync::Arc;

use dockhand_oci::{Descriptor, Digest, LinkKind, Reference, Tag};
use serde::Serialize;

use crate::Result;
use crate::store::Store;

/// The artifact type of a signature of notation.
///
/// <https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md>
const NOTATION: &str = "application/vnd.cncf.notary.signature";
/// The artifact type of a signature of cosign that refers to the image.
///
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>
const COSIGN: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// How the artifact type of a sigstore bundle begins; a version follows.
///
/// <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// What the content of a bundle is a statement of, where it is one.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// What made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signer {
    /// cosign, in its own form.
    Cosign,
    /// A bundle of sigstore: cosign since version 3, and others.
    Sigstore,
    /// notation, of the Notary Project.
    Notation,
}

impl Signer {
    /// What a referrer of this artifact type was made by, when it is a signature.
    #[must_use]
    pub fn of(artifact_type: &str) -> Option<Self> {
        match artifact_type {
            NOTATION => Some(Self::Notation),
            COSIGN => Some(Self::Cosign),
            other if other.starts_with(BUNDLE) => Some(Self::Sigstore),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosign => "cosign",
            Self::Sigstore => "sigstore",
            Self::Notation => "notation",
        }
    }
}

/// A manifest with signatures of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Signature {
    /// What made it.
    pub signer: Signer,
    /// The manifest that holds it.
    pub digest: Digest,
    /// How many signatures it holds; of a referrer one.
    pub signatures: usize,
    /// The tag that leads to it; nothing when it refers to the image itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// What a bundle states about the image, where it is a statement and not a mere signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
}

/// The signatures of `subject`: those that refer to it, and those that cosign keeps under a tag made of its
/// digest. Whether they are valid, and whose they are, is for the tool that made them.
///
/// # Errors
/// What keeps the place from answering.
pub async fn signatures(store: &Arc<dyn Store>, subject: &Digest) -> Result<Vec<Signature>> {
    let referrers = store.referrers(subject).await?;
    let mut found: Vec<Signature> = referrers.into_iter().filter_map(of_referrer).collect();
    let tag = format!("{}-{}.sig", subject.algorithm(), subject.hex());
    let Ok(tag) = tag.parse::<Tag>() else {
        return Ok(found);
    };
    let reference = Reference::Tag(tag.clone());
    if store.find(&reference).await?.is_some() {
        let manifest = store.manifest(&reference).await?;
        let layers = manifest.parse()?.links.into_iter();
        found.push(Signature {
            signer: Signer::Cosign,
            digest: manifest.digest,
            signatures: layers.filter(|link| link.kind == LinkKind::Layer).count(),
            tag: Some(tag),
            predicate: None,
        });
    }
    Ok(found)
}

fn of_referrer(referrer: Descriptor) -> Option<Signature> {
    let signer = Signer::of(referrer.artifact_type.as_deref()?)?;
    Some(Signature {
        signer,
        digest: referrer.digest,
        signatures: 1,
        tag: None,
        predicate: referrer.annotations.get(PREDICATE).cloned(),
    })
}
