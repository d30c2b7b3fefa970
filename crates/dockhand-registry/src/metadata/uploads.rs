//! Uploads: rows that live from the first request to the last, or until they expire.

use std::time::SystemTime;

use dockhand_oci::{RepoName, UploadId};

use super::codec::{number, system_time, time, unsigned, word};
use super::engine::Effort;
use super::records::{Checkpoint, NewUpload, Started, UploadRow};
use super::sql::{DbError, Row, Sql, Value, all, exists, first};
use super::{Metadata, Result, repositories};
use crate::blob_store::Staged;

/// Counted as far as the limit and no further, so that the cost of a start has a bound.
const OPEN_HERE: &str =
    "SELECT count(*) FROM (SELECT 1 FROM upload WHERE repository = ?1 LIMIT ?2) AS open";
const OPEN: &str = "SELECT count(*) FROM (SELECT 1 FROM upload LIMIT ?1) AS open";

const START: &str =
    "INSERT INTO upload (id, repository, epoch, length, notes, hash, started, touched)
    VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?5)";

const CHECKPOINT: &str =
    "UPDATE upload SET epoch = epoch + 1, length = ?3, notes = ?4, hash = ?5, touched = ?6,
        cut_put = ?7
    WHERE id = ?1 AND epoch = ?2";

const FIND: &str = "SELECT u.length, u.notes, u.epoch, u.hash, u.started, u.cut_put
    FROM upload u JOIN repository r ON r.id = u.repository
    WHERE u.id = ?1 AND r.name = ?2";

const KNOWN: &str = "SELECT 1 FROM upload WHERE id = ?1";

const REMOVE: &str = "DELETE FROM upload WHERE id = ?1";

/// Those that have lain still the longest.
pub(super) const EXPIRED: &str =
    "SELECT id FROM upload WHERE touched < ?1 ORDER BY touched LIMIT ?2";

const STILL: &str = "SELECT length, notes FROM upload WHERE id = ?1 AND touched < ?2";

impl Metadata {
    /// Begins an upload, unless too many are open.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn start_upload(&self, new: NewUpload) -> Result<Started> {
        let work = move |sql: &mut dyn Sql| start(sql, &new);
        self.engine.write("beginning an upload", work).await
    }

    /// Where an upload of this repository stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn upload(&self, repo: &RepoName, id: UploadId) -> Result<Option<UploadRow>> {
        let repo = repo.clone();
        let find = move |sql: &mut dyn Sql| find(sql, &repo, id);
        self.engine
            .read("looking for an upload", Effort::Point, find)
            .await
    }

    /// Whether an upload is open in any repository.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn upload_known(&self, id: UploadId) -> Result<bool> {
        let known = move |sql: &mut dyn Sql| known(sql, id);
        self.engine
            .read("looking for an upload", Effort::Point, known)
            .await
    }

    /// Moves an upload to what is durable now, and its epoch on by one; `false` when its epoch is
    /// another one: another writer was faster, or the upload is over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn checkpoint_upload(&self, id: UploadId, to: Checkpoint) -> Result<bool> {
        let work = move |sql: &mut dyn Sql| checkpoint(sql, id, &to);
        self.engine.write("moving an upload on", work).await
    }

    /// Ends an upload and says what was staged of it; nothing when this repository has no such upload.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn cancel_upload(&self, repo: &RepoName, id: UploadId) -> Result<Option<Staged>> {
        let repo = repo.clone();
        let work = move |sql: &mut dyn Sql| cancel(sql, &repo, id);
        self.engine.make_room("cancelling an upload", work).await
    }

    /// Ends an upload that nobody has touched since `before`, and says what was staged of it; nothing
    /// when somebody has, or it is over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_upload(&self, id: UploadId, before: SystemTime) -> Result<Option<Staged>> {
        let work = move |sql: &mut dyn Sql| expire(sql, id, before);
        self.engine
            .make_room("dropping an expired upload", work)
            .await
    }

    /// Uploads that nobody has touched since `before`, the stillest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn expired_uploads(&self, before: SystemTime, limit: usize) -> Result<Vec<UploadId>> {
        let find = move |sql: &mut dyn Sql| expired(sql, before, limit);
        self.engine
            .read("looking for expired uploads", Effort::Page(limit), find)
            .await
    }
}

/// Begins an upload, if not too many are open.
pub(super) fn start(sql: &mut dyn Sql, new: &NewUpload) -> std::result::Result<Started, DbError> {
    let limits = &new.limits;
    let (here, all) = (i64::from(limits.per_repository), i64::from(limits.in_all));
    if first(sql, OPEN, &[Value::Int(all)], |row| row.int(0))?.unwrap_or(0) >= all {
        return Ok(Started::TooMany);
    }
    if let Some(repository) = repositories::find(sql, &new.repo)? {
        let params = [Value::Int(repository), Value::Int(here)];
        if first(sql, OPEN_HERE, &params, |row| row.int(0))?.unwrap_or(0) >= here {
            return Ok(Started::TooMany);
        }
    }
    let now = time(new.now);
    let repository = repositories::ensure(sql, &new.repo, now)?;
    let params = [
        Value::Text(&new.id.to_string()),
        Value::Int(repository),
        Value::Blob(&[]),
        Value::Blob(&new.hash),
        Value::Int(now),
    ];
    sql.execute(START, &params)?;
    Ok(Started::Yes)
}

/// Moves an upload on, if nobody has since that epoch.
pub(super) fn checkpoint(
    sql: &mut dyn Sql,
    id: UploadId,
    to: &Checkpoint,
) -> std::result::Result<bool, DbError> {
    let params = [
        Value::Text(&id.to_string()),
        Value::Int(number(to.epoch)),
        Value::Int(number(to.staged.length)),
        Value::Blob(&to.staged.notes),
        Value::Blob(&to.hash),
        Value::Int(time(to.now)),
        Value::Int(i64::from(to.cut_put)),
    ];
    Ok(sql.execute(CHECKPOINT, &params)? == 1)
}

/// An upload of this repository.
pub(super) fn find(
    sql: &mut dyn Sql,
    repo: &RepoName,
    id: UploadId,
) -> std::result::Result<Option<UploadRow>, DbError> {
    first(
        sql,
        FIND,
        &[Value::Text(&id.to_string()), Value::Text(repo.as_str())],
        |row| {
            Ok(UploadRow {
                staged: staged(row)?,
                epoch: unsigned(row.int(2)?)?,
                hash: row.blob(3)?.to_vec(),
                started: system_time(row.int(4)?),
                cut_put: row.int(5)? != 0,
            })
        },
    )
}

fn staged(row: &dyn Row) -> std::result::Result<Staged, DbError> {
    Ok(Staged {
        length: unsigned(row.int(0)?)?,
        notes: row.blob(1)?.to_vec(),
    })
}

/// Whether any repository has this upload.
pub(super) fn known(sql: &mut dyn Sql, id: UploadId) -> std::result::Result<bool, DbError> {
    exists(sql, KNOWN, &[Value::Text(&id.to_string())])
}

/// Ends an upload; none is no error, for then somebody else ended it.
pub(super) fn remove(sql: &mut dyn Sql, id: UploadId) -> std::result::Result<(), DbError> {
    sql.execute(REMOVE, &[Value::Text(&id.to_string())])
        .map(|_| ())
}

/// Ends an upload of this repository and says what was staged of it.
pub(super) fn cancel(
    sql: &mut dyn Sql,
    repo: &RepoName,
    id: UploadId,
) -> std::result::Result<Option<Staged>, DbError> {
    let found = find(sql, repo, id)?;
    if found.is_some() {
        remove(sql, id)?;
    }
    Ok(found.map(|row| row.staged))
}

/// Ends an upload that nobody has touched since `before`.
pub(super) fn expire(
    sql: &mut dyn Sql,
    id: UploadId,
    before: SystemTime,
) -> std::result::Result<Option<Staged>, DbError> {
    let params = [Value::Text(&id.to_string()), Value::Int(time(before))];
    let found = first(sql, STILL, &params, staged)?;
    if found.is_some() {
        remove(sql, id)?;
    }
    Ok(found)
}

/// Uploads that nobody has touched since `before`, the stillest first.
pub(super) fn expired(
    sql: &mut dyn Sql,
    before: SystemTime,
    limit: usize,
) -> std::result::Result<Vec<UploadId>, DbError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = [Value::Int(time(before)), Value::Int(limit)];
    all(sql, EXPIRED, &params, |row| word(row.text(0)?))
}
