//! Everything but the bytes of blobs: repositories, manifests, tags, links, uploads.
//!
//! An operation is a method here, a plain function over the seam of SQL below, and one transaction. A
//! write is durable when it returns; a read waits for no writer and sees every write that was answered.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use dockhand_oci::{Digest, Reference, RepoName, Tag};

use self::engine::{Effort, Engine};
use self::sqlite::Sqlite;
use crate::usage::Contents;

mod blobs;
mod codec;
mod contents;
mod dialect;
mod engine;
mod error;
mod links;
mod manifests;
mod probe;
mod put;
mod recent;
mod records;
mod referrers;
mod repositories;
mod room;
mod schema;
mod sql;
mod sqlite;
mod tags;
mod uploads;

#[cfg(test)]
pub(crate) mod contract;

pub use error::{Cause, MetadataError};
pub use records::{
    BlobCommit, BlobDeleted, BlobRow, Checkpoint, Committed, Deleted, Edge, Expiry, GaveWay,
    Keyset, ManifestPut, ManifestRow, NewUpload, NextKey, Precondition, Put, Referrer,
    ReferrersQuery, Room, Rows, Started, TagEvent, UploadDropped, UploadEntry, UploadLimits,
    UploadRow, UploadTotals,
};

/// Rows that counting everything is taken for: too many for the calling task.
const COUNT_EFFORT: Effort = Effort::Page(1_000_000);

type Result<T> = std::result::Result<T, MetadataError>;

/// The metadata of a registry.
///
/// Every method may be dropped at any await. A write that has begun then happens whole or not at all.
#[derive(Debug)]
pub struct Metadata {
    engine: Engine,
    probed: probe::Probed,
    recent: recent::Recent,
}

/// What is to be at the path of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// One of ours, which may be created.
    Any,
    /// One of ours, which must be there.
    Existing,
    /// None of ours: it is created.
    New,
    /// One of ours, of which nothing is written, not even what SQLite would put beside it.
    ReadOnly,
}

/// Opening, closing, and how it is doing.
impl Metadata {
    /// Opens the SQLite database at `path`; creates it, or brings it to the format of this version.
    ///
    /// # Errors
    /// [`MetadataError::Foreign`] when the file is newer than this version, or something else.
    pub fn open_sqlite(path: &Path) -> Result<Self> {
        Self::open_sqlite_as(path, Opening::Any)
    }

    /// Opens the SQLite database at `path` in the way that [`crate::folder::Folder::opening`] has
    /// decided on.
    ///
    /// # Errors
    /// [`MetadataError::Foreign`] when the file is not of this version or something else,
    /// [`MetadataError::Empty`] and [`MetadataError::Exists`] when it is not what `opening` needs.
    pub fn open_sqlite_as(path: &Path, opening: Opening) -> Result<Self> {
        Ok(Self::new(Engine::Sqlite(Sqlite::open_as(path, opening)?)))
    }

    /// Metadata that is gone when it is closed or dropped, and that no power cut needs to survive.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn in_memory() -> Result<Self> {
        Ok(Self::new(Engine::Sqlite(Sqlite::temporary()?)))
    }

    fn new(engine: Engine) -> Self {
        Self {
            engine,
            probed: probe::Probed::default(),
            recent: recent::Recent::default(),
        }
    }

    /// Writes what moves or deletes, so that rows that were read before it are read again.
    async fn change<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn sql::Sql) -> std::result::Result<T, sql::DbError> + Send + 'static,
    {
        let writing = self.recent.writing();
        // The mark goes with the outcome, which is dropped only after the commit, whoever waits.
        let work = move |sql: &mut dyn sql::Sql| Ok((work(sql)?, writing));
        let (outcome, _writing) = self.engine.write(doing, work).await?;
        Ok(outcome)
    }

    /// As [`Metadata::change`], for what deletes: a full disk does not refuse it.
    async fn delete<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn sql::Sql) -> std::result::Result<T, sql::DbError>
            + Clone
            + Send
            + 'static,
    {
        let writing = Arc::new(self.recent.writing());
        let work = move |sql: &mut dyn sql::Sql| Ok((work(sql)?, writing));
        let (outcome, _writing) = self.engine.make_room(doing, work).await?;
        Ok(outcome)
    }

    /// Whether it can be written to, tried at most once a second.
    ///
    /// # Errors
    /// What a write would get.
    pub async fn ready(&self) -> Result<()> {
        self.probed.probe(&self.engine).await
    }

    /// Takes no more writes, as after one that failed: what it has open is not what the paths name any
    /// more. Who waits in [`Metadata::failed`] is told.
    pub fn fail(&self) {
        self.engine.fail();
    }

    /// Waits until a write has failed in a way after which none may follow. The process should end
    /// then, with an exit code that has it restarted: recovery decides what the disk holds.
    pub async fn failed(&self) {
        self.engine.failed().await;
    }

    /// Finishes what waits to be written, and lets go of the database. What comes later gets
    /// [`MetadataError::Unavailable`].
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Blobs; uploads have their methods beside their SQL.
impl Metadata {
    /// A blob, if this repository has it and its bytes are there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn blob(&self, repo: &RepoName, digest: &Digest) -> Result<Option<BlobRow>> {
        let key = (repo.clone(), *digest);
        let now = self.recent.moment();
        if let Some(row) = now.and_then(|now| self.recent.blob(now, &key)) {
            return Ok(Some(row));
        }
        let (repo, digest) = key.clone();
        let find = move |sql: &mut dyn sql::Sql| blobs::find(sql, &repo, &digest);
        let reading = self.engine.read("looking for a blob", Effort::Point, find);
        let row = reading.await?;
        if let (Some(now), Some(row)) = (now, &row) {
            self.recent.keep_blob(now, key, row);
        }
        Ok(row)
    }

    /// What is stored, counted in whole indexes: some 100 ms for a million blobs.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn contents(&self) -> Result<Contents> {
        self.engine
            .read("counting what is stored", COUNT_EFFORT, contents::count)
            .await
    }

    /// Whether it names any blob whose bytes should be there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn names_blobs(&self) -> Result<bool> {
        self.engine
            .read("looking for any blob", Effort::Point, blobs::any)
            .await
    }

    /// Where the bytes of a digest are, or are to go.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_key(&self, digest: &Digest) -> Result<NextKey> {
        let digest = *digest;
        let next = move |sql: &mut dyn sql::Sql| blobs::next_key(sql, &digest);
        self.engine
            .read("choosing the key of a blob", Effort::Point, next)
            .await
    }

    /// Makes durable bytes a blob of a repository and ends the upload that brought them, at once.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn commit_blob(&self, commit: BlobCommit) -> Result<Committed> {
        let work = move |sql: &mut dyn sql::Sql| blobs::commit(sql, &commit);
        self.engine.write("committing a blob", work).await
    }

    /// Whether any row names a generation of a blob, found out behind every write that has begun.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn claimed(&self, digest: &Digest, generation: u32) -> Result<bool> {
        let digest = *digest;
        let claimed = move |sql: &mut dyn sql::Sql| blobs::claimed(sql, &digest, generation);
        self.engine.write("asking for a generation", claimed).await
    }

    /// Gives a blob of `from`, or of any repository, to another one; `false` when there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn mount(
        &self,
        to: &RepoName,
        from: Option<&RepoName>,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<bool> {
        let (to, from, digest) = (to.clone(), from.cloned(), *digest);
        let work =
            move |sql: &mut dyn sql::Sql| blobs::mount(sql, &to, from.as_ref(), &digest, now);
        self.engine.write("mounting a blob", work).await
    }

    /// Takes a blob out of a repository, unless a manifest there links it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_blob(&self, repo: &RepoName, digest: &Digest) -> Result<BlobDeleted> {
        let (repo, digest) = (repo.clone(), *digest);
        let work = move |sql: &mut dyn sql::Sql| blobs::delete(sql, &repo, &digest);
        self.delete("deleting a blob", work).await
    }
}

/// Manifests and tags.
impl Metadata {
    /// A manifest with its bytes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<ManifestRow>> {
        let key = (repo.clone(), reference.clone());
        let now = self.recent.moment();
        if let Some(row) = now.and_then(|now| self.recent.manifest(now, &key)) {
            return Ok(Some(row));
        }
        let (repo, reference) = key.clone();
        let find = move |sql: &mut dyn sql::Sql| manifests::find(sql, &repo, &reference);
        let reading = self
            .engine
            .read("looking for a manifest", Effort::Point, find);
        let row = reading.await?;
        if let (Some(now), Some(row)) = (now, &row) {
            self.recent.keep_manifest(now, key, row);
        }
        Ok(row)
    }

    /// Stores a manifest with its links, tags, history and referrers: all of it or nothing.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_manifest(&self, manifest: ManifestPut) -> Result<Put> {
        let moves = !manifest.tags.is_empty();
        let work = move |sql: &mut dyn sql::Sql| put::put(sql, &manifest);
        if moves {
            return self.change("storing a manifest", work).await;
        }
        self.engine.write("storing a manifest", work).await
    }

    /// Deletes a tag, and remembers that it did.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_tag(
        &self,
        repo: &RepoName,
        tag: &Tag,
        only_if: &Precondition,
        now: SystemTime,
    ) -> Result<Deleted> {
        let (repo, tag, only_if) = (repo.clone(), tag.clone(), only_if.clone());
        let work = move |sql: &mut dyn sql::Sql| tags::delete(sql, &repo, &tag, &only_if, now);
        self.delete("deleting a tag", work).await
    }

    /// Deletes a manifest with every tag that points at it, each of which is remembered.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_manifest(
        &self,
        repo: &RepoName,
        digest: &Digest,
        only_if: &Precondition,
        now: SystemTime,
    ) -> Result<Deleted> {
        let (repo, digest, only_if) = (repo.clone(), *digest, only_if.clone());
        let work =
            move |sql: &mut dyn sql::Sql| manifests::delete(sql, &repo, &digest, &only_if, now);
        self.delete("deleting a manifest", work).await
    }

    /// A page of the tags of a repository, in the order of their bytes; nothing when the repository
    /// never had a manifest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tags(&self, repo: &RepoName, page: &Keyset) -> Result<Option<Rows<Tag>>> {
        let (repo, page, effort) = (repo.clone(), page.clone(), Effort::Page(page.limit));
        let list = move |sql: &mut dyn sql::Sql| tags::list(sql, &repo, &page);
        self.engine.read("listing tags", effort, list).await
    }

    /// A page of the history of a tag before a version, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tag_history(
        &self,
        repo: &RepoName,
        tag: &Tag,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Rows<TagEvent>> {
        let (repo, tag) = (repo.clone(), tag.clone());
        let list = move |sql: &mut dyn sql::Sql| tags::history(sql, &repo, &tag, before, limit);
        self.engine
            .read("reading the history of a tag", Effort::Page(limit), list)
            .await
    }

    /// A page of the repositories that have a manifest now, in the order of their bytes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn repositories(&self, page: &Keyset) -> Result<Rows<RepoName>> {
        let (page, effort) = (page.clone(), Effort::Page(page.limit));
        let list = move |sql: &mut dyn sql::Sql| repositories::list(sql, &page);
        self.engine.read("listing repositories", effort, list).await
    }

    /// A page of what refers to a manifest, which itself need not exist. It costs a page for each
    /// artifact type that is asked for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn referrers(
        &self,
        repo: &RepoName,
        query: &ReferrersQuery,
    ) -> Result<Rows<Referrer>> {
        let (repo, query) = (repo.clone(), query.clone());
        let rows = query
            .limit
            .saturating_mul(query.artifact_types.len().max(1));
        let list = move |sql: &mut dyn sql::Sql| referrers::list(sql, &repo, &query);
        self.engine
            .read("listing referrers", Effort::Page(rows), list)
            .await
    }
}
