//! Repositories: found, made when something is pushed to them, listed.

use dockhand_oci::RepoName;

use super::codec::{one_more, page, word};
use super::records::{Keyset, Rows};
use super::sql::{DbError, Sql, Value, all, first};

const FIND: &str = "SELECT id FROM repository WHERE name = ?1";

/// Taken first by every transaction that changes manifests or tags: two of one repository take turns,
/// so that what one has checked stays true until it commits.
const LOCK: &str = "SELECT id FROM repository WHERE name = ?1 /* FOR UPDATE */";

const CREATE: &str =
    "INSERT INTO repository (name, created) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";

const KNOWN: &str = "SELECT id, manifests FROM repository WHERE name = ?1";

const COUNT: &str = "UPDATE repository SET manifests = coalesce(manifests, 0) + ?2 WHERE id = ?1";

/// A page of the catalog: those that have a manifest now.
pub(super) const PAGE: &str = "SELECT name FROM repository
    WHERE manifests > 0 AND name > ?1 ORDER BY name LIMIT ?2";

/// The id of a repository.
pub(super) fn find(sql: &mut dyn Sql, repo: &RepoName) -> Result<Option<i64>, DbError> {
    first(sql, FIND, &[Value::Text(repo.as_str())], |row| row.int(0))
}

/// The id of a repository, locked until the transaction ends.
pub(super) fn lock(sql: &mut dyn Sql, repo: &RepoName) -> Result<Option<i64>, DbError> {
    first(sql, LOCK, &[Value::Text(repo.as_str())], |row| row.int(0))
}

/// The id of a repository, which is made if need be, locked until the transaction ends.
pub(super) fn ensure(sql: &mut dyn Sql, repo: &RepoName, now: i64) -> Result<i64, DbError> {
    if let Some(id) = lock(sql, repo)? {
        return Ok(id);
    }
    sql.execute(CREATE, &[Value::Text(repo.as_str()), Value::Int(now)])?;
    lock(sql, repo)?.ok_or_else(|| DbError::damaged("a repository is not there though just made"))
}

/// The id of a repository that has or had a manifest.
pub(super) fn known(sql: &mut dyn Sql, repo: &RepoName) -> Result<Option<i64>, DbError> {
    let params = [Value::Text(repo.as_str())];
    let found = first(sql, KNOWN, &params, |row| {
        Ok((row.int(0)?, row.int_or_null(1)?))
    })?;
    Ok(found.and_then(|(id, manifests)| manifests.map(|_| id)))
}

/// Counts manifests up or down.
pub(super) fn count(sql: &mut dyn Sql, repository: i64, by: i64) -> Result<(), DbError> {
    sql.execute(COUNT, &[Value::Int(repository), Value::Int(by)])
        .map(|_| ())
}

/// A page of the catalog.
pub(super) fn list(sql: &mut dyn Sql, want: &Keyset) -> Result<Rows<RepoName>, DbError> {
    let after = want.after.as_deref().unwrap_or_default();
    let params = [Value::Text(after), one_more(want.limit)];
    Ok(page(
        all(sql, PAGE, &params, |row| word(row.text(0)?))?,
        want.limit,
    ))
}
