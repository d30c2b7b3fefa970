//! Referrers: by the `subject` of a manifest, and by the indexes that clients of older registries keep
//! under tags of the referrers tag schema.
//!
//! A row says "this manifest refers to that subject". One that comes from a tag goes with the tag; a
//! manifest's own word replaces it. Rows are listed while the manifest is in the repository.

use std::collections::BTreeMap;

use dockhand_oci::{Algorithm, Digest, RepoName, Tag};

use super::codec::{
    DigestKey, annotations, annotations_text, digest, one_more, page, text_value, unsigned,
};
use super::records::{Referrer, ReferrersQuery, Rows};
use super::repositories;
use super::schema::{REFERRER_BY_TAG, REFERRER_NATIVE};
use super::sql::{DbError, Row, Sql, Value};

const ADD_NATIVE: &str =
    "INSERT INTO referrer (repository, subject, digest, source, artifact_type, annotations)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (repository, subject, digest) DO UPDATE SET source = excluded.source,
    artifact_type = excluded.artifact_type, annotations = excluded.annotations";

const ADD_BY_TAG: &str =
    "INSERT INTO referrer (repository, subject, digest, source, artifact_type, annotations)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (repository, subject, digest) DO NOTHING";

const REMOVE_NATIVE: &str = "DELETE FROM referrer
    WHERE repository = ?1 AND subject = ?2 AND digest = ?3 AND source = ?4";

const REMOVE_BY_TAG: &str =
    "DELETE FROM referrer WHERE repository = ?1 AND subject = ?2 AND source = 2";

/// A page of all referrers. The join keeps to this order, so that it reads the page and not the
/// repository; rows without a manifest are stepped over, at most as many as one index can name.
pub(super) const PAGE: &str =
    "SELECT f.digest, m.media_type, m.size, f.artifact_type, f.annotations
    FROM referrer f CROSS JOIN manifest m
    WHERE f.repository = ?1 AND f.subject = ?2 AND f.digest > ?3
    AND m.repository = f.repository AND m.digest = f.digest
    ORDER BY f.digest LIMIT ?4";

/// A page of the referrers of one type.
pub(super) const PAGE_OF_TYPE: &str =
    "SELECT f.digest, m.media_type, m.size, f.artifact_type, f.annotations
    FROM referrer f CROSS JOIN manifest m
    WHERE f.repository = ?1 AND f.subject = ?2 AND f.artifact_type = ?5 AND f.digest > ?3
    AND m.repository = f.repository AND m.digest = f.digest
    ORDER BY f.digest LIMIT ?4";

/// Remembers a manifest as a referrer of its own subject.
pub(super) fn add_native(
    sql: &mut dyn Sql,
    repository: i64,
    subject: &Digest,
    manifest: &Digest,
    artifact_type: Option<&str>,
    annotations: &BTreeMap<String, String>,
) -> Result<(), DbError> {
    let (subject, manifest) = (DigestKey::new(subject), DigestKey::new(manifest));
    let annotations = annotations_text(annotations)?;
    let params = [
        Value::Int(repository),
        subject.value(),
        manifest.value(),
        Value::Int(REFERRER_NATIVE),
        text_value(artifact_type),
        text_value(annotations.as_deref()),
    ];
    sql.execute(ADD_NATIVE, &params).map(|_| ())
}

/// Forgets a manifest as a referrer of its own subject.
pub(super) fn remove_native(
    sql: &mut dyn Sql,
    repository: i64,
    subject: &DigestKey,
    manifest: &DigestKey,
) -> Result<(), DbError> {
    let native = Value::Int(REFERRER_NATIVE);
    let params = [
        Value::Int(repository),
        subject.value(),
        manifest.value(),
        native,
    ];
    sql.execute(REMOVE_NATIVE, &params).map(|_| ())
}

/// What a tag of the referrers tag schema is about. SHA-512 digests are cut to 64 digits there, and
/// what they were is not to be known.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
fn subject_of(tag: &Tag) -> Option<DigestKey> {
    let (algorithm, hex) = tag.as_str().split_once('-')?;
    let digest: Digest = format!("{algorithm}:{hex}").parse().ok()?;
    (digest.algorithm() == Algorithm::Sha256).then(|| DigestKey::new(&digest))
}

/// A tag points at an index with these entries now: if it is one of the schema, they are the
/// referrers that it stands for, and no others.
pub(super) fn follow_tag(
    sql: &mut dyn Sql,
    repository: i64,
    tag: &Tag,
    entries: &[Referrer],
) -> Result<(), DbError> {
    let Some(subject) = subject_of(tag) else {
        return Ok(());
    };
    forget_tag(sql, repository, tag)?;
    for entry in entries {
        let manifest = DigestKey::new(&entry.digest);
        let annotations = annotations_text(&entry.annotations)?;
        let params = [
            Value::Int(repository),
            subject.value(),
            manifest.value(),
            Value::Int(REFERRER_BY_TAG),
            text_value(entry.artifact_type.as_deref()),
            text_value(annotations.as_deref()),
        ];
        sql.execute(ADD_BY_TAG, &params)?;
    }
    Ok(())
}

/// A tag is gone, and with it the referrers that it stood for.
pub(super) fn forget_tag(sql: &mut dyn Sql, repository: i64, tag: &Tag) -> Result<(), DbError> {
    let Some(subject) = subject_of(tag) else {
        return Ok(());
    };
    sql.execute(REMOVE_BY_TAG, &[Value::Int(repository), subject.value()])
        .map(|_| ())
}

/// A page of what refers to a subject, merged over the types that are wanted.
pub(super) fn list(
    sql: &mut dyn Sql,
    repo: &RepoName,
    query: &ReferrersQuery,
) -> Result<Rows<Referrer>, DbError> {
    let Some(repository) = repositories::find(sql, repo)? else {
        return Ok(Rows {
            items: Vec::new(),
            more: false,
        });
    };
    let subject = DigestKey::new(&query.subject);
    let after = query.after.as_ref().map(DigestKey::new);
    let after = after.as_ref().map_or(Value::Blob(&[]), DigestKey::value);
    let base = [
        Value::Int(repository),
        subject.value(),
        after,
        one_more(query.limit),
    ];
    let mut found = Found::default();
    if query.artifact_types.is_empty() {
        found.add(sql, PAGE, &base)?;
        return Ok(found.page(query.limit));
    }
    let mut types: Vec<&str> = query.artifact_types.iter().map(String::as_str).collect();
    types.sort_unstable();
    types.dedup();
    let [repository, subject, after, limit] = base;
    for wanted in types {
        let params = [repository, subject, after, limit, Value::Text(wanted)];
        found.add(sql, PAGE_OF_TYPE, &params)?;
    }
    Ok(found.page(query.limit))
}

/// What one page may have of annotations. Those of a single manifest may fill its 4 MiB, so a page of
/// a thousand could be gigabytes; a client that asks on gets the rest.
const ROOM: usize = 4 * 1024 * 1024;

/// Referrers of several types on their way into one page.
#[derive(Default)]
struct Found {
    referrers: Vec<Referrer>,
    bytes: usize,
    /// Where the first list that did not fit was cut: nothing behind it may be shown yet.
    cut: Option<Digest>,
}

impl Found {
    /// Adds a list, up to where the page is full.
    fn add(
        &mut self,
        sql: &mut dyn Sql,
        statement: &'static str,
        params: &[Value<'_>],
    ) -> Result<(), DbError> {
        let mut last = None;
        let mut cut = false;
        sql.query(statement, params, &mut |row| {
            let weight = row.text_or_null(4)?.map_or(0, str::len);
            cut |= last.is_some() && self.bytes + weight > ROOM;
            if !cut {
                let referrer = read(row)?;
                self.bytes += weight;
                last = Some(referrer.digest);
                self.referrers.push(referrer);
            }
            Ok(())
        })?;
        if let (true, Some(last)) = (cut, last) {
            self.cut = Some(self.cut.map_or(last, |cut| cut.min(last)));
        }
        Ok(())
    }

    fn page(mut self, limit: usize) -> Rows<Referrer> {
        self.referrers
            .sort_unstable_by_key(|referrer| referrer.digest);
        if let Some(cut) = self.cut {
            self.referrers.retain(|referrer| referrer.digest <= cut);
        }
        let mut rows = page(self.referrers, limit);
        rows.more |= self.cut.is_some();
        rows
    }
}

fn read(row: &dyn Row) -> Result<Referrer, DbError> {
    Ok(Referrer {
        digest: digest(row.blob(0)?)?,
        media_type: row.text(1)?.to_owned(),
        size: unsigned(row.int(2)?)?,
        artifact_type: row.text_or_null(3)?.map(str::to_owned),
        annotations: annotations(row.text_or_null(4)?)?,
    })
}
