//! What nothing in a layout needs any more, and how it goes.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use dockhand_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType};

use super::{INDEX, lock, read};
use crate::store::catalogue::Catalogue;
use crate::store::{MANIFEST_MAX, Pruned, staged};
use crate::{Error, ErrorKind, Result};

/// Takes away the content that nothing in the list needs, while nobody writes. Before that, entries
/// without a name go from the list: those of `gone`, unless an index lists them, and of what refers to
/// them.
pub(super) fn prune(dir: &Path, gone: &[Digest], dry_run: bool) -> Result<Pruned> {
    let _alone = lock::have(&dir.join("blobs"))?;
    let _lock = lock::take(&dir.join("index.json.lock"))?;
    let mut catalogue = read(dir)?;
    let before = catalogue.manifests.len();
    drop_entries(dir, &mut catalogue, gone)?;
    let needed = needed(dir, catalogue.manifests.iter())?;
    // The list first: it must never name what is not there.
    if catalogue.manifests.len() < before && !dry_run {
        staged::replace(&dir.join(INDEX), &catalogue.render()?)?;
    }
    let mut pruned = Pruned::default();
    for algorithm in Algorithm::ALL {
        let folder = dir.join("blobs").join(algorithm.as_str());
        for name in names(&folder)? {
            let digest = format!("{algorithm}:{name}").parse::<Digest>();
            let path = folder.join(&name);
            let Some(digest) = digest.ok().filter(|digest| !needed.contains(digest)) else {
                continue;
            };
            let Some(size) = staged::plain_size(&path)? else {
                continue;
            };
            if !dry_run {
                std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
            }
            pruned.content.push(digest);
            pruned.bytes += size;
        }
    }
    // Nobody writes, so these were left behind by processes that were killed.
    for name in names(dir)? {
        if name.starts_with(staged::STAGED) && !dry_run {
            let path = dir.join(name);
            std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
        }
    }
    Ok(pruned)
}

/// Takes the entries of `gone`, and of what refers to them, from the list; those with a name stay.
fn drop_entries(dir: &Path, catalogue: &mut Catalogue, gone: &[Digest]) -> Result<()> {
    let stays = |entry: &&Descriptor| catalogue.is_named(entry) || !gone.contains(&entry.digest);
    let kept = needed(dir, catalogue.manifests.iter().filter(stays))?;
    let mut gone: BTreeSet<Digest> = { gone.iter() }
        .filter(|digest| !kept.contains(digest))
        .copied()
        .collect();
    let mut subjects = Vec::new();
    for entry in catalogue.manifests.iter().filter(|_| !gone.is_empty()) {
        let subject = manifest(dir, entry)?.and_then(|parsed| parsed.subject);
        if let Some(subject) = subject.filter(|_| !catalogue.is_named(entry)) {
            subjects.push((entry.digest, subject.digest));
        }
    }
    loop {
        let more: Vec<Digest> = { subjects.iter() }
            .filter(|(own, subject)| gone.contains(subject) && !gone.contains(own))
            .map(|(own, _)| *own)
            .collect();
        if more.is_empty() {
            break;
        }
        gone.extend(more);
    }
    let named: BTreeSet<Digest> = { catalogue.manifests.iter() }
        .filter(|entry| catalogue.is_named(entry))
        .map(|entry| entry.digest)
        .collect();
    { &mut catalogue.manifests }
        .retain(|entry| named.contains(&entry.digest) || !gone.contains(&entry.digest));
    Ok(())
}

/// The manifests that can be reached from `entries`, and all that they link.
fn needed<'a>(
    dir: &Path,
    entries: impl Iterator<Item = &'a Descriptor>,
) -> Result<BTreeSet<Digest>> {
    let mut needed = BTreeSet::new();
    let mut queue: VecDeque<Descriptor> = entries.cloned().collect();
    let mut looked = BTreeSet::new();
    while let Some(next) = queue.pop_front() {
        needed.insert(next.digest);
        if !looked.insert(next.digest) {
            continue;
        }
        let Some(parsed) = manifest(dir, &next)? else {
            continue;
        };
        for link in parsed.links {
            needed.insert(link.descriptor.digest);
            if link.kind == dockhand_oci::LinkKind::Manifest {
                queue.push_back(link.descriptor);
            }
        }
    }
    Ok(needed)
}

/// The manifest that a descriptor names; nothing when it is not here.
///
/// One that cannot be understood is a failure: what it needs is not known, so nothing may go.
fn manifest(dir: &Path, descriptor: &Descriptor) -> Result<Option<Manifest>> {
    let digest = descriptor.digest;
    let folder = dir.join("blobs").join(digest.algorithm().as_str());
    let Some(bytes) = staged::read_plain(&folder.join(digest.hex()), MANIFEST_MAX)? else {
        return Ok(None);
    };
    let unclear = |why: String| {
        let message = format!("what {digest} needs is not known, so nothing was removed: {why}");
        Error::new(ErrorKind::Unsupported, message)
    };
    if digest.algorithm().digest(&bytes) != digest {
        return Err(unclear("it has other content".to_owned()));
    }
    let media_type = MediaType::from_content_type(&descriptor.media_type).ok();
    let parsed = Manifest::parse(media_type.as_ref(), &bytes);
    Ok(Some(parsed.map_err(|error| unclear(error.to_string()))?))
}

/// The names in a folder; none when it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io(folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
