//! Manifests: read by tag or digest in one statement, and deleted with all that hangs on them.

use std::time::SystemTime;

use bytes::Bytes;
use dockhand_oci::{Digest, Reference, RepoName};

use super::codec::{DigestKey, digest, time, unsigned};
use super::records::{Deleted, ManifestRow, Precondition};
use super::sql::{DbError, Row, Sql, Value, first};
use super::{referrers, repositories, tags};

pub(super) const BY_TAG: &str = "SELECT m.digest, m.media_type, m.bytes FROM repository r
    JOIN tag t ON t.repository = r.id AND t.name = ?2
    JOIN manifest m ON m.id = t.manifest
    WHERE r.name = ?1";

pub(super) const BY_DIGEST: &str = "SELECT m.digest, m.media_type, m.bytes FROM repository r
    JOIN manifest m ON m.repository = r.id AND m.digest = ?2
    WHERE r.name = ?1";

const ID: &str = "SELECT id FROM manifest WHERE repository = ?1 AND digest = ?2";

const SIZE: &str = "SELECT size FROM manifest WHERE repository = ?1 AND digest = ?2";

const SUBJECT: &str = "SELECT subject FROM manifest WHERE id = ?1";

const REMOVE_EDGES: &str = "DELETE FROM manifest_edge WHERE parent = ?1";

const REMOVE: &str = "DELETE FROM manifest WHERE id = ?1";

/// A manifest with its bytes.
pub(super) fn find(
    sql: &mut dyn Sql,
    repo: &RepoName,
    reference: &Reference,
) -> Result<Option<ManifestRow>, DbError> {
    let name = Value::Text(repo.as_str());
    let read = |row: &dyn Row| {
        Ok(ManifestRow {
            digest: digest(row.blob(0)?)?,
            media_type: row.text(1)?.to_owned(),
            bytes: Bytes::copy_from_slice(row.blob(2)?),
        })
    };
    match reference {
        Reference::Tag(tag) => first(sql, BY_TAG, &[name, Value::Text(tag.as_str())], read),
        Reference::Digest(wanted) => {
            let key = DigestKey::new(wanted);
            first(sql, BY_DIGEST, &[name, key.value()], read)
        }
    }
}

/// The id of a manifest in its repository.
pub(super) fn id(
    sql: &mut dyn Sql,
    repository: i64,
    key: &DigestKey,
) -> Result<Option<i64>, DbError> {
    first(sql, ID, &[Value::Int(repository), key.value()], |row| {
        row.int(0)
    })
}

/// The size of a manifest that the repository has.
pub(super) fn size(
    sql: &mut dyn Sql,
    repository: i64,
    key: &DigestKey,
) -> Result<Option<u64>, DbError> {
    first(sql, SIZE, &[Value::Int(repository), key.value()], |row| {
        unsigned(row.int(0)?)
    })
}

/// Deletes a manifest, every tag that points at it, its links, and its word as a referrer.
pub(super) fn delete(
    sql: &mut dyn Sql,
    repo: &RepoName,
    wanted: &Digest,
    only_if: &Precondition,
    now: SystemTime,
) -> Result<Deleted, DbError> {
    let key = DigestKey::new(wanted);
    let Some(repository) = repositories::lock(sql, repo)? else {
        return Ok(Deleted::Unknown);
    };
    let Some(manifest) = id(sql, repository, &key)? else {
        return Ok(Deleted::Unknown);
    };
    if !only_if.holds(Some(wanted)) {
        return Ok(Deleted::PreconditionFailed {
            current: Some(*wanted),
        });
    }
    tags::remove_all_of(sql, repository, (manifest, wanted), time(now))?;
    let subject = first(sql, SUBJECT, &[Value::Int(manifest)], |row| {
        row.blob_or_null(0)?.map(digest).transpose()
    })?;
    if let Some(subject) = subject.flatten() {
        referrers::remove_native(sql, repository, &DigestKey::new(&subject), &key)?;
    }
    sql.execute(REMOVE_EDGES, &[Value::Int(manifest)])?;
    sql.execute(REMOVE, &[Value::Int(manifest)])?;
    repositories::count(sql, repository, -1)?;
    Ok(Deleted::Done)
}
