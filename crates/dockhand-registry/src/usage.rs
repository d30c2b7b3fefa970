//! How much a registry holds and how much room is left, for those who watch over it.
//!
//! Counting reads whole indexes, so it is done rarely and apart from whoever asks: the last count is
//! the answer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::layout::{DATABASE, LOG};
use crate::registry::Registry;

/// What a registry holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Repositories that have a manifest.
    pub repositories: u64,
    /// Manifests, in each repository that has them.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, each once.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub blob_bytes: u64,
}

/// The room that files take, and what is left, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system that holds the data.
    pub total: u64,
    /// What a user without privileges may still take of it.
    pub free: u64,
    /// Files that may still be created; 0 on file systems that do not count them.
    pub free_inodes: u64,
    /// The database.
    pub database: u64,
    /// Its log.
    pub log: u64,
}

/// How old a count may be. Scrapers ask every 15 to 60 seconds.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How many times as long as it took a count holds, so that counting takes at most 1 % of one processor
/// however much there is to count.
const REST: u32 = 100;

/// How long to wait for a count or a look at the disk that is due, before answering with the last.
const WAIT: Duration = Duration::from_secs(1);

/// The last count.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    last: Mutex<Last>,
    /// Held while counting, and while looking at the disk: one of each at a time.
    counting: Arc<tokio::sync::Mutex<()>>,
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Last {
    contents: Option<Contents>,
    /// When the next count is due.
    due: Option<Instant>,
}

impl Counter {
    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// What it holds, as counted within the last minute, or longer ago when counting takes long. `None`
    /// until the first count is done.
    pub async fn contents(&self) -> Option<Contents> {
        if let Some(count) = self.count() {
            // It goes on when nobody waits for it any more.
            let _ = tokio::time::timeout(WAIT, count).await;
        }
        self.counter.last().contents
    }

    /// Begins to count, if that is due.
    fn count(&self) -> Option<JoinHandle<()>> {
        let turn = Arc::clone(&self.counter.counting).try_lock_owned().ok()?;
        let due = self.counter.last().due;
        if due.is_some_and(|due| Instant::now() < due) {
            return None;
        }
        let registry = self.clone();
        Some(tokio::spawn(async move {
            let _turn = turn;
            let begun = Instant::now();
            let counted = registry.metadata.contents().await;
            let rest = begun.elapsed() * REST;
            let mut last = registry.counter.last();
            last.due = Some(Instant::now() + rest.max(COUNT_EVERY));
            match counted {
                Ok(contents) => last.contents = Some(contents),
                Err(error) => {
                    tracing::warn!(%error, "the contents of the registry could not be counted");
                }
            }
        }))
    }

    /// The room that it takes and has. `None` when it keeps no files, or when the disk does not answer.
    pub async fn space(&self) -> Option<Space> {
        let root = self.watch.as_ref()?.root().to_owned();
        let turn = Arc::clone(&self.counter.looking).try_lock_owned().ok()?;
        let look = move || {
            let _turn = turn;
            space(&root)
        };
        let looked = tokio::time::timeout(WAIT, tokio::task::spawn_blocking(look)).await;
        match looked {
            Ok(Ok(Ok(space))) => Some(space),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the free space of the data folder cannot be told");
                None
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

fn space(root: &Path) -> std::io::Result<Space> {
    let disk = statvfs(root)?;
    let length = |name| std::fs::metadata(root.join(name)).map_or(0, |found| found.len());
    Ok(Space {
        total: disk.f_blocks.saturating_mul(disk.f_frsize),
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        free_inodes: disk.f_favail,
        database: length(DATABASE),
        log: length(LOG),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_store::fs::FileSystem;
    use crate::metadata::Metadata;
    use crate::metadata::contract::{push_tag, stored};
    use crate::{Presence, Settings};

    #[tokio::test]
    async fn a_count_is_remembered_and_renewed_when_it_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let blobs = Arc::new(FileSystem::open(&root).unwrap());
        let metadata = Arc::new(Metadata::open_sqlite(&root.join(DATABASE)).unwrap());
        let registry = Registry::new(blobs, Arc::clone(&metadata), Settings::default())
            .watching(Presence::note(&root).unwrap());
        assert_eq!(registry.contents().await, Some(Contents::default()));
        stored(&metadata, push_tag("a", "m", "v1")).await;
        stored(&metadata, push_tag("a", "m", "v2")).await;
        stored(&metadata, push_tag("b", "n", "v1")).await;
        assert_eq!(registry.contents().await, Some(Contents::default()));
        let due = registry.counter.last().due.unwrap() - Instant::now();
        assert!(due > COUNT_EVERY / 2, "{due:?}");
        registry.counter.last().due = Some(Instant::now());
        let counted = Contents {
            repositories: 2,
            manifests: 2,
            tags: 3,
            ..Contents::default()
        };
        assert_eq!(registry.contents().await, Some(counted));
    }

    #[tokio::test]
    async fn space_is_that_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(FileSystem::open(folder.path()).unwrap());
        let metadata = Arc::new(Metadata::open_sqlite(&folder.path().join(DATABASE)).unwrap());
        stored(&metadata, push_tag("a", "m", "v1")).await;
        let registry = Registry::new(blobs, metadata, Settings::default());
        assert_eq!(registry.space().await, None, "it knows no folder");
        let registry = registry.watching(Presence::note(folder.path()).unwrap());
        let space = registry.space().await.unwrap();
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert!(space.database >= 4096 && space.log > 4096, "{space:?}");
    }
}
