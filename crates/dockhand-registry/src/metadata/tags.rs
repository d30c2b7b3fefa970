//! Tags: where they point, that they move with a version and a row of history, in which order they
//! are listed.

use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName, Tag};

use super::codec::{
    DigestKey, digest, key_value, number, one_more, page, system_time, time, unsigned, word,
};
use super::records::{Deleted, Keyset, Precondition, Rows, TagEvent};
use super::sql::{DbError, Sql, Value, all, first};
use super::{referrers, repositories};

const CURRENT: &str = "SELECT m.digest, t.version FROM tag t JOIN manifest m ON m.id = t.manifest
    WHERE t.repository = ?1 AND t.name = ?2";

const LAST_VERSION: &str = "SELECT version FROM tag_event
    WHERE repository = ?1 AND name = ?2 ORDER BY version DESC LIMIT 1";

const SET: &str = "INSERT INTO tag (repository, name, manifest, version, updated)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (repository, name) DO UPDATE
    SET manifest = excluded.manifest, version = excluded.version, updated = excluded.updated";

const REMOVE: &str = "DELETE FROM tag WHERE repository = ?1 AND name = ?2";

const REMEMBER: &str = "INSERT INTO tag_event (repository, name, version, digest, previous, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const OF_MANIFEST: &str = "SELECT name, version FROM tag WHERE manifest = ?1";

/// A page of the tags of a repository.
pub(super) const PAGE: &str =
    "SELECT name FROM tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3";

/// A page of the history of a tag.
pub(super) const HISTORY: &str = "SELECT version, digest, previous, at FROM tag_event
    WHERE repository = ?1 AND name = ?2 AND version < ?3 ORDER BY version DESC LIMIT ?4";

/// Where a tag points now.
pub(super) struct Current {
    pub(super) digest: Digest,
    version: u64,
}

/// Where a tag points now.
pub(super) fn current(
    sql: &mut dyn Sql,
    repository: i64,
    tag: &Tag,
) -> Result<Option<Current>, DbError> {
    first(
        sql,
        CURRENT,
        &[Value::Int(repository), Value::Text(tag.as_str())],
        |row| {
            Ok(Current {
                digest: digest(row.blob(0)?)?,
                version: unsigned(row.int(1)?)?,
            })
        },
    )
}

/// Points a tag at a manifest; `false` when it pointed there already, which is no event.
pub(super) fn set(
    sql: &mut dyn Sql,
    repository: i64,
    tag: &Tag,
    (manifest, to): (i64, &Digest),
    now: i64,
) -> Result<bool, DbError> {
    let current = current(sql, repository, tag)?;
    if current
        .as_ref()
        .is_some_and(|current| current.digest == *to)
    {
        return Ok(false);
    }
    let name = Value::Text(tag.as_str());
    let last = match &current {
        Some(current) => current.version,
        None => {
            let last = first(sql, LAST_VERSION, &[Value::Int(repository), name], |r| {
                r.int(0)
            })?;
            unsigned(last.unwrap_or(0))?
        }
    };
    let version = Value::Int(number(last + 1));
    let params = [
        Value::Int(repository),
        name,
        Value::Int(manifest),
        version,
        Value::Int(now),
    ];
    sql.execute(SET, &params)?;
    let previous = current.map(|current| DigestKey::new(&current.digest));
    let to = DigestKey::new(to);
    let params = [
        Value::Int(repository),
        name,
        version,
        to.value(),
        key_value(previous.as_ref()),
        Value::Int(now),
    ];
    sql.execute(REMEMBER, &params)?;
    Ok(true)
}

/// Takes a tag away, remembers that, and with it goes what it said about referrers.
fn remove(
    sql: &mut dyn Sql,
    repository: i64,
    tag: &Tag,
    was: &Current,
    now: i64,
) -> Result<(), DbError> {
    let name = Value::Text(tag.as_str());
    sql.execute(REMOVE, &[Value::Int(repository), name])?;
    let previous = DigestKey::new(&was.digest);
    let params = [
        Value::Int(repository),
        name,
        Value::Int(number(was.version + 1)),
        Value::Null,
        previous.value(),
        Value::Int(now),
    ];
    sql.execute(REMEMBER, &params)?;
    referrers::forget_tag(sql, repository, tag)
}

/// Takes every tag away that points at a manifest.
pub(super) fn remove_all_of(
    sql: &mut dyn Sql,
    repository: i64,
    (manifest, digest): (i64, &Digest),
    now: i64,
) -> Result<(), DbError> {
    let tags: Vec<(Tag, u64)> = all(sql, OF_MANIFEST, &[Value::Int(manifest)], |row| {
        Ok((word(row.text(0)?)?, unsigned(row.int(1)?)?))
    })?;
    for (tag, version) in tags {
        remove(
            sql,
            repository,
            &tag,
            &Current {
                digest: *digest,
                version,
            },
            now,
        )?;
    }
    Ok(())
}

/// Deletes a tag and nothing else.
pub(super) fn delete(
    sql: &mut dyn Sql,
    repo: &RepoName,
    tag: &Tag,
    only_if: &Precondition,
    now: SystemTime,
) -> Result<Deleted, DbError> {
    let Some(repository) = repositories::lock(sql, repo)? else {
        return Ok(Deleted::Unknown);
    };
    let Some(current) = current(sql, repository, tag)? else {
        return Ok(Deleted::Unknown);
    };
    if !only_if.holds(Some(&current.digest)) {
        return Ok(Deleted::PreconditionFailed {
            current: Some(current.digest),
        });
    }
    remove(sql, repository, tag, &current, time(now))?;
    Ok(Deleted::Done)
}

/// A page of the tags of a repository; nothing when it never had a manifest.
pub(super) fn list(
    sql: &mut dyn Sql,
    repo: &RepoName,
    want: &Keyset,
) -> Result<Option<Rows<Tag>>, DbError> {
    let Some(repository) = repositories::known(sql, repo)? else {
        return Ok(None);
    };
    let after = want.after.as_deref().unwrap_or_default();
    let params = [
        Value::Int(repository),
        Value::Text(after),
        one_more(want.limit),
    ];
    let tags = all(sql, PAGE, &params, |row| word(row.text(0)?))?;
    Ok(Some(page(tags, want.limit)))
}

/// A page of the history of a tag, the newest first.
pub(super) fn history(
    sql: &mut dyn Sql,
    repo: &RepoName,
    tag: &Tag,
    before: Option<u64>,
    limit: usize,
) -> Result<Rows<TagEvent>, DbError> {
    let Some(repository) = repositories::find(sql, repo)? else {
        return Ok(Rows {
            items: Vec::new(),
            more: false,
        });
    };
    let before = Value::Int(before.map_or(i64::MAX, number));
    let params = [
        Value::Int(repository),
        Value::Text(tag.as_str()),
        before,
        one_more(limit),
    ];
    let events = all(sql, HISTORY, &params, |row| {
        Ok(TagEvent {
            version: unsigned(row.int(0)?)?,
            digest: row.blob_or_null(1)?.map(digest).transpose()?,
            previous: row.blob_or_null(2)?.map(digest).transpose()?,
            at: system_time(row.int(3)?),
        })
    })?;
    Ok(page(events, limit))
}
