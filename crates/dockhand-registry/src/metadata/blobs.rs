//! Blobs: found through a repository, committed, mounted, unlinked.

use std::time::SystemTime;

use dockhand_oci::{Digest, RepoName};

use super::codec::{DigestKey, LINK_MANIFEST, digest, number, time, unsigned};
use super::records::{BlobCommit, BlobDeleted, BlobRow, Committed, NextKey};
use super::schema::BLOB_LIVE;
use super::sql::{DbError, Row, Sql, Value, exists, first};
use super::{repositories, uploads};
use crate::blob_store::BlobKey;
use crate::layout::blob_key;

pub(super) const FIND: &str = "SELECT b.key, b.size FROM repository r
    JOIN repository_blob l ON l.repository = r.id AND l.digest = ?2
    JOIN blob b ON b.digest = l.digest AND b.state = 1
    WHERE r.name = ?1";

const ANY: &str = "SELECT 1 FROM blob WHERE state = 1 LIMIT 1";

/// The live blob stays live until a transaction that links it has ended.
const LIVE: &str =
    "SELECT generation, key, size FROM blob WHERE digest = ?1 AND state = 1 /* FOR SHARE */";

const LINKED: &str = "SELECT b.size FROM repository_blob l
    JOIN blob b ON b.digest = l.digest AND b.state = 1
    WHERE l.repository = ?1 AND l.digest = ?2 /* FOR SHARE */";

const LINKED_ANYWHERE: &str = "SELECT 1 FROM repository_blob WHERE digest = ?1 LIMIT 1";

const LAST_GENERATION: &str =
    "SELECT generation FROM blob WHERE digest = ?1 ORDER BY generation DESC LIMIT 1";

const CLAIMED: &str = "SELECT 1 FROM blob WHERE digest = ?1 AND generation = ?2";

const INSERT: &str = "INSERT INTO blob (digest, generation, key, size, state, created)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";

const LINK: &str = "INSERT INTO repository_blob (repository, digest, linked)
    VALUES (?1, ?2, ?3) ON CONFLICT (repository, digest) DO NOTHING";

const UNLINK: &str = "DELETE FROM repository_blob WHERE repository = ?1 AND digest = ?2";

const USER: &str = "SELECT m.digest FROM manifest_edge e JOIN manifest m ON m.id = e.parent
    WHERE e.child = ?2 AND e.repository = ?1 AND e.kind <> ?3 LIMIT 1";

/// Whether there is any blob.
pub(super) fn any(sql: &mut dyn Sql) -> Result<bool, DbError> {
    exists(sql, ANY, &[])
}

struct Live {
    generation: i64,
    key: BlobKey,
    size: u64,
}

fn live(sql: &mut dyn Sql, key: &DigestKey) -> Result<Option<Live>, DbError> {
    first(sql, LIVE, &[key.value()], |row| {
        Ok(Live {
            generation: row.int(0)?,
            key: stored_key(row, 1)?,
            size: unsigned(row.int(2)?)?,
        })
    })
}

fn stored_key(row: &dyn Row, column: usize) -> Result<BlobKey, DbError> {
    Ok(BlobKey(row.text(column)?.into()))
}

/// A blob that the repository has.
pub(super) fn find(
    sql: &mut dyn Sql,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Option<BlobRow>, DbError> {
    let key = DigestKey::new(digest);
    let params = [Value::Text(repo.as_str()), key.value()];
    first(sql, FIND, &params, |row| {
        Ok(BlobRow {
            key: stored_key(row, 0)?,
            size: unsigned(row.int(1)?)?,
        })
    })
}

/// The size of a blob that the repository has.
pub(super) fn linked(
    sql: &mut dyn Sql,
    repository: i64,
    key: &DigestKey,
) -> Result<Option<u64>, DbError> {
    first(sql, LINKED, &[Value::Int(repository), key.value()], |row| {
        unsigned(row.int(0)?)
    })
}

fn link(sql: &mut dyn Sql, repository: i64, key: &DigestKey, now: i64) -> Result<(), DbError> {
    sql.execute(
        LINK,
        &[Value::Int(repository), key.value(), Value::Int(now)],
    )
    .map(|_| ())
}

/// Where the bytes of a digest are, or are to go.
pub(super) fn next_key(sql: &mut dyn Sql, digest: &Digest) -> Result<NextKey, DbError> {
    let key = DigestKey::new(digest);
    if let Some(live) = live(sql, &key)? {
        return Ok(NextKey::Live {
            key: live.key,
            size: live.size,
        });
    }
    let last = first(sql, LAST_GENERATION, &[key.value()], |row| row.int(0))?;
    let next = u32::try_from(last.unwrap_or(0).saturating_add(1));
    let generation = next.map_err(|_| DbError::damaged("the generations of a blob are used up"))?;
    Ok(NextKey::Free { generation })
}

/// Whether any row, live or not, names a generation.
pub(super) fn claimed(
    sql: &mut dyn Sql,
    digest: &Digest,
    generation: u32,
) -> Result<bool, DbError> {
    let generation = Value::Int(i64::from(generation));
    exists(sql, CLAIMED, &[DigestKey::new(digest).value(), generation])
}

/// Makes durable bytes a blob of a repository, and ends the upload that brought them.
pub(super) fn commit(sql: &mut dyn Sql, commit: &BlobCommit) -> Result<Committed, DbError> {
    let key = DigestKey::new(&commit.digest);
    let now = time(commit.now);
    let committed = match (live(sql, &key)?, commit.generation) {
        (Some(live), ours) => {
            let surplus = ours.filter(|ours| i64::from(*ours) != live.generation);
            Committed::Existed {
                surplus: surplus.map(|ours| blob_key(&commit.digest, ours)),
            }
        }
        (None, Some(ours)) if insert(sql, commit, &key, ours)? => Committed::Stored,
        (None, _) => return Ok(Committed::Gone),
    };
    let repository = repositories::ensure(sql, &commit.repo, now)?;
    link(sql, repository, &key, now)?;
    if let Some(upload) = commit.upload {
        uploads::remove(sql, upload)?;
    }
    Ok(committed)
}

/// Adds the row of a generation; `false` when it was used before.
fn insert(
    sql: &mut dyn Sql,
    commit: &BlobCommit,
    key: &DigestKey,
    generation: u32,
) -> Result<bool, DbError> {
    let place = blob_key(&commit.digest, generation);
    let params = [
        key.value(),
        Value::Int(i64::from(generation)),
        Value::Text(place.as_str()),
        Value::Int(number(commit.size)),
        Value::Int(BLOB_LIVE),
        Value::Int(time(commit.now)),
    ];
    Ok(sql.execute(INSERT, &params)? == 1)
}

/// Links a live blob that `from`, or any repository, has.
pub(super) fn mount(
    sql: &mut dyn Sql,
    to: &RepoName,
    from: Option<&RepoName>,
    digest: &Digest,
    now: SystemTime,
) -> Result<bool, DbError> {
    let key = DigestKey::new(digest);
    let has = match from {
        Some(from) => match repositories::find(sql, from)? {
            Some(from) => linked(sql, from, &key)?.is_some(),
            None => false,
        },
        None => live(sql, &key)?.is_some() && exists(sql, LINKED_ANYWHERE, &[key.value()])?,
    };
    if has {
        let to = repositories::ensure(sql, to, time(now))?;
        link(sql, to, &key, time(now))?;
    }
    Ok(has)
}

/// Takes a blob out of a repository, unless a manifest there needs it.
pub(super) fn delete(
    sql: &mut dyn Sql,
    repo: &RepoName,
    blob: &Digest,
) -> Result<BlobDeleted, DbError> {
    let Some(repository) = repositories::lock(sql, repo)? else {
        return Ok(BlobDeleted::Unknown);
    };
    let key = DigestKey::new(blob);
    if linked(sql, repository, &key)?.is_none() {
        return Ok(BlobDeleted::Unknown);
    }
    let params = [
        Value::Int(repository),
        key.value(),
        Value::Int(LINK_MANIFEST),
    ];
    if let Some(manifest) = first(sql, USER, &params, |row| digest(row.blob(0)?))? {
        return Ok(BlobDeleted::InUse(manifest));
    }
    sql.execute(UNLINK, &[Value::Int(repository), key.value()])?;
    Ok(BlobDeleted::Done)
}
