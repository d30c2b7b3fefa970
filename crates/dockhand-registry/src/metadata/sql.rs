//! The seam below the SQL: statements with numbered parameters go in, rows come out.
//!
//! Operations are plain functions over [`Sql`]. They run inside a transaction that the engine opens
//! and commits, and know nothing of threads, pools or which database it is.

use super::error::Cause;

/// A database inside a transaction, or a snapshot that is only read.
pub(super) trait Sql {
    /// Runs a statement that returns no rows, and says how many rows it changed.
    fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<usize, DbError>;

    /// Runs a statement and hands each row to `each`, in order.
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), DbError>,
    ) -> Result<(), DbError>;
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// A row, whose columns count from 0. A column of another type than is asked for is damage.
pub(super) trait Row {
    /// A nullable integer.
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, DbError>;
    /// A nullable text.
    fn text_or_null(&self, column: usize) -> Result<Option<&str>, DbError>;
    /// Nullable bytes.
    fn blob_or_null(&self, column: usize) -> Result<Option<&[u8]>, DbError>;

    /// An integer.
    fn int(&self, column: usize) -> Result<i64, DbError> {
        self.int_or_null(column)?
            .ok_or_else(|| DbError::null(column))
    }
    /// A text.
    fn text(&self, column: usize) -> Result<&str, DbError> {
        self.text_or_null(column)?
            .ok_or_else(|| DbError::null(column))
    }
    /// Bytes.
    fn blob(&self, column: usize) -> Result<&[u8], DbError> {
        self.blob_or_null(column)?
            .ok_or_else(|| DbError::null(column))
    }
}

/// What matters of a database's failure.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    /// No space; nothing of the statement happened.
    #[error("the disk is full")]
    Full(#[source] Cause),
    /// Somebody else holds the database.
    #[error("the database is locked")]
    Busy(#[source] Cause),
    /// The disk failed: what it holds is not known.
    #[error("the disk of the database failed")]
    Io(#[source] Cause),
    /// The database itself says that it is damaged.
    #[error("the database is damaged")]
    Corrupt(#[source] Cause),
    /// A value is none that any version of this program writes there.
    #[error("a value in the database is damaged")]
    Damaged(#[source] Cause),
    /// Anything else, a constraint for instance.
    #[error("the database refused a statement")]
    Other(#[source] Cause),
}

impl DbError {
    /// A value is none that any version of this program writes there.
    pub(super) fn damaged(what: impl Into<Cause>) -> Self {
        Self::Damaged(what.into())
    }

    fn null(column: usize) -> Self {
        Self::damaged(format!("column {column} is NULL"))
    }
}

/// The first row of a query, made into a value.
pub(super) fn first<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    params: &[Value<'_>],
    mut read: impl FnMut(&dyn Row) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    let mut found = None;
    sql.query(text, params, &mut |row| {
        if found.is_none() {
            found = Some(read(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// All rows of a query, each made into a value.
pub(super) fn all<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    params: &[Value<'_>],
    mut read: impl FnMut(&dyn Row) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let mut found = Vec::new();
    sql.query(text, params, &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// Whether a query has a row.
pub(super) fn exists(
    sql: &mut dyn Sql,
    text: &'static str,
    params: &[Value<'_>],
) -> Result<bool, DbError> {
    Ok(first(sql, text, params, |_| Ok(()))?.is_some())
}
