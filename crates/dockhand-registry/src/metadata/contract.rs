//! What every engine under the metadata has to pass.
//!
//! Each case is a plain function over [`Metadata`]; [`contract_suite`] makes tests of them all for one
//! way to open an engine.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dockhand_oci::{Algorithm, Digest, LinkKind, Reference, RepoName, Tag, UploadId};

use super::{
    BlobCommit, Committed, Deleted, Edge, Keyset, ManifestPut, Metadata, NewUpload, Precondition,
    Put, UploadLimits,
};

pub(super) mod blobs;
pub(super) mod lists;
pub(super) mod manifests;
pub(super) mod races;
pub(super) mod referrers;
pub(super) mod tags;
pub(super) mod uploads;

/// Makes a test of every case, each on metadata of its own that `$open` gives.
macro_rules! contract_suite {
    ($open:path: $($file:ident { $($case:ident),* $(,)? })*) => {
        $(mod $file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let metadata = std::sync::Arc::new($open());
                crate::metadata::contract::$file::$case(&metadata).await;
                metadata.close().await;
            })*
        })*
    };
}
pub(super) use contract_suite;

pub(super) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn digest(content: &str) -> Digest {
    Algorithm::Sha256.digest(content.as_bytes())
}

pub(super) fn by_tag(name: &str) -> Reference {
    Reference::Tag(tag(name))
}

fn by_digest(content: &str) -> Reference {
    Reference::Digest(digest(content))
}

/// A moment, so many seconds after some other one.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// A push of `content` to `name` by digest, without links.
fn push(name: &str, content: &str) -> ManifestPut {
    ManifestPut {
        repo: repo(name),
        digest: digest(content),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        artifact_type: None,
        subject: None,
        annotations: BTreeMap::new(),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
        links: Vec::new(),
        tags: Vec::new(),
        fallback: Vec::new(),
        only_if: Precondition::None,
        links_must_exist: true,
        sizes_must_match: true,
        now: at(0),
    }
}

/// A push of `content` to `name` by a tag.
pub(crate) fn push_tag(name: &str, content: &str, to: &str) -> ManifestPut {
    ManifestPut {
        tags: vec![tag(to)],
        ..push(name, content)
    }
}

pub(crate) async fn stored(metadata: &Metadata, put: ManifestPut) -> bool {
    match metadata.put_manifest(put).await.unwrap() {
        Put::Stored { created } => created,
        refused => panic!("{refused:?}"),
    }
}

fn layer(content: &str) -> Edge {
    Edge {
        kind: LinkKind::Layer,
        digest: digest(content),
        size: content.len() as u64,
        required: true,
    }
}

fn child(content: &str) -> Edge {
    Edge {
        kind: LinkKind::Manifest,
        digest: digest(content),
        size: content.len() as u64,
        required: true,
    }
}

fn blob_commit(name: &str, content: &str, generation: Option<u32>) -> BlobCommit {
    BlobCommit {
        repo: repo(name),
        digest: digest(content),
        size: content.len() as u64,
        generation,
        upload: None,
        now: at(0),
    }
}

/// Makes `content` a blob of `name`, the first time anywhere.
async fn first_blob(metadata: &Metadata, name: &str, content: &str) {
    let committed = metadata
        .commit_blob(blob_commit(name, content, Some(1)))
        .await
        .unwrap();
    assert_eq!(committed, Committed::Stored);
}

fn new_upload(name: &str, bits: u128, second: u64) -> NewUpload {
    NewUpload {
        repo: repo(name),
        id: UploadId::from_random(bits),
        client: "alice".to_owned(),
        hash: vec![7; 41],
        now: at(second),
        limits: UploadLimits {
            per_client: 10,
            per_repository: 3,
            in_all: 5,
        },
    }
}

async fn delete_tag(metadata: &Metadata, name: &str, of: &str, second: u64) -> Deleted {
    let (repo, tag) = (repo(name), tag(of));
    metadata
        .delete_tag(&repo, &tag, &Precondition::None, at(second))
        .await
        .unwrap()
}

async fn delete_manifest(metadata: &Metadata, name: &str, content: &str, second: u64) -> Deleted {
    let (repo, digest) = (repo(name), digest(content));
    metadata
        .delete_manifest(&repo, &digest, &Precondition::None, at(second))
        .await
        .unwrap()
}

/// All tags of a repository; nothing when it is unknown.
pub(super) async fn tags_of(metadata: &Metadata, name: &str) -> Option<Vec<String>> {
    let page = Keyset {
        after: None,
        limit: 1000,
    };
    let rows = metadata.tags(&repo(name), &page).await.unwrap()?;
    Some(rows.items.iter().map(Tag::to_string).collect())
}

async fn catalog(metadata: &Metadata) -> Vec<String> {
    let page = Keyset {
        after: None,
        limit: 1000,
    };
    let rows = metadata.repositories(&page).await.unwrap();
    rows.items.iter().map(RepoName::to_string).collect()
}
