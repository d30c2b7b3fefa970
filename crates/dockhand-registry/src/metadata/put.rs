//! The push of a manifest: document, links, referrer, tags and history, all or nothing.

use dockhand_oci::Digest;

use super::codec::{DigestKey, key_value, link_kind, number, text_value, time};
use super::records::{ManifestPut, Precondition, Put};
use super::sql::{DbError, Sql, Value};
use super::{links, manifests, referrers, repositories, tags};

const INSERT: &str = "INSERT INTO manifest
    (repository, digest, media_type, size, artifact_type, subject, created, bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const ADD_EDGE: &str = "INSERT INTO manifest_edge (parent, child, kind, repository)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (parent, child, kind) DO NOTHING";

/// Stores a manifest. Whatever says no says it before the first write.
pub(super) fn put(sql: &mut dyn Sql, put: &ManifestPut) -> Result<Put, DbError> {
    let now = time(put.now);
    let repository = match repositories::lock(sql, &put.repo)? {
        Some(repository) => repository,
        None => {
            // Refused without leaving an empty repository behind.
            if !put.only_if.holds(None) {
                return Ok(Put::PreconditionFailed { current: None });
            }
            if let Some(refused) = links::check(sql, None, put)? {
                return Ok(refused);
            }
            repositories::ensure(sql, &put.repo, now)?
        }
    };
    let key = DigestKey::new(&put.digest);
    let present = manifests::id(sql, repository, &key)?;
    if let Some(refused) = precondition(sql, repository, put, present.is_some())? {
        return Ok(refused);
    }
    if let Some(refused) = links::check(sql, Some(repository), put)? {
        return Ok(refused);
    }
    let manifest = match present {
        Some(manifest) => manifest,
        None => insert(sql, repository, put, &key)?,
    };
    for tag in &put.tags {
        if tags::set(sql, repository, tag, (manifest, &put.digest), now)? {
            referrers::follow_tag(sql, repository, tag, &put.fallback)?;
        }
    }
    Ok(Put::Stored {
        created: present.is_none(),
    })
}

/// Holds a push to its condition: of each tag, or without tags of the manifest itself.
fn precondition(
    sql: &mut dyn Sql,
    repository: i64,
    put: &ManifestPut,
    present: bool,
) -> Result<Option<Put>, DbError> {
    if put.only_if == Precondition::None {
        return Ok(None);
    }
    let refuse = |current: Option<Digest>| {
        let holds = put.only_if.holds(current.as_ref());
        (!holds).then_some(Put::PreconditionFailed { current })
    };
    if put.tags.is_empty() {
        return Ok(refuse(present.then_some(put.digest)));
    }
    for tag in &put.tags {
        let current = tags::current(sql, repository, tag)?;
        if let Some(refused) = refuse(current.map(|current| current.digest)) {
            return Ok(Some(refused));
        }
    }
    Ok(None)
}

/// Adds a manifest that the repository did not have, with its links and its word as a referrer.
fn insert(
    sql: &mut dyn Sql,
    repository: i64,
    put: &ManifestPut,
    key: &DigestKey,
) -> Result<i64, DbError> {
    let subject = put.subject.as_ref().map(DigestKey::new);
    let params = [
        Value::Int(repository),
        key.value(),
        Value::Text(&put.media_type),
        Value::Int(number(put.bytes.len() as u64)),
        text_value(put.artifact_type.as_deref()),
        key_value(subject.as_ref()),
        Value::Int(time(put.now)),
        Value::Blob(&put.bytes),
    ];
    sql.execute(INSERT, &params)?;
    let manifest = manifests::id(sql, repository, key)?
        .ok_or_else(|| DbError::damaged("a manifest is not there though just stored"))?;
    for link in &put.links {
        let child = DigestKey::new(&link.digest);
        let params = [
            Value::Int(manifest),
            child.value(),
            Value::Int(link_kind(link.kind)),
            Value::Int(repository),
        ];
        sql.execute(ADD_EDGE, &params)?;
    }
    if let Some(subject) = &put.subject {
        let artifact_type = put.artifact_type.as_deref();
        let (manifest, notes) = (&put.digest, &put.annotations);
        referrers::add_native(sql, repository, subject, manifest, artifact_type, notes)?;
    }
    repositories::count(sql, repository, 1)?;
    Ok(manifest)
}
