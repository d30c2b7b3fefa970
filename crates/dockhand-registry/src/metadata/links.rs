//! The links of a manifest that is pushed, checked against what its repository has.

use std::collections::{BTreeMap, BTreeSet};

use dockhand_oci::{Digest, LinkKind};

use super::codec::DigestKey;
use super::records::{Edge, ManifestPut, Put};
use super::sql::{DbError, Sql};
use super::{blobs, manifests};

/// Refuses a manifest that names content which the repository does not have, or gives a size which is
/// not that of the stored content.
///
/// The content is looked up in the order of its digests, so that two pushes never lock rows crosswise.
pub(super) fn check(
    sql: &mut dyn Sql,
    repository: Option<i64>,
    put: &ManifestPut,
) -> Result<Option<Put>, DbError> {
    if !put.links_must_exist && !put.sizes_must_match {
        return Ok(None);
    }
    let place = |link: &Edge| (link.kind == LinkKind::Manifest, link.digest);
    let mut stored: BTreeMap<(bool, Digest), Option<u64>> =
        put.links.iter().map(|link| (place(link), None)).collect();
    if let Some(repository) = repository {
        for ((is_manifest, digest), size) in &mut stored {
            let key = DigestKey::new(digest);
            *size = match is_manifest {
                true => manifests::size(sql, repository, &key)?,
                false => blobs::linked(sql, repository, &key)?,
            };
        }
    }
    let size = |link: &Edge| stored.get(&place(link)).copied().flatten();
    let mut reported = BTreeSet::new();
    let missing = put.links.iter().filter(|link| {
        let is_missing = put.links_must_exist && link.required && size(link).is_none();
        is_missing && reported.insert(place(link))
    });
    let missing: Vec<Digest> = missing.map(|link| link.digest).collect();
    if !missing.is_empty() {
        return Ok(Some(Put::Missing(missing)));
    }
    let checked = put.links.iter().filter(|_| put.sizes_must_match);
    let mut wrong = checked
        .filter_map(|link| Some((link, size(link)?)))
        .filter(|(link, stored)| link.size != *stored);
    Ok(wrong.next().map(|(link, stored)| Put::SizeMismatch {
        digest: link.digest,
        declared: link.size,
        stored,
    }))
}
