//! What is stored, counted.

use super::codec::unsigned;
use super::sql::{DbError, Sql, first};
use crate::usage::Contents;

const REPOSITORIES: &str = "SELECT count(*), CAST(coalesce(sum(manifests), 0) AS BIGINT)
    FROM repository WHERE manifests > 0";

const TAGS: &str = "SELECT count(*) FROM tag";

const BLOBS: &str = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT)
    FROM blob WHERE state = 1";

/// Counts everything.
pub(super) fn count(sql: &mut dyn Sql) -> Result<Contents, DbError> {
    let mut pair = |statement| {
        let found = first(sql, statement, &[], |row| {
            Ok((unsigned(row.int(0)?)?, unsigned(row.int(1)?)?))
        })?;
        Ok::<_, DbError>(found.unwrap_or_default())
    };
    let (repositories, manifests) = pair(REPOSITORIES)?;
    let (blobs, blob_bytes) = pair(BLOBS)?;
    let tags = first(sql, TAGS, &[], |row| unsigned(row.int(0)?))?;
    Ok(Contents {
        repositories,
        manifests,
        tags: tags.unwrap_or_default(),
        blobs,
        blob_bytes,
    })
}
