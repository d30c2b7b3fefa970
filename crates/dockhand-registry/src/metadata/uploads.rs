//! Uploads: rows that live from the first request to the last, or until they expire.

use dockhand_oci::{RepoName, UploadId};

use super::codec::{number, one_more, page, system_time, time, unsigned, word};
use super::engine::Effort;
use super::records::{
    Checkpoint, Expiry, Keyset, NewUpload, Rows, Started, UploadDropped, UploadEntry, UploadRow,
    UploadTotals,
};
use super::sql::{DbError, Row, Sql, Value, all, exists, first};
use super::{Metadata, Result, repositories, room};
use crate::blob_store::Staged;

const START: &str =
    "INSERT INTO upload (id, repository, epoch, length, notes, hash, started, touched, client)
    VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?5, ?6)";

const CHECKPOINT: &str =
    "UPDATE upload SET epoch = epoch + 1, length = ?3, notes = ?4, hash = ?5, touched = ?6,
        cut_put = ?7
    WHERE id = ?1 AND epoch = ?2";

const FIND: &str = "SELECT u.length, u.notes, u.epoch, u.hash, u.started, u.cut_put
    FROM upload u JOIN repository r ON r.id = u.repository
    WHERE u.id = ?1 AND r.name = ?2";

const KNOWN: &str = "SELECT 1 FROM upload WHERE id = ?1";

const REMOVE: &str = "DELETE FROM upload WHERE id = ?1";

/// Those that have lain still the longest. The first time is never before the second.
pub(super) const EXPIRED: &str = "SELECT id FROM upload
    WHERE touched < ?1 AND (length = 0 OR touched < ?2) ORDER BY touched LIMIT ?3";

const STILL: &str = "SELECT length, notes FROM upload
    WHERE id = ?1 AND touched < ?2 AND (length = 0 OR touched < ?3)";

const STAGED: &str = "SELECT length, notes FROM upload WHERE id = ?1 /* FOR UPDATE */";

pub(super) const PAGE: &str = "SELECT u.id, r.name, u.client, u.started, u.touched, u.length
    FROM upload u JOIN repository r ON r.id = u.repository
    WHERE u.id > ?1 ORDER BY u.id LIMIT ?2";

/// Counted in an index that has no more than this.
const TOTALS: &str = "SELECT count(*), CAST(coalesce(sum(length), 0) AS BIGINT),
    count(CASE WHEN length = 0 THEN 1 END) FROM upload";

/// Rows that counting all of them is taken for.
const TOTALS_EFFORT: Effort = Effort::Page(10_000);

impl Metadata {
    /// Begins an upload. When too many are open, one without a byte gives way, if there is one. `hold`
    /// takes an upload out of use, and says nothing for one that is in use.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn start_upload<T: Send + 'static>(
        &self,
        new: NewUpload,
        hold: impl Fn(UploadId) -> Option<T> + Send + 'static,
    ) -> Result<Started<T>> {
        let work = move |sql: &mut dyn Sql| start(sql, &new, &hold);
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

    /// Ends an upload that has lain still for long enough, and says what was staged of it; nothing
    /// when it has not, or is over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_upload(&self, id: UploadId, expiry: Expiry) -> Result<Option<Staged>> {
        let work = move |sql: &mut dyn Sql| expire(sql, id, expiry);
        self.engine
            .make_room("dropping an expired upload", work)
            .await
    }

    /// Uploads that have lain still for long enough, those first that have for the longest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn expired_uploads(&self, expiry: Expiry, limit: usize) -> Result<Vec<UploadId>> {
        let find = move |sql: &mut dyn Sql| expired(sql, expiry, limit);
        self.engine
            .read("looking for expired uploads", Effort::Page(limit), find)
            .await
    }

    /// A page of all uploads that are open, in the order of their identities.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn uploads(&self, page: &Keyset) -> Result<Rows<UploadEntry>> {
        let (page, effort) = (page.clone(), Effort::Page(page.limit));
        let list = move |sql: &mut dyn Sql| list(sql, &page);
        self.engine.read("listing uploads", effort, list).await
    }

    /// How many uploads are open, and their bytes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn upload_totals(&self) -> Result<UploadTotals> {
        self.engine
            .read("counting uploads", TOTALS_EFFORT, totals)
            .await
    }

    /// Ends an upload of any repository; with `bytes`, only when it has so many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn drop_upload(&self, id: UploadId, bytes: Option<u64>) -> Result<UploadDropped> {
        let work = move |sql: &mut dyn Sql| drop_one(sql, id, bytes);
        self.engine.make_room("dropping an upload", work).await
    }
}

/// Begins an upload, if there is room for it or can be made.
pub(super) fn start<T>(
    sql: &mut dyn Sql,
    new: &NewUpload,
    hold: &dyn Fn(UploadId) -> Option<T>,
) -> std::result::Result<Started<T>, DbError> {
    let (refused, gave_way) = room::make(sql, new, hold)?;
    if refused.is_some() {
        return Ok(Started { refused, gave_way });
    }
    let now = time(new.now);
    let repository = repositories::ensure(sql, &new.repo, now)?;
    let params = [
        Value::Text(&new.id.to_string()),
        Value::Int(repository),
        Value::Blob(&[]),
        Value::Blob(&new.hash),
        Value::Int(now),
        Value::Text(&new.client),
    ];
    sql.execute(START, &params)?;
    Ok(Started { refused, gave_way })
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

/// What is staged, from the first two columns: `length` and `notes`.
pub(super) fn staged(row: &dyn Row) -> std::result::Result<Staged, DbError> {
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

/// Ends an upload that has lain still for long enough.
pub(super) fn expire(
    sql: &mut dyn Sql,
    id: UploadId,
    expiry: Expiry,
) -> std::result::Result<Option<Staged>, DbError> {
    let params = [
        Value::Text(&id.to_string()),
        Value::Int(time(expiry.empty)),
        Value::Int(time(expiry.any)),
    ];
    let found = first(sql, STILL, &params, staged)?;
    if found.is_some() {
        remove(sql, id)?;
    }
    Ok(found)
}

/// Uploads that have lain still for long enough.
pub(super) fn expired(
    sql: &mut dyn Sql,
    expiry: Expiry,
    limit: usize,
) -> std::result::Result<Vec<UploadId>, DbError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = [
        Value::Int(time(expiry.empty)),
        Value::Int(time(expiry.any)),
        Value::Int(limit),
    ];
    all(sql, EXPIRED, &params, |row| word(row.text(0)?))
}

/// A page of all uploads.
fn list(sql: &mut dyn Sql, want: &Keyset) -> std::result::Result<Rows<UploadEntry>, DbError> {
    let after = want.after.as_deref().unwrap_or_default();
    let params = [Value::Text(after), one_more(want.limit)];
    let rows = all(sql, PAGE, &params, |row| {
        Ok(UploadEntry {
            id: word(row.text(0)?)?,
            repo: word(row.text(1)?)?,
            client: row.text(2)?.to_owned(),
            started: system_time(row.int(3)?),
            touched: system_time(row.int(4)?),
            bytes: unsigned(row.int(5)?)?,
        })
    });
    Ok(page(rows?, want.limit))
}

fn totals(sql: &mut dyn Sql) -> std::result::Result<UploadTotals, DbError> {
    let totals = first(sql, TOTALS, &[], |row| {
        Ok(UploadTotals {
            open: unsigned(row.int(0)?)?,
            bytes: unsigned(row.int(1)?)?,
            empty: unsigned(row.int(2)?)?,
        })
    });
    Ok(totals?.unwrap_or_default())
}

/// Ends an upload, if it has the bytes that it is to have.
fn drop_one(
    sql: &mut dyn Sql,
    id: UploadId,
    bytes: Option<u64>,
) -> std::result::Result<UploadDropped, DbError> {
    let Some(found) = first(sql, STAGED, &[Value::Text(&id.to_string())], staged)? else {
        return Ok(UploadDropped::Unknown);
    };
    if bytes.is_some_and(|bytes| bytes != found.length) {
        return Ok(UploadDropped::Moved(found.length));
    }
    remove(sql, id)?;
    Ok(UploadDropped::Done(found))
}
